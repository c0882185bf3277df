//! The daemon: composes engine, dataplane and configuration; owns the runtimes, the clocks and every wait. Decisions are
//! the engine's, effects the dataplane's; `main.rs` only starts what is here.

pub mod api;
pub mod cli;
pub mod clock;
pub mod configure;
pub mod distribution;
pub mod driver;
pub mod facts;
pub mod health;
pub mod intents;
pub mod journal;
pub mod legacy;
mod listening;
pub mod moves;
pub mod notify;
pub mod peers;
pub mod pools;
#[cfg(test)]
mod random;
mod regular;
mod supervisor;
pub mod telemetry;
