//! One trace for each takeover and each release, and the durations of a takeover's phases, put together from events:
//!
//! ```text
//! last advert          timer due   decided         kernel holds        announced
//!     |------ detect ------|- elect -|--- configure ---|---- announce ----|
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ha_engine::{Cause, Event, EventKind, Evidence, StateName, Subject};
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use crate::clock;

/// The takeovers and releases under way, at most one for each instance.
pub(super) struct Failovers {
    tracer: Option<SdkTracer>,
    duration: Histogram<f64>,
    courses: BTreeMap<Arc<str>, Course>,
}

/// A takeover or a release from its decision to its end.
struct Course {
    /// When the engine decided, on the wall clock.
    decided: SystemTime,
    planned: bool,
    span: Option<Span>,
    stage: Stage,
}

enum Stage {
    Takeover(Takeover),
    Release,
}

/// What is known of a takeover so far.
#[derive(Clone, Copy, Default)]
struct Takeover {
    /// From the last advert to the moment when the wait for the next one was over.
    detect: Option<Duration>,
    /// From there to the decision; only where a timer led to it.
    elect: Option<Duration>,
    /// From the decision to the kernel holding the addresses.
    held: Option<Duration>,
    /// From the decision to their announcement.
    announced: Option<Duration>,
}

impl Failovers {
    /// Without a tracer only durations are recorded.
    pub(super) fn new(tracer: Option<SdkTracer>, duration: Histogram<f64>) -> Self {
        Self { tracer, duration, courses: BTreeMap::new() }
    }

    /// Follows an event; the answer is the span that it belongs to. `describe` names an instance in span attributes.
    pub(super) fn follow(
        &mut self,
        event: &Event,
        describe: &dyn Fn(&str) -> Vec<KeyValue>,
    ) -> Option<SpanContext> {
        let name = match &event.subject {
            Subject::Instance(_, name) | Subject::Vip(_, name, _) => name,
            Subject::Node
            | Subject::Interface(_)
            | Subject::Group(_)
            | Subject::Check(_)
            | Subject::Pool(_)
            | Subject::Server(..)
            | Subject::Notifier(_)
            | Subject::Peer(_) => return None,
        };
        match &event.kind {
            EventKind::StateChanged { from, to } => self.on_state_changed(name, event, *from, *to),
            EventKind::AddressesHeld { took } => {
                self.on_takeover(name, describe, |takeover| takeover.held = Some(*took))
            }
            EventKind::Announced { took } => {
                self.on_takeover(name, describe, |takeover| takeover.announced = Some(*took))
            }
            EventKind::AddressesReleased { took } => self.on_released(name, *took, describe),
            EventKind::InstanceRemoved => self.abandon(name),
            _ => self.context(name),
        }
    }

    fn on_state_changed(
        &mut self,
        name: &Arc<str>,
        event: &Event,
        from: StateName,
        to: StateName,
    ) -> Option<SpanContext> {
        self.abandon(name);
        let stage = match (from, to) {
            (_, StateName::Active) => Stage::Takeover(Takeover::decided(event)),
            (StateName::Active, _) => Stage::Release,
            _ => return None,
        };
        let decided = clock::wall(event.at);
        let span = self.tracer.as_ref().map(|tracer| start_root(tracer, name, event, decided, &stage));
        let planned = is_planned(event);
        self.courses.insert(Arc::clone(name), Course { decided, planned, span, stage });
        self.context(name)
    }

    fn on_takeover(
        &mut self,
        name: &Arc<str>,
        describe: &dyn Fn(&str) -> Vec<KeyValue>,
        learn: impl FnOnce(&mut Takeover),
    ) -> Option<SpanContext> {
        let context = self.context(name);
        let Some(Course { stage: Stage::Takeover(takeover), .. }) = self.courses.get_mut(name) else {
            return None;
        };
        learn(takeover);
        if takeover.held.is_some() && takeover.announced.is_some() {
            self.complete(name, describe(name));
        }
        context
    }

