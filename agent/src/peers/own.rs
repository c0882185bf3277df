//! What this node tells its peers of itself: read from the `vrrp` thread when the journal says that something changed, kept once for
//! all, and told to each peer as the difference to what it was told last. There is no queue for each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{EventKind, InstanceStatus, StateName, Subject};
use ha_proto::v1;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{HEARTBEAT, Router, RouterKey, Shared, wire};
use crate::api::convert::{self, fault_reason};
use crate::driver::{self, Snapshot};
use crate::journal::{Journal, Read, Reader, Record};
use crate::{api, clock};

/// This node's own report.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Own {
    /// This node's name.
    pub(crate) node: Arc<str>,
    pub(crate) incarnation: Arc<str>,
    pub(crate) config_digest: Arc<str>,
    /// By name; the same pointer as long as nothing changed.
    pub(crate) routers: BTreeMap<Arc<str>, Arc<Router>>,
    /// Whether the `vrrp` thread has said anything yet.
    pub(crate) is_known: bool,
}

impl Own {
    /// That of a node whose `vrrp` thread has not said anything yet.
    pub(super) fn unknown(journal: &Journal) -> Self {
        let (node, incarnation) = (Arc::clone(journal.node()), Arc::clone(journal.incarnation()));
        Self { node, incarnation, ..Self::default() }
    }
}

/// Where the report comes from.
pub(super) struct Sources {
    pub(super) driver: driver::Handle,
    pub(super) journal: Arc<Journal>,
    pub(super) config: watch::Receiver<api::ConfigInfo>,
}

/// Between two questions to the `vrrp` thread, however much happens.
const PAUSE: Duration = Duration::from_millis(10);

/// What no event tells, the address of a link for one, is noticed within this time.
const RESYNC: Duration = Duration::from_secs(10);

/// Keeps the report and proves that the `vrrp` thread lives, until `end`.
pub(super) async fn keep(shared: Arc<Shared>, sources: Sources, end: CancellationToken) {
    let Sources { driver, journal, config } = sources;
    let mut reader = journal.reader(0);
    loop {
        if !shared.has_company() {
            // What nobody hears costs nothing, and is not told when somebody comes: it may be old by then.
            shared.own.send_replace(Arc::new(Own::unknown(&journal)));
            if end.run_until_cancelled(shared.company()).await.is_none() {
                return;
            }
            reader = journal.reader(journal.newest());
        }
        // Whoever asks the thread waits until it answers: a thread that hangs makes this node silent to its peers.
        let Ok(snapshot) = driver.snapshot().await else {
            return publish(&shared, &Snapshot::default(), &journal, "");
        };
        publish(&shared, &snapshot, &journal, &config.borrow().digest);
        shared.beats.send_modify(|beats| *beats += 1);
        let resync = Instant::now() + RESYNC;
        // Cancelled here when the agent ends: records stay in the journal.
        let turn = async {
            tokio::time::sleep(PAUSE).await;
            wait(&mut reader, &driver, &shared, resync).await
        };
        if end.run_until_cancelled(turn).await.is_none() {
            return;
        }
    }
}

/// A thread that has ended has released everything.
fn publish(shared: &Shared, snapshot: &Snapshot, journal: &Journal, digest: &str) {
    shared.own.send_if_modified(|told| {
        let own = report(told, snapshot, journal, digest);
        let differs = **told != own;
        if differs {
            *told = Arc::new(own);
        }
        differs
    });
}

/// Waits until the report may have changed, and gives signs of life meanwhile.
async fn wait(reader: &mut Reader, driver: &driver::Handle, shared: &Shared, resync: Instant) {
    const CHUNK: usize = 256;
    while Instant::now() < resync {
        let beat = (Instant::now() + HEARTBEAT).min(resync);
        loop {
            // Both may be cancelled: records stay in the journal, and so does who asked.
            let read = async {
                tokio::select! {
                    read = reader.read(CHUNK) => Some(read),
                    () = shared.asked.notified() => None,
                }
            };
            match timeout_at(beat, read).await {
                Ok(Some(Read::Records(records))) if records.iter().any(|record| concerns_peers(record)) => {
                    return;
                }
                Ok(Some(Read::Records(_))) => {}
                Ok(Some(Read::Lagged(_))) => return,
                Ok(None) | Err(_) => break,
            }
        }
        // However many ask, the thread is asked only so often.
        tokio::time::sleep(PAUSE).await;
        if let Ok(Ok(())) = timeout(HEARTBEAT, driver.ping()).await {
            shared.beats.send_modify(|beats| *beats += 1);
        }
    }
}

/// Whether what a record tells stands in a report.
fn concerns_peers(record: &Record) -> bool {
    let Some(event) = record.event() else { return true };
    match event.kind {
        EventKind::ConfigurationLoaded { .. } => true,
        EventKind::AddressesHeld { .. }
        | EventKind::AddressesReleased { .. }
        | EventKind::Announced { .. } => false,
        _ => matches!(event.subject, Subject::Instance(..) | Subject::Group(_)),
    }
}

