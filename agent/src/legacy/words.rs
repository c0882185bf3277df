//! The document as it is written: JSON with a number for its form. Another version of the agent may have written it, so a
//! part that is not known is passed over, and a virtual router that cannot be read is one that is not gone on with.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ha_engine::{
    AdvertisementInterval, Cause, Evidence, Fact, Family, Followed, Inheritance, Instant, LastAdvert, Legacy,
    Priority, Role, Verdict, Version, VirtualRouterId,
};
use serde::{Deserialize, Serialize};

use super::wishes::{MuteWords, OrderWords, OverrideWords, ServerWords};
use super::{Estate, Place};
use crate::clock;

/// Another number says that this one cannot be read any more.
const FORM: u32 = 1;
/// Three of the longest intervals that VRRP knows, and a second.
const LONGEST_USE: Duration = Duration::from_secs(125);

#[derive(Serialize, Deserialize, Debug)]
pub(super) struct Document {
    form: u32,
    version: String,
    boot: String,
    network: String,
    incarnation: String,
    /// When it was written.
    #[serde(default)]
    left: Option<u64>,
    /// Each by itself, so that one cannot spoil the others.
    routers: Vec<serde_json::Value>,
    #[serde(default)]
    facts: Vec<FactWords>,
    #[serde(default)]
    drain: Option<OrderWords>,
    #[serde(default)]
    mutes: Vec<MuteWords>,
    #[serde(default)]
    servers: Vec<ServerWords>,
    #[serde(default)]
    links: BTreeMap<String, [u32; 2]>,
}

#[derive(Serialize, Deserialize, Debug)]
struct Router {
    name: String,
    interface: String,
    vrid: u8,
    ipv6: bool,
    vrrp_version: u8,
    #[serde(default)]
    virtual_mac: bool,
    role: RoleWords,
    left: u64,
    until: u64,
    since: u64,
    cause: String,
    #[serde(default)]
    evidence: EvidenceWords,
    #[serde(rename = "override")]
    override_: Option<OverrideWords>,
    #[serde(default)]
    hold: Option<OrderWords>,
    heard: Option<Heard>,
}

#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
enum RoleWords {
    None,
    Active,
    Backup { interval: u64, peak: Option<(IpAddr, u8)>, tolerates_until: Option<u64> },
}

#[derive(Serialize, Deserialize, Debug, Default)]
#[serde(default)]
struct EvidenceWords {
    peer: Option<IpAddr>,
    peer_priority: Option<u8>,
    local_priority: Option<u8>,
    last_advertisement_age: Option<u64>,
    active_down_interval: Option<u64>,
    stalled: Option<u64>,
    subject: Option<String>,
    detail: Option<String>,
}

#[derive(Serialize, Deserialize, Debug)]
struct Heard {
    at: u64,
    source: IpAddr,
    priority: u8,
}

#[derive(Serialize, Deserialize, Debug)]
struct FactWords {
    name: String,
    passing: bool,
    value: Option<i32>,
    #[serde(default)]
    damped: bool,
    detail: String,
    since: u64,
}

impl Document {
    pub(super) fn new(estate: &Estate, place: Place) -> Self {
        let Inheritance { routers, facts, drain, overrides: _ } = &estate.inheritance;
        let routers = routers.iter().map(Router::new);
        Self {
            form: FORM,
            version: estate.version.clone(),
            boot: place.boot,
            network: place.network,
            incarnation: estate.incarnation.clone(),
            left: Some(clock::now().as_nanos()),
            routers: routers.filter_map(|router| serde_json::to_value(router).ok()).collect(),
            facts: facts.iter().filter_map(FactWords::new).collect(),
            drain: drain.as_ref().map(OrderWords::from),
            mutes: estate.mutes.iter().map(MuteWords::from).collect(),
            servers: estate.servers.iter().map(ServerWords::from).collect(),
            links: estate.links.iter().map(|(name, values)| (name.to_string(), *values)).collect(),
        }
    }

