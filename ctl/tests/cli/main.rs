//! The real `hactl` against test doubles of the agent on unix sockets: verdicts, exit codes, the envelope, pipes,
//! missing nodes, priorities, and streams. Against real agents it is tested in the workspace's own tests.

// Helpers of tests are tests: they may panic, and the whole crate is one program.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod bundle;
mod changes;
mod convert;
mod debug;
mod doctor;
mod double;
mod events;
mod explain;
mod health;
mod lacks;
mod moves;
mod outages;
mod partial;

mod priority;
mod programs;
mod questions;
mod secure;
mod stream;
mod support;
mod terminal;
mod trouble;
mod vantage;
