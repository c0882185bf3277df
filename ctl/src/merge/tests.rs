//! Orders that must come out, and properties that must hold for any history.

use proptest::prelude::*;

use super::*;
use crate::span::Span;

const MS: i64 = 1_000_000;

fn clock(offset_ms: i64, uncertainty_ms: i64) -> Clock {
    Clock { offset: Span::from_nanos(offset_ms * MS), uncertainty: Span::from_nanos(uncertainty_ms * MS) }
}

fn event(node: &str, sequence: i64, at_ms: i64) -> v1::Event {
    v1::Event {
        name: format!("nodes/{node}/events/i.{sequence}"),
        incarnation_id: "i".to_owned(),
        sequence,
        event_time: Some(prost_types::Timestamp {
            seconds: 1_000 + at_ms.div_euclid(1_000),
            nanos: (at_ms.rem_euclid(1_000) * MS) as i32,
        }),
        subject: format!("nodes/{node}/instances/web"),
        ..v1::Event::default()
    }
}

fn change(mut event: v1::Event, from: &str, to: &str, cause: v1::Cause) -> v1::Event {
    event.previous_state = from.to_owned();
    event.current_state = to.to_owned();
    event.cause = cause as i32;
    event
}

fn merged(histories: Vec<(Clock, Vec<v1::Event>)>, limit: usize) -> Vec<(String, bool)> {
    let histories = histories
        .into_iter()
        .map(|(clock, events)| (clock, events.into_iter().map(|e| (e.clone(), e.name)).collect()))
        .collect();
    merge_newest(histories, limit)
        .into_iter()
        .map(|merged: Merged<String>| {
            (crate::model::event_label(&merged.payload).replace("/i.", ""), merged.order_uncertain)
        })
        .collect()
}

