//! Readers of single keys of an instance.

use std::time::Duration;

use ha_engine::{AddressLease, AddressLostPolicy, ChecksumForm, Peer, Priority, Version, VirtualRouterId};
use toml::de::DeValue;

use super::Unicast;
use crate::address::router_address;
use crate::keys;
use crate::report::Report;
use crate::section::Section;
use crate::value::{Value, shown};

/// A Linux link name (`dev_valid_name` in net/core/dev.c): 1..=15 octets, no '/', ':' or white space.
pub(crate) fn interface(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    const LONGEST: usize = 15;
    let text = value.text(report)?;
    let is_bad = |c: char| c.is_whitespace() || matches!(c, '/' | ':');
    let problem = if text.len() > LONGEST {
        format!("is longer than {LONGEST} characters")
    } else if let Some(bad) = text.chars().find(|c| is_bad(*c)) {
        format!("contains '{bad}'")
    } else if matches!(text, "." | "..") {
        "is reserved".to_owned()
    } else {
        return Some(text.to_owned());
    };
    let message = format!("interface {} {problem}, which no link can have", shown(text));
    report.error(&value.span, message, "write a name that `ip link` shows, such as \"eth0\"");
    None
}

pub(super) fn version(value: &Value<'_>, report: &mut Report<'_>) -> Option<Version> {
    let DeValue::Integer(integer) = value.inner else {
        value.wrong_type(report, "2 or 3, without quotes");
        return None;
    };
    match integer.as_str() {
        "2" => Some(Version::V2),
        "3" => Some(Version::V3),
        other => {
            let message = format!("there is no VRRP version {}", shown(other));
            report.error(&value.span, message, "write version = 3, or version = 2 for old routers");
            None
        }
    }
}

pub(super) fn checksum(value: &Value<'_>, report: &mut Report<'_>) -> Option<ChecksumForm> {
    let words = [("pseudo-header", ChecksumForm::PseudoHeader), ("message-only", ChecksumForm::MessageOnly)];
    value.word(report, &words)
}

pub(super) fn priority(value: &Value<'_>, report: &mut Report<'_>) -> Option<Priority> {
    Priority::new(value.integer(report, 1_u8..=255)?)
}

pub(super) fn virtual_router_id(value: &Value<'_>, report: &mut Report<'_>) -> Option<VirtualRouterId> {
    VirtualRouterId::new(value.integer(report, 1_u8..=255)?)
}

pub(super) fn address_lost(value: &Value<'_>, report: &mut Report<'_>) -> Option<AddressLostPolicy> {
    value.word(report, &[("restore", AddressLostPolicy::Restore), ("release", AddressLostPolicy::Release)])
}

/// `"auto"`, `"off"`, seconds as a number, or a duration of whole seconds.
pub(super) fn lease(value: &Value<'_>, report: &mut Report<'_>) -> Option<AddressLease> {
    const LONGEST_SECONDS: u32 = 3600;
    if let DeValue::Integer(_) = value.inner {
        return value.integer(report, 1..=LONGEST_SECONDS).map(AddressLease::Seconds);
    }
    let begins_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if !value.inner.as_str().is_some_and(begins_with_digit) {
        return value.word(report, &[("auto", AddressLease::Auto), ("off", AddressLease::Off)]);
    }
    let range = Duration::from_secs(1)..=Duration::from_secs(u64::from(LONGEST_SECONDS));
    let duration = value.duration(report, range)?;
    let seconds = u32::try_from(duration.as_secs()).ok().filter(|_| duration.subsec_nanos() == 0);
    if seconds.is_none() {
        let message = "address_lease is no whole number of seconds, which is all that the kernel counts";
        report.error(&value.span, message, "write \"auto\" or seconds such as 3");
    }
    seconds.map(AddressLease::Seconds)
}

/// Zero, or at least a second: a round of every address each time.
pub(super) fn refresh(value: &Value<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let range = Duration::ZERO..=Duration::from_secs(86_400);
    let refresh = value.duration(report, range)?;
    if !refresh.is_zero() && refresh < Duration::from_secs(1) {
        report.error(&value.span, "refresh is shorter than 1s", "use \"0s\" for never, or \"1s\" to \"24h\"");
        return None;
    }
    Some(refresh)
}

pub(super) fn unicast(value: &Value<'_>, report: &mut Report<'_>) -> Option<Unicast> {
    const MOST_PEERS: usize = 255;
    let section = value.table(report, "{ peers = [\"10.0.0.2\"] }")?;
    section.reject_unknown(report, keys::UNICAST, |_| None);
    let peers = section.read(report, "peers", |v, r| v.list(r, peer));
    let ttl = section.read(report, "ttl", |v, r| v.integer(r, 1_u8..=255));
    if peers.value().is_some_and(|peers| peers.len() > MOST_PEERS) {
        report.error(&value.span, "unicast has too many peers", format!("{MOST_PEERS} are the most"));
        return None;
    }
    if peers.is_absent() || peers.value().is_some_and(Vec::is_empty) {
        let remedy = "write peers = [\"10.0.0.2\"], or remove unicast for multicast";
        report.error(&value.span, "unicast has no peers", remedy);
    }
    let peers = peers.value().filter(|peers| !peers.is_empty())?.clone();
    Some(Unicast { peers, ttl: ttl.value_or(u8::MAX) })
}

/// An address, or `{ address = …, minimum_ttl = … }`.
fn peer(value: &Value<'_>, report: &mut Report<'_>) -> Option<Peer> {
    let DeValue::Table(table) = value.inner else {
        return router_address(value, report).map(|address| Peer { address, minimum_ttl: u8::MAX });
    };
    let section = Section::new("a peer", value.span.clone(), table);
    section.reject_unknown(report, keys::PEER, |_| None);
    let address = section.read(report, "address", router_address);
    let minimum_ttl = section.read(report, "minimum_ttl", |v, r| v.integer(r, 1_u8..=255));
    if address.is_absent() {
        report.error(
            &value.span,
            "a peer has no address",
            "write { address = \"10.0.0.2\", minimum_ttl = 254 }",
        );
    }
    Some(Peer { address: *address.value()?, minimum_ttl: minimum_ttl.value_or(u8::MAX) })
}
