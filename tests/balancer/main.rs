//! Pools on a real nginx: which server gets the requests, what survives the operator's and the system's mishaps, and whether
//! a request is lost meanwhile. Each test has its own nginx in its own namespace.

mod bed;

mod faults;
mod operator;
mod pools;
mod traffic;