fn order(histories: Vec<(Clock, Vec<v1::Event>)>) -> Vec<String> {
    merged(histories, usize::MAX).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn events_are_ordered_by_time_less_the_clock_offset() {
    // b's clock is 5 s ahead: what it calls 5 010 happened at 10.
    let a = (clock(0, 0), vec![event("a", 1, 0), event("a", 2, 20)]);
    let b = (clock(5_000, 0), vec![event("b", 1, 5_010), event("b", 2, 5_030)]);
    assert_eq!(order(vec![a, b]), ["a1", "b1", "a2", "b2"]);
}

#[test]
fn a_nodes_own_order_stands_although_its_clock_was_set_back() {
    let a = (clock(0, 0), vec![event("a", 1, 100), event("a", 2, 50)]);
    let b = (clock(0, 0), vec![event("b", 1, 60)]);
    assert_eq!(order(vec![a, b]), ["b1", "a1", "a2"]);
}

#[test]
fn a_takeover_after_priority_zero_comes_after_the_release_whatever_the_clocks_say() {
    let release = change(event("a", 1, 100), "ACTIVE", "INITIALIZE", v1::Cause::AgentStop);
    let takeover = change(event("b", 1, 40), "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero);
    let after = event("b", 2, 41);
    let histories = vec![(clock(0, 1), vec![release]), (clock(0, 1), vec![takeover, after])];
    assert_eq!(order(histories), ["a1", "b1", "b2"]);
}

#[test]
fn yielding_to_a_stronger_router_comes_after_its_takeover() {
    let takeover = change(event("b", 1, 100), "BACKUP", "ACTIVE", v1::Cause::LocalPreempt);
    let yielding = change(event("a", 1, 99), "ACTIVE", "BACKUP", v1::Cause::PeerHigherPriority);
    assert_eq!(order(vec![(clock(0, 0), vec![yielding]), (clock(0, 0), vec![takeover])]), ["b1", "a1"]);
}

#[test]
fn a_later_release_does_not_hold_back_an_earlier_takeover() {
    // a releases, b takes over; b releases back a second later. b's takeover belongs to a's first release.
    let a = vec![
        change(event("a", 1, 0), "ACTIVE", "FAULT", v1::Cause::CheckChanged),
        change(event("a", 2, 900), "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero),
        change(event("a", 3, 1_800), "ACTIVE", "FAULT", v1::Cause::CheckChanged),
    ];
    let b = vec![
        change(event("b", 1, 10), "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero),
        change(event("b", 2, 890), "ACTIVE", "FAULT", v1::Cause::CheckChanged),
        change(event("b", 3, 1_810), "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero),
    ];
    assert_eq!(order(vec![(clock(0, 0), a), (clock(0, 0), b)]), ["a1", "b1", "b2", "a2", "a3", "b3"]);
}

#[test]
fn a_cause_that_is_named_comes_first() {
    let cause = event("a", 1, 50);
    let mut effect = event("b", 1, 10);
    effect.caused_by_events = vec![cause.name.clone()];
    assert_eq!(order(vec![(clock(0, 0), vec![cause]), (clock(0, 0), vec![effect])]), ["a1", "b1"]);
}

#[test]
fn causes_in_a_circle_do_not_stop_the_merge() {
    let (mut one, mut other) = (event("a", 1, 10), event("b", 1, 20));
    one.caused_by_events = vec![other.name.clone()];
    other.caused_by_events = vec![one.name.clone()];
    assert_eq!(order(vec![(clock(0, 0), vec![one]), (clock(0, 0), vec![other])]), ["a1", "b1"]);
}

#[test]
fn order_is_uncertain_exactly_where_the_clocks_cannot_decide() {
    let a = (clock(0, 3), vec![event("a", 1, 0), event("a", 2, 100)]);
    let b = (clock(0, 2), vec![event("b", 1, 5), event("b", 2, 106)]);
    let expected = [("a1", false), ("b1", true), ("a2", false), ("b2", false)];
    let expected: Vec<(String, bool)> =
        expected.iter().map(|(name, mark)| ((*name).to_owned(), *mark)).collect();
    assert_eq!(merged(vec![a, b], 10), expected);
}

#[test]
fn order_is_certain_where_a_cause_decides() {
    let release = change(event("a", 1, 10), "ACTIVE", "INITIALIZE", v1::Cause::AgentStop);
    let takeover = change(event("b", 1, 11), "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero);
    let histories = vec![(clock(0, 50), vec![release]), (clock(0, 50), vec![takeover])];
    assert_eq!(merged(histories, 10), [("a1".to_owned(), false), ("b1".to_owned(), false)]);
}

#[test]
fn what_follows_an_effect_on_its_node_follows_the_cause_too() {
    let release = change(event("a", 1, 10), "ACTIVE", "INITIALIZE", v1::Cause::AgentStop);
    let takeover = change(event("b", 1, 11), "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero);
    let histories = vec![(clock(0, 50), vec![release]), (clock(0, 50), vec![takeover, event("b", 2, 12)])];
    let marks: Vec<bool> = merged(histories, 10).into_iter().map(|(_, mark)| mark).collect();
    assert_eq!(marks, [false, false, false]);
}

#[test]
fn a_new_active_router_is_heard_after_its_takeover() {
    let heard = |at| v1::Event { r#type: "instance.active_observed".to_owned(), ..event("a", 1, at) };
    let takeover = change(event("b", 1, 100), "BACKUP", "ACTIVE", v1::Cause::ActiveDownTimer);
    let histories = |at| vec![(clock(0, 1), vec![heard(at)]), (clock(0, 1), vec![takeover.clone()])];
    assert_eq!(order(histories(99)), ["b1", "a1"]);
    // What was heard long before was another router.
    assert_eq!(order(histories(50)), ["a1", "b1"]);
}

#[test]
fn what_comes_too_late_to_stand_in_its_place_is_marked() {
    let now = Instant::now();
    let mut merger = Merger::new(2);
    merger.push(0, &event("a", 1, 500), clock(0, 0), Some(now), "a1");
    assert_eq!(merger.pop(), Some(Merged { payload: "a1", order_uncertain: false }));
    merger.push(1, &event("b", 1, 100), clock(0, 0), Some(now), "b1");
    assert_eq!(merger.pop(), Some(Merged { payload: "b1", order_uncertain: true }));
}

#[test]
fn the_newest_are_kept() {
    let a = (clock(0, 0), vec![event("a", 1, 0), event("a", 2, 20)]);
    let b = (clock(0, 0), vec![event("b", 1, 10), event("b", 2, 30)]);
    assert_eq!(merged(vec![a, b], 2), [("a2".to_owned(), false), ("b2".to_owned(), false)]);
}

#[test]
fn following_holds_back_until_it_is_due_and_then_lets_out_all_that_comes_before() {
    let start = Instant::now();
    let hold = Duration::from_millis(250);
    let mut merger = Merger::new(2);
    merger.push(0, &event("a", 1, 100), clock(0, 0), Some(start), "a1");
    assert_eq!(merger.pop_due(start + Duration::from_millis(249), hold), None);
    // Arrives later, but happened earlier.
    merger.push(1, &event("b", 1, 90), clock(0, 0), Some(start + Duration::from_millis(200)), "b1");
    let due = start + hold;
    assert_eq!(merger.due(start, hold), Some(due));
    assert_eq!(merger.pop_due(due, hold).map(|merged| merged.payload), Some("b1"));
    assert_eq!(merger.pop_due(due, hold).map(|merged| merged.payload), Some("a1"));
    assert_eq!(merger.pop_due(due, hold), None);
}

proptest! {
    #[test]
    fn nothing_is_lost_and_each_node_keeps_its_order(
        times in prop::collection::vec(prop::collection::vec((-500i64..500, 0..5u8), 0..20), 1..4)
    ) {
        let states = ["", "ACTIVE", "BACKUP"];
        let histories: Vec<(Clock, Vec<v1::Event>)> = times.iter().enumerate().map(|(lane, events)| {
            let node = ["a", "b", "c"][lane];
            let events = events.iter().enumerate().map(|(n, (at, kind))| {
                let cause = if *kind == 3 { v1::Cause::PeerPriorityZero } else { v1::Cause::PeerHigherPriority };
                let (from, to) = if kind % 2 == 0 { (states[1], states[2]) } else { (states[2], states[1]) };
                change(event(node, n as i64 + 1, *at), from, to, cause)
            });
            (clock(lane as i64 * 7, 3), events.collect())
        }).collect();
        let out = order(histories);
        prop_assert_eq!(out.len(), times.iter().map(Vec::len).sum::<usize>());
        for (node, events) in ["a", "b", "c"].iter().zip(&times) {
            let own: Vec<&String> = out.iter().filter(|name| name.starts_with(node)).collect();
            let expected: Vec<String> = (1..=events.len()).map(|n| format!("{node}{n}")).collect();
            prop_assert_eq!(own, expected.iter().collect::<Vec<_>>());
        }
    }
}