    pub(super) fn to_octets(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn parse(octets: &[u8]) -> Result<Self, String> {
        let document: Self =
            serde_json::from_slice(octets).map_err(|error| format!("it is damaged: {error}"))?;
        match document.form {
            FORM => Ok(document),
            other => Err(format!("an agent of version {} wrote it in form {other}", document.version)),
        }
    }

    /// What is of use here and now.
    pub(super) fn estate(self, here: &Place, now: Instant) -> Result<Estate, String> {
        if self.boot != here.boot {
            return Err("it is of an earlier boot".to_owned());
        }
        if self.network != here.network {
            return Err(format!("it is of another network namespace, {}", self.network));
        }
        let read = |router: serde_json::Value| serde_json::from_value::<Router>(router).ok()?.legacy();
        let is_fresh = |left: Instant| now < left.after(LONGEST_USE);
        if self.left.is_some_and(|left| !is_fresh(Instant::from_nanos(left))) {
            return Err("it is too old".to_owned());
        }
        let all = self.routers.len();
        let mut routers: Vec<Legacy> = self.routers.into_iter().filter_map(read).collect();
        routers.retain(|legacy| legacy.left <= now && is_fresh(legacy.left));
        if routers.is_empty() && all > 0 {
            return Err("it is too old".to_owned());
        }
        // A role is of use for less than three intervals; what operators wanted outlasts a slow restart.
        routers.iter_mut().filter(|legacy| legacy.until <= now).for_each(|legacy| legacy.role = None);
        let goes_on = all == 0 || routers.iter().any(|legacy| now < legacy.until);
        let facts = self.facts.into_iter().filter(|_| goes_on).map(FactWords::fact).collect();
        let links = self.links.into_iter().filter(|_| goes_on);
        Ok(Estate {
            incarnation: self.incarnation,
            version: self.version,
            inheritance: Inheritance {
                routers,
                facts,
                drain: self.drain.map(Into::into),
                overrides: Vec::new(),
            },
            mutes: self.mutes.into_iter().map(Into::into).collect(),
            servers: self.servers.into_iter().map(Into::into).collect(),
            links: links.map(|(name, values)| (name.into(), values)).collect(),
        })
    }
}

impl Router {
    fn new(legacy: &Legacy) -> Self {
        Self {
            name: legacy.name.to_string(),
            interface: legacy.interface.to_string(),
            vrid: legacy.virtual_router_id.get(),
            ipv6: legacy.family == Family::Ipv6,
            vrrp_version: legacy.version.number(),
            virtual_mac: legacy.virtual_mac,
            role: RoleWords::new(legacy.role.as_ref()),
            left: legacy.left.as_nanos(),
            until: legacy.until.as_nanos(),
            since: legacy.since.as_nanos(),
            cause: legacy.cause.as_str().to_owned(),
            evidence: EvidenceWords::new(&legacy.evidence),
            override_: legacy.override_.as_ref().map(OverrideWords::from),
            hold: legacy.hold.as_ref().map(OrderWords::from),
            heard: legacy.heard.map(|heard| Heard {
                at: heard.at.as_nanos(),
                source: heard.source,
                priority: heard.priority,
            }),
        }
    }

    /// `None` = it makes no sense.
    fn legacy(self) -> Option<Legacy> {
        let version = match self.vrrp_version {
            2 => Version::V2,
            3 => Version::V3,
            _ => return None,
        };
        let left = Instant::from_nanos(self.left);
        Some(Legacy {
            name: self.name.into(),
            interface: self.interface.into(),
            virtual_router_id: VirtualRouterId::new(self.vrid)?,
            family: if self.ipv6 { Family::Ipv6 } else { Family::Ipv4 },
            version,
            virtual_mac: self.virtual_mac,
            role: self.role.role()?,
            left,
            until: Instant::from_nanos(self.until).min(left.after(LONGEST_USE)),
            since: Instant::from_nanos(self.since),
            cause: cause_of(&self.cause),
            evidence: self.evidence.evidence(),
            override_: self.override_.and_then(OverrideWords::override_),
            hold: self.hold.map(Into::into),
            heard: self.heard.map(|heard| LastAdvert {
                at: Instant::from_nanos(heard.at),
                source: heard.source,
                priority: heard.priority,
            }),
        })
    }
}

impl RoleWords {
    fn new(role: Option<&Role>) -> Self {
        match role {
            None => Self::None,
            Some(Role::Active) => Self::Active,
            Some(Role::Backup(followed)) => Self::Backup {
                interval: nanos(followed.interval.duration()),
                peak: followed.peak,
                tolerates_until: followed.tolerates_until.map(Instant::as_nanos),
            },
        }
    }

