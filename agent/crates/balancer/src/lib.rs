//! A pool's desired servers → what balances between them.
//!
//! Two verbs, level-triggered: [`Backend::observe`] reads back what the balancer runs, [`Backend::apply`] makes it run
//! what is wanted. [`Pacer`] says when to apply. Which servers are wanted, and why, is decided elsewhere: no health
//! policy here. What an operator needs to know is in NGINX.md beside this crate.

#![forbid(unsafe_code)]

mod backend;
mod error;
mod nginx;
mod pacer;
mod server;

pub use backend::{Applied, Backend, Observed, PoolView, Refusal, Standing};
pub use error::{Blame, Error};
pub use nginx::{Form, Nginx, Options, PoolOptions, Sorry};
pub use pacer::{DEFAULT_SPACING, LONGEST_SPACING, Pacer, Reason, SHORTEST_SPACING};
pub use server::{Desired, MAX_SERVERS, Server};
