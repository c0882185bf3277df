//! The other nodes of the cluster, as they say themselves: each is dialled, and tells over its control plane how its virtual
//! routers stand, at once what changes, and a sign of life each second. Here is what the rest of the agent sees of that.
//!
//! ```text
//!   own vrrp thread ──► Own ──► a stream for each peer that dials us        (api/peer.rs)
//!   peers' streams  ──► View ──► choice of a successor, split brain, hactl  (peers/session.rs)
//!   peers' words    ──► Incoming: "take over from me", "I have released"
//! ```
//!
//! VRRP does not depend on it: nothing here runs on the `vrrp` thread or makes it wait, and a silent peer is only a silent peer.
//! What a peer sends is bounded in size, number and rate.

mod counts;
mod delay;
mod dial;
mod own;
mod report;
mod session;
mod start;
mod take_over;
mod view;
mod why;
mod wire;
mod words;

pub use counts::{ANNOUNCED, Direction, PeerCounts, ReleaseOutcome};
pub use start::{Start, start};
pub use take_over::{Announced, AskedTakeOver, HeardRelease, Incoming, Refusal, Released, TakeOverRequest};
pub use view::{Contact, PeerView, Report, Router, RouterKey, View};
pub use why::{Quiet, Why};

pub(crate) use own::{Own, Teller, own_router};
pub(crate) use wire::{announced_to_wire, request_from_wire, router as router_to_wire};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delay::Delay;
use ha_config::{ClusterPeer, SplitBrain};
use ha_proto::v1;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tonic::transport::Channel;

/// A node that runs tells its peers so this often; three in a row missed, and it is silent.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a peer may say nothing.
pub const SILENCE: Duration = Duration::from_secs(3);

/// How often the round trip to a peer is measured.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// The other nodes from inside this one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What everybody shares who has to do with peers.
#[derive(Debug)]
struct Shared {
    view: watch::Sender<Arc<View>>,
    /// What this node tells.
    own: watch::Sender<Arc<Own>>,
    /// How many peers are told.
    tellers: watch::Sender<usize>,
    /// Counts the signs of life of the `vrrp` thread.
    beats: watch::Sender<u64>,
    releases: broadcast::Sender<Arc<v1::PeerReleased>>,
    /// What to do when a peer is Active too.
    split_brain: watch::Sender<SplitBrain>,
    /// Somebody has told news, and waits for our sign of life.
    asked: Notify,
    /// The peers of the configuration.
    wanted: watch::Sender<Arc<[ClusterPeer]>>,
    /// Connections on which a peer is heard.
    channels: Mutex<BTreeMap<Arc<str>, Channel>>,
    /// How long the words of each peer that is heard are under way.
    delays: Mutex<BTreeMap<Arc<str>, Delay>>,
    counts: counts::Counts,
    incoming: mpsc::Sender<Incoming>,
}

impl Handle {
    /// A handle, and the peers' words for whoever acts on them. Nothing is dialled before [`start()`].
    pub fn new(peers: Arc<[ClusterPeer]>) -> (Self, mpsc::Receiver<Incoming>) {
        /// Words that may wait; a peer that says more is told that we are busy.
        const WAITING: usize = 256;
        /// Releases that a slow stream may be behind; what it misses VRRP's own priority 0 tells.
        const RELEASES: usize = 64;
        let (incoming, words) = mpsc::channel(WAITING);
        let shared = Shared {
            view: watch::Sender::new(Arc::new(View::of(&peers))),
            own: watch::Sender::default(),
            tellers: watch::Sender::new(0),
            beats: watch::Sender::new(0),
            releases: broadcast::Sender::new(RELEASES),
            split_brain: watch::Sender::default(),
            asked: Notify::new(),
            wanted: watch::Sender::new(peers),
            channels: Mutex::default(),
            delays: Mutex::default(),
            counts: counts::Counts::default(),
            incoming,
        };
        (Self { shared: Arc::new(shared) }, words)
    }

    /// What is known of every peer, now.
    pub fn view(&self) -> Arc<View> {
        self.shared.view.borrow().clone()
    }

    /// The same, with every change and at least once a second while a peer is heard.
    pub fn changes(&self) -> watch::Receiver<Arc<View>> {
        self.shared.view.subscribe()
    }

