//! The single schema from which journal, logs, metrics, notifications and the gRPC stream are derived.
//! Each event says what changed, its cause, the evidence at that moment, and the actor if there was one.

mod audit;
mod check;
mod intent;
mod journal;
mod moves;
mod notify;
mod peer;
mod pool;
mod text;
mod types;
mod wire;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

pub use audit::{Audit, Refused};
pub use check::CheckEvent;
pub use intent::{Intent, IntentEvent};
pub use journal::JournalEvent;
pub use moves::MoveEvent;
pub use notify::NotifyEvent;
pub use peer::PeerEvent;
pub use pool::{BalancerEvent, PoolEvent, Standing};
pub use types::EVENT_TYPES;
pub use wire::WireEvent;

use crate::input::InstanceId;
use crate::receive::{Discard, Oddity};
use crate::units::{Instant, Priority};

/// Something that happened, once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When the engine decided it.
    pub at: Instant,
    /// Whom it is about.
    pub subject: Subject,
    /// What happened.
    pub kind: EventKind,
    /// Why.
    pub cause: Cause,
    /// What was measured.
    pub evidence: Evidence,
    /// Who wanted it, when it was somebody.
    pub actor: Option<Arc<Actor>>,
}

/// What an event is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The node itself.
    Node,
    /// A link, by name.
    Interface(Arc<str>),
    /// An instance.
    Instance(InstanceId, Arc<str>),
    /// A sync group, by name.
    Group(Arc<str>),
    /// An address of an instance.
    Vip(InstanceId, Arc<str>, IpAddr),
    /// A check, by the name of its fact: `checks/NAME` or `pools/POOL/servers/SERVER/checks/NAME`.
    Check(Arc<str>),
    /// A pool, by name.
    Pool(Arc<str>),
    /// A server of a pool: the pool's name and its own.
    Server(Arc<str>, Arc<str>),
    /// Somebody who is told of events, by name.
    Notifier(Arc<str>),
    /// Another node of the cluster, by name.
    Peer(Arc<str>),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// The state machine moved.
    StateChanged {
        /// From where.
        from: StateName,
        /// To where.
        to: StateName,
    },
    /// A restarted agent goes on with what its earlier process left: no state changed, and peers noticed nothing.
    Adopted {
        /// In which state: Active or Backup.
        state: StateName,
        /// Since the earlier process left it; of an Active router, since its last advert.
        silent: Duration,
    },
    /// A sync group moved as a whole.
    GroupStateChanged {
        /// From where.
        from: StateName,
        /// To where.
        to: StateName,
    },
    /// The effective priority changed.
    PriorityChanged {
        /// Before.
        from: Priority,
        /// Now.
        to: Priority,
    },
    /// An operator replaced the base priority.
    OverrideSet {
        /// The new base.
        priority: Priority,
        /// The operator's words.
        reason: Arc<str>,
        /// How long it lasts; `None` = until cleared.
        lasts: Option<Duration>,
    },
    /// The override is gone: cleared or expired.
    OverrideCleared,
    /// A Backup hears another Active router than before.
    ActiveObserved {
        /// Its address.
        address: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Another Active router is heard although this node is Active: a split brain.
    DuplicateActiveBegan {
        /// Its address.
        address: IpAddr,
    },
    /// The other Active router is no longer heard.
    DuplicateActiveEnded {
        /// Its address.
        address: IpAddr,
        /// How long it lasted.
        lasted: Duration,
    },
    /// The kernel holds the addresses of an instance that became Active or changed its set.
    AddressesHeld {
        /// Since the engine asked for it.
        took: Duration,
    },
    /// The kernel no longer holds the addresses of an instance that is not Active.
    AddressesReleased {
        /// Since the engine asked for it.
        took: Duration,
    },
    /// The first announcements of a takeover left the node.
    Announced {
        /// Since the state machine became Active.
        took: Duration,
    },
    /// A held address was removed by somebody else.
    AddressLost,
    /// The kernel refused an address.
    AddressFailed {
        /// The kernel's words.
        error: Arc<str>,
    },
    /// The agent did not run for a while.
    Stalled {
        /// For how long.
        duration: Duration,
    },
    /// An accepted advert differs from the configuration here; told at most once a minute.
    AdvertDiffers {
        /// In what.
        oddity: Oddity,
        /// Who sent it.
        source: IpAddr,
    },
    /// Packets were discarded; told at most once a minute for each link and reason.
    Discarded {
        /// Why.
        reason: Discard,
        /// The sender of the last one.
        source: IpAddr,
        /// How many since the last such event.
        count: u64,
    },
    /// A configuration is in force. Made by the agent, not by the engine.
    ConfigurationLoaded {
        /// SHA-256 of its text, in hex.
        digest: Arc<str>,
    },
    /// A new configuration was not taken over; the old one stays in force. Made by the agent, not by the engine.
    ConfigurationRejected {
        /// The first of its errors, with its place.
        error: Arc<str>,
        /// How many there are.
        count: usize,
    },
    /// The instance is now configured.
    InstanceAdded,
    /// The instance is no longer configured.
    InstanceRemoved,
    /// The instance's configuration changed in place.
    InstanceChanged,
    /// Something happened to a check.
    Check(CheckEvent),
    /// Something happened to a pool or one of its servers.
    Pool(PoolEvent),
    /// Something happened to the balancer behind a pool.
    Balancer(BalancerEvent),
    /// Something happened to a notifier.
    Notify(NotifyEvent),
    /// Something happened to addresses on the wire.
    Wire(WireEvent),
    /// A planned move, or what stands behind one.
    Move(MoveEvent),
    /// Another node came or went. Made by the agent, not by the engine.
    Peer(PeerEvent),
    /// Something happened to the history on disk.
    Journal(JournalEvent),
    /// Something became of an operator's intent over a restart.
    Intent(IntentEvent),
    /// Somebody asked for a change. Made by the agent, not by the engine.
    Audit(Arc<Audit>),
}

