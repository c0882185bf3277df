//! What telemetry is told to do. The supervisor maps the configuration file to these types; the standard `OTEL_*`
//! environment is read in `plan.rs` and wins over them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where metrics, traces and event records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// An OpenTelemetry collector; `None` = only when the environment names one.
    pub otlp: Option<OtlpConfig>,
    /// Where Prometheus scrapes; `None` = nowhere.
    pub prometheus: Option<SocketAddr>,
    /// For how many instances (and as many addresses, and checks) metrics are kept apart, at least 1, default 10 000. What
    /// comes on top is folded into one series with the attribute `otel.metric.overflow`. Costs about 2 KiB of memory each.
    pub maximum_instances: usize,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp: None, prometheus: None, maximum_instances: 10_000 }
    }
}

/// An OpenTelemetry collector, spoken to by OTLP over gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// `http://host:4317` or `https://host:4317`.
    pub endpoint: String,
    /// Export a trace for each failover; default true.
    pub traces: bool,
    /// Export metrics; default true.
    pub metrics: bool,
    /// Export events as log records; default true.
    pub logs: bool,
    /// PEM file of the authorities that may sign the collector's certificate; needed for https.
    pub ca_certificate: Option<PathBuf>,
    /// PEM files of our certificate and its key, for a collector that asks who we are.
    pub client_identity: Option<(PathBuf, PathBuf)>,
    /// The longest an export may take, retries included; default 10 s.
    pub timeout: Duration,
    /// Between two exports of metrics; default 15 s.
    pub metric_interval: Duration,
}

impl OtlpConfig {
    /// A collector with the defaults of everything but its address.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            traces: true,
            metrics: true,
            logs: true,
            ca_certificate: None,
            client_identity: None,
            timeout: Duration::from_secs(10),
            metric_interval: Duration::from_secs(15),
        }
    }
}

/// Who speaks: the resource attributes of all signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the node, unique in the cluster.
    pub node: String,
    /// Version of the agent.
    pub version: String,
    /// Changes with each start of the agent.
    pub incarnation: String,
}

/// What the agent writes about itself, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives such as "info" or "info,ha_agent=debug"; default "info". HA_AGENT_LOG, then RUST_LOG win over it.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto }
    }
}

/// How a log line looks. All but `Journald` go to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `Journald` when JOURNAL_STREAM says that standard error is the journal, else `Text`.
    #[default]
    Auto,
    /// One line for people; with colours on a terminal.
    Text,
    /// One JSON object a line.
    Json,
    /// The native protocol of systemd-journald, with a field for each value.
    Journald,
}
