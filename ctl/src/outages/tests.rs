//! Histories and the holes in them, as tables.

use super::*;

const MS: i64 = 1_000_000;

fn clock(offset_ms: i64, error_ms: i64) -> Clock {
    Clock { offset: Span::from_nanos(offset_ms * MS), uncertainty: Span::from_nanos(error_ms * MS) }
}

/// An event of a node's virtual router at this many milliseconds of the node's clock; numbered by its time.
fn event(node: &str, at_ms: i64, kind: &str) -> v1::Event {
    v1::Event {
        name: format!("nodes/{node}/events/i.{at_ms}"),
        incarnation_id: "i".to_owned(),
        event_time: Some(prost_types::Timestamp {
            seconds: at_ms.div_euclid(1_000),
            nanos: (at_ms.rem_euclid(1_000) * MS) as i32,
        }),
        r#type: kind.to_owned(),
        subject: format!("nodes/{node}/instances/web"),
        ..v1::Event::default()
    }
}

fn change(node: &str, at_ms: i64, from: &str, to: &str, cause: v1::Cause) -> v1::Event {
    v1::Event {
        previous_state: from.to_owned(),
        current_state: to.to_owned(),
        cause: cause as i32,
        ..event(node, at_ms, "instance.state_changed")
    }
}

fn leaves(node: &str, at_ms: i64) -> v1::Event {
    change(node, at_ms, "ACTIVE", "FAULT", v1::Cause::CheckChanged)
}

/// Becomes Active after this many milliseconds of silence.
fn takes(node: &str, at_ms: i64, cause: v1::Cause, silent_ms: i64) -> v1::Event {
    let silence = Some(Span::from_nanos(silent_ms * MS).to_proto());
    let evidence = v1::Evidence {
        peer_address: "192.0.2.9".to_owned(),
        last_advertisement_age: silence,
        ..v1::Evidence::default()
    };
    v1::Event { evidence: Some(evidence), ..change(node, at_ms, "BACKUP", "ACTIVE", cause) }
}

fn lane(node: &str, clock: Clock, events: Vec<v1::Event>) -> Lane {
    let last = events.iter().rev().find(|event| !event.current_state.is_empty());
    let is_active = last.is_some_and(|event| event.current_state == "ACTIVE");
    Lane { node: node.to_owned(), clock, events, known_from: 0, is_active, hears_active: false }
}

/// The holes of a minute: began, ended, how well known, error; in milliseconds.
fn holes(lanes: &[Lane], missing: &[&str]) -> Vec<(i64, Option<i64>, Length, i64)> {
    let missing: Vec<String> = missing.iter().map(|name| (*name).to_owned()).collect();
    let window = Window { since: 0, now: i128::from(60_000 * MS) };
    let ms = |nanos: i128| (nanos / i128::from(MS)) as i64;
    let show = |hole: &Hole| (ms(hole.began), hole.ended.map(ms), hole.length, hole.error.nanos() / MS);
    account(lanes, &missing, window).holes.iter().map(show).collect()
}

#[test]
fn a_hole_lasts_from_the_release_to_the_takeover_on_our_clock() {
    // b's clock is 5 s ahead.
    let a = lane("a", clock(0, 1), vec![leaves("a", 10_000)]);
    let b = lane("b", clock(5_000, 2), vec![takes("b", 15_600, v1::Cause::PeerPriorityZero, 600)]);
    assert_eq!(holes(&[a, b], &[]), [(10_000, Some(10_600), Length::Told, 3)]);
}

#[test]
fn a_hole_lasts_from_the_kernels_release_to_the_kernels_hold() {
    let released = event("a", 10_010, "instance.addresses_released");
    let held = event("b", 10_640, "instance.addresses_held");
    let a = lane("a", clock(0, 0), vec![leaves("a", 10_000), released]);
    let b = lane("b", clock(0, 0), vec![takes("b", 10_600, v1::Cause::PeerPriorityZero, 600), held]);
    assert_eq!(holes(&[a, b], &[]), [(10_010, Some(10_640), Length::Told, 0)]);
}

#[test]
fn a_handover_in_which_both_hold_is_no_hole() {
    let a = lane("a", clock(0, 1), vec![change("a", 10_002, "ACTIVE", "BACKUP", v1::Cause::AdminDrain)]);
    let b = lane("b", clock(0, 1), vec![takes("b", 10_000, v1::Cause::AdminDrain, 0)]);
    let window = Window { since: 0, now: i128::from(60_000 * MS) };
    let found = account(&[a, b], &[], window);
    assert!(found.holes.is_empty());
    assert_eq!(found.seamless, 1);
}

#[test]
fn a_hole_that_the_clocks_cannot_tell_is_counted_and_not_shown() {
    let a = lane("a", clock(0, 10), vec![leaves("a", 10_000)]);
    let b = lane("b", clock(0, 10), vec![takes("b", 10_015, v1::Cause::PeerPriorityZero, 5)]);
    let window = Window { since: 0, now: i128::from(60_000 * MS) };
    let found = account(&[a, b], &[], window);
    assert!(found.holes.is_empty(), "{:?}", found.holes);
    assert_eq!(found.seamless, 1);
}