/// The states of RFC 9568 §6.4, and Fault for an instance that cannot take part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StateName {
    /// Not started, or waiting for its start-up delay.
    Initialize,
    /// Listens to an Active router.
    Backup,
    /// Holds the addresses and sends adverts.
    Active,
    /// Cannot take part; recovers by itself.
    Fault,
}

impl StateName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Initialize, Self::Backup, Self::Active, Self::Fault];

    /// The word in API, log, metric label and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialize => "INITIALIZE",
            Self::Backup => "BACKUP",
            Self::Active => "ACTIVE",
            Self::Fault => "FAULT",
        }
    }
}

/// The one vocabulary for "why"; the words are those of `ha.agent.v1.Cause`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // The names are the documentation; ha.agent.v1.Cause comments the less obvious ones.
pub enum Cause {
    AgentStart,
    AgentStop,
    ActiveDownTimer,
    PeerPriorityZero,
    PeerHigherPriority,
    PeerEqualPriorityHigherAddress,
    LocalPreempt,
    PreemptDelayExpired,
    AddressOwner,
    InterfaceChanged,
    AdminPriority,
    ConfigReload,
    DuplicateActive,
    AddressConflict,
    OverrideExpired,
    AgentStalled,
    AddressFailed,
    Advertisement,
    CheckChanged,
    SyncGroup,
    CheckResult,
    AdminMute,
    AdminUnmute,
    AdminDrain,
    AdminUndrain,
    BalancerFailed,
    NotifyFailed,
    InstanceChanged,
    AdminTransfer,
    AdminAnnounce,
    JournalFailed,
    OperatorRequest,
    PeerReleased,
    PeerReport,
}

impl Cause {
    /// The word in API, log, metric label and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentStart => "AGENT_START",
            Self::AgentStop => "AGENT_STOP",
            Self::ActiveDownTimer => "ACTIVE_DOWN_TIMER",
            Self::PeerPriorityZero => "PEER_PRIORITY_ZERO",
            Self::PeerHigherPriority => "PEER_HIGHER_PRIORITY",
            Self::PeerEqualPriorityHigherAddress => "PEER_EQUAL_PRIORITY_HIGHER_ADDRESS",
            Self::LocalPreempt => "LOCAL_PREEMPT",
            Self::PreemptDelayExpired => "PREEMPT_DELAY_EXPIRED",
            Self::AddressOwner => "ADDRESS_OWNER",
            Self::InterfaceChanged => "INTERFACE_CHANGED",
            Self::AdminPriority => "ADMIN_PRIORITY",
            Self::ConfigReload => "CONFIG_RELOAD",
            Self::DuplicateActive => "DUPLICATE_ACTIVE",
            Self::AddressConflict => "ADDRESS_CONFLICT",
            Self::OverrideExpired => "OVERRIDE_EXPIRED",
            Self::AgentStalled => "AGENT_STALLED",
            Self::AddressFailed => "ADDRESS_FAILED",
            Self::Advertisement => "ADVERTISEMENT",
            Self::CheckChanged => "CHECK_CHANGED",
            Self::SyncGroup => "SYNC_GROUP",
            Self::CheckResult => "CHECK_RESULT",
            Self::AdminMute => "ADMIN_MUTE",
            Self::AdminUnmute => "ADMIN_UNMUTE",
            Self::AdminDrain => "ADMIN_DRAIN",
            Self::AdminUndrain => "ADMIN_UNDRAIN",
            Self::BalancerFailed => "BALANCER_FAILED",
            Self::NotifyFailed => "NOTIFY_FAILED",
            Self::InstanceChanged => "INSTANCE_CHANGED",
            Self::AdminTransfer => "ADMIN_TRANSFER",
            Self::AdminAnnounce => "ADMIN_ANNOUNCE",
            Self::PeerReleased => "PEER_RELEASED",
            Self::PeerReport => "PEER_REPORT",
            Self::JournalFailed => "JOURNAL_FAILED",
            Self::OperatorRequest => "OPERATOR_REQUEST",
        }
    }
}

/// How much an event should worry an operator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Expected.
    Info,
    /// Look at it in the morning.
    Warn,
    /// Look at it now.
    Error,
}

