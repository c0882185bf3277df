//! When a check runs and what its results mean: intervals, thresholds, grace, backoff, damping, remedy.

use std::sync::Arc;
use std::time::Duration;

use ha_engine::{CheckPolicy, Damping, Expr, RemedyPolicy, Verdict};

use super::Kind;
use crate::duration::human;
use crate::keys;
use crate::model::{Command, Remedy};
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::value::Value;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// The shortest time between two runs: a check is no advert.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// The most results in a row that may be asked for.
const MOST_RESULTS: u32 = 1000;

/// The keys of a check that has attempts of its own, as they stand, with the defaults of its kind.
pub(crate) struct Timing {
    interval: Slot<Duration>,
    timeout: Slot<Duration>,
    rise: Slot<u32>,
    fall: Slot<u32>,
    jitter: Slot<u8>,
    initial: Slot<Verdict>,
    grace: Slot<Duration>,
    backoff: Slot<Duration>,
    damping: Slot<Damping>,
    remedy: Slot<Remedy>,
    watched: bool,
}

impl Timing {
    pub(super) fn read(kind: Option<Kind>, section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let within = |range: std::ops::RangeInclusive<Duration>| {
            move |value: &Value<'_>, report: &mut Report<'_>| value.duration(report, range)
        };
        let count = |value: &Value<'_>, report: &mut Report<'_>| value.integer(report, 1..=MOST_RESULTS);
        let timing = Self {
            interval: section.read(report, "interval", within(SHORTEST_INTERVAL..=DAY)),
            timeout: section.read(report, "timeout", within(Duration::from_millis(1)..=HOUR)),
            rise: section.read(report, "rise", count),
            fall: section.read(report, "fall", count),
            jitter: section.read(report, "jitter", |v, r| reader::percent(v, r, 0..=50)),
            initial: section.read(report, "initial", initial),
            grace: section.read(report, "grace", within(Duration::ZERO..=DAY)),
            backoff: section.read(report, "backoff", within(SHORTEST_INTERVAL..=DAY)),
            damping: section.read(report, "damping", damping),
            remedy: section.read(report, "remedy", remedy),
            watched: kind.is_some_and(Kind::is_told_by_the_kernel),
        };
        timing.check(&section.title, report);
        timing
    }

    fn interval(&self) -> Duration {
        let default = if self.watched { Duration::from_secs(10) } else { Duration::from_secs(2) };
        self.interval.value_or(default)
    }

    /// As long as the interval, at most five seconds.
    fn timeout(&self) -> Duration {
        self.timeout.value_or(self.interval().min(Duration::from_secs(5)))
    }

    fn check(&self, title: &str, report: &mut Report<'_>) {
        let interval = self.interval();
        if let Some(timeout) = self.timeout.spot().filter(|timeout| timeout.value > interval) {
            let message = format!(
                "{title} may take {} but is due every {}: runs are left out while one lasts",
                human(timeout.value),
                human(interval)
            );
            report.warning(&timeout.span, message, "shorten timeout, or lengthen interval");
        }
        if let Some(backoff) = self.backoff.spot().filter(|backoff| backoff.value <= interval) {
            let message = format!(
                "backoff {} is not longer than the interval of {}",
                human(backoff.value),
                human(interval)
            );
            report.error(
                &backoff.span,
                message,
                "write the longest interval while the check fails, or remove it",
            );
        }
    }

    /// What is tried before the verdict falls.
    pub(crate) fn remedy(&self) -> Option<&Remedy> {
        self.remedy.value()
    }

    /// The engine's policy for the fact of that name.
    pub(crate) fn policy(&self, name: Arc<str>, target: u64) -> CheckPolicy {
        let (rise, fall) = if self.watched { (1, 1) } else { (2, 3) };
        CheckPolicy {
            name,
            target,
            interval: self.interval(),
            timeout: self.timeout(),
            rise: self.rise.value_or(rise),
            fall: self.fall.value_or(fall),
            jitter_percent: self.jitter.value_or(10),
            initial: self.initial.value_or(Verdict::Unknown),
            grace: self.grace.value_or_default(),
            backoff: self.backoff.value().copied(),
            damping: self.damping.value().copied(),
            remedy: self.remedy.value().map(|remedy| remedy.policy),
            rule: None,
            watched: self.watched,
        }
    }
}

/// The policy of an expression: no attempts, so nothing but the rule counts.
pub(crate) fn policy_of_rule(name: Arc<str>, rule: Expr) -> CheckPolicy {
    CheckPolicy {
        name,
        target: 0,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        jitter_percent: 0,
        initial: Verdict::Unknown,
        grace: Duration::ZERO,
        backoff: None,
        damping: None,
        remedy: None,
        rule: Some(rule),
        watched: false,
    }
}

fn initial(value: &Value<'_>, report: &mut Report<'_>) -> Option<Verdict> {
    let words = [("unknown", Verdict::Unknown), ("passing", Verdict::Passing), ("failing", Verdict::Failing)];
    value.word(report, &words)
}

/// `{ within = "1m", hold = "10s", longest = "10m" }`.
fn damping(value: &Value<'_>, report: &mut Report<'_>) -> Option<Damping> {
    let second = Duration::from_secs(1);
    let section = value.table(report, "{ within = \"1m\", hold = \"10s\", longest = \"10m\" }")?;
    section.reject_unknown(report, keys::DAMPING, |_| None);
    let time = |key, report: &mut Report<'_>| section.read(report, key, |v, r| v.duration(r, second..=DAY));
    let hold = time("hold", report);
    let longest = time("longest", report);
    let damping = Damping {
        within: time("within", report).value_or(second * 60),
        hold: hold.value_or(second * 10),
        longest: longest.value_or((second * 600).max(hold.value_or(second))),
    };
    if let Some(spot) = longest.spot().filter(|longest| longest.value < damping.hold) {
        let message = format!("longest {} is shorter than hold {}", human(spot.value), human(damping.hold));
        report.error(&spot.span, message, "write longest = hold, or more");
        return None;
    }
    Some(damping)
}

/// `[check.remedy]`.
fn remedy(value: &Value<'_>, report: &mut Report<'_>) -> Option<Remedy> {
    let example = "[check.remedy] with command = [\"/usr/bin/systemctl\", \"restart\", \"nginx\"]";
    let section = value.table(report, example)?;
    section.reject_unknown(report, keys::REMEDY, keys::foreign_check_remedy);
    let second = Duration::from_secs(1);
    let time = |key, range, report: &mut Report<'_>| section.read(report, key, |v, r| v.duration(r, range));
    let policy = RemedyPolicy {
        timeout: time("timeout", second / 10..=HOUR, report).value_or(second * 10),
        wait: time("wait", Duration::ZERO..=HOUR, report).value_or(second * 3),
        rest: time("rest", Duration::ZERO..=DAY, report).value_or(second * 60),
    };
    let command: Command = reader::command(&section, report)?;
    Some(Remedy { command, policy })
}
