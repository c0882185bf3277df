//! What the instances of one file mean together: names, virtual router identifiers and addresses that two of them claim.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use ha_engine::{Family, VirtualRouterId};

use super::Draft;
use crate::address::{family_name, is_link_local_v6};
use crate::report::Report;

/// The most instances of a node. Each costs a state machine and its counters.
const MOST_INSTANCES: usize = 16_384;
/// The most virtual addresses of a node. Each is renewed and announced.
const MOST_ADDRESSES: usize = 65_536;

/// Reports what two instances cannot both have.
pub(crate) fn check(drafts: &[Draft], report: &mut Report<'_>) {
    check_names(drafts, report);
    check_virtual_router_ids(drafts, report);
    check_addresses(drafts, report);
    check_limits(drafts, report);
}

fn check_names(drafts: &[Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<&str, &Range<usize>> = BTreeMap::new();
    for spot in drafts.iter().filter_map(|draft| draft.name.spot()) {
        if let Some(first) = seen.get(&*spot.value) {
            let message = format!(
                "name \"{}\" is taken by the instance on line {}",
                spot.value,
                report.line(first.start)
            );
            report.error(&spot.span, message, "give each instance its own name");
        } else {
            seen.insert(&spot.value, &spot.span);
        }
    }
}

/// RFC 9568 §1.6: a virtual router is identified by its VRID and family within a LAN.
fn check_virtual_router_ids(drafts: &[Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<(&str, Family, VirtualRouterId), (&Draft, usize)> = BTreeMap::new();
    for draft in drafts {
        let (Some(interface), Some(id)) = (draft.shared.interface.value(), draft.virtual_router_id.spot())
        else {
            continue;
        };
        let Some(family) = draft.family() else { continue };
        let key = (interface.as_str(), family, id.value);
        if let Some((first, start)) = seen.get(&key) {
            let message = format!(
                "virtual_router_id {} on {interface} is taken by {} on line {} for {}",
                id.value,
                first.title,
                report.line(*start),
                family_name(family)
            );
            report.error(&id.span, message, "use another one, the same on all nodes of this virtual router");
        } else {
            seen.insert(key, (draft, id.span.start));
        }
    }
}

/// An address can be on one link only, except link-local ones, which every link has for itself.
fn check_addresses(drafts: &[Draft], report: &mut Report<'_>) {
    type Claims<'d> = BTreeMap<(IpAddr, Option<&'d str>), (&'d Draft, &'d Range<usize>)>;
    let mut seen = Claims::new();
    for draft in drafts {
        for (address, span) in draft.addresses.value().into_iter().flatten() {
            let link = address.interface.as_deref().or(draft.shared.interface.value().map(String::as_str));
            let address = address.address;
            let key = (address, link.filter(|_| is_link_local_v6(address)));
            if let Some((first, first_span)) = seen.get(&key) {
                report_claimed_twice(address, (first, first_span), (draft, span), report);
            } else {
                seen.insert(key, (draft, span));
            }
        }
    }
}

fn report_claimed_twice(
    address: IpAddr,
    (first, first_span): (&Draft, &Range<usize>),
    (second, span): (&Draft, &Range<usize>),
    report: &mut Report<'_>,
) {
    let line = report.line(first_span.start);
    let message = if std::ptr::eq(first, second) {
        format!("{address} is listed twice in {}, first on line {line}", second.title)
    } else {
        format!("{address} is claimed twice: by {} on line {line} and here by {}", first.title, second.title)
    };
    report.error(span, message, "leave it to one of them");
}

fn check_limits(drafts: &[Draft], report: &mut Report<'_>) {
    if let Some(draft) = drafts.get(MOST_INSTANCES) {
        let message = format!("there are {} instances", drafts.len());
        report.error(&draft.span, message, format!("a node has at most {MOST_INSTANCES}"));
    }
    let mut addresses = 0_usize;
    for draft in drafts {
        addresses += draft.addresses.value().map_or(0, Vec::len);
        if addresses > MOST_ADDRESSES {
            let message = format!("there are more than {MOST_ADDRESSES} virtual addresses");
            report.error(&draft.span, message, "that is the most of a node; move some to other nodes");
            return;
        }
    }
}
