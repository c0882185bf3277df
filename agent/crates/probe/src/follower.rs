//! What the kinds have in common that are looked at again whenever the kernel says that something may have changed.

use std::future::Future;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::attempt::{Attempt, Outcome, Trouble};
use crate::course::Course;
use crate::failure::{Failure, Success};
use crate::probe::conclude;

/// A thing on this node that can be looked at.
pub(crate) trait Look: Send + Sync + 'static {
    /// Looks; may block for as long as the kernel does.
    fn look(&self) -> Result<Success, Failure>;
}

/// Looks without blocking the runtime.
pub(crate) async fn look(thing: &Arc<impl Look>) -> Result<Success, Failure> {
    let thing = Arc::clone(thing);
    let looked = spawn_blocking(move || thing.look()).await;
    looked.unwrap_or_else(|_| Err(Failure::trouble(Trouble::Cancelled, "the agent is stopping")))
}

/// What may have changed a thing.
pub(crate) trait Changes: Send {
    /// Begins to listen, when called for the first time, and returns; later waits for the next change. Cancelled, it is not lost.
    fn next(&mut self) -> impl Future<Output = ()> + Send;

    /// What the evidence says of it beside what was seen; may be empty.
    fn evidence(&self) -> &str;
}

/// A thing that is followed.
#[derive(Debug)]
pub(crate) struct Follower<T, C> {
    thing: Arc<T>,
    changes: C,
    /// It may have changed since it was looked at.
    is_stale: bool,
    /// It is looked at so rarely that looking takes a tenth of the time at most, however often it changes.
    not_before: Instant,
    told: Option<(Outcome, Option<i32>)>,
}

impl<T: Look, C: Changes> Follower<T, C> {
    pub(crate) fn new(thing: Arc<T>, changes: C) -> Self {
        Self { thing, changes, is_stale: false, not_before: Instant::now(), told: None }
    }

    /// Waits until what is seen differs in outcome or value. May be cancelled: what was being looked at is looked at again.
    pub(crate) async fn next(&mut self) -> Attempt {
        loop {
            if !self.is_stale {
                self.changes.next().await;
                self.is_stale = true;
            }
            sleep_until(self.not_before).await;
            let begun = Instant::now();
            let course = Course::new(begun, false);
            let mut result = look(&self.thing).await;
            self.not_before = Instant::now() + begun.elapsed() * 9;
            self.is_stale = false;
            let (Ok(Success { evidence, .. }) | Err(Failure { evidence, .. })) = &mut result;
            evidence.push_str(self.changes.evidence());
            let attempt = conclude(result, course);
            let seen = (attempt.outcome, attempt.value);
            if self.told != Some(seen) {
                self.told = Some(seen);
                return attempt;
            }
        }
    }
}
