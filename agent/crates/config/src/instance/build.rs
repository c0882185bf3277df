//! From a draft to the engine's configuration of one instance: what is missing, what its keys mean together, defaults.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use ha_engine::{
    AnnouncePolicy, ChecksumForm, Family, InstanceConfig, Priority, Protocol, Track, Version, VirtualAddress,
};

use super::Draft;
use crate::address::{family_name, is_link_local_v6, suggested_link_local, written};
use crate::model::Realtime;
use crate::report::Report;

impl Draft {
    /// The instance, unless something that it cannot do without is missing or wrong. Reports all that is.
    pub(crate) fn build(
        &self,
        realtime: &Realtime,
        tracks: Arc<[Track]>,
        report: &mut Report<'_>,
    ) -> Option<InstanceConfig> {
        self.report_missing(report);
        let version = self.shared.version.value_or(Version::V3);
        let family = self.check_family(version, report);
        let protocol = self.protocol(version, family, report);
        let interval = self.interval(version, realtime, report);
        let longest_adopted_interval = self.longest_adopted_interval(version, interval, report);
        let transport = family.and_then(|family| self.transport(family, report));
        self.check_preemption(report);
        let lease = self.lease(version, interval, report);
        self.check_virtual_mac(report);
        let addresses = self.addresses.value()?;
        Some(InstanceConfig {
            name: self.name.value()?.as_str().into(),
            interface: self.shared.interface.value()?.as_str().into(),
            virtual_router_id: *self.virtual_router_id.value()?,
            family: family?,
            protocol: protocol?,
            priority: self.shared.priority.value_or(Priority::DEFAULT),
            interval: interval?,
            longest_adopted_interval: longest_adopted_interval?,
            addresses: addresses.iter().map(|(address, _)| self.placed(address)).collect(),
            preempt: self.shared.preempt.value_or(true),
            preempt_delay: self.shared.preempt_delay.value_or_default(),
            startup_delay: self.shared.startup_delay.value_or_default(),
            transport: transport?,
            source: self.shared.source.value().copied(),
            announce: self.announce(),
            address_lost: self.shared.address_lost.value_or_default(),
            lease,
            virtual_mac: self.shared.virtual_mac.value_or_default(),
            tracks,
            group: self.shared.group.value().map(|group| group.as_str().into()),
        })
    }

    fn report_missing(&self, report: &mut Report<'_>) {
        let required = [
            (self.name.is_absent(), "name", "add name = \"web\""),
            (
                self.shared.interface.is_absent(),
                "interface",
                "add interface = \"eth0\" here or in [defaults]",
            ),
            (
                self.virtual_router_id.is_absent(),
                "virtual_router_id",
                "add virtual_router_id = 51, the same on all nodes",
            ),
            (self.addresses.is_absent(), "addresses", "add addresses = [\"10.0.0.10\"]"),
        ];
        for (_, key, remedy) in required.into_iter().filter(|(absent, ..)| *absent) {
            report.error(&self.span, format!("{} has no {key}", self.title), remedy);
        }
    }

    /// An address with its link, if that is another than the instance's.
    fn placed(&self, address: &VirtualAddress) -> VirtualAddress {
        let own = self.shared.interface.value();
        let interface = address.interface.clone().filter(|link| own.is_none_or(|own| **own != **link));
        VirtualAddress { interface, ..address.clone() }
    }

    /// The family of all advertised addresses, `None` when they are missing or mixed.
    fn check_family(&self, version: Version, report: &mut Report<'_>) -> Option<Family> {
        let addresses = self.addresses.spot()?;
        if addresses.value.is_empty() {
            return self.check_election_only(version, &addresses.span, report);
        }
        let Some((first, first_span)) = self.first_advertised() else {
            let message = format!("{} advertises none of its addresses", self.title);
            report.error(&addresses.span, message, "leave advertised out for one of them, on all nodes");
            return None;
        };
        let addresses = &addresses.value;
        let family = Family::of(first.address);
        let other =
            addresses.iter().find(|(address, _)| address.advertised && Family::of(address.address) != family);
        if let Some((other, span)) = other {
            let message = format!("{} mixes {} and {}", self.title, first.address, other.address);
            let remedy = format!(
                "make one instance for each family, which may share their virtual_router_id, or write {}",
                written(&VirtualAddress { advertised: false, ..other.clone() })
            );
            report.error(span, message, remedy);
            return None;
        }
        self.check_addresses(family, addresses, report);
        if family == Family::Ipv6 {
            self.check_ipv6(version, (first, first_span), report);
        }
        Some(family)
    }

