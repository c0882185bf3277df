//! SIGUSR2: everything is left as it is for the next process of the agent. What takes time ends first, while adverts go on;
//! the last advert, the file and the end of the process follow each other within milliseconds.

use std::path::Path;
use std::time::Duration;

use ha_config::Configuration;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::life::{AFTER_HANDOVER, Life, WITHDRAWAL, hand_over, release};
use super::running::Signals;
use super::systemd;
use crate::clock;
use crate::driver::Handle;
use crate::legacy::{self, Estate};

/// The log may take this long to say the last events.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl Life {
    /// Leaves; or hands over and releases everything after all, when that is asked for meanwhile or nothing can be left.
    pub(super) async fn leave(self, configuration: &Configuration, incarnation: &str, signals: &mut Signals) {
        let socket = &configuration.api.socket;
        let estate = Estate::of_process(incarnation);
        // Before anything is given up: what cannot be left must be released in order.
        if let Err(refusal) = legacy::leave(socket, &estate) {
            error!("cannot leave anything for another process, releasing: {refusal}");
            return self.end(configuration.cluster.stop_timeout).await;
        }
        // That was a trial. Until the last advert nothing is to be there: a process that dies before it has left nothing.
        let _ = legacy::take(socket, clock::now());
        let (mutes, servers) = self.beside.checks.held().await;
        let estate = Estate { mutes, servers, ..estate };
        let Self { driver, dataplane, thread, collector, mut beside, claim, moves } = self;
        // Until the last event: the next process waits for the file.
        let keeping = beside.keeping.take();
        let mut ending = std::pin::pin!(beside.end(None));
        // Cancelling the first branch loses nothing: signals stay pending.
        let stopped = tokio::select! {
            biased;
            name = signals.stop() => Some(name),
            () = &mut ending => None,
        };
        if let Some(name) = stopped {
            info!("{name}: handing over and releasing instead");
            // Also when the control plane has ended: peers that cannot be asked are offered it by VRRP, and the addresses stay meanwhile.
            let stop_timeout = configuration.cluster.stop_timeout;
            systemd::stopping_within(stop_timeout + AFTER_HANDOVER);
            hand_over(&moves, stop_timeout).await;
            release(&driver, &dataplane).await;
            ending.await;
        } else {
            hand_on(&driver, &dataplane, socket, estate).await;
        }
        drop(claim);
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        let _ = timeout(LAST_WORDS, collector).await;
        if let Some(keeping) = keeping {
            keeping.end().await;
        }
    }
}

/// The last adverts, the last renewal, the file. From the first on the peers' timers run.
async fn hand_on(driver: &Handle, dataplane: &ha_dataplane::Handle, socket: &Path, estate: Estate) {
    let Ok(Ok(inheritance)) = timeout(WITHDRAWAL, driver.leave()).await else {
        return warn!("the vrrp thread does not answer; nothing is left for the next process");
    };
    let Ok(Ok(left)) = timeout(WITHDRAWAL, dataplane.leave()).await else {
        return warn!("the kernel did not confirm the last renewal; nothing is left for the next process");
    };
    left.failures.iter().for_each(|failure| warn!("{failure}"));
    let estate = Estate { inheritance, links: left.settings, ..estate };
    match legacy::leave(socket, &estate) {
        Ok(()) => info!(routers = estate.inheritance.routers.len(), "left for the next process"),
        Err(refusal) => error!("cannot leave anything for the next process: {refusal}"),
    }
}