/// What was measured when the decision was taken; what does not apply is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// The peer whose advert it was about.
    pub peer: Option<IpAddr>,
    /// That advert's priority, 0..=255.
    pub peer_priority: Option<u8>,
    /// Our effective priority.
    pub local_priority: Option<Priority>,
    /// Since the Active router's last advert.
    pub last_advertisement_age: Option<Duration>,
    /// The limit that was in force.
    pub active_down_interval: Option<Duration>,
    /// How long the agent did not run.
    pub stalled: Option<Duration>,
    /// What led to it: `checks/NAME`, `pools/NAME`, `instances/NAME` for a member of the sync group, `interfaces/NAME`.
    pub subject: Option<Arc<str>>,
    /// One sentence more.
    pub detail: Option<Arc<str>>,
}

/// Who wanted a change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Actor {
    /// "uid=0(unix)", a certificate's common name, or "system".
    pub principal: String,
    /// reader, operator, admin.
    pub roles: Vec<String>,
    /// Empty on a unix socket.
    pub peer_address: String,
    /// The client's id of the change.
    pub request_id: String,
    /// W3C trace id in hex.
    pub trace_id: String,
}

impl Event {
    /// Whether others can cause it as often as they like, peers on the wire or callers without a role: history is kept apart
    /// from these, so that they cannot push it out.
    pub fn is_noise(&self) -> bool {
        match &self.kind {
            EventKind::ActiveObserved { .. }
            | EventKind::AdvertDiffers { .. }
            | EventKind::Discarded { .. }
            | EventKind::Check(CheckEvent::Overrun { .. } | CheckEvent::Inconclusive { .. }) => true,
            EventKind::Audit(audit) => audit.refusal.is_some(),
            _ => false,
        }
    }

    /// The event's type, stable: "instance.state_changed". The OpenTelemetry event name is "ha_agent." and this.
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            EventKind::StateChanged { .. } => "instance.state_changed",
            EventKind::Adopted { .. } => "instance.adopted",
            EventKind::GroupStateChanged { .. } => "group.state_changed",
            EventKind::PriorityChanged { .. } => "instance.priority_changed",
            EventKind::OverrideSet { .. } => "instance.override_set",
            EventKind::OverrideCleared => "instance.override_cleared",
            EventKind::ActiveObserved { .. } => "instance.active_observed",
            EventKind::DuplicateActiveBegan { .. } => "instance.duplicate_active_began",
            EventKind::DuplicateActiveEnded { .. } => "instance.duplicate_active_ended",
            EventKind::AddressesHeld { .. } => "instance.addresses_held",
            EventKind::AddressesReleased { .. } => "instance.addresses_released",
            EventKind::Announced { .. } => "instance.announced",
            EventKind::AddressLost => "vip.lost",
            EventKind::AddressFailed { .. } => "vip.failed",
            EventKind::Stalled { .. } => "node.stalled",
            EventKind::AdvertDiffers { .. } => "instance.advertisement_differs",
            EventKind::Discarded { .. } => "interface.packets_discarded",
            EventKind::ConfigurationLoaded { .. } => "config.loaded",
            EventKind::ConfigurationRejected { .. } => "config.rejected",
            EventKind::InstanceAdded => "instance.added",
            EventKind::InstanceRemoved => "instance.removed",
            EventKind::InstanceChanged => "instance.changed",
            EventKind::Check(event) => event.type_name(),
            EventKind::Pool(event) => event.type_name(),
            EventKind::Balancer(event) => event.type_name(),
            EventKind::Notify(event) => event.type_name(),
            EventKind::Wire(event) => event.type_name(),
            EventKind::Move(event) => event.type_name(),
            EventKind::Peer(event) => event.type_name(),
            EventKind::Journal(event) => event.type_name(),
            EventKind::Intent(event) => event.type_name(),
            EventKind::Audit(audit) if audit.refusal.is_some() => "audit.refused",
            EventKind::Audit(_) => "audit.changed",
        }
    }

    /// How much it should worry an operator.
    pub fn severity(&self) -> Severity {
        match &self.kind {
            EventKind::Check(event) => event.severity(),
            EventKind::Pool(event) => event.severity(),
            EventKind::Balancer(event) => event.severity(),
            EventKind::Notify(event) => event.severity(),
            EventKind::Wire(event) => event.severity(),
            EventKind::Move(event) => event.severity(),
            EventKind::Peer(event) => event.severity(),
            EventKind::Journal(event) => event.severity(),
            EventKind::Intent(event) => event.severity(),
            EventKind::Audit(audit) if audit.refusal.is_some() => Severity::Warn,
            EventKind::DuplicateActiveBegan { .. }
            | EventKind::AddressFailed { .. }
            | EventKind::ConfigurationRejected { .. } => Severity::Error,
            EventKind::StateChanged { to: StateName::Fault, .. }
            | EventKind::GroupStateChanged { to: StateName::Fault, .. } => Severity::Error,
            EventKind::AddressLost
            | EventKind::Stalled { .. }
            | EventKind::AdvertDiffers { .. }
            | EventKind::Discarded { .. } => Severity::Warn,
            _ => Severity::Info,
        }
    }
}