    /// A router without addresses: who is Active is told, and nothing is held.
    fn check_election_only(
        &self,
        version: Version,
        span: &Range<usize>,
        report: &mut Report<'_>,
    ) -> Option<Family> {
        let family = self.family()?;
        let message = format!("{} has no address: it only elects, and tells who is Active", self.title);
        report.warning(
            span,
            message,
            "have a notifier act on it; routers of other makers ignore such adverts",
        );
        if family == Family::Ipv6 && version == Version::V2 {
            let message = format!("{} speaks IPv6, which VRRP version 2 does not know", self.title);
            report.error(span, message, "set version = 3 for it");
        }
        if self.shared.virtual_mac.value().copied().unwrap_or_default() {
            let message = format!("{} has virtual_mac, and no address that would have it", self.title);
            report.error(span, message, "set virtual_mac = false");
        }
        Some(family)
    }

    fn check_addresses(
        &self,
        family: Family,
        addresses: &[(VirtualAddress, Range<usize>)],
        report: &mut Report<'_>,
    ) {
        let most = most_addresses(family);
        let advertised = || addresses.iter().filter(|(address, _)| address.advertised);
        if let Some((_, span)) = advertised().nth(most) {
            let message = format!("{} has {} addresses", self.title, advertised().count());
            let remedy = format!(
                "an {} advert within an MTU of 1500 has room for {most}; make several instances, or set advertised = false",
                family_name(family)
            );
            report.error(span, message, remedy);
        }
        let owner = self.shared.priority.value().is_some_and(|priority| priority.is_owner());
        let source = self.shared.source.value().filter(|_| !owner);
        for (address, span) in addresses.iter().filter(|(address, _)| Some(&address.address) == source) {
            let message = format!("{} is both the source and a virtual address", address.address);
            report.error(span, message, "set source to an address that stays on this node");
        }
    }

    /// The virtual MAC address is for one link and one family.
    fn check_virtual_mac(&self, report: &mut Report<'_>) {
        let Some(virtual_mac) = self.shared.virtual_mac.spot().filter(|virtual_mac| virtual_mac.value) else {
            return;
        };
        let mut advertised = self.addresses.value().into_iter().flatten().filter(|(own, _)| own.advertised);
        if let Some((_, span)) = advertised.clone().next()
            && advertised.all(|(own, _)| self.placed(own).interface.is_some())
        {
            let message = format!("{} has virtual_mac, and all its addresses are on other links", self.title);
            let place = if virtual_mac.inherited { span } else { &virtual_mac.span };
            report.error(
                place,
                message,
                "set virtual_mac = false: only addresses on the instance's interface have it",
            );
        }
    }

    /// RFC 9568 §5.2.9: "for IPv6, the first address MUST be the IPv6 link-local address".
    fn check_ipv6(
        &self,
        version: Version,
        (first, first_span): (&VirtualAddress, &Range<usize>),
        report: &mut Report<'_>,
    ) {
        if version == Version::V2 {
            let span = self.shared.version.spot().map_or(first_span, |version| &version.span);
            let message = format!("{} has IPv6 addresses, which VRRP version 2 does not know", self.title);
            report.error(span, message, "set version = 3 for it");
        }
        if is_link_local_v6(first.address) {
            return;
        }
        let id = self.virtual_router_id.value().map_or(1, |id| id.get());
        let message =
            format!("the first address of {} is not link-local, which other routers may discard", self.title);
        let remedy = format!("put a link-local address first, such as \"{}\"", suggested_link_local(id));
        report.warning(first_span, message, remedy);
    }

