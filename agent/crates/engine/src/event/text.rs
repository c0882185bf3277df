//! Events as one sentence for a human.

use core::fmt;

use super::{Event, EventKind, Evidence};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            EventKind::StateChanged { from, to } | EventKind::GroupStateChanged { from, to } => {
                write!(f, "{} to {}: {}", from.as_str(), to.as_str(), self.cause.as_str())
            }
            EventKind::Adopted { state, silent } => {
                write!(f, "still {} after a restart of the agent, {silent:.3?} later", state.as_str())
            }
            EventKind::PriorityChanged { from, to } => {
                write!(f, "effective priority {from} to {to}: {}", self.cause.as_str())
            }
            EventKind::OverrideSet { priority, reason, lasts } => {
                write!(f, "priority overridden to {priority}")?;
                if let Some(lasts) = lasts {
                    write!(f, " for {lasts:.1?}")?;
                }
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            EventKind::OverrideCleared => write!(f, "priority override ended: {}", self.cause.as_str()),
            EventKind::ActiveObserved { address, priority } => {
                write!(f, "{address} is the Active router, with priority {priority}")
            }
            EventKind::DuplicateActiveBegan { address } => {
                write!(f, "{address} is Active too, although this node is")
            }
            EventKind::DuplicateActiveEnded { address, lasted } => {
                write!(f, "{address} is no longer Active beside this node, after {lasted:.1?}")
            }
            EventKind::AddressesHeld { took } => {
                write!(f, "the kernel holds the addresses, after {took:.3?}")
            }
            EventKind::AddressesReleased { took } => {
                write!(f, "the kernel no longer holds the addresses, after {took:.3?}")
            }
            EventKind::Announced { took } => write!(f, "addresses announced, {took:.3?} after takeover"),
            EventKind::AddressLost => f.write_str("somebody else removed the address from this node"),
            EventKind::AddressFailed { error } => write!(f, "the kernel refused the address: {error}"),
            EventKind::Stalled { duration } => write!(f, "the agent did not run for {duration:.3?}"),
            EventKind::AdvertDiffers { oddity, source } => {
                write!(f, "advert of {source}: {}", oddity.describe())
            }
            EventKind::Discarded { reason, source, count } => {
                write!(f, "{count} packets discarded, the last of {source}: {}", reason.describe())
            }
            EventKind::ConfigurationLoaded { digest } => write!(f, "configuration {digest:.12} is in force"),
            EventKind::ConfigurationRejected { error, count } => {
                let plural = if *count == 1 { "error" } else { "errors" };
                write!(f, "new configuration not taken over, {count} {plural}, the first: {error}")
            }
            EventKind::InstanceAdded => f.write_str("instance configured"),
            EventKind::InstanceRemoved => f.write_str("instance no longer configured"),
            EventKind::InstanceChanged => f.write_str("instance configuration changed"),
            EventKind::Check(event) => event.fmt(f),
            EventKind::Pool(event) => event.fmt(f),
            EventKind::Balancer(event) => event.fmt(f),
            EventKind::Notify(event) => event.fmt(f),
            EventKind::Wire(event) => event.fmt(f),
            EventKind::Move(event) => event.fmt(f),
            EventKind::Peer(event) => event.fmt(f),
            EventKind::Journal(event) => event.fmt(f),
            EventKind::Intent(event) => event.fmt(f),
            EventKind::Audit(audit) => audit.fmt(f),
        }?;
        self.evidence.fmt(f)
    }
}

/// What is known, in brackets; nothing when nothing is.
impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = " (";
        let mut part = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            let written = write!(f, "{separator}{text}");
            separator = ", ";
            written
        };
        if let Some(peer) = self.peer {
            part(f, format_args!("peer {peer}"))?;
        }
        if let Some(priority) = self.peer_priority {
            part(f, format_args!("peer priority {priority}"))?;
        }
        if let Some(priority) = self.local_priority {
            part(f, format_args!("own priority {priority}"))?;
        }
        // An event about an advert that has just been heard need not say so.
        if let Some(age) = self.last_advertisement_age.filter(|age| !age.is_zero()) {
            part(f, format_args!("last advert {age:.3?} ago"))?;
        }
        if let Some(limit) = self.active_down_interval {
            part(f, format_args!("limit {limit:.3?}"))?;
        }
        if let Some(stalled) = self.stalled {
            part(f, format_args!("did not run for {stalled:.3?}"))?;
        }
        if let Some(subject) = &self.subject {
            part(f, format_args!("{subject}"))?;
        }
        if let Some(detail) = &self.detail {
            part(f, format_args!("{detail}"))?;
        }
        if separator == ", " { f.write_str(")") } else { Ok(()) }
    }
}
