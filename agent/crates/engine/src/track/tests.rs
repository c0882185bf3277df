//! What a fact is worth, as keepalived's manual has it where it has a rule.

use proptest::prelude::*;

use super::*;
use Verdict::{Failing, Passing, Unknown};

fn weight(weight: i16, reverse: bool) -> TrackEffect {
    TrackEffect::Weight { weight, reverse }
}

#[test]
fn weights_and_their_reverse_are_keepalived_s_table() {
    // keepalived.conf(5): the four rows of its table for weight and reverse, up and down.
    let table = [
        (weight(20, false), 20, 0),
        (weight(-20, false), 0, -20),
        (weight(20, true), -20, 0),
        (weight(-20, true), 0, 20),
        (weight(253, false), 253, 0),
        (weight(-253, false), 0, -253),
    ];
    for (effect, passing, failing) in table {
        assert_eq!(effect.worth(Passing, 0), (passing, false), "{effect:?}");
        assert_eq!(effect.worth(Failing, 0), (failing, false), "{effect:?}");
        assert_eq!(effect.worth(Unknown, 0), (0, false), "{effect:?}");
    }
}

#[test]
fn without_a_weight_failing_means_fault_and_reversed_passing_does() {
    for (reverse, bad, good) in [(false, Failing, Passing), (true, Passing, Failing)] {
        let effect = TrackEffect::Fault { reverse };
        assert_eq!(effect.worth(bad, 0), (0, true));
        assert_eq!(effect.worth(good, 0), (0, false));
        assert_eq!(effect.worth(Unknown, 0), (0, false));
    }
}

#[test]
fn a_value_counts_times_its_factor_up_to_253_and_means_fault_from_minus_254_on() {
    let table = [
        (1, 0, (0, false)),
        (1, 253, (253, false)),
        (1, 254, (253, false)),
        (1, -253, (-253, false)),
        (1, -254, (0, true)),
        (-10, 25, (-250, false)),
        (-10, 26, (0, true)),
        (2, 7, (14, false)),
        (i32::MAX, i32::MAX, (253, false)),
        (i32::MAX, i32::MIN, (0, true)),
        (-i32::MAX, i32::MAX, (0, true)),
        (-i32::MAX, i32::MIN, (253, false)),
    ];
    for (factor, value, expected) in table {
        let effect = TrackEffect::Value { factor };
        assert_eq!(effect.worth(Passing, value), expected, "{factor} times {value}");
        assert_eq!(effect.worth(Failing, value), expected, "{factor} times {value}");
        assert_eq!(effect.worth(Unknown, value), (0, false), "{factor} times {value}");
    }
}

#[test]
fn an_unweighted_value_means_fault_when_it_is_not_0() {
    for (value, faulty) in [(0, false), (1, true), (-1, true), (i32::MIN, true)] {
        assert_eq!(TrackEffect::ValueFault.worth(Passing, value), (0, faulty));
    }
    assert_eq!(TrackEffect::ValueFault.worth(Unknown, 1), (0, false));
}

fn fact(verdict: Verdict, value: i32) -> Fact {
    Fact {
        name: Arc::from("checks/http"),
        verdict,
        value: Some(value),
        damped: false,
        detail: Arc::default(),
        since: Instant::default(),
    }
}

#[test]
fn what_was_known_last_goes_on_counting_while_a_fact_is_unknown() {
    let track = Track { fact: Arc::from("checks/http"), effect: weight(20, false) };
    let mut facts = Facts::default();
    let judged = facts.judge(track.clone());
    assert_eq!((judged.fact, judged.counted, judged.delta), (None, Unknown, 0));
    for (verdict, counted, delta) in [
        (Unknown, Unknown, 0),
        (Passing, Passing, 20),
        (Unknown, Passing, 20),
        (Failing, Failing, 0),
        (Unknown, Failing, 0),
    ] {
        facts.learn(fact(verdict, 0));
        let judged = facts.judge(track.clone());
        assert_eq!((judged.counted, judged.delta), (counted, delta), "{verdict:?}");
        assert_eq!(judged.fact.map(|fact| fact.verdict), Some(verdict));
    }
    facts.forget("checks/http");
    assert_eq!(facts.judge(track).counted, Unknown);
}

#[test]
fn only_an_unweighted_fact_that_was_never_known_is_undecided() {
    let undecided = |effect, verdict| {
        let mut facts = Facts::default();
        facts.learn(fact(verdict, 0));
        facts.judge(Track { fact: Arc::from("checks/http"), effect }).is_undecided()
    };
    assert!(undecided(TrackEffect::Fault { reverse: false }, Unknown));
    assert!(undecided(TrackEffect::ValueFault, Unknown));
    assert!(!undecided(TrackEffect::Fault { reverse: true }, Failing));
    assert!(!undecided(weight(20, false), Unknown));
    assert!(!undecided(TrackEffect::Value { factor: 1 }, Unknown));
}

proptest! {
    #[test]
    fn no_fact_adds_more_than_the_range_of_priorities(factor in any::<i32>(), value in any::<i32>()) {
        let (delta, faulty) = TrackEffect::Value { factor }.worth(Passing, value);
        prop_assert!((-253..=253).contains(&delta));
        prop_assert_eq!(faulty, i64::from(factor) * i64::from(value) <= -254);
        prop_assert!(!faulty || delta == 0);
    }
}
