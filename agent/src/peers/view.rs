//! What is known of the other nodes: plain values, replaced as a whole, that anybody may hold on to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_config::ClusterPeer;
use ha_engine::{Family, InstanceConfig, Instant, Priority, StateName, VirtualRouterId};

use super::Why;

/// Every configured peer, by name.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// By name.
    pub peers: BTreeMap<Arc<str>, Arc<PeerView>>,
}

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is dialled, as in the configuration.
    pub endpoint: Arc<str>,
    /// Whether it is heard.
    pub contact: Contact,
    /// Since when that is so.
    pub since: Instant,
    /// When it was heard last.
    pub heard: Option<Instant>,
    /// What it said last, kept while it is silent; `None` when it was never heard.
    pub report: Option<Arc<Report>>,
    /// Of the last small question to it; `None` while it is not heard, and of an agent that does not answer such questions.
    pub round_trip: Option<Duration>,
}

/// Whether a peer is heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Contact {
    /// It is dialled for the first time.
    Dialling,
    /// Its report is whole, and no older than [`super::SILENCE`].
    Reachable,
    /// It is not heard; why, and what to do.
    Silent(Why),
}

impl Contact {
    /// All words of [`Contact::as_str`].
    pub const WORDS: [&'static str; 3] = ["DIALLING", "REACHABLE", "SILENT"];

    /// The word in API, metric label and CLI.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Dialling => "DIALLING",
            Self::Reachable => "REACHABLE",
            Self::Silent(_) => "SILENT",
        }
    }
}

/// What a peer says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Of its agent's present life.
    pub incarnation: Arc<str>,
    /// Of its agent.
    pub version: Arc<str>,
    /// Of the configuration that it runs.
    pub config_digest: Arc<str>,
    /// Its virtual routers, by the names that they have there.
    pub routers: BTreeMap<Arc<str>, Arc<Router>>,
    /// Their names by what they are.
    pub(super) names: Arc<Names>,
}

/// Which instances of a peer are which virtual router.
pub(super) type Names = BTreeSet<(RouterKey, Arc<str>)>;

/// What a virtual router is on every node that has it, whatever the instances are called.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RouterKey {
    /// VRID.
    pub virtual_router_id: VirtualRouterId,
    /// Family.
    pub family: Family,
    /// Virtual addresses, in order of size.
    pub addresses: Arc<[IpAddr]>,
}

/// A virtual router as its node says that it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Router {
    /// Name of the instance there.
    pub name: Arc<str>,
    /// Which virtual router it is.
    pub key: RouterKey,
    /// The link there.
    pub interface: Arc<str>,
    /// Where its adverts come from; `None` while it has no address.
    pub source: Option<IpAddr>,
    /// Where the state machine is.
    pub state: StateName,
    /// Since when, on this node's clock; right within the time that the report travelled.
    pub since: Instant,
    /// Effective priority.
    pub priority: Priority,
    /// Why it is in Fault, in sentences.
    pub faults: Arc<[Arc<str>]>,
    /// An operator wants nothing of it there.
    pub drained: bool,
    /// Preempt_Mode.
    pub preempt: bool,
    /// Own advertisement interval.
    pub interval: Duration,
    /// The Active router that it hears.
    pub hears: Option<IpAddr>,
}

impl View {
    /// Peers of which nothing is known yet.
    pub(super) fn of(peers: &[ClusterPeer]) -> Self {
        let peers = peers.iter().map(PeerView::of);
        Self { peers: peers.map(|peer| (Arc::clone(&peer.name), Arc::new(peer))).collect() }
    }

    /// Every reachable peer that has this virtual router, and how it stands there.
    pub fn routers<'v>(&'v self, key: &'v RouterKey) -> impl Iterator<Item = (&'v PeerView, &'v Router)> {
        let reachable = self.peers.values().filter(|peer| peer.contact == Contact::Reachable);
        reachable.filter_map(move |peer| Some((&**peer, peer.report.as_ref()?.router(key)?)))
    }
}

impl PeerView {
    pub(super) fn of(peer: &ClusterPeer) -> Self {
        Self {
            name: peer.name.as_str().into(),
            endpoint: peer.endpoint.to_string().into(),
            contact: Contact::Dialling,
            since: crate::clock::now(),
            heard: None,
            report: None,
            round_trip: None,
        }
    }
}

impl Report {
    /// The peer's instance of a virtual router.
    pub fn router(&self, key: &RouterKey) -> Option<&Router> {
        if !key.names_one() {
            return None;
        }
        let (_, name) =
            self.names.range((key.clone(), Arc::default())..).next().filter(|(found, _)| found == key)?;
        self.routers.get(name).map(|router| &**router)
    }
}

impl RouterKey {
    /// Addresses in any order.
    pub fn new(virtual_router_id: VirtualRouterId, family: Family, mut addresses: Vec<IpAddr>) -> Self {
        addresses.sort_unstable();
        Self { virtual_router_id, family, addresses: addresses.into() }
    }

    /// Whether it means one virtual router of a node: link-local addresses alone may be on each of its links. Of others peers
    /// tell nothing, and VRRP decides.
    pub fn names_one(&self) -> bool {
        self.addresses.iter().any(|address| match address {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        })
    }

    /// Whether it is that of an instance here.
    pub fn is_of(&self, config: &InstanceConfig) -> bool {
        self.virtual_router_id == config.virtual_router_id
            && self.family == config.family
            && self.addresses.len() == config.advertised().count()
            && *self == Self::of(config)
    }

    /// Of an instance here: by what it advertises, as its peers do.
    pub fn of(config: &InstanceConfig) -> Self {
        Self::new(config.virtual_router_id, config.family, config.advertised().collect())
    }
}

/// `VRID 51 of 10.0.0.10`.
impl std::fmt::Display for RouterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VRID {}", self.virtual_router_id.get())?;
        self.addresses.first().map_or(Ok(()), |first| write!(f, " of {first}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_alone_name_no_router_of_a_node() {
        let table = [
            (&["fe80::1"][..], false),
            (&["169.254.0.1"], false),
            (&["fe80::1", "fd00::1"], true),
            (&["192.0.2.10"], true),
        ];
        for (addresses, expected) in table {
            let number = VirtualRouterId::new(1).unwrap();
            let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let family = Family::of(addresses[0]);
            assert_eq!(RouterKey::new(number, family, addresses).names_one(), expected);
        }
    }
}
