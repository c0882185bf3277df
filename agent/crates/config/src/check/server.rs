//! The kinds that ask a server: ICMP, TCP, UDP, gRPC, DNS, SMTP, TLS; HTTP is in [`super::http`].

use std::time::Duration;

use super::{Aim, Body, Kind, http};
use crate::files::Files;
use crate::keys;
use crate::model::{
    CheckKind, DnsAnswers, DnsCheck, DnsRecord, GrpcCheck, Host, IcmpCheck, Origin, SmtpCheck, SmtpSecurity,
    Target, TcpCheck, TcpKeepaliveCheck, TlsCheck, TlsOptions, UdpCheck, UdpReply,
};
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::tls;
use crate::value::{Value, shown};

/// The most octets of a datagram that is sent, and of an answer that is compared: within an MTU of 1500.
const LONGEST_PAYLOAD: usize = 1400;

/// The kind with its own keys, not yet aimed.
pub(super) fn read(
    kind: Kind,
    section: &Section<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<Body> {
    if kind == Kind::Http {
        return http::read(section, files, report);
    }
    let tls = read_tls("tls", section, files, report);
    let aim = Aim::read(kind, section, &Slot::Absent, tls.is_some(), report);
    let target = unaimed();
    let kind = match kind {
        Kind::Icmp => CheckKind::Icmp(icmp(target, section, report)),
        Kind::TcpKeepalive => CheckKind::TcpKeepalive(tcp_keepalive(target, section, report)?),
        Kind::Udp => CheckKind::Udp(udp(target, section, report)),
        Kind::Grpc => {
            let service = section.read(report, "service", Value::text).value().copied();
            CheckKind::Grpc(GrpcCheck { target, tls, service: service.unwrap_or_default().to_owned() })
        }
        Kind::Dns => CheckKind::Dns(dns(target, section, report)?),
        Kind::Smtp => CheckKind::Smtp(smtp(target, tls, section, files, report)),
        Kind::Tls => CheckKind::Tls(TlsCheck { target, tls: tls.unwrap_or_default() }),
        _ => CheckKind::Tcp(TcpCheck { target }),
    };
    Some(Body::Server(kind, Box::new(aim)))
}

/// Stands in until the check is aimed.
pub(super) fn unaimed() -> Target {
    Target {
        host: Host::Name(String::new()),
        port: 0,
        connect_address: None,
        connect_port: None,
        origin: Origin::default(),
    }
}

/// `tls` or `starttls`; for the kind "tls" an absent or empty table is a handshake with the usual rules.
pub(super) fn read_tls(
    key: &'static str,
    section: &Section<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<TlsOptions> {
    section.read(report, key, |v, r| tls::tls(v, files, r)).value().cloned().flatten()
}

fn icmp(target: Target, section: &Section<'_>, report: &mut Report<'_>) -> IcmpCheck {
    let loss = section.read(report, "tolerated_loss", |v, r| reader::percent(v, r, 0..=99));
    IcmpCheck {
        target,
        count: section.read(report, "count", |v, r| v.integer(r, 1..=20)).value_or(1),
        tolerated_loss_percent: loss.value_or_default(),
        size: section.read(report, "size", |v, r| v.integer(r, 0..=1400)).value_or(56),
    }
}

fn tcp_keepalive(
    target: Target,
    section: &Section<'_>,
    report: &mut Report<'_>,
) -> Option<TcpKeepaliveCheck> {
    let keepalive = match section.read(report, "keepalive", keepalive) {
        Slot::Given(spot) => spot.value,
        Slot::Absent => Keepalive::default(),
        Slot::Broken => return None,
    };
    let idle = keepalive.idle.value_or(Duration::from_secs(5));
    let probe_interval = keepalive.interval.value_or(Duration::from_secs(1));
    let probe_count: u8 = keepalive.count.value_or(3);
    let dead = idle + probe_interval * u32::from(probe_count);
    let user_timeout = keepalive.user_timeout.value_or(dead);
    let retry = keepalive.retry.value_or(Duration::from_secs(1));
    Some(TcpKeepaliveCheck { target, idle, probe_interval, probe_count, user_timeout, retry })
}

/// The `keepalive` table as it stands.
#[derive(Clone, Default)]
struct Keepalive {
    idle: Slot<Duration>,
    interval: Slot<Duration>,
    count: Slot<u8>,
    user_timeout: Slot<Duration>,
    retry: Slot<Duration>,
}

fn keepalive(value: &Value<'_>, report: &mut Report<'_>) -> Option<Keepalive> {
    let section = value.table(report, "{ idle = \"5s\", interval = \"1s\", count = 3 }")?;
    section.reject_unknown(report, keys::KEEPALIVE, |_| None);
    let hour = Duration::from_secs(3600);
    Some(Keepalive {
        idle: section.read(report, "idle", whole_seconds),
        interval: section.read(report, "interval", whole_seconds),
        count: section.read(report, "count", |v, r| v.integer(r, 1..=127)),
        user_timeout: section
            .read(report, "user_timeout", |v, r| v.duration(r, Duration::from_secs(1)..=hour)),
        retry: section.read(report, "retry", |v, r| v.duration(r, Duration::from_millis(100)..=hour)),
    })
}

/// The kernel counts TCP_KEEPIDLE and TCP_KEEPINTVL in seconds (tcp(7)).
fn whole_seconds(value: &Value<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let duration = value.duration(report, Duration::from_secs(1)..=Duration::from_secs(3600))?;
    if duration.subsec_nanos() != 0 {
        let message =
            format!("{} is no whole number of seconds, which is all that the kernel counts", value.key);
        report.error(&value.span, message, "write whole seconds such as \"5s\"");
        return None;
    }
    Some(duration)
}

fn udp(target: Target, section: &Section<'_>, report: &mut Report<'_>) -> UdpCheck {
    let payload = section.read(report, "payload", payload);
    let octets = section.read(report, "payload_hex", |v, r| reader::hex(v, r, LONGEST_PAYLOAD, false));
    reject_both(section, "payload", "payload_hex", report);
    let required = section.read(report, "reply_required", Value::boolean);
    let matches = section.read(report, "reply_matches", reader::pattern);
    let prefix = section.read(report, "reply_hex", |v, r| reader::hex(v, r, LONGEST_PAYLOAD, true));
    reject_both(section, "reply_matches", "reply_hex", report);
    let expected = prefix.value().cloned().map(UdpReply::Octets);
    let expected = expected.or(matches.value().cloned().map(UdpReply::Matches));
    if let (Some(false), Some(_), Some(spot)) = (required.value(), &expected, required.spot()) {
        let message = "reply_required = false contradicts the reply that is described";
        report.error(&spot.span, message, "remove reply_required");
    }
    let octets = octets.value().map(|octets| octets.iter().flatten().copied().collect());
    UdpCheck {
        target,
        payload: payload.value().cloned().or(octets).unwrap_or_default(),
        reply: expected.or(required.value_or(false).then_some(UdpReply::Any)),
    }
}

fn payload(value: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<u8>> {
    let text = value.string(report)?;
    if text.len() > LONGEST_PAYLOAD {
        let message = format!("{} has {} octets", value.key, text.len());
        report.error(&value.span, message, format!("{LONGEST_PAYLOAD} are the most"));
        return None;
    }
    Some(text.as_bytes().to_vec())
}

/// Reports two keys that say the same thing in two ways.
pub(super) fn reject_both(
    section: &Section<'_>,
    first: &'static str,
    second: &'static str,
    report: &mut Report<'_>,
) {
    if let (Some(_), Some(again)) = (section.get(first), section.get(second)) {
        let message = format!("{} has both {first} and {second}", section.title);
        report.error(&again.span(), message, "remove one of the two");
    }
}

fn smtp(
    target: Target,
    tls: Option<TlsOptions>,
    section: &Section<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> SmtpCheck {
    let hello = section.read(report, "hello", hello).value().cloned();
    let starttls = read_tls("starttls", section, files, report);
    reject_both(section, "tls", "starttls", report);
    let security = match (tls, starttls) {
        (Some(options), _) => SmtpSecurity::Tls(options),
        (None, Some(options)) => SmtpSecurity::Starttls(options),
        (None, None) => SmtpSecurity::None,
    };
    SmtpCheck { target, hello, security }
}

const RECORDS: &[(&str, DnsRecord)] = &[
    ("A", DnsRecord::A),
    ("AAAA", DnsRecord::Aaaa),
    ("CNAME", DnsRecord::Cname),
    ("MX", DnsRecord::Mx),
    ("NS", DnsRecord::Ns),
    ("PTR", DnsRecord::Ptr),
    ("SOA", DnsRecord::Soa),
    ("SRV", DnsRecord::Srv),
    ("TXT", DnsRecord::Txt),
];

/// RFC 6895 §2.3; what a name server answers about a name.
const RESPONSE_CODES: &[(&str, u8)] =
    &[("NOERROR", 0), ("FORMERR", 1), ("SERVFAIL", 2), ("NXDOMAIN", 3), ("NOTIMP", 4), ("REFUSED", 5)];

fn dns(target: Target, section: &Section<'_>, report: &mut Report<'_>) -> Option<DnsCheck> {
    let record = section.read(report, "record", |v, r| v.word(r, RECORDS)).value_or_default();
    let code = section.read(report, "response_code", |v, r| v.word(r, RESPONSE_CODES));
    let answers = section.read(report, "answers", answers);
    let tcp = section.read(report, "tcp", Value::boolean).value_or_default();
    let remedy = "add query = \"www.example.org\", a name that it must know";
    let query = section.required(report, "query", remedy, query);
    let response_code = code.value_or_default();
    // A refusal has no records.
    let usual = if response_code == 0 { DnsAnswers::Some } else { DnsAnswers::Any };
    let answers = answers.value_or(usual);
    Some(DnsCheck { target, query: query?.value, record, response_code, answers, tcp })
}

/// `"any"`, `"some"`, or the records that must be there.
fn answers(value: &Value<'_>, report: &mut Report<'_>) -> Option<DnsAnswers> {
    if !value.inner.is_array() {
        return value.word(report, &[("any", DnsAnswers::Any), ("some", DnsAnswers::Some)]);
    }
    let list = value.list(report, |v, r| v.text(r).map(str::to_owned))?;
    if list.is_empty() {
        report.error(&value.span, "answers is empty", "name a record, or write \"some\" or \"any\"");
        return None;
    }
    Some(DnsAnswers::These(list.into_iter().map(|(answer, _)| answer).collect()))
}

/// A name of at most 253 octets in labels of at most 63 (RFC 1035 §2.3.4); any octets but blanks may be in them.
fn query(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    if text == "." {
        return Some(text.to_owned());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_graphic() && c != '\\')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        let message = format!("query {} is no domain name", shown(text));
        report.error(&value.span, message, "write a name such as \"www.example.org\", or \".\" for the root");
        return None;
    }
    Some(name.to_owned())
}

/// The name that is said in EHLO.
pub(crate) fn hello(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    match reader::host(value, report)? {
        Host::Name(name) => Some(name),
        // RFC 5321 §4.1.3: an address literal.
        Host::Address(address) if address.is_ipv4() => Some(format!("[{address}]")),
        Host::Address(address) => Some(format!("[IPv6:{address}]")),
    }
}
