//! The thread of the checks as the agent runs it, against listeners and scripts of these tests. What results mean is
//! decided, and tested, in the engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod commands;
mod fixture;
mod operators;
mod verdicts;
