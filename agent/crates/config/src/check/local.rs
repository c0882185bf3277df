//! The kinds that look at this node: script, process, file, interface, route.

use std::net::IpAddr;

use crate::address::longest_prefix;
use crate::instance::interface as link;
use crate::model::{
    CheckKind, FileCheck, InterfaceCheck, MatchExtent, ProcessCheck, ProcessMatch, RouteCheck, ScriptCheck,
};
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::value::{Value, shown};

pub(super) fn script(section: &Section<'_>, report: &mut Report<'_>) -> Option<CheckKind> {
    let value_from_exit = section.read(report, "value_from_exit", Value::boolean).value_or_default();
    let command = reader::command(section, report)?;
    Some(CheckKind::Script(ScriptCheck { command, value_from_exit }))
}

pub(super) fn process(section: &Section<'_>, report: &mut Report<'_>) -> Option<CheckKind> {
    let name = section.read(report, "process", process_name);
    let line = section.read(report, "command_line", |v, r| v.text(r).map(str::to_owned));
    super::server::reject_both(section, "process", "command_line", report);
    if name.is_absent() && line.is_absent() {
        let message = format!("{} does not say which process", section.title);
        report.error(&section.span, message, "add process = \"nginx\", the name that `ps -e` shows");
    }
    let extents =
        [("whole", MatchExtent::Whole), ("beginning", MatchExtent::Beginning), ("part", MatchExtent::Part)];
    let extent = section.read(report, "match", |v, r| v.word(r, &extents)).value_or_default();
    let minimum = section.read(report, "minimum", |v, r| v.integer(r, 0..=65_535_u32));
    let maximum = section.read(report, "maximum", |v, r| v.integer(r, 0..=65_535_u32));
    check_order(&minimum, &maximum, 1, report);
    let by_name = name.value().cloned().map(ProcessMatch::Name);
    let process = by_name.or(line.value().cloned().map(ProcessMatch::CommandLine))?;
    // "At most none" without a minimum means that it must not run.
    let least = maximum.value().map_or(1, |most: &u32| (*most).min(1));
    let minimum = minimum.value_or(least);
    Some(CheckKind::Process(ProcessCheck { process, extent, minimum, maximum: maximum.value().copied() }))
}

/// TASK_COMM_LEN of Linux is 16 with its NUL, and a path is no part of it.
fn process_name(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    const LONGEST: usize = 15;
    let text = value.text(report)?;
    if text.contains('/') {
        let message = format!("process {} is a path, which the kernel does not keep", shown(text));
        let name = text.rsplit('/').next().unwrap_or_default();
        report.error(&value.span, message, format!("write \"{name}\", or command_line for the whole of it"));
        return None;
    }
    if text.len() > LONGEST {
        let cut = text.get(..LONGEST).unwrap_or_default();
        let message =
            format!("process {} is longer than the {LONGEST} octets that the kernel keeps", shown(text));
        report.error(&value.span, message, format!("write \"{cut}\", or command_line for the whole of it"));
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn file(section: &Section<'_>, report: &mut Report<'_>) -> Option<CheckKind> {
    let any = i32::MIN..=i32::MAX;
    let minimum = section.read(report, "minimum", |v, r| v.integer(r, any.clone()));
    let maximum = section.read(report, "maximum", |v, r| v.integer(r, any.clone()));
    let missing = section.read(report, "missing", |v, r| v.integer(r, any)).value().copied();
    check_order(&minimum, &maximum, i32::MIN, report);
    let path = section.required(report, "path", "add path = \"/run/example/number\"", reader::absolute_path);
    let (minimum, maximum) = (minimum.value().copied(), maximum.value().copied());
    Some(CheckKind::File(FileCheck { path: path?.value, minimum, maximum, missing }))
}

fn check_order<T: PartialOrd + Copy + std::fmt::Display>(
    minimum: &Slot<T>,
    maximum: &Slot<T>,
    least: T,
    report: &mut Report<'_>,
) {
    if let (Some(minimum), Some(maximum)) = (minimum.spot(), maximum.spot())
        && minimum.value > maximum.value
        && minimum.value > least
    {
        let message =
            format!("minimum {} is above maximum {}: this can never pass", minimum.value, maximum.value);
        report.error(&minimum.span, message, "exchange the two, or remove one");
    }
}

pub(super) fn interface(section: &Section<'_>, report: &mut Report<'_>) -> Option<CheckKind> {
    let interface = section.required(report, "interface", "add interface = \"eth1\"", link)?;
    Some(CheckKind::Interface(InterfaceCheck { interface: interface.value }))
}

pub(super) fn route(section: &Section<'_>, report: &mut Report<'_>) -> Option<CheckKind> {
    let gateway = section.read(report, "gateway", reader::connect_address);
    let interface = section.read(report, "interface", link).value().cloned();
    let table =
        section.read(report, "table", |v, r| v.integer(r, 1..=u32::MAX)).value_or(RouteCheck::MAIN_TABLE);
    let remedy = "add destination = \"0.0.0.0/0\" for the default route";
    let destination = section.required(report, "destination", remedy, network)?;
    if let Some(gateway) = gateway.spot()
        && gateway.value.is_ipv4() != destination.value.0.is_ipv4()
    {
        let message = format!("gateway {} is not of the family of destination", gateway.value);
        report.error(&gateway.span, message, "write both in IPv4, or both in IPv6");
    }
    Some(CheckKind::Route(RouteCheck {
        destination: destination.value,
        gateway: gateway.value().copied(),
        interface,
        table,
    }))
}

/// `"10.0.0.0/8"`, with no bit set behind the prefix, as the kernel writes it.
fn network(value: &Value<'_>, report: &mut Report<'_>) -> Option<(IpAddr, u8)> {
    let text = value.text(report)?;
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        let address: IpAddr = address.parse().ok()?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= longest_prefix(address))?;
        Some((address, prefix))
    });
    let Some((address, prefix)) = parsed else {
        let message = format!("destination {} is no network", shown(text));
        let remedy = "write a network such as \"10.0.0.0/8\", \"0.0.0.0/0\" or \"::/0\"";
        report.error(&value.span, message, remedy);
        return None;
    };
    let begin = network_of(address, prefix);
    if begin != address {
        let message = format!("destination {address}/{prefix} has bits behind its prefix");
        report.error(&value.span, message, format!("write \"{begin}/{prefix}\""));
        return None;
    }
    Some((address, prefix))
}

fn network_of(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::from((v4.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::from((v6.to_bits() & mask).to_be_bytes())
        }
    }
}
