//! Planned moves, as plain data: what an operator, a stopping agent or a peer's holder wants of the engine.
//!
//! A handover is make before break. Two ways lead there:
//!
//! ```text
//! asked     the successor is one of ours and reachable: it becomes Active at our word and announces the addresses, its
//!           agent says so, and only then we withdraw them
//! offered   the successor is not known or cannot be asked: priority 0 makes every Backup's Skew_Time run, and we keep the
//!           addresses, silently, until somebody else's advert is heard and [`SETTLE`] has passed
//! ```
//!
//! If nobody takes over until the limit, the holder goes on as before: a failed handover loses nothing.

use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use crate::event::{Actor, Cause};
use crate::order::StandingOrder;
use crate::units::Instant;

/// How long addresses are kept after a foreign successor's first advert was heard. It sends that advert before it asks its
/// kernel for the addresses and announces them, which takes keepalived 0.2 to 2 ms for a few addresses and tens of
/// milliseconds for hundreds; a neighbour that asks meanwhile is answered by both.
pub const SETTLE: Duration = Duration::from_millis(30);

/// Begins or ends a drain.
#[derive(Clone, Debug)]
pub struct DrainCommand {
    /// What it will be: the node gives up what it holds and takes over nothing that others can hold. `None` = no drain.
    pub drain: Option<StandingOrder>,
    /// Who wants it.
    pub actor: Arc<Actor>,
    /// Refuse when the drain is no longer at this revision (see [`crate::Engine::drain`]).
    pub expected_revision: Option<u64>,
    /// Check and answer, change nothing.
    pub dry_run: bool,
}

/// A holder is to give its addresses to somebody else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handover {
    /// How.
    pub way: Way,
    /// When it has failed.
    pub until: Instant,
    /// Why: that of the state change.
    pub cause: Cause,
    /// Afterwards this instance tolerates a worse Active router, as if it had no Preempt_Mode: until it becomes Active, an
    /// operator ends it, or it expires.
    pub hold: Option<StandingOrder>,
}

/// How a successor is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The agent asks this successor, and ends the handover with [`crate::OperatorAction::Withdraw`].
    Asked {
        /// Where its adverts come from.
        to: IpAddr,
    },
    /// Whoever takes over is the successor.
    Offered,
}

impl Way {
    /// The successor, when it is known beforehand.
    pub const fn successor(self) -> Option<IpAddr> {
        match self {
            Self::Asked { to } => Some(to),
            Self::Offered => None,
        }
    }
}
