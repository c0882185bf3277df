//! Links: the one on which an instance speaks, and those on which it has further addresses. It takes part only while all of
//! them are up.

#[cfg(test)]
mod tests;

use alloc::format;
use alloc::sync::Arc;
use core::net::IpAddr;

use super::{Instance, Sink, State};
use crate::config::InstanceConfig;
use crate::event::{Cause, Evidence};
use crate::fault::Fault;
use crate::input::{LinkCondition, LinkId, LinkState};
use crate::units::Family;

/// Another link than the instance's, on which it has addresses.
#[derive(Debug)]
pub(crate) struct AddressLink {
    pub(crate) id: LinkId,
    pub(crate) name: Arc<str>,
    /// `None` until it is known.
    pub(crate) condition: Option<LinkCondition>,
}

impl AddressLink {
    fn fault(&self) -> Option<Fault> {
        // Nothing is sent there but announcements: whether it could have a VRRP socket is of no interest.
        let condition = self.condition.filter(|condition| *condition <= LinkCondition::NoCarrier)?;
        Some(Fault::AddressLink(Arc::clone(&self.name), condition))
    }
}

impl Instance {
    /// Whether it speaks on this link or has addresses there.
    pub(crate) fn uses(&self, link: LinkId) -> bool {
        self.link == link || self.address_links.iter().any(|other| other.id == link)
    }

    /// The other links on which it has addresses.
    pub(crate) fn address_links(&self) -> impl Iterator<Item = (LinkId, &Arc<str>)> {
        self.address_links.iter().map(|link| (link.id, &link.name))
    }

    /// The state of one of its links, at start or after a change.
    pub(crate) fn on_link(&mut self, sink: &mut Sink<'_>, id: LinkId, link: &LinkState) {
        if id == self.link {
            self.on_own_link(sink, link);
        } else {
            self.on_address_link(sink, id, link.condition);
        }
    }

    /// The state of the link of adverts, at start or after a change.
    pub(super) fn on_own_link(&mut self, sink: &mut Sink<'_>, link: &LinkState) {
        let source = pick_source(&self.config, link);
        let fault = link_fault(link.condition, source);
        let source_moved = source != self.source;
        let detail = fault.as_ref().or(self.link_fault.as_ref()).map(Fault::describe);
        let subject = Some(format!("interfaces/{}", self.config.interface).into());
        let evidence = Evidence { subject, detail, ..Evidence::default() };
        if fault.is_some() {
            // The old source may still carry the release.
            self.link_fault = fault;
            self.become_fault(sink, Cause::InterfaceChanged, evidence);
            self.source = source;
            return;
        }
        self.link_fault = None;
        self.source = source;
        match self.state {
            State::Initialize { starts: None } => self.start(sink, self.cause, Evidence::default()),
            State::Active(_) if source_moved => self.advertise_and_restart(sink),
            _ => self.resume(sink, Cause::InterfaceChanged, evidence),
        }
    }

    fn on_address_link(&mut self, sink: &mut Sink<'_>, id: LinkId, condition: LinkCondition) {
        let Some(link) = self.address_links.iter_mut().find(|link| link.id == id) else { return };
        let before = link.fault();
        link.condition = Some(condition);
        let fault = link.fault();
        let subject = Some(format!("interfaces/{}", link.name).into());
        let detail = fault.as_ref().or(before.as_ref()).map(Fault::describe);
        let evidence = Evidence { subject, detail, ..Evidence::default() };
        if fault.is_some() {
            return self.become_fault(sink, Cause::InterfaceChanged, evidence);
        }
        match self.state {
            State::Initialize { starts: None } => self.start(sink, self.cause, Evidence::default()),
            _ => self.resume(sink, Cause::InterfaceChanged, evidence),
        }
    }

    /// The other links that do not allow taking part.
    pub(super) fn address_link_faults(&self) -> impl Iterator<Item = Fault> + '_ {
        self.address_links.iter().filter_map(AddressLink::fault)
    }

    /// Whether the state of another link must be known before this instance takes part.
    pub(super) fn awaits_link(&self) -> bool {
        self.address_links.iter().any(|link| link.condition.is_none())
    }
}

fn link_fault(condition: LinkCondition, source: Option<IpAddr>) -> Option<Fault> {
    match condition {
        LinkCondition::Missing => Some(Fault::LinkMissing),
        LinkCondition::Down => Some(Fault::LinkDown),
        LinkCondition::NoCarrier => Some(Fault::NoCarrier),
        LinkCondition::NoSocket => Some(Fault::NoSocket),
        LinkCondition::Up => source.is_none().then_some(Fault::NoSourceAddress),
    }
}

/// The configured source if the link has it; else the primary IPv4 or the link-local IPv6 address.
fn pick_source(config: &InstanceConfig, link: &LinkState) -> Option<IpAddr> {
    let usable = |address: &&IpAddr| match config.source {
        Some(source) => **address == source,
        None => match (config.family, address) {
            (Family::Ipv4, IpAddr::V4(_)) => true,
            // "the IPv6 link-local address of the interface the packet is being sent from" (RFC 9568 §5.1.2.1).
            (Family::Ipv6, IpAddr::V6(address)) => address.is_unicast_link_local(),
            _ => false,
        },
    };
    link.addresses.iter().find(usable).copied()
}
