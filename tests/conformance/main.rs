//! One case for each requirement of RFC 9568, RFC 3768 and RFC 2338 that the engine answers for, named by section, with
//! octets as data. What the kernel answers for (ARP, MAC addresses, forwarding) is tested on real kernels.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allocations;
mod check_allocations;
mod receive;
mod router;
mod states;
mod vectors;
