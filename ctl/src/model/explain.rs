//! Why a virtual router is what it is on one node: how its priority came about, and who wins against whom.

use serde::Serialize;

use crate::model::track::GroupView;
use crate::model::{InstanceView, OverrideView, TrackView};
use crate::span::Span;

/// A virtual router on one node, explained.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ExplainView {
    #[serde(flatten)]
    pub router: InstanceView,
    /// The waterfall; the deltas add up to the effective priority.
    pub steps: Vec<StepView>,
    pub group: Option<GroupView>,
    /// The virtual router on every node that answered, this one included; the best first.
    pub contenders: Vec<ContenderView>,
    /// The nodes that are Active, or, while none is, the ones that will be; empty when that cannot be told.
    pub winners: Vec<String>,
    /// Why they win, in one sentence about this node.
    pub reason: String,
    /// What will or may change it.
    pub warnings: Vec<String>,
}

/// One step of the waterfall.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct StepView {
    /// `config`, `override`, `checks/http`, `clamp`.
    pub source: String,
    pub delta: i32,
    /// The sum after it.
    pub result: i32,
    /// What it is: who overrides, how the fact stands and what it saw.
    pub because: String,
}

/// The virtual router on one of its nodes.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ContenderView {
    pub node: String,
    pub instance: String,
    pub state: &'static str,
    pub effective_priority: i32,
    pub preempt: bool,
    /// Why it leaves the addresses to a worse Active router; nothing when it takes them.
    pub tolerates: Option<&'static str>,
    pub wish: &'static str,
    pub active_down_interval: Option<Span>,
    pub fault_reasons: Vec<String>,
}

/// The waterfall of a virtual router: its contributions in the order in which they were added, with every track in its
/// place, also those that add nothing.
pub(crate) fn steps(router: &InstanceView) -> Vec<StepView> {
    let mut steps: Vec<StepView> = Vec::new();
    let is_track = |source: &str| router.tracks.iter().any(|track| track.fact == source);
    let (before, after): (Vec<_>, Vec<_>) = router
        .priority_contributions
        .iter()
        .filter(|step| !is_track(&step.source))
        .partition(|step| step.source != "clamp");
    for step in before {
        steps.push(StepView {
            source: step.source.clone(),
            delta: step.delta,
            result: step.resulting_priority,
            because: because(router, &step.source),
        });
    }
    let mut sum = steps.last().map_or(0, |step| step.result);
    let owner = router.base_priority == 255;
    for track in &router.tracks {
        sum += track.delta;
        let because = track_text(track, owner);
        steps.push(StepView { source: track.fact.clone(), delta: track.delta, result: sum, because });
    }
    for step in after {
        let because = "kept within 1..254".to_owned();
        steps.push(StepView {
            source: step.source.clone(),
            delta: step.delta,
            result: step.resulting_priority,
            because,
        });
    }
    steps
}

fn because(router: &InstanceView, source: &str) -> String {
    match (source, &router.priority_override) {
        ("config", _) if router.base_priority == 255 => "the address owner".to_owned(),
        ("config", _) => "configured".to_owned(),
        ("override", Some(given)) => override_text(given),
        _ => String::new(),
    }
}

/// `50 until cleared by uid=0(unix): maintenance`.
fn override_text(given: &OverrideView) -> String {
    format!("{} instead {}", given.priority, given.hold.words("until cleared"))
}

fn track_text(track: &TrackView, owner: bool) -> String {
    let detail = track.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let effect = match (track.faulty, track.undecided) {
        (true, _) => ", FAULT",
        (_, true) => ", waited for",
        _ if owner && matches!(track.effect, "WEIGHT" | "VALUE") => ", does not count for the address owner",
        _ => "",
    };
    format!("{}{detail} ({}{effect})", track.standing(), track.rule())
}
