//! Bounded export: a gate before the SDK's batch queues and a meter around the exporters, so that what a dead or slow
//! collector does not take is dropped and counted, and memory stays flat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

/// What became of one signal's records.
#[derive(Debug)]
pub(super) struct Flow {
    limit: usize,
    waiting: AtomicUsize,
    delivered: AtomicU64,
    dropped: AtomicU64,
    failures: AtomicU64,
}

impl Flow {
    /// At most `limit` records wait, those on their way to the collector included. With the limit of the SDK's queue,
    /// that queue is never full and never drops on its own account.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            waiting: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// Records handed in and neither delivered nor dropped.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Records that the collector took.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Records lost: no room, or their export failed.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Exports that failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn admit(&self) -> bool {
        let room = |waiting| (waiting < self.limit).then_some(waiting + 1);
        let admitted = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Relaxed, room).is_ok();
        if !admitted {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    fn exported(&self, records: usize, delivered: bool) {
        let leave = |waiting: usize| Some(waiting.saturating_sub(records));
        // Never an error: `leave` always has a value.
        let _ = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Relaxed, leave);
        let count = u64::try_from(records).unwrap_or(u64::MAX);
        if delivered {
            self.delivered.fetch_add(count, Ordering::Relaxed);
        } else {
            self.dropped.fetch_add(count, Ordering::Relaxed);
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A processor that lets in only what the flow has room for.
#[derive(Debug)]
pub(super) struct Gate<P> {
    flow: Arc<Flow>,
    inner: P,
}

impl<P> Gate<P> {
    pub(super) fn new(flow: Arc<Flow>, inner: P) -> Self {
        Self { flow, inner }
    }
}

impl<P: LogProcessor> LogProcessor for Gate<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.flow.admit() {
            self.inner.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<P: SpanProcessor> SpanProcessor for Gate<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.flow.admit() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// An exporter whose outcomes are counted.
#[derive(Debug)]
pub(super) struct Metered<E> {
    flow: Arc<Flow>,
    inner: E,
}

impl<E> Metered<E> {
    pub(super) fn new(flow: Arc<Flow>, inner: E) -> Self {
        Self { flow, inner }
    }
}

impl<E: LogExporter> LogExporter for Metered<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        let result = self.inner.export(batch).await;
        self.flow.exported(records, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Metered<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let records = batch.len();
        let result = self.inner.export(batch).await;
        self.flow.exported(records, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Metered<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.inner.export(metrics).await;
        self.flow.exported(0, result.is_ok());
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
