//! The kinds that look at this node, against the real kernel.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod files;
mod fixture;
mod network;
mod processes;
