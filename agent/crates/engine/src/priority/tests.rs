//! The priority always equals its explanation.

use std::borrow::ToOwned;
use std::format;

use proptest::prelude::*;

use super::*;
use crate::track::{Track, TrackEffect, Verdict};

fn tracked(name: &str, delta: i32) -> TrackedFact {
    let track = Track { fact: Arc::from(name), effect: TrackEffect::Value { factor: 1 } };
    TrackedFact { track, fact: None, counted: Verdict::Passing, delta, faulty: false }
}

fn steps(effective: &Effective) -> Vec<(&str, i32, i32)> {
    effective.because.iter().map(|step| (step.source.as_str(), step.delta, step.result)).collect()
}

#[test]
fn base_override_facts_and_clamp_are_named_in_the_order_in_which_they_count() {
    let facts = [tracked("checks/http", -30), tracked("checks/dns", 0), tracked("pools/web", 20)];
    let base = Priority::DEFAULT;
    let effective = Effective::explain(base, None, &facts, false);
    assert_eq!(steps(&effective), [("config", 100, 100), ("checks/http", -30, 70), ("pools/web", 20, 90)]);
    assert_eq!(effective.value.get(), 90);
    let effective = Effective::explain(base, Priority::new(20), &facts, false);
    let expected =
        [("config", 100, 100), ("override", -80, 20), ("checks/http", -30, -10), ("pools/web", 20, 10)];
    assert_eq!(steps(&effective), expected);
    assert_eq!(effective.value.get(), 10);
}

#[test]
fn the_sum_is_clamped_once_at_its_end() {
    let high = [tracked("a", 200), tracked("b", -60)];
    let effective = Effective::explain(Priority::DEFAULT, None, &high, false);
    assert_eq!(effective.value.get(), 240, "300 on the way is no reason to clamp");
    let effective = Effective::explain(Priority::DEFAULT, None, &high[..1], false);
    assert_eq!(steps(&effective).last(), Some(&("clamp", -46, 254)));
    let effective = Effective::explain(Priority::DEFAULT, None, &[tracked("a", -253)], false);
    assert_eq!(steps(&effective).last(), Some(&("clamp", 154, 1)));
}

#[test]
fn a_drain_leaves_the_priority_of_a_last_resort_to_owners_too() {
    let drained = |base: Priority, override_| {
        let effective = Effective::explain(base, override_, &[tracked("a", -30)], true);
        let last = effective.because.last().map(|step| (step.source.as_str().to_owned(), step.delta));
        (effective.value.get(), last.unwrap())
    };
    assert_eq!(drained(Priority::DEFAULT, None), (1, ("drain".to_owned(), -69)));
    assert_eq!(drained(Priority::DEFAULT, Priority::new(20)), (1, ("drain".to_owned(), 11)));
    assert_eq!(drained(Priority::OWNER, Priority::new(3)), (1, ("drain".to_owned(), -224)));
}

#[test]
fn an_address_owner_is_exempt() {
    let effective = Effective::explain(Priority::OWNER, Priority::new(3), &[tracked("a", -100)], false);
    assert_eq!(effective.value, Priority::OWNER);
    assert_eq!(steps(&effective), [("config", 255, 255)]);
}

proptest! {
    #[test]
    fn the_priority_is_the_sum_of_its_steps_and_never_that_of_an_owner(
        base in 1_u8..=254,
        override_ in proptest::option::of(1_u8..=254),
        deltas in proptest::collection::vec(-253_i32..=253, 0..20),
        drained in any::<bool>(),
    ) {
        let facts: Vec<TrackedFact> =
            deltas.iter().enumerate().map(|(number, delta)| tracked(&format!("checks/{number}"), *delta)).collect();
        let effective =
            Effective::explain(Priority::new(base).unwrap(), override_.and_then(Priority::new), &facts, drained);
        let value = i32::from(effective.value.get());
        prop_assert_eq!(value, effective.because.iter().map(|step| step.delta).sum::<i32>());
        prop_assert_eq!(effective.because.last().map(|step| step.result), Some(value));
        prop_assert!((1..=254).contains(&value));
        let expected = i32::from(override_.unwrap_or(base)) + deltas.iter().sum::<i32>();
        prop_assert_eq!(value, if drained { 1 } else { expected.clamp(1, 254) });
    }
}
