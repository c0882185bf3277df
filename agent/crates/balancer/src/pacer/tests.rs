//! The pacer in virtual time.

use proptest::prelude::*;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A clock that is ours: milliseconds since the test began.
struct Clock(Instant);

impl Clock {
    fn at(&self, milliseconds: u32) -> Instant {
        self.0 + MILLISECOND * milliseconds
    }
}

fn clock() -> Clock {
    Clock(Instant::now())
}

#[test]
fn the_first_change_after_quiet_is_applied_at_once() {
    let (clock, mut pacer) = (clock(), Pacer::new(Duration::from_secs(1)));
    assert_eq!(pacer.next_deadline(), None);
    pacer.offer('a', clock.at(7));
    assert_eq!(pacer.next_deadline(), Some((clock.at(7), Reason::Changed)));
    assert_eq!(pacer.start(clock.at(7)), Some('a'));
    assert_eq!(pacer.next_deadline(), None, "during a turn");
    pacer.succeeded(clock.at(100));
    assert_eq!(pacer.next_deadline(), None, "in force");
    pacer.offer('b', clock.at(5000));
    assert_eq!(pacer.next_deadline(), Some((clock.at(5000), Reason::Changed)));
}

#[test]
fn what_is_offered_during_a_turn_and_after_it_waits_for_the_spacing_and_the_latest_wins() {
    let (clock, mut pacer) = (clock(), Pacer::new(Duration::from_secs(1)));
    pacer.offer(1, clock.at(0));
    assert_eq!(pacer.start(clock.at(0)), Some(1));
    pacer.offer(2, clock.at(10));
    pacer.succeeded(clock.at(150));
    pacer.offer(3, clock.at(700));
    assert_eq!(pacer.start(clock.at(1149)), None);
    assert_eq!(pacer.start(clock.at(1150)), Some(3));
}

#[test]
fn a_failure_is_tried_again_with_pauses_that_double_up_to_a_minute() {
    let (clock, mut pacer) = (clock(), Pacer::new(Duration::from_secs(1)));
    pacer.offer((), clock.at(0));
    let mut now = 0;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(pacer.start(clock.at(now)), Some(()), "at {now}");
        pacer.failed(clock.at(now));
        now += pause * 1000;
        let (due, reason) = pacer.next_deadline().unwrap();
        assert_eq!((due, reason), (clock.at(now), Reason::Retry(pacer.failures())));
    }
    assert_eq!(pacer.start(clock.at(now)), Some(()));
    pacer.succeeded(clock.at(now));
    assert_eq!((pacer.next_deadline(), pacer.failures()), (None, 0));
}

#[test]
fn a_change_during_a_long_pause_is_tried_after_the_spacing() {
    let (clock, mut pacer) = (clock(), Pacer::new(Duration::from_secs(1)));
    pacer.offer('a', clock.at(0));
    for at in [0, 1000, 3000, 7000] {
        assert_eq!(pacer.start(clock.at(at)), Some('a'));
        pacer.failed(clock.at(at));
    }
    pacer.offer('b', clock.at(7100));
    assert_eq!(pacer.next_deadline(), Some((clock.at(8000), Reason::Changed)));
    assert_eq!(pacer.start(clock.at(8000)), Some('b'));
    pacer.failed(clock.at(8000));
    assert_eq!(
        pacer.next_deadline(),
        Some((clock.at(8000 + 16_000), Reason::Retry(5))),
        "the pauses go on growing"
    );
}

#[test]
fn a_spacing_out_of_range_is_taken_as_the_nearest() {
    for (given, taken) in [(0, 100), (99, 100), (100, 100), (60_000, 60_000), (60_001, 60_000)] {
        assert_eq!(Pacer::<()>::new(MILLISECOND * given).spacing, MILLISECOND * taken);
    }
}

/// One server that changes, at most a thousand of them, at a random time.
#[derive(Clone, Debug)]
struct Flap {
    after: u32,
    server: usize,
}

fn flaps() -> impl Strategy<Value = Vec<Flap>> {
    let flap = (0_u32..20, 0_usize..1000).prop_map(|(after, server)| Flap { after, server });
    prop::collection::vec(flap, 1..2000)
}

/// What a run did: start and end of each turn, what was applied last.
struct Run {
    turns: Vec<(Instant, Instant, bool)>,
    applied: Option<Vec<bool>>,
    wanted: Vec<bool>,
}

/// A driver as the agent's: sleeps until the deadline, a turn takes `takes`, and fails where `fails` says so.
fn run(spacing: Duration, flaps: &[Flap], takes: Duration, fails: impl Fn(usize) -> bool) -> Run {
    let mut now = Instant::now();
    let mut pacer = Pacer::new(spacing);
    let mut run = Run { turns: Vec::new(), applied: None, wanted: vec![true; 1000] };
    let mut turn: Option<(Instant, Vec<bool>)> = None;
    let mut flaps = flaps.iter();
    let mut next = flaps.next().map(|flap| (now + MILLISECOND * flap.after, flap.server));
    loop {
        let ends = turn.as_ref().map(|(started, _)| *started + takes);
        let due = pacer.next_deadline().map(|(due, _)| due);
        let Some(wake) = [next.map(|(at, _)| at), ends, due].into_iter().flatten().min() else { return run };
        now = now.max(wake);
        if let Some((at, server)) = next.filter(|(at, _)| *at <= now) {
            run.wanted[server] ^= true;
            pacer.offer(run.wanted.clone(), now);
            next = flaps.next().map(|flap| (at + MILLISECOND * flap.after, flap.server));
        }
        if let Some((started, value)) = turn.take_if(|(started, _)| *started + takes <= now) {
            let ok = !fails(run.turns.len());
            run.turns.push((started, now, ok));
            if ok {
                run.applied = Some(value);
                pacer.succeeded(now);
            } else {
                pacer.failed(now);
            }
        }
        if let Some(value) = pacer.start(now) {
            assert!(turn.is_none(), "two turns at once");
            turn = Some((now, value));
        }
    }
}

proptest! {
    #[test]
    fn flapping_servers_never_bring_two_turns_closer_than_the_spacing_and_the_last_state_is_applied(
        flaps in flaps(), spacing in 100_u32..3000, takes in 0_u32..1500, failing in 0_usize..6
    ) {
        let spacing = MILLISECOND * spacing;
        let run = run(spacing, &flaps, MILLISECOND * takes, |turn| turn % 7 < failing);
        for pair in run.turns.windows(2) {
            prop_assert!(pair[1].0 >= pair[0].1 + spacing, "{:?}", pair[1].0 - pair[0].1);
        }
        prop_assert_eq!(run.applied.as_ref(), Some(&run.wanted));
        prop_assert!(run.turns.last().is_some_and(|(_, _, ok)| *ok), "it ends with success");
    }
}

#[test]
fn a_thousand_servers_that_flap_for_a_minute_make_no_more_turns_than_seconds() {
    // Every server flaps once a second: a change each millisecond.
    let flaps: Vec<Flap> = (0..60_000).map(|number| Flap { after: 1, server: number % 1000 }).collect();
    let run = run(Duration::from_secs(1), &flaps, MILLISECOND * 130, |_| false);
    assert_eq!(run.turns.len(), 55, "one each 1.13 s, and one for the end");
    assert_eq!(run.applied, Some(run.wanted));
}
