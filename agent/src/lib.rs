//! Composition of the daemon: what drives the engine, keeps its history and answers about it. The decisions are in
//! `ha-engine`, the effects in `ha-dataplane`; `main.rs` only reads the command line and calls in here.

pub mod api;
pub mod clock;
pub mod driver;
pub mod journal;