    /// Replaces the peers; those that stay keep their connections.
    pub fn reconfigure(&self, peers: Arc<[ClusterPeer]>) {
        self.shared.wanted.send_if_modified(|wanted| {
            let differs = **wanted != *peers;
            *wanted = peers;
            differs
        });
    }

    /// What this node does from now on when a peer is Active too.
    pub fn set_split_brain(&self, policy: SplitBrain) {
        self.shared.split_brain.send_replace(policy);
    }

    /// Asks a peer to become Active in our place; returns when it is and has announced the addresses, at the latest a little after
    /// `request.limit`.
    ///
    /// # Errors
    /// [`Refusal`] when it will not, or did not answer.
    pub async fn take_over(&self, peer: &str, request: TakeOverRequest) -> Result<Announced, Refusal> {
        let answer = take_over::ask(self.channel(peer), self.own_name(), request).await;
        self.count_takeover(peer, Direction::Transmit, &answer);
        answer
    }

    /// What happened with each peer that is configured.
    pub fn counts(&self) -> BTreeMap<Arc<str>, PeerCounts> {
        self.shared.counts.of(|peer| self.knows(peer))
    }

    /// Counts what a takeover that was asked for came to. Of strangers nothing is counted.
    pub(crate) fn count_takeover(
        &self,
        peer: &str,
        direction: Direction,
        answer: &Result<Announced, Refusal>,
    ) {
        if self.knows(peer) {
            self.shared.counts.takeover(peer, direction, answer);
        }
    }

    /// Tells all peers at once what this node has released or is about to. They may not hear it; VRRP tells them too.
    pub fn released(&self, released: &[Released]) {
        for part in wire::released(released) {
            // An error says that nobody listens.
            let _ = self.shared.releases.send(Arc::new(part));
        }
    }

    /// Whether what a peer asks for was sent just now.
    pub(crate) fn is_fresh(&self, peer: &str, sent: Option<prost_types::Duration>) -> bool {
        self.shared.age(peer, sent).is_some_and(|age| age <= delay::FRESH)
    }

    /// Whether a node of that name is configured here.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.shared.wanted.borrow().iter().any(|peer| peer.name == name)
    }

    /// What a stream to a peer needs.
    pub(crate) fn teller(&self) -> Teller {
        Teller::new(Arc::clone(&self.shared))
    }

    /// Hands a peer's word to whoever acts on it; `false` when too many wait, or nobody does.
    pub(crate) fn hand_on(&self, word: Incoming) -> bool {
        self.shared.incoming.try_send(word).is_ok()
    }

    /// Words of peers that wait for whoever acts on them, and how many may.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let most = self.shared.incoming.max_capacity();
        (most - self.shared.incoming.capacity(), most)
    }

    fn own_name(&self) -> Arc<str> {
        Arc::clone(&self.shared.own.borrow().node)
    }

    fn channel(&self, peer: &str) -> Option<Channel> {
        self.shared.channels().get(peer).cloned()
    }
}

impl Shared {
    /// Whether anybody is told of this node, or heard.
    fn has_company(&self) -> bool {
        *self.tellers.borrow() > 0 || !self.wanted.borrow().is_empty()
    }

    /// Waits for somebody to tell or to hear. May be cancelled.
    async fn company(&self) {
        let (mut tellers, mut wanted) = (self.tellers.subscribe(), self.wanted.subscribe());
        while !self.has_company() {
            // Both keep what they wait for; the senders live in what we hold.
            tokio::select! {
                _ = tellers.changed() => {}
                _ = wanted.changed() => {}
            }
        }
    }

    fn delays(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Delay>> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a peer's message was under way; `None` when that cannot be told, because the peer is not heard or does not say when.
    fn age(&self, peer: &str, sent: Option<prost_types::Duration>) -> Option<Duration> {
        let sent = Duration::try_from(sent?).ok()?;
        Some(self.delays().get_mut(peer)?.age(sent, delay::now()))
    }

    fn channels(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of one peer, if it still is one.
    fn update(&self, peer: &str, change: impl FnOnce(&mut PeerView)) {
        self.view.send_if_modified(|view| {
            let Some(known) = view.peers.get(peer) else { return false };
            let mut changed = PeerView::clone(known);
            change(&mut changed);
            let name = Arc::clone(&changed.name);
            Arc::make_mut(view).peers.insert(name, Arc::new(changed));
            true
        });
    }
}
