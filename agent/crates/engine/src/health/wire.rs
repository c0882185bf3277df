//! What goes into and comes out of the [`super::Monitor`]: plain data.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::policy::CheckPolicy;
use super::status::MutedCheck;
use crate::event::{Actor, Event};
use crate::track::Fact;
use crate::units::Instant;

/// A check of the monitor. Numbers of removed checks are used again; runs are told apart by their own numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CheckId(pub u32);

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum CheckInput<'a> {
    /// All checks. Those whose policy did not change are not touched; a changed one keeps its verdict, its mute and,
    /// unless its target changed, its window.
    Reconfigure(&'a [CheckPolicy]),
    /// What an earlier process of the agent left frozen, before the first configuration. None of it is news.
    Inherit(Vec<MutedCheck>),
    /// The instant of [`super::Monitor::next_deadline`] has come. Results that came before must have been handed over
    /// first.
    Deadline,
    /// An attempt ended, or a watch has news.
    Ended {
        /// Whose.
        check: CheckId,
        /// The number of the run or of the watch; one that is no longer wanted is ignored.
        run: u64,
        /// When the attempt ended; not when it came to be told.
        at: Instant,
        /// What it found.
        outcome: Outcome,
    },
    /// The command of a remedy ended.
    RemedyEnded {
        /// Whose.
        check: CheckId,
        /// The number of the run.
        run: u64,
        /// What it said, one line: `Ok` if it did what it is for, `Err` if not.
        result: Result<Arc<str>, Arc<str>>,
    },
    /// An operator freezes a verdict; answered by [`CheckOutput::Answer`]. A second mute replaces the first.
    Mute {
        /// Of which check.
        name: Arc<str>,
        /// Free text for colleagues.
        reason: Arc<str>,
        /// Who wants it.
        actor: Arc<Actor>,
        /// When it ends by itself; `None` = when unmuted.
        expires: Option<Instant>,
        /// Whether it is to survive a restart of the agent, which sees to that.
        survives: bool,
        /// Check and answer, change nothing.
        dry_run: bool,
    },
    /// An operator lets results count again; answered by [`CheckOutput::Answer`], also when it was not muted.
    Unmute {
        /// Of which check.
        name: Arc<str>,
        /// Who wants it.
        actor: Arc<Actor>,
        /// Check and answer, change nothing.
        dry_run: bool,
    },
    /// An operator wants a run now, whose result counts like any other; answered by [`CheckOutput::Answer`]. While a run
    /// or a remedy is under way it begins right after that.
    RunNow {
        /// Of which check.
        name: Arc<str>,
    },
}

/// What one attempt found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The target is as it should be.
    Passed {
        /// From the attempt's beginning to its end.
        latency: Duration,
        /// The number it found, if it is about one.
        value: Option<i32>,
        /// What was seen, one line.
        detail: Arc<str>,
    },
    /// The target is not as it should be.
    Failed {
        /// One word: REFUSED, TIMEOUT, WRONG_STATUS, EXIT_CODE.
        reason: &'static str,
        /// From the attempt's beginning to its end.
        latency: Duration,
        /// The number it found, if it is about one.
        value: Option<i32>,
        /// What was seen, one line.
        detail: Arc<str>,
    },
    /// It says nothing about the target: this node had a trouble. Neither a pass nor a failure; counted.
    Inconclusive {
        /// Which trouble, one line.
        detail: Arc<str>,
    },
}

/// One effect to carry out.
#[derive(Debug)]
pub enum CheckOutput {
    /// Begin an attempt, which must end by the deadline.
    Run {
        /// Of which check.
        check: CheckId,
        /// To be told with its end. Runs of all checks are numbered in one row.
        run: u64,
        /// Now and the check's timeout.
        deadline: Instant,
        /// An operator asked for it and wants it told step by step.
        asked: bool,
    },
    /// Begin to watch; every news is told as [`CheckInput::Ended`] with this number until [`CheckOutput::Cancel`].
    Watch {
        /// Of which check.
        check: CheckId,
        /// To be told with its news.
        run: u64,
    },
    /// A run or a watch is no longer wanted; what it finds is ignored.
    Cancel {
        /// Of which check; maybe one that was just removed.
        check: CheckId,
        /// Which.
        run: u64,
    },
    /// Run the command of the check's remedy, which must end by the deadline.
    RunRemedy {
        /// Of which check.
        check: CheckId,
        /// To be told with its end.
        run: u64,
        /// Now and the remedy's timeout.
        deadline: Instant,
    },
    /// The verdict or the value changed.
    Fact(Fact),
    /// The check of that name exists no longer.
    FactRemoved(Arc<str>),
    /// Something to record.
    Event(Box<Event>),
    /// The answer to the operator's command that was the input.
    Answer(Result<CheckId, CheckRefusal>),
}

/// Why an operator's command was not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckRefusal {
    /// There is no such check.
    UnknownCheck,
    /// It follows from other checks and has no attempts of its own.
    NotRunnable,
}

/// The effects of one input. Borrows the monitor, so that the next input cannot overtake them.
#[must_use = "undone effects are lost"]
#[derive(Debug)]
pub struct CheckOutputs<'a>(pub(super) vec::Drain<'a, CheckOutput>);

impl Iterator for CheckOutputs<'_> {
    type Item = CheckOutput;

    fn next(&mut self) -> Option<CheckOutput> {
        self.0.next()
    }
}
