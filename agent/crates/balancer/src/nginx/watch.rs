//! A reload, told and watched until only new workers accept connections.

use std::time::{Duration, Instant};

use super::command::{self, Words};
use super::handover::{Handover, Progress};
use super::options::Options;
use super::process::{Master, Worker, age};
use crate::Error;

/// nginx lets old and new workers run side by side for 100 ms: to be seen several times.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Workers younger than this may still stand beside those that they replace.
const GROWN_UP: Duration = Duration::from_millis(500);

/// Returns the workers that took over.
///
/// Told once more when that could not be seen in half of the time: the first may have fallen together with somebody else's
/// reload, or this process did not run at the moment that counts.
pub(super) async fn reload(master: &Master, options: &Options) -> Result<Vec<Worker>, Error> {
    for _ in 0..2 {
        wait_for_calm(master).await;
        if let Some(workers) = tell_and_watch(master, options).await? {
            return Ok(workers);
        }
    }
    Err(Error::NotReloaded { process: master.id.pid, after: options.reload_timeout })
}

/// Until a reload that somebody else told just now is over, so that its workers are not taken for ours.
async fn wait_for_calm(master: &Master) {
    let deadline = Instant::now() + 2 * GROWN_UP;
    let is_young = |worker: &Worker| age(worker.id) < GROWN_UP;
    while Instant::now() < deadline && (master.has_hangup_pending() || master.workers().iter().any(is_young))
    {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn tell_and_watch(master: &Master, options: &Options) -> Result<Option<Vec<Worker>>, Error> {
    let handover = Handover::new(&master.workers());
    let watched = watch(master, handover, options.reload_timeout / 2);
    let Some(words) = &options.reload else {
        master.hang_up()?;
        return watched.await;
    };
    // At the same time: a command may return when the moment of old and new workers is over.
    let words = Words::new(words);
    let (workers, ()) = tokio::try_join!(watched, run(&words, options.command_timeout))?;
    Ok(workers)
}

async fn run(words: &Words, timeout: Duration) -> Result<(), Error> {
    let ended = command::run(words, timeout).await?;
    if ended.status.success() {
        return Ok(());
    }
    let (command, status) = (words.to_string(), ended.status.to_string());
    Err(Error::Command { command, status, output: ended.complaint })
}

/// `None`: it could not be seen that new workers took over.
async fn watch(
    master: &Master,
    mut handover: Handover,
    timeout: Duration,
) -> Result<Option<Vec<Worker>>, Error> {
    let deadline = Instant::now() + timeout;
    loop {
        let workers = master.workers();
        // In this order: a worker that is there while the signal waits is not of our reload.
        let is_pending = master.has_hangup_pending();
        match handover.look(&workers, is_pending) {
            Progress::Done => return Ok(Some(workers)),
            Progress::Unclear => return Ok(None),
            Progress::Waiting => {}
        }
        if !master.is_alive() {
            return Err(master.ended());
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