    /// Password and checksum, each in the version that has it.
    fn protocol(
        &self,
        version: Version,
        family: Option<Family>,
        report: &mut Report<'_>,
    ) -> Option<Protocol> {
        if version == Version::V2 {
            if let Some(checksum) = self.shared.checksum.own() {
                let message = "VRRP version 2 has only one checksum";
                report.error(&checksum.span, message, "remove checksum, or set version = 3");
            }
            return Some(Protocol::V2 { password: self.shared.password.value().cloned() });
        }
        if let Some(password) = self.shared.password.spot() {
            let message = format!("{} has a password, which VRRP version 3 does not know", self.title);
            report.error(&password.span, message, "remove it, or set version = 2 for the instance");
        }
        let checksum = self.shared.checksum.value_or_default();
        if family == Some(Family::Ipv6) && checksum == ChecksumForm::MessageOnly {
            if let Some(checksum) = self.shared.checksum.own() {
                let message = "VRRP over IPv6 always has the pseudo-header in its checksum";
                report.error(&checksum.span, message, "remove checksum");
            }
            return Some(Protocol::V3 { checksum: ChecksumForm::PseudoHeader });
        }
        Some(Protocol::V3 { checksum })
    }

    fn check_preemption(&self, report: &mut Report<'_>) {
        let Some(preempt) = self.shared.preempt.spot().filter(|preempt| !preempt.value) else {
            return;
        };
        if let Some(priority) = self.shared.priority.spot().filter(|priority| priority.value.is_owner()) {
            let message =
                "preempt = false has no effect on priority 255: the owner of the addresses always takes them";
            let place = if priority.inherited { &preempt.span } else { &priority.span };
            report.warning(place, message, "use priority 254 or lower, or remove preempt");
        }
        let delay = self.shared.preempt_delay.spot().filter(|delay| !delay.value.is_zero());
        if let Some(delay) = delay.filter(|delay| !delay.inherited || preempt.inherited) {
            let message = "preempt_delay has no effect with preempt = false";
            report.warning(&delay.span, message, "remove one of the two");
        }
    }

    fn announce(&self) -> AnnouncePolicy {
        let default = AnnouncePolicy::default();
        let announce = &self.shared.announce;
        AnnouncePolicy {
            repeat: announce.repeat.value_or(default.repeat),
            interval: announce.interval.value_or(default.interval),
            delay: announce.delay.value_or(default.delay),
            refresh: announce.refresh.value_or(default.refresh),
        }
    }

    /// Of its adverts: that of the first address in them; without any address that of its source or its peers, or IPv4.
    pub(super) fn family(&self) -> Option<Family> {
        if !self.addresses.value()?.is_empty() {
            return self.first_advertised().map(|(first, _)| Family::of(first.address));
        }
        let peers = self.shared.unicast.value().map(|unicast| &unicast.peers);
        let peer = peers.and_then(|peers| peers.first()).map(|(peer, _)| peer.address);
        let named = self.shared.source.value().copied().or(peer);
        Some(named.map_or(Family::Ipv4, Family::of))
    }

    /// The first of its addresses that adverts carry: it tells the family.
    pub(super) fn first_advertised(&self) -> Option<&(VirtualAddress, Range<usize>)> {
        self.addresses.value()?.iter().find(|(address, _)| address.advertised)
    }

    /// Its own virtual addresses that are equal to `address`.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.addresses
            .value()
            .is_some_and(|own| own.iter().any(|(virtual_address, _)| virtual_address.address == address))
    }
}

/// How many addresses an advert has room for: its count is one octet, and it must not be fragmented. Within 1500 octets
/// IPv4 (20) and VRRP (8, version 2: 16) leave 368 or 366 addresses of 4 octets; IPv6 (40) and VRRP (8) leave 90 of 16.
pub(crate) fn most_addresses(family: Family) -> usize {
    match family {
        Family::Ipv4 => 255,
        Family::Ipv6 => (1500 - 40 - 8) / 16,
    }
}
