//! The daemon: composes engine, dataplane, configuration and probes; owns the runtime, the clocks and every wait.
//! Decisions are the engine's; `main.rs` only starts what is here.

pub mod clock;
pub mod driver;
pub mod telemetry;
