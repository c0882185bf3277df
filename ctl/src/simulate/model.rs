//! What is known of the cluster: each node's virtual routers with what they track, as the engine takes them. An Active router
//! that is heard and is none of the nodes that answered is there as well, with the priority that it was heard with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{
    AddressLease, AddressLostPolicy, AdvertisementInterval, AnnouncePolicy, ChecksumForm, Fact, Family,
    InstanceConfig, Instant, Peer, Priority, Protocol, Track, TrackEffect, Transport, Verdict, Version,
    VirtualAddress, VirtualRouterId,
};
use ha_proto::v1;

use crate::names;
use crate::span::Span;

/// A node and what it said.
pub(crate) struct Reported<'a> {
    /// Its name.
    pub node: String,
    /// Its virtual routers.
    pub instances: &'a [v1::Instance],
    /// The nodes that it hears over the control plane, and so can ask; none = it did not tell, and is taken to hear all.
    pub hears: Option<BTreeSet<String>>,
}

/// The cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// Its nodes, and routers that are heard and did not answer.
    pub nodes: Vec<Node>,
    /// Virtual routers of which a report lacks what an election needs: node and name. What is predicted leaves them out.
    pub left_out: Vec<(String, String)>,
    /// What was taken for granted.
    pub notes: Vec<String>,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its name, or `router ADDRESS` of one that only is heard.
    pub name: String,
    /// It only is heard: nothing can be asked of it.
    pub is_foreign: bool,
    /// An operator has drained it.
    pub drained: bool,
    /// The nodes that it can ask; none = all of ours.
    pub hears: Option<BTreeSet<String>>,
    /// Its virtual routers.
    pub routers: Vec<Router>,
    /// What it knows about its checks and pools.
    pub facts: BTreeMap<Arc<str>, (Verdict, i32)>,
}

/// A virtual router of a node. Its link has its name, so that each has one of its own.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    /// What it is configured to do.
    pub config: InstanceConfig,
    /// Where its adverts come from.
    pub source: IpAddr,
    /// In place of the configured priority.
    pub overridden: Option<Priority>,
    /// Something but a check keeps it from taking part.
    pub is_down: bool,
    /// It holds the addresses now.
    pub is_active: bool,
}

impl Model {
    /// From what the nodes reported.
    pub(crate) fn new(reports: &[Reported<'_>]) -> Self {
        let mut model = Model::default();
        for report in reports {
            let mut node = Node { hears: report.hears.clone(), ..Node::new(report.node.clone()) };
            for instance in report.instances {
                match router(instance) {
                    Some(router) => node.add(router, instance),
                    None => {
                        let name = names::last(&instance.name).to_owned();
                        model.left_out.push((report.node.clone(), name));
                    }
                }
            }
            model.nodes.push(node);
        }
        model.add_foreign(reports);
        model
    }

    /// All virtual addresses.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        let routers = self.nodes.iter().flat_map(|node| &node.routers);
        routers.flat_map(|router| router.config.addresses.iter().map(|own| own.address)).collect()
    }

    /// Active routers that are heard and belong to none of the nodes.
    fn add_foreign(&mut self, reports: &[Reported<'_>]) {
        let ours: BTreeSet<IpAddr> =
            self.nodes.iter().flat_map(|node| &node.routers).map(|router| router.source).collect();
        let mut foreign: BTreeMap<IpAddr, Node> = BTreeMap::new();
        for instance in reports.iter().flat_map(|report| report.instances) {
            let heard = instance.observed_active_address.parse::<IpAddr>().ok();
            let priority = instance.observed_active_priority.and_then(|priority| u8::try_from(priority).ok());
            let backup = instance.state() == v1::instance::State::Backup;
            let Some((address, mut router)) =
                heard.filter(|heard| backup && !ours.contains(heard)).zip(router(instance))
            else {
                continue;
            };
            let Some(priority) = priority.and_then(Priority::new) else { continue };
            router.config.priority = priority;
            (router.config.tracks, router.config.group) = (Arc::default(), None);
            router.config.name = format!("{}/{}", address, router.config.virtual_router_id.get()).into();
            router.config.interface = Arc::clone(&router.config.name);
            (router.source, router.overridden) = (address, None);
            (router.is_down, router.is_active) = (false, true);
            let node = foreign
                .entry(address)
                .or_insert_with(|| Node { is_foreign: true, ..Node::new(format!("router {address}")) });
            if node.routers.iter().all(|known| known.config.name != router.config.name) {
                node.routers.push(router);
            }
        }
        let heard = foreign.values().map(|node| {
            format!("{} is Active and did not answer: taken to go on as it was heard", node.name)
        });
        self.notes.extend(heard);
        self.nodes.extend(foreign.into_values());
    }
}

impl Node {
    fn new(name: String) -> Self {
        let (routers, facts) = (Vec::new(), BTreeMap::new());
        Node { name, is_foreign: false, drained: false, hears: None, routers, facts }
    }

    fn add(&mut self, router: Router, instance: &v1::Instance) {
        for track in &instance.tracks {
            let verdict = verdict(track.counted_verdict());
            self.facts.insert(fact_name(&track.name), (verdict, track.value));
        }
        self.drained |= instance.drained;
        self.routers.push(router);
    }

    /// Whether it can ask that node for something.
    pub(crate) fn can_ask(&self, other: &Node) -> bool {
        !other.is_foreign && self.hears.as_ref().is_none_or(|heard| heard.contains(&other.name))
    }

    /// The facts as the engine is told.
    pub(crate) fn told(&self, since: Instant) -> Vec<Fact> {
        let fact = |(name, (verdict, value)): (&Arc<str>, &(Verdict, i32))| Fact {
            name: Arc::clone(name),
            verdict: *verdict,
            value: Some(*value),
            detail: "".into(),
            since,
            damped: false,
        };
        self.facts.iter().map(fact).collect()
    }

