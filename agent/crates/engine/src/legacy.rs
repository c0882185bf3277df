//! What an agent process leaves to the next one on the same node, so that a restart or an upgrade is no transition: peers
//! hear the next advert before their Active_Down_Timers are over, and notice nothing.
//!
//! ```text
//!   last advert of the old process           adoption ends here      peers take over
//!   |----------------------------------------------|---margin----------|---->
//!   0            first advert of the new one   2.875               3 + skew      intervals
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::config::InstanceConfig;
use crate::event::{Cause, Evidence};
use crate::order::StandingOrder;
use crate::snapshot::{LastAdvert, Override};
use crate::track::Fact;
use crate::units::{AdvertisementInterval, Family, Instant, Version, VirtualRouterId};

/// Everything that one process leaves to the next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inheritance {
    /// The virtual routers.
    pub routers: Vec<Legacy>,
    /// Facts that they track, with the verdicts that count.
    pub facts: Vec<Fact>,
    /// The node's drain.
    pub drain: Option<StandingOrder>,
    /// Overrides of instances that left nothing else, by name: they survived on disk.
    pub overrides: Vec<(Arc<str>, Override)>,
}

/// A virtual router as an agent process left it. Instants are those of the boot clock, which all processes share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Legacy {
    /// Name of the instance.
    pub name: Arc<str>,
    /// Its link.
    pub interface: Arc<str>,
    /// Virtual router identifier.
    pub virtual_router_id: VirtualRouterId,
    /// Family of adverts and addresses.
    pub family: Family,
    /// Version on the wire.
    pub version: Version,
    /// Whether it has a virtual MAC.
    pub virtual_mac: bool,
    /// What it was; `None` = it took no part, and there is nothing but an override to go on with.
    pub role: Option<Role>,
    /// When the process left it; of an Active router, when its last advert left.
    pub left: Instant,
    /// From then on it is not gone on with: a peer may have taken over.
    pub until: Instant,
    /// Since when it was what it was.
    pub since: Instant,
    /// Why.
    pub cause: Cause,
    /// What was measured then.
    pub evidence: Evidence,
    /// The operator's replacement of the base priority.
    pub override_: Option<Override>,
    /// What keeps it from preempting after a transfer.
    pub hold: Option<StandingOrder>,
    /// The last accepted advert of a peer.
    pub heard: Option<LastAdvert>,
}

/// What a virtual router was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// It sent adverts and held the addresses.
    Active,
    /// It listened.
    Backup(Followed),
}

/// What a Backup knew of its Active router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Followed {
    /// Active_Adver_Interval, which may be longer than its own.
    pub interval: AdvertisementInterval,
    /// The Active router and the highest priority that it had meanwhile; `None` = none was heard.
    pub peak: Option<(IpAddr, u8)>,
    /// Until when a worse Active router is tolerated (preempt delay).
    pub tolerates_until: Option<Instant>,
}

impl Legacy {
    /// When an Active router whose last advert left at `left` must be silent for good. A peer takes over after three
    /// intervals and a skew of at least a 256th of one (RFC 9568 §6.1, RFC 3768 §6.1); an eighth of an interval before that the
    /// first advert of the next process would perhaps come too late.
    pub(crate) fn deadline_of_active(left: Instant, interval: AdvertisementInterval) -> Instant {
        let interval = interval.duration();
        left.after(interval * 3 - interval / 8)
    }

    /// Nothing is lost when a Backup is gone on with late: it listens for a whole Active_Down_Interval first.
    pub(crate) fn deadline_of_others(left: Instant) -> Instant {
        const LONG: Duration = Duration::from_secs(10);
        left.after(LONG)
    }

    /// Whether a configuration is that of this virtual router: the same on the wire and on the link. Everything else may have
    /// changed; it is taken over as a reload would.
    pub(crate) fn is_of(&self, config: &InstanceConfig) -> bool {
        self.name == config.name
            && self.interface == config.interface
            && self.virtual_router_id == config.virtual_router_id
            && self.family == config.family
            && self.version == config.version()
            && self.virtual_mac == config.virtual_mac
    }
}
