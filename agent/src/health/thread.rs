//! Starts the checks' thread: its own runtime, ordinary scheduling.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use ha_engine::MutedCheck;
use ha_probe::command::Commands;
use tokio::sync::mpsc;

use super::Request;
use super::compile::Check;
use super::jobs::Jobs;
use super::outlet::Outlets;
use super::run::Runner;

/// What the thread needs.
#[derive(Debug)]
pub struct Start {
    /// Where changes go.
    pub outlets: Outlets,
    /// The other end of a [`super::Handle`].
    pub requests: mpsc::Receiver<Request>,
    /// Runs scripts and remedies.
    pub commands: Commands,
    /// Attempts that may wait for their targets at once.
    pub places: usize,
    /// The first configuration.
    pub checks: Arc<[Check]>,
    /// What an earlier process left frozen.
    pub muted: Vec<MutedCheck>,
}

/// Threads for what cannot but block: names that are looked up, launchers that are started.
const BLOCKING: usize = 32;
/// They call nothing deep, and all memory is locked.
const STACK: usize = 256 << 10;

/// Starts the thread. It ends after [`super::Handle::stop`].
///
/// # Errors
/// When the thread, its runtime or its epoll set cannot be made.
pub fn start(start: Start) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .thread_stack_size(STACK)
        .thread_name("checks-wait")
        .build()?;
    let Start { outlets, requests, commands, places, checks, muted } = start;
    let jobs = {
        let _within = runtime.enter();
        Jobs::new(places)?
    };
    let body = move || {
        let runner = Runner::new(outlets, requests, commands, jobs);
        // A task of its own: to wake what a runtime blocks on costs a system call each time.
        let ended = runtime.block_on(async { tokio::spawn(runner.run(checks, muted)).await });
        // A name server that does not answer must not keep the agent from ending.
        runtime.shutdown_background();
        if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
            resume_unwind(panic);
        }
    };
    std::thread::Builder::new().name("checks".to_owned()).spawn(move || {
        // Verdicts that nobody renews would let this node keep what it can no longer serve: end at once, the kernel's lease
        // and the supervisor do the rest.
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            eprintln!("ha-agent: the thread of the checks ended: a panic");
            std::process::abort();
        }
    })
}