#[test]
fn a_node_that_died_ended_when_it_was_last_heard_and_its_hole_is_at_most_that() {
    let back = v1::Event {
        incarnation_id: "j".to_owned(),
        ..change("a", 30_000, "INITIALIZE", "BACKUP", v1::Cause::AgentStart)
    };
    let a = lane("a", clock(0, 1), vec![takes("a", 1_000, v1::Cause::LocalPreempt, 0), back]);
    let b = lane("b", clock(0, 1), vec![takes("b", 13_600, v1::Cause::ActiveDownTimer, 3_600)]);
    // Before a began nobody is known to have held, and a took over from somebody whom it heard: no hole.
    assert_eq!(holes(&[a, b], &[]), [(10_000, Some(13_600), Length::AtMost, 2)]);
}

#[test]
fn a_node_that_died_alone_was_away_at_least_until_it_was_there_again() {
    let back = v1::Event {
        incarnation_id: "j".to_owned(),
        ..change("a", 30_000, "INITIALIZE", "BACKUP", v1::Cause::AgentStart)
    };
    let again = v1::Event {
        incarnation_id: "j".to_owned(),
        ..change("a", 33_600, "BACKUP", "ACTIVE", v1::Cause::ActiveDownTimer)
    };
    let a = lane("a", clock(0, 1), vec![takes("a", 1_000, v1::Cause::LocalPreempt, 0), back, again]);
    assert_eq!(holes(&[a], &[]), [(30_000, Some(33_600), Length::AtLeast, 0)]);
}

#[test]
fn an_agent_that_was_replaced_without_letting_go_leaves_no_hole() {
    let adopted = v1::Event { incarnation_id: "j".to_owned(), ..event("a", 30_000, "instance.adopted") };
    let after = v1::Event { incarnation_id: "j".to_owned(), ..event("a", 30_001, "instance.addresses_held") };
    let a = lane("a", clock(0, 1), vec![takes("a", 1_000, v1::Cause::LocalPreempt, 0), adopted, after]);
    assert_eq!(holes(&[Lane { is_active: true, ..a }], &[]), []);
}

#[test]
fn the_successor_of_a_node_that_does_not_answer_tells_the_hole() {
    let b = lane("b", clock(0, 1), vec![takes("b", 13_600, v1::Cause::ActiveDownTimer, 3_600)]);
    assert_eq!(holes(&[b], &["a"]), [(10_000, Some(13_600), Length::AtMost, 1)]);
}

#[test]
fn what_a_node_may_have_held_that_does_not_tell_is_unknown_and_never_an_outage() {
    let b = lane("b", clock(0, 1), vec![leaves("b", 10_000)]);
    assert_eq!(holes(&[b], &["a"]), [(10_000, None, Length::Unknown, 1)]);
    let b = lane("b", clock(0, 1), vec![leaves("b", 10_000)]);
    // c hears a router that is none of those asked: somebody holds.
    let c = Lane { hears_active: true, ..lane("c", clock(0, 1), Vec::new()) };
    assert_eq!(holes(&[b, c], &["a"]), []);
}

#[test]
fn an_outage_that_goes_on_has_no_end() {
    let a = lane("a", clock(0, 1), vec![leaves("a", 10_000)]);
    let b = lane("b", clock(0, 1), Vec::new());
    assert_eq!(holes(&[a, b], &[]), [(10_000, None, Length::AtLeast, 1)]);
}

#[test]
fn taking_over_from_a_router_that_is_heard_ends_no_outage() {
    // A router of others held until b preempted it.
    let mut takeover = takes("b", 20_000, v1::Cause::LocalPreempt, 0);
    takeover.evidence.as_mut().unwrap().last_advertisement_age = None;
    let b = lane("b", clock(0, 1), vec![takeover]);
    assert_eq!(holes(&[b], &[]), []);
}

#[test]
fn an_address_that_never_moved_has_no_hole() {
    let a = Lane { is_active: true, ..lane("a", clock(0, 1), Vec::new()) };
    let b = lane("b", clock(0, 1), Vec::new());
    assert_eq!(holes(&[a, b], &[]), []);
}

#[test]
fn history_that_begins_late_makes_the_start_unknown_unless_the_evidence_covers_it() {
    let started = change("a", 20_000, "INITIALIZE", "BACKUP", v1::Cause::AgentStart);
    let mut taken = change("a", 23_600, "BACKUP", "ACTIVE", v1::Cause::ActiveDownTimer);
    taken.evidence = Some(v1::Evidence {
        active_down_interval: Some(Span::from_nanos(3_600 * MS).to_proto()),
        ..v1::Evidence::default()
    });
    let a = Lane { known_from: i128::from(20_000 * MS), ..lane("a", clock(0, 1), vec![started, taken]) };
    assert_eq!(holes(&[a], &[]), [(20_000, Some(23_600), Length::AtLeast, 1)]);
}