    fn on_released(
        &mut self,
        name: &Arc<str>,
        took: Duration,
        describe: &dyn Fn(&str) -> Vec<KeyValue>,
    ) -> Option<SpanContext> {
        let context = self.context(name);
        if let Some(Course { stage: Stage::Release, .. }) = self.courses.get(name) {
            let course = self.courses.remove(name)?;
            let mut span = course.span?;
            span.set_attributes(describe(name));
            span.end_with_timestamp(course.decided + took);
        }
        context
    }

    /// Ends a takeover that ran its whole course.
    fn complete(&mut self, name: &Arc<str>, attributes: Vec<KeyValue>) {
        let Some(mut course) = self.courses.remove(name) else { return };
        let Stage::Takeover(takeover) = course.stage else { return };
        for (phase, length) in takeover.phases() {
            let attributes = [KeyValue::new("phase", phase), KeyValue::new("planned", course.planned)];
            self.duration.record(length.as_secs_f64(), &attributes);
        }
        if let (Some(span), Some(tracer)) = (&mut course.span, &self.tracer) {
            span.set_attributes(attributes);
            end_takeover(tracer, span, course.decided, &takeover);
        }
    }

    /// Ends what did not come to its end: the state changed again, or the instance is gone.
    fn abandon(&mut self, name: &str) -> Option<SpanContext> {
        let mut course = self.courses.remove(name)?;
        let span = course.span.as_mut()?;
        span.set_status(Status::error("did not come to its end before the next change"));
        match (course.stage, &self.tracer) {
            (Stage::Takeover(takeover), Some(tracer)) => {
                end_takeover(tracer, span, course.decided, &takeover)
            }
            _ => span.end(),
        }
        Some(span.span_context().clone())
    }

    fn context(&self, name: &str) -> Option<SpanContext> {
        Some(self.courses.get(name)?.span.as_ref()?.span_context().clone())
    }
}

impl Takeover {
    /// What the decision itself tells.
    fn decided(event: &Event) -> Self {
        let Some(age) = event.evidence.last_advertisement_age else { return Self::default() };
        match event.evidence.active_down_interval {
            Some(limit) if age >= limit => {
                Self { detect: Some(limit), elect: Some(age - limit), ..Self::default() }
            }
            _ => Self { detect: Some(age), ..Self::default() },
        }
    }

    fn before_decision(&self) -> Duration {
        self.detect.unwrap_or_default() + self.elect.unwrap_or_default()
    }

    fn announce(&self) -> Option<Duration> {
        Some(self.announced?.saturating_sub(self.held.unwrap_or_default()))
    }

    /// The known phases in their order; together they are the takeover.
    fn phases(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        [
            ("detect", self.detect),
            ("elect", self.elect),
            ("configure", self.held),
            ("announce", self.announce()),
        ]
        .into_iter()
        .filter_map(|(phase, length)| Some((phase, length?)))
    }
}

/// Whether somebody or something meant the change to happen, rather than a failure causing it.
fn is_planned(event: &Event) -> bool {
    match event.cause {
        // What the member itself saw: a silent Active router, or one that released or is worse.
        Cause::SyncGroup => !is_silence(&event.evidence),
        Cause::AgentStart
        | Cause::AgentStop
        | Cause::PeerPriorityZero
        | Cause::PeerHigherPriority
        | Cause::PeerEqualPriorityHigherAddress
        | Cause::LocalPreempt
        | Cause::PreemptDelayExpired
        | Cause::AddressOwner
        | Cause::AdminPriority
        | Cause::AdminMute
        | Cause::AdminUnmute
        | Cause::AdminDrain
        | Cause::AdminUndrain
        | Cause::AdminTransfer
        | Cause::AdminAnnounce
        | Cause::PeerReleased
        | Cause::ConfigReload
        | Cause::OverrideExpired => true,
        Cause::ActiveDownTimer
        | Cause::InterfaceChanged
        | Cause::DuplicateActive
        | Cause::AddressConflict
        | Cause::AgentStalled
        | Cause::AddressFailed
        | Cause::Advertisement
        | Cause::CheckChanged
        | Cause::CheckResult
        | Cause::BalancerFailed
        | Cause::NotifyFailed
        | Cause::InstanceChanged
        | Cause::PeerReport
        | Cause::JournalFailed
        | Cause::OperatorRequest => false,
    }
}

