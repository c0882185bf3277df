//! One `[[instance]]` table and `[defaults]` as they stand in the file: every key read by itself, with its place. What
//! the keys mean together is left to [`build`], what the instances mean together to [`across`].

pub(crate) mod across;
mod build;
mod password;
mod read;
mod timing;
mod transport;

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use ha_engine::{
    AddressLease, AddressLostPolicy, ChecksumForm, Password, Peer, Priority, Version, VirtualAddress,
    VirtualRouterId,
};
use toml::de::DeValue;

use crate::address::{router_address, virtual_address};
use crate::files::Files;
use crate::keys;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::settings::resource_name;
use crate::track::{self, Tracks};
use crate::value::{Value, shown};
pub(crate) use build::most_addresses;
pub(crate) use read::interface;

/// Delays that postpone a takeover.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// An instance as it stands in the file, completed by `[defaults]`.
pub(crate) struct Draft {
    /// `instance "web"`, or `instance` when it has no usable name.
    pub(crate) title: String,
    /// Its `[[instance]]` line.
    pub(crate) span: Range<usize>,
    pub(crate) name: Slot<String>,
    pub(crate) virtual_router_id: Slot<VirtualRouterId>,
    pub(crate) addresses: Slot<Vec<(VirtualAddress, Range<usize>)>>,
    pub(crate) shared: Shared,
}

/// The keys that `[defaults]` can set.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) interface: Slot<String>,
    pub(crate) version: Slot<Version>,
    pub(crate) checksum: Slot<ChecksumForm>,
    pub(crate) password: Slot<Password>,
    pub(crate) priority: Slot<Priority>,
    pub(crate) interval: Slot<Duration>,
    pub(crate) longest_adopted_interval: Slot<Duration>,
    pub(crate) preempt: Slot<bool>,
    pub(crate) preempt_delay: Slot<Duration>,
    pub(crate) startup_delay: Slot<Duration>,
    pub(crate) source: Slot<IpAddr>,
    pub(crate) allowed_sources: Slot<Vec<(IpAddr, Range<usize>)>>,
    pub(crate) unicast: Slot<Unicast>,
    pub(crate) announce: Announce,
    pub(crate) address_lost: Slot<AddressLostPolicy>,
    pub(crate) lease: Slot<AddressLease>,
    pub(crate) virtual_mac: Slot<bool>,
    pub(crate) track: Slot<Tracks>,
    pub(crate) group: Slot<String>,
}

/// The `unicast` table.
#[derive(Clone)]
pub(crate) struct Unicast {
    pub(crate) peers: Vec<(Peer, Range<usize>)>,
    pub(crate) ttl: u8,
}

/// The `announce` table; its keys are inherited one by one.
#[derive(Clone)]
pub(crate) struct Announce {
    pub(crate) repeat: Slot<u8>,
    pub(crate) interval: Slot<Duration>,
    pub(crate) delay: Slot<Duration>,
    pub(crate) refresh: Slot<Duration>,
}

impl Draft {
    /// Reads one table; reports what is wrong with its keys taken by themselves.
    pub(crate) fn read(
        mut section: Section<'_>,
        defaults: &Shared,
        files: &mut Files<'_>,
        report: &mut Report<'_>,
    ) -> Self {
        if let Some(DeValue::String(name)) = section.get("name").map(|name| name.get_ref()) {
            section.title = format!("instance {}", shown(name));
        }
        let known: Vec<&'static str> = keys::OWN.iter().chain(keys::SHARED).copied().collect();
        section.reject_unknown(report, &known, keys::foreign_remedy);
        Self {
            name: section.read(report, "name", resource_name),
            virtual_router_id: read_virtual_router_id(&section, report),
            addresses: section.read(report, "addresses", virtual_addresses),
            shared: Shared::read(&section, files, report).or_inherit(defaults),
            title: section.title,
            span: section.span,
        }
    }
}

impl Shared {
    /// Reads `[defaults]`.
    pub(crate) fn read_defaults(
        section: &Section<'_>,
        files: &mut Files<'_>,
        report: &mut Report<'_>,
    ) -> Self {
        section.reject_unknown(report, keys::SHARED, |key| {
            let own = keys::OWN.contains(&key);
            let remedy = own.then(|| "every instance has its own; set it below [[instance]]".to_owned());
            remedy.or_else(|| keys::foreign_remedy(key))
        });
        Self::read(section, files, report)
    }

