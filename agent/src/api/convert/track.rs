//! What an instance tracks, and what its sync group makes of it, as the contract's words.

use ha_engine as engine;
use ha_proto::v1;

use super::{Context, verdict};

impl Context<'_> {
    /// What an address owner tracks with a weight adds nothing.
    pub(super) fn tracked(&self, tracked: &engine::TrackedFact, is_owner: bool) -> v1::TrackedFact {
        let (effect, weight, reverse) = effect(tracked.track.effect);
        let fact = tracked.fact.as_ref();
        v1::TrackedFact {
            name: self.names.of_this(&tracked.track.fact),
            effect: effect.into(),
            weight,
            reverse,
            verdict: verdict(fact.map_or(engine::Verdict::Unknown, |fact| fact.verdict)).into(),
            counted_verdict: verdict(tracked.counted).into(),
            value: fact.and_then(|fact| fact.value).unwrap_or(0),
            delta: if is_owner { 0 } else { tracked.delta },
            faulty: tracked.faulty,
            undecided: tracked.is_undecided(),
            detail: fact.map(|fact| fact.detail.to_string()).unwrap_or_default(),
            last_change_time: fact.and_then(|fact| self.time(fact.since)),
        }
    }
}

/// The effect with its weight or factor, and whether it is reversed.
fn effect(effect: engine::TrackEffect) -> (v1::tracked_fact::Effect, i32, bool) {
    use v1::tracked_fact::Effect;
    match effect {
        engine::TrackEffect::Fault { reverse } => (Effect::Fault, 0, reverse),
        engine::TrackEffect::Weight { weight, reverse } => (Effect::Weight, weight.into(), reverse),
        engine::TrackEffect::Value { factor } => (Effect::Value, factor, false),
        engine::TrackEffect::ValueFault => (Effect::ValueFault, 0, false),
    }
}

pub(super) const fn wish(wish: engine::Wish) -> v1::instance::Wish {
    match wish {
        engine::Wish::Wait => v1::instance::Wish::Wait,
        engine::Wish::Fault => v1::instance::Wish::Fault,
        engine::Wish::Backup => v1::instance::Wish::Backup,
        engine::Wish::Active => v1::instance::Wish::Active,
    }
}
