//! Commands on the real kernel: what they get, how they end, and that nothing stays behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod confinement;
mod endings;
mod fixture;
mod hostile;
mod scripts;
