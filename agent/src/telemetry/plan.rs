//! Which signals go where: configuration and the standard `OTEL_*` environment put together, the environment first.
//! Pure; the environment comes in as a function.

use std::path::PathBuf;
use std::time::Duration;

use super::config::OtlpConfig;

/// One of OpenTelemetry's signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    fn is_exported_by(self, config: &OtlpConfig) -> bool {
        match self {
            Self::Traces => config.traces,
            Self::Metrics => config.metrics,
            Self::Logs => config.logs,
        }
    }

    /// The word in metric attributes and messages.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    fn variable(self, prefix: &str, suffix: &str) -> String {
        format!("{prefix}{}{suffix}", self.as_str().to_ascii_uppercase())
    }
}

/// What to pass to the builder of one signal's exporter. `None` leaves it to the exporter, which reads the environment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct SignalPlan {
    pub(super) endpoint: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) ca_certificate: Option<PathBuf>,
    pub(super) client_identity: Option<(PathBuf, PathBuf)>,
}

/// What is on.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// OTEL_SDK_DISABLED=true: nothing at all, the scrape endpoint included.
    pub(super) disabled: bool,
    pub(super) traces: Option<SignalPlan>,
    pub(super) metrics: Option<SignalPlan>,
    pub(super) logs: Option<SignalPlan>,
    /// `None` = OTEL_METRIC_EXPORT_INTERVAL decides.
    pub(super) metric_interval: Option<Duration>,
    /// Whether OTEL_BSP_SCHEDULE_DELAY is set and decides how long spans are gathered.
    pub(super) span_delay_from_environment: bool,
    /// Records that may wait for export, by OTEL_BSP_MAX_QUEUE_SIZE and OTEL_BLRP_MAX_QUEUE_SIZE.
    pub(super) span_queue: usize,
    pub(super) log_queue: usize,
    /// What the environment asks for and the agent cannot do.
    pub(super) warnings: Vec<String>,
}

/// Puts configuration and environment together.
pub(super) fn plan(config: Option<&OtlpConfig>, environment: &dyn Fn(&str) -> Option<String>) -> Plan {
    let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Plan { disabled: true, ..Plan::default() };
    }
    let queue = |name| set(name).and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_QUEUE);
    let mut warnings = Vec::new();
    if let Some(protocol) = set("OTEL_EXPORTER_OTLP_PROTOCOL").filter(|protocol| protocol != "grpc") {
        warnings.push(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL={protocol} is not spoken here; OTLP goes out over grpc"
        ));
    }
    Plan {
        disabled: false,
        traces: signal_plan(Signal::Traces, config, &set),
        metrics: signal_plan(Signal::Metrics, config, &set),
        logs: signal_plan(Signal::Logs, config, &set),
        metric_interval: config
            .filter(|_| set("OTEL_METRIC_EXPORT_INTERVAL").is_none())
            .map(|config| config.metric_interval),
        span_delay_from_environment: set("OTEL_BSP_SCHEDULE_DELAY").is_some(),
        span_queue: queue("OTEL_BSP_MAX_QUEUE_SIZE"),
        log_queue: queue("OTEL_BLRP_MAX_QUEUE_SIZE"),
        warnings,
    }
}

/// The SDK's own default for both queues.
const DEFAULT_QUEUE: usize = 2048;

