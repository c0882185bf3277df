//! The dataplane against the real kernel: each test makes network namespaces of its own, which end with it. Needs root.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod announcing;
mod cleaning;
mod fixture;
mod leasing;
mod leaving;
mod linking;
mod macvlan;
mod namespace;
mod owning;
mod sockets;
mod spreading;
mod tags;