    /// Everything as it should be.
    pub(crate) fn healed(&self) -> Self {
        let mut node = self.clone();
        node.drained = false;
        for router in &mut node.routers {
            (router.is_down, router.is_active) = (false, false);
            for track in router.config.tracks.iter() {
                let good = match track.effect {
                    TrackEffect::Fault { reverse: true } => Verdict::Failing,
                    TrackEffect::Weight { weight, reverse } if (weight > 0) == reverse => Verdict::Failing,
                    _ => Verdict::Passing,
                };
                node.facts.insert(Arc::clone(&track.fact), (good, 0));
            }
        }
        node
    }
}

/// `None` when the report lacks what an election needs: an agent that is older than this, or values out of range.
fn router(instance: &v1::Instance) -> Option<Router> {
    let name: Arc<str> = names::last(&instance.name).into();
    let family = match instance.family() {
        v1::instance::Family::Ipv4 => Family::Ipv4,
        v1::instance::Family::Ipv6 => Family::Ipv6,
        v1::instance::Family::Unspecified => Family::of(names::last(instance.vips.first()?).parse().ok()?),
    };
    let addresses: Vec<VirtualAddress> =
        instance.vips.iter().map(|vip| virtual_address(vip, family)).collect::<Option<_>>()?;
    let interval = span(instance.advertisement_interval.as_ref())?;
    let v3 = instance.vrrp_version == 3;
    let version = if v3 { Version::V3 } else { Version::V2 };
    let checksum = ChecksumForm::PseudoHeader;
    // The link is unusable for other reasons than a check.
    let by_checks = instance.tracks.iter().any(|track| track.faulty) || !instance.sync_group.is_empty();
    let is_fault = instance.state() == v1::instance::State::Fault;
    let source = instance.source_address.parse().ok();
    Some(Router {
        source: source.or_else(|| is_fault.then(|| placeholder(family)))?,
        overridden: instance.priority_override.as_ref().and_then(|given| priority(given.priority)),
        is_down: is_fault && (!by_checks || source.is_none()),
        is_active: instance.state() == v1::instance::State::Active,
        config: InstanceConfig {
            interface: Arc::clone(&name),
            virtual_router_id: VirtualRouterId::new(u8::try_from(instance.virtual_router_id).ok()?)?,
            family,
            protocol: if v3 { Protocol::V3 { checksum } } else { Protocol::V2 { password: None } },
            priority: priority(instance.base_priority)?,
            interval: AdvertisementInterval::new(version, interval)?,
            longest_adopted_interval: interval.saturating_mul(10).max(interval),
            addresses: addresses.into(),
            // After a transfer it tolerates a worse Active router.
            preempt: instance.preempt && instance.preempt_hold.is_none(),
            preempt_delay: span(instance.preempt_delay.as_ref()).unwrap_or_default(),
            // It has started.
            startup_delay: Duration::ZERO,
            transport: transport(instance)?,
            source: None,
            announce: AnnouncePolicy::default(),
            address_lost: AddressLostPolicy::default(),
            lease: AddressLease::Off,
            virtual_mac: false,
            tracks: instance.tracks.iter().map(track).collect(),
            group: (!instance.sync_group.is_empty()).then(|| names::last(&instance.sync_group).into()),
            name,
        },
    })
}

/// One of another family than its router is in no advert. Whether others are changes nobody's election.
fn virtual_address(name: &str, family: Family) -> Option<VirtualAddress> {
    let address: IpAddr = names::last(name).parse().ok()?;
    let plain = VirtualAddress::new(address, if address.is_ipv4() { 32 } else { 128 });
    Some(VirtualAddress { advertised: Family::of(address) == family, ..plain })
}

/// Of a router whose link has no address, and so cannot take part.
fn placeholder(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::from([169, 254, 0, 1]),
        Family::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]),
    }
}

fn span(duration: Option<&prost_types::Duration>) -> Option<Duration> {
    duration.map(|duration| Span::from(duration).to_duration())
}

fn priority(number: i32) -> Option<Priority> {
    u8::try_from(number).ok().and_then(Priority::new)
}

fn transport(instance: &v1::Instance) -> Option<Transport> {
    if instance.unicast_peers.is_empty() {
        return Some(Transport::Multicast { allowed_sources: Vec::new() });
    }
    let peer = |text: &String| Some(Peer { address: text.parse().ok()?, minimum_ttl: 1 });
    let peers = instance.unicast_peers.iter().map(peer).collect::<Option<_>>()?;
    Some(Transport::Unicast { peers, ttl: 255 })
}

/// `checks/http` of `nodes/a/checks/http`.
fn fact_name(name: &str) -> Arc<str> {
    name.splitn(3, '/').nth(2).unwrap_or(name).into()
}

fn verdict(verdict: v1::Verdict) -> Verdict {
    match verdict {
        v1::Verdict::Passing => Verdict::Passing,
        v1::Verdict::Failing => Verdict::Failing,
        v1::Verdict::Unknown | v1::Verdict::Unspecified => Verdict::Unknown,
    }
}

fn track(track: &v1::TrackedFact) -> Track {
    use v1::tracked_fact::Effect;
    let (reverse, weight) = (track.reverse, track.weight);
    let effect = match track.effect() {
        Effect::Fault | Effect::Unspecified => TrackEffect::Fault { reverse },
        Effect::Weight => TrackEffect::Weight { weight: i16::try_from(weight).unwrap_or_default(), reverse },
        Effect::Value => TrackEffect::Value { factor: weight },
        Effect::ValueFault => TrackEffect::ValueFault,
    };
    Track { fact: fact_name(&track.name), effect }
}
