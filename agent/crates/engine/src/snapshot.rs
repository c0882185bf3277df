//! What status shows: each instance as it stands, without asking anything but the engine.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::config::InstanceConfig;
use crate::event::{Cause, Evidence, StateName};
use crate::fault::Fault;
use crate::input::{InstanceId, LinkId};
use crate::order::StandingOrder;
use crate::priority::Effective;
use crate::receive::{Discard, DiscardCounters};
use crate::schedule::Reason;
use crate::track::TrackedFact;
use crate::units::{Instant, Priority};

/// An instance at one instant.
#[derive(Clone, Debug)]
pub struct InstanceStatus {
    /// Its number.
    pub id: InstanceId,
    /// Its link.
    pub link: LinkId,
    /// What it is configured to do.
    pub config: Arc<InstanceConfig>,
    /// Where its adverts come from; `None` while the link has no usable address.
    pub source: Option<IpAddr>,
    /// Where its last advert came from, which is how peers know it; stays when the link has gone. `None` = it sent none.
    pub known_as: Option<IpAddr>,
    /// Where the state machine is.
    pub state: StateName,
    /// Since when.
    pub since: Instant,
    /// Why.
    pub cause: Cause,
    /// What was measured then.
    pub evidence: Evidence,
    /// State changes since it was added.
    pub transitions: u64,
    /// The priority that adverts carry, and how it came about.
    pub effective: Effective,
    /// What it tracks, and what is known of it.
    pub tracks: Vec<TrackedFact>,
    /// What a member of a sync group wants; `None` without a group.
    pub wish: Option<Wish>,
    /// The operator's replacement of the base priority.
    pub override_: Option<Override>,
    /// What keeps it from preempting after a transfer.
    pub hold: Option<StandingOrder>,
    /// Whether the node is drained.
    pub drained: bool,
    /// Whether it is Active and looks for somebody who takes over.
    pub handing_over: bool,
    /// Grows when the operator's intent changes: configuration, override, drain or hold.
    pub revision: u64,
    /// Active_Adver_Interval in force.
    pub active_interval: Duration,
    /// Active_Down_Interval in force.
    pub active_down_interval: Duration,
    /// The last accepted advert of a peer.
    pub last_advert: Option<LastAdvert>,
    /// Why it is in Fault; empty elsewhere.
    pub faults: Vec<Fault>,
    /// Another Active router heard while this one is Active.
    pub rival: Option<IpAddr>,
    /// Generation of the ownership in force.
    pub generation: u64,
    /// The kernel's last word on it.
    pub applied: Option<Result<(), Arc<str>>>,
    /// Whether it is Active and the first announcements of its takeover have left.
    pub is_announced: bool,
    /// What it waits for.
    pub inner: Inner,
    /// Since it was added.
    pub counters: Counters,
}

/// What an instance waits for, for whoever looks for a fault in the agent itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inner {
    /// A word for where in its state it is: "FOLLOWING", "ANNOUNCING", "HANDING_OVER".
    pub substate: &'static str,
    /// When it wakes next, and why.
    pub next: Option<(Instant, Reason)>,
    /// Active_Down_Timer of a Backup.
    pub active_down: Option<Instant>,
    /// How long this node was seen not to run since that was started.
    pub away: Duration,
    /// Adver_Timer of an Active router.
    pub next_advert: Option<Instant>,
    /// When its last advert left.
    pub last_sent: Option<Instant>,
    /// When an Active router announces its addresses again.
    pub announcement: Option<Instant>,
    /// Refusals of the kernel in a row.
    pub failures: u32,
    /// Addresses lost to somebody else lately.
    pub losses: u32,
    /// Other nodes that say something of it.
    pub words: usize,
}

/// What a member of a sync group wants. The group is Active only while every member wants to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Wish {
    /// It has not started.
    Wait,
    /// It is in Fault of its own, or with the group.
    Fault,
    /// It hears an Active router, or still listens for one.
    Backup,
    /// It is Active, or would be without the group.
    Active,
}

impl Wish {
    /// The word in API and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "WAIT",
            Self::Fault => "FAULT",
            Self::Backup => "BACKUP",
            Self::Active => "ACTIVE",
        }
    }
}

/// The last accepted advert of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastAdvert {
    /// When.
    pub at: Instant,
    /// Who.
    pub source: IpAddr,
    /// 0..=255.
    pub priority: u8,
}

/// An operator's replacement of the base priority.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    /// 1..=254.
    pub priority: Priority,
    /// Why, whose, since when, until when.
    pub order: StandingOrder,
}

/// What an instance counted since it was added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Adverts sent, one for each destination.
    pub sent: u64,
    /// Adverts of priority 0 among them.
    pub sent_priority_zero: u64,
    /// Adverts accepted.
    pub received: u64,
    /// Adverts of priority 0 among them.
    pub received_priority_zero: u64,
    /// Accepted VRRPv3 IPv4 adverts whose checksum covers a pseudo-header.
    pub checksum_pseudo_header: u64,
    /// The same, message only.
    pub checksum_message_only: u64,
    /// The same, pseudo-header with the multicast group although sent by unicast.
    pub checksum_multicast_pseudo_header: u64,
    /// Times another Active router appeared beside this one.
    pub duplicate_active: u64,
    /// Packets for this instance that were discarded, by reason.
    pub discarded: DiscardCounters,
}

impl Counters {
    pub(crate) fn discard(&mut self, reason: Discard) {
        self.discarded.count(reason);
    }
}