    /// The outer `None` = it makes no sense.
    fn role(self) -> Option<Option<Role>> {
        Some(match self {
            Self::None => None,
            Self::Active => Some(Role::Active),
            Self::Backup { interval, peak, tolerates_until } => {
                // Version 3 can say all that version 2 can, up to 40 s; a longer one of version 2 is the configured one anyway.
                let interval = Duration::from_nanos(interval).min(Duration::from_millis(40_950));
                let interval = AdvertisementInterval::new(Version::V3, interval)?;
                let tolerates_until = tolerates_until.map(Instant::from_nanos);
                Some(Role::Backup(Followed { interval, peak, tolerates_until }))
            }
        })
    }
}

impl EvidenceWords {
    fn new(evidence: &Evidence) -> Self {
        Self {
            peer: evidence.peer,
            peer_priority: evidence.peer_priority,
            local_priority: evidence.local_priority.map(Priority::get),
            last_advertisement_age: evidence.last_advertisement_age.map(nanos),
            active_down_interval: evidence.active_down_interval.map(nanos),
            stalled: evidence.stalled.map(nanos),
            subject: evidence.subject.as_deref().map(str::to_owned),
            detail: evidence.detail.as_deref().map(str::to_owned),
        }
    }

    fn evidence(self) -> Evidence {
        Evidence {
            peer: self.peer,
            peer_priority: self.peer_priority,
            local_priority: self.local_priority.and_then(Priority::new),
            last_advertisement_age: self.last_advertisement_age.map(Duration::from_nanos),
            active_down_interval: self.active_down_interval.map(Duration::from_nanos),
            stalled: self.stalled.map(Duration::from_nanos),
            subject: self.subject.map(Into::into),
            detail: self.detail.map(Into::into),
        }
    }
}

impl FactWords {
    fn new(fact: &Fact) -> Option<Self> {
        (fact.verdict != Verdict::Unknown).then(|| Self {
            name: fact.name.to_string(),
            passing: fact.verdict == Verdict::Passing,
            value: fact.value,
            damped: fact.damped,
            detail: fact.detail.to_string(),
            since: fact.since.as_nanos(),
        })
    }

    fn fact(self) -> Fact {
        Fact {
            name: self.name.into(),
            verdict: if self.passing { Verdict::Passing } else { Verdict::Failing },
            value: self.value,
            damped: self.damped,
            detail: self.detail.into(),
            since: Instant::from_nanos(self.since),
        }
    }
}

/// Why a state was taken; what another version calls otherwise is its start.
fn cause_of(word: &str) -> Cause {
    const LEAD_TO_STATES: [Cause; 17] = [
        Cause::ActiveDownTimer,
        Cause::PeerPriorityZero,
        Cause::PeerHigherPriority,
        Cause::PeerEqualPriorityHigherAddress,
        Cause::LocalPreempt,
        Cause::PreemptDelayExpired,
        Cause::AddressOwner,
        Cause::InterfaceChanged,
        Cause::CheckChanged,
        Cause::SyncGroup,
        Cause::AddressConflict,
        Cause::AddressFailed,
        Cause::ConfigReload,
        Cause::AgentStalled,
        Cause::AdminDrain,
        Cause::AdminTransfer,
        Cause::AgentStop,
    ];
    LEAD_TO_STATES.into_iter().find(|cause| cause.as_str() == word).unwrap_or(Cause::AgentStart)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