    fn read(section: &Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Self {
        let any = Value::any_duration;
        let delay = |value: &Value<'_>, report: &mut Report<'_>| {
            value.duration(report, Duration::ZERO..=LONGEST_DELAY)
        };
        Self {
            interface: section.read(report, "interface", read::interface),
            version: section.read(report, "version", read::version),
            checksum: section.read(report, "checksum", read::checksum),
            password: password::read(section, files, report),
            priority: section.read(report, "priority", read::priority),
            interval: section.read(report, "advertisement_interval", any),
            longest_adopted_interval: section.read(report, "longest_adopted_interval", any),
            preempt: section.read(report, "preempt", Value::boolean),
            preempt_delay: section.read(report, "preempt_delay", delay),
            startup_delay: section.read(report, "startup_delay", delay),
            source: section.read(report, "source", router_address),
            allowed_sources: section.read(report, "allowed_sources", |v, r| v.list(r, router_address)),
            unicast: section.read(report, "unicast", read::unicast),
            announce: Announce::read(section, report),
            address_lost: section.read(report, "address_lost", read::address_lost),
            lease: section.read(report, "address_lease", read::lease),
            virtual_mac: section.read(report, "virtual_mac", Value::boolean),
            track: section.read(report, "track", track::read),
            group: section.read(report, "group", resource_name),
        }
    }

    fn or_inherit(self, defaults: &Self) -> Self {
        Self {
            interface: self.interface.or_inherit(&defaults.interface),
            version: self.version.or_inherit(&defaults.version),
            checksum: self.checksum.or_inherit(&defaults.checksum),
            password: self.password.or_inherit(&defaults.password),
            priority: self.priority.or_inherit(&defaults.priority),
            interval: self.interval.or_inherit(&defaults.interval),
            longest_adopted_interval: self
                .longest_adopted_interval
                .or_inherit(&defaults.longest_adopted_interval),
            preempt: self.preempt.or_inherit(&defaults.preempt),
            preempt_delay: self.preempt_delay.or_inherit(&defaults.preempt_delay),
            startup_delay: self.startup_delay.or_inherit(&defaults.startup_delay),
            source: self.source.or_inherit(&defaults.source),
            allowed_sources: self.allowed_sources.or_inherit(&defaults.allowed_sources),
            unicast: self.unicast.or_inherit(&defaults.unicast),
            announce: self.announce.or_inherit(&defaults.announce),
            address_lost: self.address_lost.or_inherit(&defaults.address_lost),
            lease: self.lease.or_inherit(&defaults.lease),
            virtual_mac: self.virtual_mac.or_inherit(&defaults.virtual_mac),
            track: self.track.or_inherit(&defaults.track),
            group: self.group.or_inherit(&defaults.group),
        }
    }

    /// What stands when the file has no `[defaults]`.
    pub(crate) fn nothing() -> Self {
        Self {
            interface: Slot::Absent,
            version: Slot::Absent,
            checksum: Slot::Absent,
            password: Slot::Absent,
            priority: Slot::Absent,
            interval: Slot::Absent,
            longest_adopted_interval: Slot::Absent,
            preempt: Slot::Absent,
            preempt_delay: Slot::Absent,
            startup_delay: Slot::Absent,
            source: Slot::Absent,
            allowed_sources: Slot::Absent,
            unicast: Slot::Absent,
            announce: Announce::nothing(),
            address_lost: Slot::Absent,
            lease: Slot::Absent,
            virtual_mac: Slot::Absent,
            track: Slot::Absent,
            group: Slot::Absent,
        }
    }
}

impl Announce {
    fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let Some(table) = section.get("announce") else {
            return Self::nothing();
        };
        let value = Value { key: "announce", span: table.span(), inner: table.get_ref() };
        let Some(section) = value.table(report, "{ repeat = 5, interval = \"100ms\", delay = \"5s\" }")
        else {
            return Self { repeat: Slot::Broken, ..Self::nothing() };
        };
        section.reject_unknown(report, keys::ANNOUNCE, |_| None);
        let seconds = Duration::from_secs;
        Self {
            repeat: section.read(report, "repeat", |v, r| v.integer(r, 1..=100)),
            interval: section
                .read(report, "interval", |v, r| v.duration(r, Duration::from_millis(1)..=seconds(10))),
            delay: section.read(report, "delay", |v, r| v.duration(r, Duration::ZERO..=LONGEST_DELAY)),
            refresh: section.read(report, "refresh", read::refresh),
        }
    }

    fn or_inherit(self, defaults: &Self) -> Self {
        Self {
            repeat: self.repeat.or_inherit(&defaults.repeat),
            interval: self.interval.or_inherit(&defaults.interval),
            delay: self.delay.or_inherit(&defaults.delay),
            refresh: self.refresh.or_inherit(&defaults.refresh),
        }
    }

    fn nothing() -> Self {
        Self { repeat: Slot::Absent, interval: Slot::Absent, delay: Slot::Absent, refresh: Slot::Absent }
    }
}

/// `virtual_router_id`, or its short name `vrid`.
fn read_virtual_router_id(section: &Section<'_>, report: &mut Report<'_>) -> Slot<VirtualRouterId> {
    let id = section.read(report, "virtual_router_id", read::virtual_router_id);
    let short = section.read(report, "vrid", read::virtual_router_id);
    match (&id, section.get("vrid")) {
        (Slot::Absent, _) => short,
        (_, None) => id,
        (_, Some(again)) => {
            let message = format!("{} has virtual_router_id and vrid, which are the same", section.title);
            report.error(&again.span(), message, "remove one of the two");
            id
        }
    }
}

fn virtual_addresses(
    value: &Value<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<(VirtualAddress, Range<usize>)>> {
    value.list(report, virtual_address)
}