fn report(before: &Own, snapshot: &Snapshot, journal: &Journal, digest: &str) -> Own {
    let routers = snapshot.instances.iter().map(|status| {
        let router = own_router(status, snapshot);
        let known = before.routers.get(&router.name).filter(|known| ***known == router);
        (Arc::clone(&router.name), known.cloned().unwrap_or_else(|| Arc::new(router)))
    });
    Own {
        node: Arc::clone(journal.node()),
        incarnation: Arc::clone(journal.incarnation()),
        config_digest: digest.into(),
        routers: routers.collect(),
        is_known: true,
    }
}

/// A virtual router of this node as peers are told.
pub(crate) fn own_router(status: &InstanceStatus, snapshot: &Snapshot) -> Router {
    let config = &status.config;
    let fresh = status
        .last_advert
        .filter(|advert| advert.priority > 0 && snapshot.at.since(advert.at) <= status.active_down_interval);
    let hears =
        if status.state == StateName::Active { status.rival } else { fresh.map(|advert| advert.source) };
    Router {
        name: Arc::clone(&config.name),
        key: RouterKey::of(config),
        interface: Arc::clone(&config.interface),
        source: status.source,
        state: status.state,
        since: status.since,
        priority: status.effective.value,
        faults: status.faults.iter().map(|fault| fault_reason(fault, &config.interface).into()).collect(),
        drained: status.drained,
        preempt: config.preempt,
        interval: config.interval.duration(),
        hears,
    }
}

/// Tells one peer: knows what it was told last.
#[derive(Debug)]
pub(crate) struct Teller {
    own: watch::Receiver<Arc<Own>>,
    beats: watch::Receiver<u64>,
    releases: broadcast::Receiver<Arc<v1::PeerReleased>>,
    told: Option<Arc<Own>>,
    shared: Arc<Shared>,
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.shared.tellers.send_modify(|tellers| *tellers -= 1);
    }
}

impl Teller {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (own, beats) = (shared.own.subscribe(), shared.beats.subscribe());
        let releases = shared.releases.subscribe();
        shared.tellers.send_modify(|tellers| *tellers += 1);
        Self { own, beats, releases, told: None, shared }
    }

    /// The first message.
    pub(crate) fn opened(&self) -> v1::WatchReportsResponse {
        let own = self.own.borrow();
        message(v1::watch_reports_response::Payload::Opened(v1::PeerOpened {
            node: own.node.to_string(),
            incarnation_id: own.incarnation.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            heartbeat_interval: Some(convert::duration(HEARTBEAT)),
        }))
    }

    /// What the peer does not know yet, in parts; empty when it knows all.
    pub(crate) fn news(&mut self) -> Vec<v1::WatchReportsResponse> {
        /// Names of routers that are gone in one message.
        const MOST_NAMES: usize = 4096;
        let own = self.own.borrow_and_update().clone();
        if !own.is_known || self.told.as_ref() == Some(&own) {
            return Vec::new();
        }
        let now = clock::now();
        let told = self.told.as_ref().map(|told| &told.routers);
        let is_news = |router: &&Arc<Router>| {
            told.and_then(|told| told.get(&router.name)).is_none_or(|known| known != *router)
        };
        let changed = own.routers.values().filter(is_news).map(|router| wire::router(router, now));
        let report = |routers| v1::PeerReport { routers, ..Default::default() };
        let mut parts: Vec<v1::PeerReport> = wire::in_parts(changed).into_iter().map(report).collect();
        let gone = told.into_iter().flat_map(BTreeMap::keys).filter(|name| !own.routers.contains_key(*name));
        let gone: Vec<String> = gone.map(ToString::to_string).collect();
        parts.extend(
            gone.chunks(MOST_NAMES)
                .map(|names| v1::PeerReport { removed_routers: names.to_vec(), ..Default::default() }),
        );
        parts.push(v1::PeerReport {
            complete: true,
            config_digest: own.config_digest.to_string(),
            ..Default::default()
        });
        self.told = Some(own);
        parts.into_iter().map(|part| message(v1::watch_reports_response::Payload::Report(part))).collect()
    }

    /// Waits until there is something to say: a heartbeat or a release, or nothing, and then [`Self::news`] may know. May be
    /// cancelled. Ends only with the agent.
    pub(crate) async fn wait(&mut self) -> Option<v1::WatchReportsResponse> {
        use v1::watch_reports_response::Payload;
        loop {
            // All three may be cancelled: what they wait for stays.
            return tokio::select! {
                biased;
                released = self.releases.recv() => match released {
                    Ok(released) => Some(message(Payload::Released((*released).clone()))),
                    // VRRP's own priority 0 has told it meanwhile.
                    Err(_) => continue,
                },
                _ = self.own.changed() => None,
                _ = self.beats.changed() => Some(heartbeat()),
            };
        }
    }
}

fn heartbeat() -> v1::WatchReportsResponse {
    message(v1::watch_reports_response::Payload::Heartbeat(v1::PeerHeartbeat {}))
}

fn message(payload: v1::watch_reports_response::Payload) -> v1::WatchReportsResponse {
    v1::WatchReportsResponse { payload: Some(payload), sent_at: Some(wire::sent_now()) }
}