/// Whether no Active router was heard for the whole Active_Down_Interval.
fn is_silence(evidence: &Evidence) -> bool {
    let limit = evidence.active_down_interval;
    limit.is_none() || evidence.last_advertisement_age.is_none_or(|age| Some(age) >= limit)
}

fn start_root(
    tracer: &SdkTracer,
    name: &Arc<str>,
    event: &Event,
    decided: SystemTime,
    stage: &Stage,
) -> Span {
    let (span_name, start) = match stage {
        Stage::Takeover(takeover) => ("ha_agent.failover", decided - takeover.before_decision()),
        Stage::Release => ("ha_agent.release", decided),
    };
    let mut attributes = vec![
        KeyValue::new("vrrp_instance", Arc::clone(name)),
        KeyValue::new("cause", event.cause.as_str()),
        KeyValue::new("planned", is_planned(event)),
    ];
    let evidence = &event.evidence;
    attributes.extend(evidence.peer.map(|peer| KeyValue::new("peer", peer.to_string())));
    attributes
        .extend(evidence.peer_priority.map(|priority| KeyValue::new("peer.priority", i64::from(priority))));
    attributes.extend(
        evidence.local_priority.map(|priority| KeyValue::new("local.priority", i64::from(priority.get()))),
    );
    if let Some(actor) = &event.actor {
        attributes.push(KeyValue::new("actor.principal", actor.principal.clone()));
        attributes.push(KeyValue::new("actor.request_id", actor.request_id.clone()));
    }
    let builder = SpanBuilder::from_name(span_name).with_start_time(start).with_attributes(attributes);
    tracer.build_with_context(builder, &Context::new())
}

/// Adds the phases as children and ends the span after the last one.
fn end_takeover(tracer: &SdkTracer, span: &mut Span, decided: SystemTime, takeover: &Takeover) {
    let parent = Context::new().with_remote_span_context(span.span_context().clone());
    let mut start = decided - takeover.before_decision();
    for (phase, length) in takeover.phases() {
        // A takeover without a timer is decided at once.
        if phase == "configure" && takeover.elect.is_none() {
            add_child(tracer, &parent, "elect", decided, decided);
        }
        add_child(tracer, &parent, phase, start, start + length);
        start += length;
    }
    span.end_with_timestamp(start);
}

fn add_child(tracer: &SdkTracer, parent: &Context, name: &'static str, start: SystemTime, end: SystemTime) {
    let builder = SpanBuilder::from_name(name).with_start_time(start);
    tracer.build_with_context(builder, parent).end_with_timestamp(end);
}

#[cfg(test)]
mod tests {
    use ha_engine::{InstanceId, Instant, Subject};

    use super::*;

    #[test]
    fn a_member_s_takeover_with_its_group_is_planned_unless_it_heard_nobody_itself() {
        let limit = Some(Duration::from_millis(3600));
        let age = |millis| Some(Duration::from_millis(millis));
        let table =
            [(age(3600), limit, false), (None, limit, false), (None, None, false), (age(600), limit, true)];
        for (last_advertisement_age, active_down_interval, planned) in table {
            let evidence = Evidence { last_advertisement_age, active_down_interval, ..Evidence::default() };
            let kind = EventKind::StateChanged { from: StateName::Backup, to: StateName::Active };
            let subject = Subject::Instance(InstanceId(0), "web".into());
            let at = Instant::default();
            let event = Event { at, subject, kind, cause: Cause::SyncGroup, evidence, actor: None };
            assert_eq!(is_planned(&event), planned, "{last_advertisement_age:?} of {active_down_interval:?}");
        }
    }
}
