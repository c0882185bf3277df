//! In steady state ten thousand checks allocate nothing: not for a run, not for a result that changes nothing, whether it
//! passes, fails or says nothing.

use std::{sync::Arc, time::Duration};

use allocation_counter::measure;
use ha_engine::{CheckId, CheckInput, CheckOutput, CheckPolicy, Instant, Monitor, Outcome, Verdict};

const CHECKS: usize = 10_000;

/// Ten thousand checks a second, and the runs that began.
struct Node {
    monitor: Monitor,
    now: Instant,
    runs: Vec<(CheckId, u64)>,
    outcome: Outcome,
    ended: u64,
}

impl Node {
    fn new(outcome: Outcome) -> Self {
        let mut node = Self {
            monitor: Monitor::new(),
            now: Instant::from_nanos(1_000_000_000),
            runs: Vec::with_capacity(CHECKS),
            outcome,
            ended: 0,
        };
        let policies: Vec<CheckPolicy> = (0..CHECKS).map(policy).collect();
        node.monitor.handle(node.now, CheckInput::Reconfigure(&policies)).for_each(drop);
        node
    }

    /// One wake-up: runs begin, and end a millisecond later. Returns how many verdicts turned.
    fn turn(&mut self) -> usize {
        self.now = self.monitor.next_deadline().unwrap();
        for output in self.monitor.handle(self.now, CheckInput::Deadline) {
            if let CheckOutput::Run { check, run, .. } = output {
                self.runs.push((check, run));
            }
        }
        let at = self.now.after(Duration::from_millis(1));
        let mut turned = 0;
        while let Some((check, run)) = self.runs.pop() {
            let ended = CheckInput::Ended { check, run, at, outcome: self.outcome.clone() };
            turned += self.monitor.handle(self.now, ended).count();
            self.ended += 1;
        }
        turned
    }

    /// What grows once has grown after this, and verdicts stand.
    fn settle(&mut self) {
        while self.ended < 5 * CHECKS as u64 {
            self.turn();
        }
    }
}

fn policy(number: usize) -> CheckPolicy {
    CheckPolicy {
        name: format!("checks/{number}").into(),
        target: 1,
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        rise: 2,
        fall: 3,
        jitter_percent: 10,
        initial: Verdict::Unknown,
        grace: Duration::ZERO,
        backoff: None,
        damping: None,
        remedy: None,
        rule: None,
        watched: false,
    }
}

#[test]
fn a_result_that_changes_nothing_allocates_nothing() {
    let (latency, value, detail) = (Duration::from_millis(1), None, Arc::from("what was seen"));
    let outcomes = [
        Outcome::Passed { latency, value, detail: Arc::clone(&detail) },
        Outcome::Failed { reason: "REFUSED", latency, value, detail: Arc::clone(&detail) },
        Outcome::Inconclusive { detail },
    ];
    for outcome in outcomes {
        let mut node = Node::new(outcome);
        node.settle();
        let before = node.ended;
        let mut turned = 0;
        let counted = measure(|| (0..500).for_each(|_| turned += node.turn()));
        assert!(node.ended >= before + 500, "{}", node.ended - before);
        // Within the minute the trouble was told, and a minute is not over.
        assert_eq!((counted.count_total, turned), (0, 0), "{:?}", node.outcome);
    }
}
