//! What the driver tells the engine. All of it is plain data: time and identity come in, nothing is looked up.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::config::InstanceConfig;
use crate::event::{Actor, Cause};
use crate::legacy::Inheritance;
use crate::moves::{DrainCommand, Handover};
use crate::track::Fact;
use crate::units::{Instant, Priority};

/// A configured link. Given out by [`crate::Engine::link`]; the same name keeps its number for the life of the engine,
/// whatever happens to the kernel's interface index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u32);

/// A configured instance. Numbers of removed instances are used again, but not within the reload that removed them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InstanceId(pub u32);

/// One thing that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The instant of `next_deadline` has come. Everything received before must have been handed over first.
    Deadline,
    /// A VRRP packet for us arrived.
    Packet(Packet<'a>),
    /// The state of a link, complete, at start and whenever it changed.
    Link(LinkId, LinkState),
    /// The outcome of an [`crate::Ownership`] that the engine asked for.
    Applied(Applied),
    /// The announcements of a takeover left the node.
    Announced {
        /// Whose.
        instance: InstanceId,
        /// When the last of them was handed to the kernel.
        at: Instant,
    },
    /// An address that the instance should hold has gone from the kernel, and this node did not remove it.
    AddressLost {
        /// Whose.
        instance: InstanceId,
        /// Which.
        address: IpAddr,
    },
    /// What an earlier process of the agent left, before the first configuration.
    Inherit(&'a Inheritance),
    /// The whole configuration; what did not change is not touched.
    Reconfigure(&'a [InstanceConfig]),
    /// A fact, complete, when its verdict or value changed. The engine keeps it, tracked or not.
    Fact(Fact),
    /// There is no such fact any more.
    FactRemoved(Arc<str>),
    /// A command of an operator; answered by [`crate::Output::Answer`].
    Operator(OperatorCommand),
    /// A drain of the node begins or ends; answered by [`crate::Output::Answer`].
    Drain(DrainCommand),
    /// What another node says over the control plane of a virtual router of this one.
    PeerWord(PeerWord),
    /// The agent is about to end: release everything.
    Stop,
    /// The agent is about to end and another process of it will go on: release nothing and tell nobody, but send each Active
    /// router's advert once more. See [`crate::Engine::inheritance`].
    Leave,
}

/// A received VRRP packet with what its IP header and control messages said.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Where it came in.
    pub link: LinkId,
    /// Source of the IP header.
    pub source: IpAddr,
    /// Destination of the IP header.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The VRRP message: the IP payload, cut to the IP header's length.
    pub octets: &'a [u8],
}

/// A link as the kernel has it now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LinkState {
    /// Whether it can be used.
    pub condition: LinkCondition,
    /// Usable addresses (no tentative, failed or virtual ones), primary first.
    pub addresses: Vec<IpAddr>,
}

/// Whether a link can carry adverts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum LinkCondition {
    /// No link of that name.
    #[default]
    Missing,
    /// Administratively down.
    Down,
    /// Up without carrier.
    NoCarrier,
    /// Up, but the kernel refuses us a VRRP socket on it.
    NoSocket,
    /// Up and running.
    Up,
}

/// What became of an ownership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// Whose.
    pub instance: InstanceId,
    /// Which one; outcomes of older ones are ignored.
    pub generation: u64,
    /// `Err`: the kernel refused an address, in its own words.
    pub result: Result<(), Arc<str>>,
    /// When the kernel was done.
    pub at: Instant,
}

/// A change that an operator wants.
#[derive(Clone, Debug)]
pub struct OperatorCommand {
    /// Name of the instance.
    pub instance: Arc<str>,
    /// What to do.
    pub action: OperatorAction,
    /// Who wants it.
    pub actor: Arc<Actor>,
    /// Refuse when the instance's intent is no longer at this revision (see [`crate::InstanceStatus::revision`]).
    pub expected_revision: Option<u64>,
    /// Check and answer, change nothing.
    pub dry_run: bool,
}

/// The verbs of an operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OperatorAction {
    /// Replace the configured base priority.
    OverridePriority {
        /// 1..=254.
        priority: Priority,
        /// Free text for colleagues.
        reason: Arc<str>,
        /// When it ends by itself; `None` = when cleared.
        expires: Option<Instant>,
        /// Whether it is to survive a restart of the agent, which sees to that.
        survives: bool,
    },
    /// Back to the configured priority.
    ClearPriority,
    /// Give the addresses to somebody else, and keep them until somebody has taken over. Counts for the whole sync group.
    Handover(Handover),
    /// The successor that was asked holds the addresses and has announced them: end the handover.
    Withdraw {
        /// Where its adverts come from.
        successor: IpAddr,
    },
    /// Become Active at the holder's word.
    TakeOver {
        /// Where the holder's adverts come from: only the word of the Active router that this node hears counts.
        from: IpAddr,
        /// Until then, or until its node says that it has withdrawn, its adverts are no rival's, whatever their priority.
        until: Instant,
        /// Why: that of the state change.
        cause: Cause,
    },
    /// Preempt again after a transfer.
    EndHold,
    /// Announce the addresses again, as after a takeover. Only an Active router holds them.
    Announce {
        /// Free text for colleagues.
        reason: Arc<str>,
    },
}

/// What another node of the cluster says over the control plane about a virtual router, complete, when it changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerWord {
    /// Name of the instance on this node.
    pub instance: Arc<str>,
    /// Name of the other node.
    pub node: Arc<str>,
    /// That it is Active; `None`: it does not say so, or no longer, or is not heard.
    pub active: Option<PeerActive>,
    /// Whether it is heard: then it is not Active by its own word where it does not say so.
    pub is_heard: bool,
    /// Whether this node is to yield to it when both are Active and it would win.
    pub yields: bool,
}

/// A node's word that it is Active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerActive {
    /// Where its adverts come from.
    pub source: IpAddr,
    /// Its effective priority.
    pub priority: Priority,
    /// The other Active router that it hears.
    pub hears: Option<IpAddr>,
    /// When the node gave its last sign of life, this one or a later.
    pub heard: Instant,
}

/// Why a command was not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no such instance.
    UnknownInstance,
    /// The intent changed since the operator looked.
    RevisionMismatch {
        /// The revision in force.
        current: u64,
    },
    /// Priority 255 belongs to the configuration alone, and an address owner is not overridden.
    AddressOwner,
    /// It is not Active: there is nothing to hand over or to announce.
    NotActive,
    /// It is not handing over, or no longer: there is nothing to withdraw.
    NotHandingOver,
    /// It is in Fault and cannot take over.
    Faulty,
    /// Its node is drained.
    Drained,
    /// It is neither in Backup nor was it asked the same before.
    NotBackup,
    /// Whoever asks it to take over is not the Active router that it hears.
    AnotherActive {
        /// Whom it hears, if anybody.
        heard: Option<IpAddr>,
    },
}
