//! The metrics, by name: kind, unit, attributes and meaning of each. Instruments are made from these entries and from
//! nothing else, and `TELEMETRY.md` is compared with them by a test, so that code and documentation cannot disagree.

mod checks;
mod peers;
mod pools;
mod telling;

pub use checks::{CHECK_ATTEMPTS, CHECK_DELAY, CHECK_DURATION, CHECK_OVERRUNS, CHECK_STATUS};
pub use peers::{PEER_RELEASES, PEER_REPORT_AGE, PEER_ROUND_TRIP, PEER_STATUS, PEER_TAKEOVERS};
pub use pools::{BALANCER_RELOADS, POOL_FLOOR, POOL_SERVERS, POOL_SORRY, POOL_STATUS};
pub use telling::{
    LOG_LOST, NOTIFY_DELIVERED, NOTIFY_DROPPED, NOTIFY_FAILURES, NOTIFY_WAITING, TELEMETRY_DROPPED,
    TELEMETRY_EXPORT_FAILURES, TELEMETRY_EXPORTED, TELEMETRY_WAITING,
};

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// OpenTelemetry name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// UCUM; never "1", which the scrape path would turn into the suffix `_ratio`.
    pub unit: &'static str,
    /// Attribute names; [`INSTANCE`] stands for the four that name an instance.
    pub attributes: &'static [&'static str],
    /// One sentence.
    pub meaning: &'static str,
    /// About how many series an instance or one of its addresses has; 0 = the metric is not about instances.
    pub series_per_instance: usize,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Sums up over series.
    UpDownCounter,
    /// Does not sum up.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    /// The word in the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDownCounter => "updowncounter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// The name on the scrape path.
    pub fn prometheus_name(&self) -> String {
        let unit = if self.unit == "s" { "_seconds" } else { "" };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }

    /// How many series it can have at most, where that follows from its attributes alone.
    pub fn most_series(&self) -> Option<usize> {
        let values = |attribute: &&'static str| match *attribute {
            "signal" => Some(3),
            "state" | "verdict" => Some(4),
            "direction" | "planned" => Some(2),
            "outcome" => Some(9),
            "phase" => Some(4),
            // As many as a configuration may name.
            "peer" => Some(32),
            "pool" => Some(1024),
            "kind" => Some(5),
            _ => None,
        };
        self.attributes.iter().try_fold(1_usize, |most, attribute| Some(most * values(attribute)?))
    }

    /// Every attribute name, [`INSTANCE`] written out.
    pub fn attribute_names(&self) -> Vec<&'static str> {
        let written_out =
            |name: &'static str| if name == INSTANCE { INSTANCE_ATTRIBUTES.to_vec() } else { vec![name] };
        self.attributes.iter().flat_map(|name| written_out(name)).collect()
    }
}

/// Stands for [`INSTANCE_ATTRIBUTES`].
pub const INSTANCE: &str = "(instance)";

/// What names an instance. Not `instance`, which is Prometheus' own label for the scraped target.
pub const INSTANCE_ATTRIBUTES: &[&str] = &["family", "interface", "vrid", "vrrp_instance"];

/// Upper bounds of `ha_agent.loop.delay`, in nanoseconds: those by which the driver counts, so that it is exported exactly.
pub const LOOP_DELAY_BOUNDS: [u64; 13] = [
    20_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    1_000_000_000,
];

/// Upper bounds of `rpc.server.call.duration`, in seconds; a call over the socket takes some tens of microseconds.
pub const RPC_BOUNDS: [f64; 13] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

/// Upper bounds of `ha_agent.failover.duration`, in seconds: from a 10 ms advert interval to the longest VRRPv2 one.
pub const FAILOVER_BOUNDS: [f64; 19] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0,
    10.0, 60.0,
];

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    attributes: &'static [&'static str],
    series_per_instance: usize,
    meaning: &'static str,
) -> Metric {
    Metric { name, kind, unit, attributes, meaning, series_per_instance }
}

