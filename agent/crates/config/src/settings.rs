//! The agent's own sections: node, api, journal, metrics, telemetry, log, realtime.

mod api;
mod journal;

use std::net::SocketAddr;
use std::time::Duration;

use crate::keys;
use crate::model::{Api, Journal, Log, LogFormat, LogLevel, Metrics, Realtime, Telemetry};
use crate::report::Report;
use crate::section::Section;
use crate::value::{Value, shown};

/// Everything but the instances.
pub(crate) struct Settings {
    pub(crate) node_name: String,
    pub(crate) api: Api,
    pub(crate) journal: Journal,
    pub(crate) metrics: Metrics,
    pub(crate) telemetry: Telemetry,
    pub(crate) log: Log,
    pub(crate) realtime: Realtime,
}

impl Settings {
    /// Reads the sections; what is wrong is reported and stands at its default.
    pub(crate) fn read(root: &Section<'_>, host_name: &str, report: &mut Report<'_>) -> Self {
        Self {
            node_name: read_node_name(root, host_name, report),
            api: open(root, report, "api", "[api]", keys::API, api::read),
            journal: open(root, report, "journal", "[journal]", keys::JOURNAL, journal::read),
            metrics: open(root, report, "metrics", "[metrics]", keys::METRICS, read_metrics),
            telemetry: open(root, report, "telemetry", "[telemetry]", keys::TELEMETRY, read_telemetry),
            log: open(root, report, "log", "[log]", keys::LOG, read_log),
            realtime: open(root, report, "realtime", "[realtime]", keys::REALTIME, read_realtime),
        }
    }
}

/// One section, with its unknown keys rejected; its defaults when it is absent.
fn open<T: Default>(
    root: &Section<'_>,
    report: &mut Report<'_>,
    key: &'static str,
    title: &'static str,
    known: &[&'static str],
    read: impl FnOnce(&Section<'_>, &mut Report<'_>) -> T,
) -> T {
    let Some(section) = root.table(report, key, title) else {
        return T::default();
    };
    section.reject_unknown(report, known, |_| None);
    read(&section, report)
}

fn read_node_name(root: &Section<'_>, host_name: &str, report: &mut Report<'_>) -> String {
    let section = root.table(report, "node", "[node]");
    let name = section.and_then(|section| {
        section.reject_unknown(report, keys::NODE, |_| None);
        let name = section.read(report, "name", resource_name);
        (!name.is_absent()).then(|| name.value_or(String::new()))
    });
    name.unwrap_or_else(|| {
        if let Some(problem) = name_problem(host_name) {
            let message = format!("the host name {} cannot be the node's name: {problem}", shown(host_name));
            report.error(&(0..0), message, "set name in [node]");
        }
        host_name.to_owned()
    })
}

/// The last segment of a resource name: nodes and instances.
pub(crate) fn resource_name(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    if let Some(problem) = name_problem(text) {
        let remedy = "use 1 to 63 letters, digits, '_', '.' and '-', beginning with a letter or digit";
        report.error(&value.span, format!("{} {} {problem}", value.key, shown(text)), remedy);
        return None;
    }
    Some(text.to_owned())
}

pub(crate) fn name_problem(name: &str) -> Option<String> {
    const LONGEST: usize = 63;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if let Some(other) = name.chars().find(|c| !is_allowed(*c)) {
        return Some(format!("contains '{}'", other.escape_debug()));
    }
    if name.len() > LONGEST {
        return Some(format!("has {} characters", name.len()));
    }
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (!begins_well).then(|| "does not begin with a letter or digit".to_owned())
}

fn read_metrics(section: &Section<'_>, report: &mut Report<'_>) -> Metrics {
    Metrics { listen: section.read(report, "listen", listen_address).value().copied() }
}

fn listen_address(value: &Value<'_>, report: &mut Report<'_>) -> Option<SocketAddr> {
    let text = value.text(report)?;
    let listen = text.parse().ok();
    if listen.is_none() {
        let message = format!("listen {} is no address with a port", shown(text));
        report.error(&value.span, message, "write an address such as \"127.0.0.1:9650\" or \"[::1]:9650\"");
    }
    listen
}

fn read_telemetry(section: &Section<'_>, report: &mut Report<'_>) -> Telemetry {
    let default = Telemetry::default();
    let shortest = Duration::from_millis(100);
    let hour = Duration::from_secs(3600);
    let minute = Duration::from_secs(60);
    Telemetry {
        endpoint: section.read(report, "endpoint", endpoint).value().cloned(),
        metrics: section.read(report, "metrics", Value::boolean).value_or(default.metrics),
        traces: section.read(report, "traces", Value::boolean).value_or(default.traces),
        logs: section.read(report, "logs", Value::boolean).value_or(default.logs),
        interval: section
            .read(report, "interval", |v, r| v.duration(r, shortest..=hour))
            .value_or(default.interval),
        timeout: section
            .read(report, "timeout", |v, r| v.duration(r, shortest..=minute))
            .value_or(default.timeout),
    }
}

fn endpoint(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let authority = authority.map(|rest| rest.trim_end_matches('/'));
    // Whoever puts credentials into the URL would find them in logs.
    if authority.is_some_and(|authority| authority.contains('@')) {
        report.error(&value.span, "endpoint contains credentials", "set OTEL_EXPORTER_OTLP_HEADERS instead");
        return None;
    }
    let is_host = |host: &str| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    if !authority.is_some_and(is_host) {
        let message = format!("endpoint {} is no collector", shown(text));
        report.error(&value.span, message, "write \"http://HOST:4317\" or \"https://HOST:4317\"");
        return None;
    }
    Some(text.to_owned())
}

fn read_log(section: &Section<'_>, report: &mut Report<'_>) -> Log {
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let levels = levels.map(|level| (level.as_str(), level));
    let formats = [
        ("auto", LogFormat::Auto),
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
        ("journald", LogFormat::Journald),
    ];
    Log {
        level: section.read(report, "level", |v, r| v.word(r, &levels)).value_or(LogLevel::default()),
        format: section.read(report, "format", |v, r| v.word(r, &formats)).value_or(LogFormat::default()),
    }
}

fn read_realtime(section: &Section<'_>, report: &mut Report<'_>) -> Realtime {
    let default = Realtime::default();
    Realtime {
        scheduling: section.read(report, "scheduling", Value::boolean).value_or(default.scheduling),
        lock_memory: section.read(report, "lock_memory", Value::boolean).value_or(default.lock_memory),
        priority: section.read(report, "priority", |v, r| v.integer(r, 1..=99)).value_or(default.priority),
    }
}
