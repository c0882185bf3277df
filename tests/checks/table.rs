//! One row for each attempt, compared with what was expected, and printed together.

use std::{fmt, sync::Arc, time::Duration};

use ha_probe::{Attempt, Outcome, Probe, Reason, Spec, Trouble};
use tokio::time::Instant;

use crate::attempts::attempt;

/// A loaded machine says nothing about a target; so often it is asked again.
const LATE_TRIES: u32 = 10;
/// A longer evidence is cut in the table, not in the comparison.
const WIDTH: usize = 118;

pub(crate) const PASSED: Outcome = Outcome::Passed;

pub(crate) const fn failed(reason: Reason) -> Outcome {
    Outcome::Failed(reason)
}

/// One situation and what is to be told of it.
pub(crate) struct Case<'a> {
    pub(crate) kind: &'a str,
    pub(crate) situation: &'a str,
    pub(crate) spec: Spec,
    pub(crate) within: Duration,
    /// One of these: which comes first is sometimes the kernel's choice.
    pub(crate) expected: &'a [Outcome],
    /// Is in the evidence.
    pub(crate) words: &'a str,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
    surprises: Vec<String>,
}

impl Table {
    /// Tries once, and again when this node was too busy to find out.
    pub(crate) async fn attempt(&mut self, case: Case<'_>) {
        let probe = Arc::new(Probe::new(case.spec).expect("a valid check"));
        for left in (0..LATE_TRIES).rev() {
            let attempt = attempt(&probe, Instant::now() + case.within).await;
            if attempt.outcome == Outcome::Inconclusive(Trouble::Late) && left > 0 {
                continue;
            }
            return self.add(case.kind, case.situation, &attempt, case.expected, case.words);
        }
    }

    /// Adds what a watch told, or an attempt that needs more than a deadline.
    pub(crate) fn add(
        &mut self,
        kind: &str,
        situation: &str,
        attempt: &Attempt,
        expected: &[Outcome],
        words: &str,
    ) {
        let told = format!("{kind}, {situation}: {:?}, {}", attempt.outcome, attempt.evidence);
        if !expected.contains(&attempt.outcome) {
            self.surprises.push(format!("{told}; expected {expected:?}"));
        } else if !attempt.evidence.contains(words) {
            self.surprises.push(format!("{told}; expected {words:?} in it"));
        }
        let evidence: String = attempt.evidence.chars().take(WIDTH).collect();
        let latency = format!("{:.1} ms", attempt.latency.as_secs_f64() * 1e3);
        self.rows.push([kind.to_owned(), situation.to_owned(), word(attempt.outcome), latency, evidence]);
    }

    /// Prints it all, and fails when something was not as expected.
    #[track_caller]
    pub(crate) fn judge(&self) {
        println!("{self}");
        assert!(self.surprises.is_empty(), "not as expected:\n{}", self.surprises.join("\n"));
    }
}

pub(crate) fn word(outcome: Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Failed(Reason::ExitCode(code)) => format!("EXIT_CODE {code}"),
        Outcome::Failed(Reason::Signal(signal)) => format!("SIGNAL {signal}"),
        Outcome::Failed(reason) => reason.as_str().to_owned(),
        Outcome::Inconclusive(trouble) => format!("inconclusive: {}", trouble.as_str()),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["kind", "situation", "outcome", "latency", "evidence"].map(str::to_owned);
        print(f, &header, &self.rows)
    }
}

/// Columns as wide as they need to be.
pub(crate) fn print<const N: usize>(
    f: &mut impl fmt::Write,
    header: &[String; N],
    rows: &[[String; N]],
) -> fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().chain([header]).map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let line: [String; N] = std::array::from_fn(|column| "-".repeat(width(column)));
    for row in [header, &line].into_iter().chain(rows) {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:0$}", width(column)));
        writeln!(f, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
    }
    Ok(())
}