/// Always 1; its attributes say what runs.
pub const BUILD_INFO: Metric = metric(
    "ha_agent.build.info",
    Kind::Gauge,
    "{build}",
    &["incarnation", "node", "version"],
    0,
    "Always 1; its attributes say what runs.",
);
/// 1 for the state that the instance is in, 0 for the others.
pub const STATUS: Metric = metric(
    "ha_agent.vrrp.instance.status",
    Kind::UpDownCounter,
    "{instance}",
    &[INSTANCE, "state"],
    4,
    "1 for the state that the instance is in, 0 for the others.",
);
/// State changes, with their cause.
pub const TRANSITIONS: Metric = metric(
    "ha_agent.vrrp.transitions",
    Kind::Counter,
    "{transition}",
    &[INSTANCE, "cause", "from", "to"],
    8,
    "State changes, with their cause.",
);
/// Priority by kind: base as configured, effective as adverts carry it.
pub const PRIORITY: Metric = metric(
    "ha_agent.vrrp.priority",
    Kind::Gauge,
    "{priority}",
    &[INSTANCE, "kind"],
    2,
    "Priority by kind: base as configured, effective as adverts carry it.",
);
/// Adverts by direction: transmit to each destination, receive when accepted.
pub const ADVERTISEMENTS: Metric = metric(
    "ha_agent.vrrp.advertisements",
    Kind::Counter,
    "{advertisement}",
    &[INSTANCE, "direction"],
    2,
    "Adverts by direction: transmit to each destination, receive when accepted.",
);
/// Discarded packets by reason; those that belong to no instance carry only the interface.
pub const ADVERTISEMENT_ERRORS: Metric = metric(
    "ha_agent.vrrp.advertisement.errors",
    Kind::Counter,
    "{advertisement}",
    &[INSTANCE, "error.type"],
    4,
    "Discarded packets by reason; those that belong to no instance carry only the interface.",
);
/// Active_Down_Interval less the age of the Active router's last advert; only while Backup.
pub const ACTIVE_DOWN_MARGIN: Metric = metric(
    "ha_agent.vrrp.active_down.margin",
    Kind::Gauge,
    "s",
    &[INSTANCE],
    1,
    "Active_Down_Interval less the age of the Active router's last advert; only while Backup.",
);
/// Times another Active router appeared while this one was Active.
pub const DUPLICATE_ACTIVE: Metric = metric(
    "ha_agent.vrrp.duplicate_active.detected",
    Kind::Counter,
    "{event}",
    &[INSTANCE],
    1,
    "Times another Active router appeared while this one was Active, by its adverts or by a peer's own word.",
);
/// 1 while another Active router is heard although this one is Active, else 0.
pub const DUPLICATE_ACTIVE_STATUS: Metric = metric(
    "ha_agent.vrrp.duplicate_active.status",
    Kind::UpDownCounter,
    "{instance}",
    &[INSTANCE],
    1,
    "1 while another router is Active although this one is, by its adverts or by a peer's own word, else 0.",
);
/// 1 while an operator's priority override is in force, else 0.
pub const OVERRIDE_ACTIVE: Metric = metric(
    "ha_agent.override.active",
    Kind::UpDownCounter,
    "{override}",
    &[INSTANCE],
    1,
    "1 while an operator's priority override is in force, else 0.",
);
/// Duration of a takeover by phase: detect, elect, configure, announce.
pub const FAILOVER_DURATION: Metric = metric(
    "ha_agent.failover.duration",
    Kind::Histogram,
    "s",
    &["phase", "planned"],
    0,
    "Duration of a takeover by phase: detect, elect, configure, announce.",
);
/// 1 for the state that the address is in, 0 for the others; view desired is what the election wants, view kernel what the kernel has.
pub const VIP_STATUS: Metric = metric(
    "ha_agent.vip.status",
    Kind::UpDownCounter,
    "{address}",
    &[INSTANCE, "state", "view", "vip"],
    7,
    "1 for the state that the address is in, 0 for the others; view desired is what the election wants, view kernel what the kernel has.",
);
/// Times somebody else removed the held address or claimed it.
pub const VIP_CONFLICTS: Metric = metric(
    "ha_agent.vip.conflicts",
    Kind::Counter,
    "{conflict}",
    &[INSTANCE, "vip"],
    1,
    "Times somebody else removed the held address or claimed it.",
);
/// Takeovers whose addresses were announced to the neighbours.
pub const VIP_ANNOUNCEMENTS: Metric = metric(
    "ha_agent.vip.announcements",
    Kind::Counter,
    "{announcement}",
    &[INSTANCE],
    1,
    "Takeovers whose addresses were announced to the neighbours.",
);
/// How late the vrrp thread woke from its timed waits.
pub const LOOP_DELAY: Metric = metric(
    "ha_agent.loop.delay",
    Kind::Histogram,
    "s",
    &[],
    0,
    "How late the vrrp thread woke from its timed waits.",
);
/// Open watches, of events and of health, and streams of reflection.
pub const API_WATCHERS: Metric = metric(
    "ha_agent.api.watchers",
    Kind::UpDownCounter,
    "{watcher}",
    &[],
    0,
    "Open watches, of events and of health, and streams of reflection.",
);
/// Events that slow readers of event streams missed.
pub const API_WATCH_LOST: Metric = metric(
    "ha_agent.api.watch.lost_events",
    Kind::Counter,
    "{event}",
    &[],
    0,
    "Events that slow readers of event streams missed.",
);
/// Calls that were denied for want of a role.
pub const API_DENIED: Metric = metric(
    "ha_agent.api.denied",
    Kind::Counter,
    "{call}",
    &[],
    0,
    "Calls that were denied for want of a role.",
);
/// Connections to the control plane that were refused because there were too many.
pub const API_CONNECTIONS_REFUSED: Metric = metric(
    "ha_agent.api.connections.refused",
    Kind::Counter,
    "{connection}",
    &[],
    0,
    "Connections to the control plane that were refused because there were too many.",
);
/// Answers of the control plane that were refused because others were not read.
pub const API_ANSWERS_REFUSED: Metric = metric(
    "ha_agent.api.answers.refused",
    Kind::Counter,
    "{call}",
    &[],
    0,
    "Calls that got no answer because too much that was answered before had not been read.",
);
/// How long calls of the control plane took; of a stream, how long its opening took.
pub const RPC_DURATION: Metric = metric(
    "rpc.server.call.duration",
    Kind::Histogram,
    "s",
    &["rpc.method", "rpc.response.status_code", "rpc.system.name"],
    0,
    "How long calls of the control plane took; of a stream, how long its opening took.",
);
/// Events that the vrrp thread could not hand over because nobody took them in time.
pub const EVENTS_LOST: Metric = metric(
    "ha_agent.events.lost",
    Kind::Counter,
    "{event}",
    &[],
    0,
    "Events that the vrrp thread could not hand over because nobody took them in time.",
);
/// Reloads of the configuration by outcome: success, or failure with the old one kept.
pub const CONFIG_RELOADS: Metric = metric(
    "ha_agent.config.reloads",
    Kind::Counter,
    "{reload}",
    &["outcome"],
    0,
    "Reloads of the configuration by outcome: success, or failure with the old one kept.",
);
/// All of them, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    BUILD_INFO,
    STATUS,
    TRANSITIONS,
    PRIORITY,
    ADVERTISEMENTS,
    ADVERTISEMENT_ERRORS,
    ACTIVE_DOWN_MARGIN,
    DUPLICATE_ACTIVE,
    DUPLICATE_ACTIVE_STATUS,
    OVERRIDE_ACTIVE,
    FAILOVER_DURATION,
    VIP_STATUS,
    VIP_CONFLICTS,
    VIP_ANNOUNCEMENTS,
    LOOP_DELAY,
    CHECK_STATUS,
    CHECK_DURATION,
    CHECK_DELAY,
    CHECK_OVERRUNS,
    CHECK_ATTEMPTS,
    POOL_STATUS,
    POOL_SERVERS,
    POOL_FLOOR,
    POOL_SORRY,
    BALANCER_RELOADS,
    PEER_STATUS,
    PEER_REPORT_AGE,
    PEER_ROUND_TRIP,
    PEER_TAKEOVERS,
    PEER_RELEASES,
    API_WATCHERS,
    API_WATCH_LOST,
    API_DENIED,
    API_CONNECTIONS_REFUSED,
    API_ANSWERS_REFUSED,
    RPC_DURATION,
    EVENTS_LOST,
    CONFIG_RELOADS,
    TELEMETRY_EXPORTED,
    TELEMETRY_WAITING,
    TELEMETRY_DROPPED,
    TELEMETRY_EXPORT_FAILURES,
    LOG_LOST,
    NOTIFY_DELIVERED,
    NOTIFY_FAILURES,
    NOTIFY_DROPPED,
    NOTIFY_WAITING,
];

/// The entry of a name.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}
