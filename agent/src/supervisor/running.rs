//! One life of the daemon: start, serve signals, end.

use std::path::Path;
use std::sync::Arc;

use ha_probe::command::Commands;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::info;

use super::conditions::Conditions;
use super::configuration::Loaded;
use super::life::AFTER_HANDOVER;
use super::next::Program;
use super::reload::Reloader;
use super::start::{Failure, start};
use super::{punctual, status, systemd, translate};
use crate::configure::{Refused, Reload, Reloaded, Requests};
use crate::telemetry::logging;

/// Runs until SIGTERM or SIGINT, which release everything, or SIGUSR2, which leaves it to the next process.
/// SIGUSR1 starts the next process beside this one. With `replace`, takes over from a running agent first.
pub(super) async fn run(
    file: &Path,
    loaded: Loaded,
    commands: Commands,
    replace: bool,
) -> Result<(), Failure> {
    let log = logging::start(&translate::log_config(&loaded.configuration.log))?;
    let mut signals = Signals::new().map_err(Failure::Signals)?;
    let conditions = Arc::new(Conditions::new());
    punctual::lock_memory(&loaded.configuration.realtime, &conditions);
    let program = Program::new();
    let started = start(file, loaded, commands, &conditions, &log, replace).await;
    let (life, mut reloader, mut asked) = started?;
    reloader.began();
    systemd::ready();
    let status = tokio::spawn(status::follow(Arc::clone(&reloader.journal), life.driver.clone()));
    let watchdog = tokio::spawn(systemd::feed_watchdog(life.driver.clone()));
    loop {
        match signals.next(&mut asked).await {
            Wish::Reload(wish, reply) => {
                let answer = reload(&mut reloader, &wish).await;
                // Who asked may have left meanwhile.
                let _ = reply.map(|reply| reply.send(answer));
            }
            Wish::Stop(name) => {
                info!("{name}: releasing and ending");
                let stop_timeout = reloader.current.configuration.cluster.stop_timeout;
                systemd::stopping_within(stop_timeout + AFTER_HANDOVER);
                life.end(stop_timeout).await;
                break;
            }
            Wish::StartNext => program.start(file),
            Wish::Leave => {
                info!("SIGUSR2: leaving everything to the next process");
                program.next().await.map_or_else(systemd::stopping, systemd::hand_on);
                life.leave(&reloader.current.configuration, reloader.journal.incarnation(), &mut signals)
                    .await;
                break;
            }
        }
    }
    watchdog.abort();
    status.abort();
    log.flush();
    Ok(())
}

async fn reload(reloader: &mut Reloader, wish: &Reload) -> Result<Reloaded, Refused> {
    if wish.dry_run {
        return reloader.reload(wish).await;
    }
    systemd::reloading();
    let answer = reloader.reload(wish).await;
    systemd::ready();
    answer
}

/// What the process is asked for from outside.
enum Wish {
    /// By a signal without, by the control plane with somebody who waits for the answer.
    Reload(Reload, Option<oneshot::Sender<Result<Reloaded, Refused>>>),
    Stop(&'static str),
    Leave,
    StartNext,
}

pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    first: Signal,
    second: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            first: signal(SignalKind::user_defined1())?,
            second: signal(SignalKind::user_defined2())?,
        })
    }

    /// The signal that says to release and end.
    pub(super) async fn stop(&mut self) -> &'static str {
        stopped(&mut self.terminate, &mut self.interrupt).await
    }

    /// A stop wins over everything, and leaving over a reload. Cancelling loses nothing: signals and requests stay pending.
    async fn next(&mut self, asked: &mut Requests) -> Wish {
        tokio::select! {
            biased;
            name = stopped(&mut self.terminate, &mut self.interrupt) => Wish::Stop(name),
            _ = self.second.recv() => Wish::Leave,
            _ = self.first.recv() => Wish::StartNext,
            _ = self.hangup.recv() => Wish::Reload(Reload::default(), None),
            Some((wish, reply)) = asked.recv() => Wish::Reload(wish, Some(reply)),
        }
    }
}

async fn stopped(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        biased;
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
