//! One life of the daemon: start, serve signals, end.

use std::path::Path;
use std::sync::Arc;

use ha_config::Configuration;
use ha_probe::command::Commands;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use super::conditions::Conditions;
use super::configuration::Loaded;
use super::start::{Failure, start};
use super::{punctual, systemd, translate};
use crate::telemetry::logging;

/// Runs until SIGTERM or SIGINT.
pub(super) async fn run(file: &Path, loaded: Loaded, commands: Commands) -> Result<(), Failure> {
    let log = logging::start(&translate::log_config(&loaded.configuration.log))?;
    let mut signals = Signals::new().map_err(Failure::Signals)?;
    let conditions = Arc::new(Conditions::new());
    punctual::lock_memory(&loaded.configuration.realtime, &conditions);
    let (life, mut reloader) = start(file, loaded, commands, &conditions, log.lost()).await?;
    reloader.began();
    systemd::ready(&status(&reloader.current.configuration));
    let watchdog = tokio::spawn(systemd::feed_watchdog(life.driver.clone()));
    loop {
        match signals.next().await {
            Wish::Reload => {
                systemd::reloading();
                reloader.reload().await;
                systemd::ready(&status(&reloader.current.configuration));
            }
            Wish::Stop(name) => {
                info!("{name}: releasing and ending");
                break;
            }
        }
    }
    systemd::stopping();
    watchdog.abort();
    life.end().await;
    log.flush();
    Ok(())
}

/// What the process is asked for from outside.
enum Wish {
    Reload,
    Stop(&'static str),
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// A stop wins over a reload. Cancelling loses nothing: signals stay pending.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}

fn status(configuration: &Configuration) -> String {
    let count = configuration.instances.len();
    format!("{count} virtual router{} configured", if count == 1 { "" } else { "s" })
}
