//! The SDK's providers with their readers and exporters, built by the plan, and their end, which never lasts longer than
//! it may.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity as TlsIdentity};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatchConfig, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatchConfig, BatchSpanProcessor, SdkTracerProvider,
};

use super::StartError;
use super::config::Identity;
use super::flow::{Flow, Gate, Metered};
use super::metrics;
use super::plan::{Plan, Signal, SignalPlan};

/// What is exported, and how.
pub(super) struct Exporters {
    pub(super) tracer: Option<SdkTracerProvider>,
    pub(super) logger: Option<SdkLoggerProvider>,
    pub(super) meter: SdkMeterProvider,
    /// Where Prometheus' text is made, when it is wanted.
    pub(super) registry: Option<prometheus::Registry>,
    pub(super) flows: Vec<(Signal, Arc<Flow>)>,
}

impl Exporters {
    /// Builds them. Call inside the runtime on which the exporters shall speak.
    pub(super) fn new(
        plan: &Plan,
        identity: &Identity,
        scraped: bool,
        maximum_instances: usize,
    ) -> Result<Self, StartError> {
        let resource = resource(identity);
        let (spans, metrics, logs) = (Flow::new(plan.span_queue), Flow::new(0), Flow::new(plan.log_queue));
        let registry = (scraped && !plan.disabled).then(prometheus::Registry::new);
        Ok(Self {
            tracer: plan.traces.as_ref().map(|signal| tracer(plan, signal, &resource, &spans)).transpose()?,
            logger: plan.logs.as_ref().map(|signal| logger(plan, signal, &resource, &logs)).transpose()?,
            meter: meter(plan, &resource, &metrics, registry.as_ref(), maximum_instances)?,
            registry,
            flows: vec![(Signal::Traces, spans), (Signal::Metrics, metrics), (Signal::Logs, logs)],
        })
    }

    /// Sends what waits and ends the exporters, within `limit`; what is not sent by then is lost. The SDK blocks while it
    /// does so, hence threads of their own, which nobody waits for when they do not come back.
    pub(super) async fn shutdown(self, limit: Duration) {
        let Self { tracer, logger, meter, .. } = self;
        let (done, mut ended) = tokio::sync::mpsc::channel::<()>(1);
        let end = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let done = done.clone();
            let body = move || {
                work();
                drop(done);
            };
            if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(body) {
                tracing::warn!(%error, "could not end telemetry in order");
            }
        };
        // What a shutdown fails with has been logged by the SDK.
        end("end-metrics", Box::new(move || drop(meter.shutdown())));
        tracer
            .into_iter()
            .for_each(|provider| end("end-traces", Box::new(move || drop(provider.shutdown()))));
        logger.into_iter().for_each(|provider| end("end-logs", Box::new(move || drop(provider.shutdown()))));
        drop(done);
        // Nothing is ever sent: the channel ends with its last sender.
        if tokio::time::timeout(limit, ended.recv()).await.is_err() {
            tracing::warn!(?limit, "the collector did not take the last telemetry in time");
        }
    }
}

/// Who speaks. The environment (OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME) wins.
fn resource(identity: &Identity) -> Resource {
    let named = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    let builder = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "ha-agent"),
            KeyValue::new("service.version", identity.version.clone()),
            KeyValue::new("service.instance.id", identity.node.clone()),
            KeyValue::new("ha_agent.incarnation", identity.incarnation.clone()),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match named {
        Some(name) => builder.with_service_name(name).build(),
        None => builder.build(),
    }
}

fn tracer(
    plan: &Plan,
    signal: &SignalPlan,
    resource: &Resource,
    flow: &Arc<Flow>,
) -> Result<SdkTracerProvider, StartError> {
    let builder = configure(SpanExporter::builder().with_tonic(), signal)?;
    let exporter = builder.build().map_err(failed(Signal::Traces))?;
    let batch = SpanBatchConfig::default();
    let batch = if plan.span_delay_from_environment { batch } else { batch.with_scheduled_delay(SPAN_DELAY) };
    let processor = BatchSpanProcessor::builder(Metered::new(Arc::clone(flow), exporter))
        .with_batch_config(batch.build())
        .build();
    let gate = Gate::new(Arc::clone(flow), processor);
    Ok(SdkTracerProvider::builder().with_resource(resource.clone()).with_span_processor(gate).build())
}

/// A failover's trace shall be seen while people look at the failover.
const SPAN_DELAY: Duration = Duration::from_secs(1);

fn logger(
    plan: &Plan,
    signal: &SignalPlan,
    resource: &Resource,
    flow: &Arc<Flow>,
) -> Result<SdkLoggerProvider, StartError> {
    let builder = configure(LogExporter::builder().with_tonic(), signal)?;
    let exporter = builder.build().map_err(failed(Signal::Logs))?;
    let batch = LogBatchConfig::default().with_max_queue_size(plan.log_queue).build();
    let processor =
        BatchLogProcessor::builder(Metered::new(Arc::clone(flow), exporter)).with_batch_config(batch).build();
    let gate = Gate::new(Arc::clone(flow), processor);
    Ok(SdkLoggerProvider::builder().with_resource(resource.clone()).with_log_processor(gate).build())
}

fn meter(
    plan: &Plan,
    resource: &Resource,
    flow: &Arc<Flow>,
    registry: Option<&prometheus::Registry>,
    maximum_instances: usize,
) -> Result<SdkMeterProvider, StartError> {
    let mut builder = SdkMeterProvider::builder()
        .with_resource(resource.clone())
        .with_view(metrics::view(maximum_instances));
    if let Some(signal) = &plan.metrics {
        let exporter = configure(MetricExporter::builder().with_tonic(), signal)?;
        let exporter = exporter.build().map_err(failed(Signal::Metrics))?;
        let reader = PeriodicReader::builder(Metered::new(Arc::clone(flow), exporter));
        let reader = match plan.metric_interval {
            Some(interval) => reader.with_interval(interval),
            None => reader,
        };
        builder = builder.with_reader(reader.build());
    }
    if let Some(registry) = registry {
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| StartError::Prometheus(error.to_string()))?;
        builder = builder.with_reader(exporter);
    }
    Ok(builder.build())
}

fn failed(signal: Signal) -> impl FnOnce(ExporterBuildError) -> StartError {
    move |error| StartError::Exporter { signal: signal.as_str(), reason: error.to_string() }
}

fn configure<B: WithExportConfig + WithTonicConfig>(
    builder: B,
    signal: &SignalPlan,
) -> Result<B, StartError> {
    let mut builder = builder;
    if let Some(endpoint) = &signal.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(timeout) = signal.timeout {
        builder = builder.with_timeout(timeout);
    }
    if let Some(tls) = tls(signal)? {
        builder = builder.with_tls_config(tls);
    }
    Ok(builder)
}

fn tls(signal: &SignalPlan) -> Result<Option<ClientTlsConfig>, StartError> {
    let authorities = signal.ca_certificate.as_deref().map(read).transpose()?;
    let identity =
        signal.client_identity.as_ref().map(|(certificate, key)| Ok((read(certificate)?, read(key)?)));
    let identity = identity.transpose()?;
    if authorities.is_none() && identity.is_none() {
        return Ok(None);
    }
    let mut tls = ClientTlsConfig::new();
    if let Some(pem) = authorities {
        tls = tls.ca_certificate(Certificate::from_pem(pem));
    }
    if let Some((certificate, key)) = identity {
        tls = tls.identity(TlsIdentity::from_pem(certificate, key));
    }
    Ok(Some(tls))
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::Certificate { path: PathBuf::from(path), source })
}
