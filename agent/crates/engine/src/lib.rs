//! Every decision of ha-agent: packet codec, VRRP state machine, effective priority. Sans-IO: time, packets and facts
//! come in as values, effects go out as ordered values. No clock, no thread, no logging, no randomness.
//!
//! A driver calls [`Engine::handle`] with what happened, carries out the [`Outputs`] in order, and calls again at the
//! latest at [`Engine::next_deadline`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod codec;
mod config;
mod engine;
mod event;
mod fault;
#[cfg(test)]
mod fixtures;
mod health;
mod input;
mod instance;
mod legacy;
mod moves;
mod order;
mod output;
mod pool;
mod priority;
mod receive;
mod schedule;
mod snapshot;
mod track;
mod units;

pub use config::{
    AddressLease, AddressLostPolicy, AnnouncePolicy, ChecksumForm, InstanceConfig, Password, Peer, Protocol,
    Transport, VirtualAddress,
};
pub use engine::Engine;
pub use event::{
    Actor, Audit, BalancerEvent, Cause, CheckEvent, EVENT_TYPES, Event, EventKind, Evidence, Intent,
    IntentEvent, JournalEvent, MoveEvent, NotifyEvent, PeerEvent, PoolEvent, Refused, Severity, Standing,
    StateName, Subject, WireEvent,
};
pub use fault::Fault;
pub use health::{
    CheckCounters, CheckId, CheckInput, CheckOutput, CheckOutputs, CheckPolicy, CheckRefusal, CheckStatus,
    Damping, Expr, LastResult, Latency, Monitor, MutedCheck, Outcome, RemedyPolicy, RemedyState,
    RemedyStatus, WindowPosition,
};
pub use input::{
    Applied, Input, InstanceId, LinkCondition, LinkId, LinkState, OperatorAction, OperatorCommand, Packet,
    PeerActive, PeerWord, Refusal,
};
pub use legacy::{Followed, Inheritance, Legacy, Role};
pub use moves::{DrainCommand, Handover, SETTLE, Way};
pub use order::StandingOrder;
pub use output::{Announcement, Output, Outputs, Ownership, Transmit};
pub use pool::{
    Balanced, BalancerStatus, Desired, DesiredServer, DrainedServer, Floor, MASS_FAILURE_WINDOW, PoolConfig,
    PoolInput, PoolOutput, PoolOutputs, PoolRefusal, PoolScope, PoolStatus, Pools, RunningServer,
    SLOW_START_STEPS, ServerConfig, ServerState, ServerStatus, SorryServer,
};
pub use priority::{Contribution, Effective, Source};
pub use receive::{Discard, DiscardCounters, Oddity};
pub use schedule::Reason;
pub use snapshot::{Counters, Inner, InstanceStatus, LastAdvert, Override, Wish};
pub use track::{Fact, Track, TrackEffect, TrackedFact, Verdict};
pub use units::{AdvertisementInterval, Family, Instant, Priority, Version, VirtualRouterId};