fn signal_plan(
    signal: Signal,
    config: Option<&OtlpConfig>,
    set: &dyn Fn(&str) -> Option<String>,
) -> Option<SignalPlan> {
    let either = |suffix: &str| {
        set(&signal.variable("OTEL_EXPORTER_OTLP_", suffix))
            .or_else(|| set(&format!("OTEL_EXPORTER_OTLP{suffix}")))
    };
    let exporters = set(&signal.variable("OTEL_", "_EXPORTER"));
    let wanted = exporters.as_ref().map(|list| list.split(',').any(|name| name.trim() == "otlp"));
    let from_environment = either("_ENDPOINT").is_some();
    // An endpoint in the environment says where to, not whether a signal that was turned off is wanted after all.
    let configured = config.map(|config| signal.is_exported_by(config));
    if !wanted.unwrap_or(configured.unwrap_or(from_environment)) {
        return None;
    }
    let path = |suffix: &str| either(suffix).map(PathBuf::from);
    let identity = path("_CLIENT_CERTIFICATE").zip(path("_CLIENT_KEY"));
    Some(SignalPlan {
        endpoint: config.filter(|_| !from_environment).map(|config| config.endpoint.clone()),
        timeout: config.filter(|_| either("_TIMEOUT").is_none()).map(|config| config.timeout),
        ca_certificate: path("_CERTIFICATE").or_else(|| config?.ca_certificate.clone()),
        client_identity: identity.or_else(|| config?.client_identity.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(config: Option<&OtlpConfig>, environment: &[(&str, &str)]) -> Plan {
        let lookup = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        plan(config, &lookup)
    }

    #[test]
    fn nothing_configured_means_nothing_exported() {
        let plan = planned(None, &[]);
        assert_eq!((plan.traces, plan.metrics, plan.logs), (None, None, None));
    }

    #[test]
    fn the_configuration_names_the_collector_of_all_signals() {
        let config = OtlpConfig::new("http://collector:4317");
        let plan = planned(Some(&config), &[]);
        for signal in [plan.traces, plan.metrics, plan.logs] {
            assert_eq!(signal.unwrap().endpoint.as_deref(), Some("http://collector:4317"));
        }
        assert_eq!(plan.metric_interval, Some(Duration::from_secs(15)));
    }

    #[test]
    fn the_environment_wins_over_the_configuration() {
        let config = OtlpConfig {
            ca_certificate: Some("/etc/ours.pem".into()),
            ..OtlpConfig::new("http://collector:4317")
        };
        let plan = planned(
            Some(&config),
            &[
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:4317"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/theirs.pem"),
                ("OTEL_BLRP_MAX_QUEUE_SIZE", "64"),
            ],
        );
        let metrics = plan.metrics.unwrap();
        assert_eq!(metrics.endpoint, None, "the exporter reads it from the environment");
        assert_eq!(metrics.timeout, None);
        assert_eq!(metrics.ca_certificate, Some("/etc/theirs.pem".into()));
        assert_eq!(plan.logs.unwrap().endpoint.as_deref(), Some("http://collector:4317"));
        assert_eq!(plan.traces, None);
        assert_eq!(plan.metric_interval, None);
        assert_eq!((plan.log_queue, plan.span_queue), (64, 2048));
    }

    #[test]
    fn the_environment_alone_turns_export_on() {
        let plan = planned(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")]);
        assert!(plan.traces.is_some() && plan.metrics.is_some() && plan.logs.is_some());
    }

    #[test]
    fn a_signal_that_the_configuration_turns_off_is_on_again_when_the_environment_says_so() {
        let config = OtlpConfig { logs: false, traces: false, ..OtlpConfig::new("http://collector:4317") };
        let plan = planned(Some(&config), &[("OTEL_LOGS_EXPORTER", "otlp")]);
        assert!(plan.metrics.is_some() && plan.traces.is_none() && plan.logs.is_some());
    }

    #[test]
    fn a_disabled_sdk_exports_nothing() {
        let config = OtlpConfig::new("http://collector:4317");
        let plan = planned(Some(&config), &[("OTEL_SDK_DISABLED", "true")]);
        assert!(plan.disabled && plan.traces.is_none() && plan.metrics.is_none() && plan.logs.is_none());
    }

    #[test]
    fn a_protocol_that_is_not_spoken_is_named() {
        let plan = planned(None, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
        assert_eq!(plan.warnings.len(), 1);
        assert!(plan.warnings[0].contains("http/protobuf"), "{:?}", plan.warnings);
    }
}
