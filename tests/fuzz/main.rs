//! Fuzzing on stable Rust within a bounded time; `HA_FUZZ_SECONDS` and `HA_FUZZ_SEED` steer it. What once failed
//! stands in `corpus/` and is tried first, for ever.

mod config;
mod engine;
mod keepalived;
mod probe;
