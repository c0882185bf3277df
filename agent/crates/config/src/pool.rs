//! One `[[pool]]` table and its servers as they stand in the file. What a pool means together with checks and instances is
//! left to [`build()`].

mod build;
mod nginx;

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use ha_engine::Floor;
use toml::de::DeValue;

use crate::keys;
use crate::model::NginxPool;
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot, Spot};
use crate::settings::resource_name;
use crate::value::{Value, shown};

pub(crate) use build::build;
pub(crate) use nginx::read as read_nginx;

/// The largest weight of a server.
const LARGEST_WEIGHT: u32 = 65_535;

/// Names of checks, each with its place.
type Checks = Vec<(String, Range<usize>)>;

/// A pool as it stands in the file.
pub(crate) struct Draft {
    /// `pool "web"`, or `pool` when it has no usable name.
    pub(crate) title: String,
    /// Its `[[pool]]` line.
    pub(crate) span: Range<usize>,
    pub(crate) name: Slot<String>,
    pub(crate) servers: Vec<Server>,
    /// Whether `server` stands in the table, usable or not.
    has_servers: bool,
    checks: Slot<Checks>,
    quorum: Slot<u32>,
    hysteresis: Slot<u32>,
    floor: Slot<Floor>,
    slow_start: Slot<Duration>,
    sorry_server: Slot<(IpAddr, u16)>,
    only_while_active: Slot<String>,
    weight_from: Slot<String>,
    nginx: Slot<NginxPool>,
}

/// A server as it stands in the file, with what its pool says for all of them.
pub(crate) struct Server {
    span: Range<usize>,
    name: Slot<String>,
    pub(crate) address: Slot<IpAddr>,
    port: Slot<u16>,
    weight: Slot<u32>,
    checks: Slot<Checks>,
}

impl Draft {
    /// Reads one table; reports what is wrong with its keys taken by themselves.
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report<'_>) -> Self {
        if let Some(DeValue::String(name)) = section.get("name").map(|name| name.get_ref()) {
            section.title = format!("pool {}", shown(name));
        }
        section.reject_unknown(report, keys::POOL, keys::foreign_pool_remedy);
        let name = section.read(report, "name", resource_name);
        if name.is_absent() {
            report.error(&section.span, "a pool has no name", "add name = \"web\"");
        }
        let port = section.read(report, "port", reader::port);
        let checks = section.read(report, "checks", names_of_checks);
        let any_weight = 0..=i32::MAX.unsigned_abs();
        Self {
            has_servers: section.get("server").is_some(),
            servers: reader::tables(&section, report, "server")
                .into_iter()
                .map(|section| Server::read(section, &port, report))
                .collect(),
            checks,
            quorum: section.read(report, "quorum", |v, r| v.integer(r, 1..=i32::MAX.unsigned_abs())),
            hysteresis: section.read(report, "hysteresis", |v, r| v.integer(r, any_weight)),
            floor: section.read(report, "floor", floor),
            slow_start: section.read(report, "slow_start", slow_start),
            sorry_server: section.read(report, "sorry_server", sorry_server),
            only_while_active: section.read(report, "only_while_active", resource_name),
            weight_from: section.read(report, "weight_from", reader::check_name),
            nginx: nginx::read_pool(&section, name.value(), report),
            name,
            title: section.title,
            span: section.span,
        }
    }
}

impl Server {
    fn read(mut section: Section<'_>, port: &Slot<u16>, report: &mut Report<'_>) -> Self {
        if let Some(DeValue::String(name)) =
            section.get("name").or(section.get("address")).map(|name| name.get_ref())
        {
            section.title = format!("server {}", shown(name));
        }
        section.reject_unknown(report, keys::SERVER, keys::foreign_pool_remedy);
        let remedy = "add address = \"10.0.0.1\"";
        let address = section.required(report, "address", remedy, reader::connect_address);
        let port = section.read(report, "port", reader::port).or_inherit(port);
        if port.is_absent() {
            let remedy = "add port = 80 here, or in the [[pool]] for all of its servers";
            report.error(&section.span, format!("{} has no port", section.title), remedy);
        }
        Self {
            name: section.read(report, "name", resource_name),
            address: address.map_or(Slot::Broken, Slot::Given),
            port,
            weight: section.read(report, "weight", |v, r| v.integer(r, 1..=LARGEST_WEIGHT)),
            checks: section.read(report, "checks", names_of_checks),
            span: section.span,
        }
    }

    /// Its name in the resource name: the configured one, or `address:port`.
    fn name(&self) -> Option<String> {
        let socket =
            || Some(std::net::SocketAddr::new(*self.address.value()?, *self.port.value()?).to_string());
        self.name.value().cloned().or_else(socket)
    }
}

/// `["http", "tcp"]`, also written `checks/http` as it is shown.
fn names_of_checks(value: &Value<'_>, report: &mut Report<'_>) -> Option<Checks> {
    const MOST_CHECKS: usize = 64;
    let names = value.list(report, reader::check_name)?;
    if let Some((_, span)) = names.get(MOST_CHECKS) {
        let message = format!("checks has {} names", names.len());
        report.error(span, message, format!("{MOST_CHECKS} are the most"));
        return None;
    }
    let mut seen = std::collections::BTreeSet::new();
    for (name, span) in names.iter().filter(|(name, _)| !seen.insert(name.as_str())) {
        report.error(span, format!("check \"{name}\" is named twice"), "name it once");
    }
    Some(names)
}

/// A number of servers, or a share such as `"50%"`.
fn floor(value: &Value<'_>, report: &mut Report<'_>) -> Option<Floor> {
    if let DeValue::Integer(_) = value.inner {
        return value.integer(report, 0..=u32::MAX).map(Floor::Servers);
    }
    if value.inner.as_str().is_none() {
        value.wrong_type(report, "a number of servers, or a share such as \"50%\"");
        return None;
    }
    reader::percent(value, report, 0..=100).map(Floor::Percent)
}

fn slow_start(value: &Value<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let hour = Duration::from_secs(3600);
    let duration = value.duration(report, Duration::ZERO..=hour)?;
    if !duration.is_zero() && duration < Duration::from_secs(1) {
        report.error(
            &value.span,
            "slow_start is shorter than 1s",
            "use \"0s\" for none, or \"1s\" to \"1h\"",
        );
        return None;
    }
    Some(duration)
}

/// `"10.0.0.9:80"`, or `"[2001:db8::9]:80"`.
fn sorry_server(value: &Value<'_>, report: &mut Report<'_>) -> Option<(IpAddr, u16)> {
    let text = value.text(report)?;
    let socket = text.parse::<std::net::SocketAddr>().ok();
    let socket = socket.filter(|socket| socket.port() != 0);
    let usable = socket.filter(|socket| crate::address::unusable(socket.ip()).is_none());
    if usable.is_none() {
        let message = format!("sorry_server {} is no address with a port", shown(text));
        report.error(&value.span, message, "write \"10.0.0.9:80\", or \"[2001:db8::9]:80\" for IPv6");
    }
    usable.map(|socket| (socket.ip(), socket.port()))
}

/// Where a pool says something, or its own line.
fn place<'d, T>(slot: &'d Slot<T>, otherwise: &'d Range<usize>) -> &'d Range<usize> {
    slot.spot().map_or(otherwise, |spot: &Spot<T>| &spot.span)
}
