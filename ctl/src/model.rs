//! What hactl shows: views made from the API's messages, with words for numbers and times that a program can read.
//! Everything a table shows is a field here, so that JSON always has it.

mod check;
mod config;
mod debug;
mod doctor;
mod event;
mod evidence;
mod explain;
mod instance;
mod node;
mod order;
mod outage;
mod pool;
mod probe;
mod track;
mod vantage;
mod vip;

pub(crate) use self::check::{AttemptView, CheckView, verdict_word};
pub(crate) use self::config::{ConfigView, DifferenceView, FindingView};
pub(crate) use self::debug::{LogLevelView, StateView};
pub(crate) use self::doctor::{DoctorView, LinkView, OwnCertificateView};
pub(crate) use self::event::{EventView, short as event_label};
pub(crate) use self::evidence::{ActorView, EvidenceView, cause_word, explain};
pub(crate) use self::explain::{ContenderView, ExplainView, StepView, steps as explain_steps};
pub(crate) use self::instance::{InstanceView, OverrideView, role, tolerates};
pub(crate) use self::node::{ConditionView, NodeState, NodeStatus, NodeView};
pub(crate) use self::order::{HoldView, OrderView};
pub(crate) use self::outage::{OutageView, OutagesView, SilenceView};
pub(crate) use self::pool::{PoolView, ServerView};
#[cfg(test)]
pub(crate) use self::probe::AnswerView;
pub(crate) use self::probe::ProbeView;
pub(crate) use self::track::{GroupView, TrackView, wish_word};
pub(crate) use self::vantage::{SeenNodeView, SeenOtherwise, SeenOtherwiseCode, SeenVipView, VantageView};
pub(crate) use self::vip::{Before, MemberView, VipView, family_word, presence, presence_word};

/// What is said of something that also survives a restart of the agent.
pub(crate) fn also_restarts(survives: bool) -> &'static str {
    if survives { ", also over restarts" } else { "" }
}

/// An empty string is nothing.
pub(crate) fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
