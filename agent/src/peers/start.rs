//! Starts what talks to peers, and follows the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ha_config::ClusterPeer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::own::{self, Own, Sources};
use super::session::Session;
use super::words;
use super::{Handle, PeerView};
use crate::api::{self, Certificates};
use crate::driver;
use crate::journal::Journal;

/// What it needs of the rest of the agent.
#[derive(Debug)]
pub struct Start {
    /// Whose virtual routers are told.
    pub driver: driver::Handle,
    /// Says when something changes, and learns who comes and goes.
    pub journal: Arc<Journal>,
    /// The configuration in force.
    pub config: watch::Receiver<api::ConfigInfo>,
    /// With what peers are dialled over TLS.
    pub certificates: Option<Arc<Certificates>>,
    /// Between two questions for the round trip to a peer; 10 s ([`super::MEASURE_EVERY`]) but in tests.
    pub measure_every: Duration,
    /// Ends everything.
    pub end: CancellationToken,
}

/// Begins to tell and to dial. Call inside the main runtime.
pub fn start(handle: &Handle, start: Start) {
    let Start { driver, journal, config, certificates, measure_every, end } = start;
    handle.shared.own.send_replace(Arc::new(Own::unknown(&journal)));
    let telling = words::tell(Arc::clone(&handle.shared), driver.clone());
    let sources = Sources { driver, journal: Arc::clone(&journal), config };
    tokio::spawn(own::keep(Arc::clone(&handle.shared), sources, end.clone()));
    let handle = handle.clone();
    tokio::spawn(async move {
        // Cancelled when the agent ends; the sessions end with the map that holds them.
        let following = async { tokio::join!(follow(handle, journal, certificates, measure_every), telling) };
        end.run_until_cancelled(following).await;
    });
}

/// Keeps a session for each configured peer.
async fn follow(
    handle: Handle,
    journal: Arc<Journal>,
    certificates: Option<Arc<Certificates>>,
    measure_every: Duration,
) {
    let mut wanted = handle.shared.wanted.subscribe();
    let mut sessions: BTreeMap<Arc<str>, (ClusterPeer, AbortOnDropHandle<()>)> = BTreeMap::new();
    loop {
        let peers = wanted.borrow_and_update().clone();
        sessions.retain(|_, (peer, _)| peers.contains(peer));
        forget(&handle, &peers, |name| sessions.contains_key(name));
        for peer in peers.iter() {
            let name: Arc<str> = peer.name.as_str().into();
            sessions.entry(Arc::clone(&name)).or_insert_with(|| {
                let session = Session {
                    peer: peer.clone(),
                    name,
                    shared: Arc::clone(&handle.shared),
                    journal: Arc::clone(&journal),
                    certificates: certificates.clone(),
                    measure_every,
                };
                (peer.clone(), AbortOnDropHandle::new(tokio::spawn(session.keep())))
            });
        }
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// Of peers that are gone or have moved nothing is known any more.
fn forget(handle: &Handle, peers: &[ClusterPeer], is_kept: impl Fn(&str) -> bool) {
    handle.shared.channels().retain(|name, _| is_kept(name));
    handle.shared.delays().retain(|name, _| is_kept(name));
    handle.shared.view.send_modify(|view| {
        let view = Arc::make_mut(view);
        view.peers.retain(|name, _| is_kept(name));
        for peer in peers {
            view.peers.entry(peer.name.as_str().into()).or_insert_with(|| Arc::new(PeerView::of(peer)));
        }
    });
}
