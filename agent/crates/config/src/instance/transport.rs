//! Multicast or unicast of one instance: sources and peers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use ha_engine::{Family, Transport};

use super::{Draft, Unicast};
use crate::address::{family_name, is_link_local_v6};
use crate::report::Report;
use crate::section::{Slot, Spot};

type Place = Range<usize>;

impl Draft {
    /// How adverts travel; `None` after something was reported that leaves it open.
    pub(super) fn transport(&self, family: Family, report: &mut Report<'_>) -> Option<Transport> {
        if let Some(source) = self.shared.source.spot() {
            self.check_family_of("source", source.value, &source.span, family, report);
        }
        match (&self.shared.unicast, &self.shared.allowed_sources) {
            (Slot::Broken, _) | (_, Slot::Broken) => None,
            // Nearer wins: an instance's own allowed_sources set aside a unicast of [defaults], and the reverse.
            (Slot::Given(unicast), Slot::Given(allowed)) if unicast.inherited && !allowed.inherited => {
                Some(self.multicast(Some(allowed), family, report))
            }
            (Slot::Given(unicast), allowed) => {
                if let Slot::Given(allowed) = allowed
                    && (unicast.inherited || !allowed.inherited)
                {
                    let message =
                        "allowed_sources has no place beside unicast, which listens to its peers only";
                    report.error(&allowed.span, message, "remove one of the two");
                }
                Some(self.unicast(unicast, family, report))
            }
            (Slot::Absent, allowed) => Some(self.multicast(allowed.spot(), family, report)),
        }
    }

    fn multicast(
        &self,
        allowed: Option<&Spot<Vec<(IpAddr, Place)>>>,
        family: Family,
        report: &mut Report<'_>,
    ) -> Transport {
        let none = Vec::new();
        let allowed = allowed.map_or(&none, |spot| &spot.value);
        for (address, span) in allowed {
            self.check_family_of("allowed_sources", *address, span, family, report);
        }
        self.report_repeated(
            "allowed_sources",
            allowed.iter().map(|(address, span)| (*address, span)),
            report,
        );
        let source = self.shared.source.spot();
        // RFC 9568 §5.1.2.1: the source address of an IPv6 advert is the link-local address of its interface.
        if let Some(source) = source.filter(|s| s.value.is_ipv6() && !is_link_local_v6(s.value)) {
            let message =
                format!("source {} is not link-local, as multicast over IPv6 demands", source.value);
            report.error(
                &source.span,
                message,
                "remove it, or write the link-local address of the interface",
            );
        }
        Transport::Multicast { allowed_sources: allowed.iter().map(|(address, _)| *address).collect() }
    }

    fn unicast(&self, unicast: &Spot<Unicast>, family: Family, report: &mut Report<'_>) -> Transport {
        let Unicast { peers, ttl } = &unicast.value;
        for (peer, span) in peers {
            self.check_family_of("unicast peer", peer.address, span, family, report);
            self.check_peer(peer.address, span, report);
        }
        self.report_repeated("unicast peer", peers.iter().map(|(peer, span)| (peer.address, span)), report);
        if let Some(virtual_mac) = self.shared.virtual_mac.spot().filter(|virtual_mac| virtual_mac.value) {
            let message = format!("{} has unicast and virtual_mac, which need different sources", self.title);
            let place = if virtual_mac.inherited { &unicast.span } else { &virtual_mac.span };
            report.error(place, message, "set virtual_mac = false, or remove unicast");
        }
        let global = peers.iter().find(|(peer, _)| peer.address.is_ipv6() && !is_link_local_v6(peer.address));
        if let Some((peer, span)) = global.filter(|_| self.shared.source.is_absent()) {
            let message = format!(
                "peer {} is not link-local, but adverts leave from the link-local address",
                peer.address
            );
            report.warning(span, message, "set source to this node's address as the peer knows it");
        }
        Transport::Unicast { peers: peers.iter().map(|(peer, _)| *peer).collect(), ttl: *ttl }
    }

    fn check_peer(&self, peer: IpAddr, span: &Range<usize>, report: &mut Report<'_>) {
        if self.shared.source.value() == Some(&peer) {
            let message = format!("peer {peer} is this node's own source");
            report.error(span, message, "list the other nodes only");
        }
        if self.holds(peer) {
            let message = format!("peer {peer} is a virtual address of {}", self.title);
            report.error(span, message, "write the peer's own address, which stays on it");
        }
    }

    fn check_family_of(
        &self,
        what: &str,
        address: IpAddr,
        span: &Range<usize>,
        family: Family,
        report: &mut Report<'_>,
    ) {
        if Family::of(address) != family {
            let (theirs, ours) = (family_name(Family::of(address)), family_name(family));
            let message =
                format!("{what} {address} is {theirs}, but the addresses of {} are {ours}", self.title);
            report.error(span, message, format!("write an {ours} address"));
        }
    }

    fn report_repeated<'s>(
        &self,
        what: &str,
        addresses: impl Iterator<Item = (IpAddr, &'s Range<usize>)>,
        report: &mut Report<'_>,
    ) {
        let mut seen: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (address, span) in addresses {
            if let Some(first) = seen.insert(address, span.start) {
                let line = report.line(first);
                report.error(
                    span,
                    format!("{what} {address} stands on line {line} already"),
                    "remove it once",
                );
            }
        }
    }
}
