//! Everything under way on the checks' thread, in one task: attempts that wait for their target, watches, commands of
//! remedies. What waits for one socket is one of the probe's exchanges, all else is one of a set of futures. How many there
//! are is bounded by the descriptors that this process may have.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable};
use futures::stream::FuturesUnordered;
use ha_engine::CheckId;
use ha_probe::{Attempt, Exchange, Exchanges, Running, Watch};
use tokio::time::Instant;

use super::translate::{self, RemedyResult};

/// What is under way.
pub(super) struct Jobs {
    exchanges: Exchanges<CheckId>,
    futures: FuturesUnordered<Abortable<Job>>,
    /// Of futures, by the number of the run.
    handles: HashMap<u64, AbortHandle>,
    places: usize,
}

/// What ended.
pub(super) struct Done {
    pub(super) check: CheckId,
    pub(super) run: u64,
    pub(super) found: Found,
}

/// What it found.
pub(super) enum Found {
    Attempt(Attempt),
    /// News of a watch, which goes on when it is given back.
    News(Attempt, Box<Watch>),
    Remedy(RemedyResult),
}

struct Job {
    check: CheckId,
    run: u64,
    work: Work,
}

enum Work {
    Attempt(Running),
    Watch(Pin<Box<dyn Future<Output = (Attempt, Box<Watch>)> + Send>>),
    Remedy(Pin<Box<dyn Future<Output = RemedyResult> + Send>>),
}

impl Jobs {
    /// At most `places` attempts at once; watches and remedies always find a place. To be called within a runtime.
    ///
    /// # Errors
    /// When the kernel gives no epoll set.
    pub(super) fn new(places: usize) -> io::Result<Self> {
        let exchanges = Exchanges::new()?;
        Ok(Self { exchanges, futures: FuturesUnordered::new(), handles: HashMap::new(), places })
    }

    pub(super) fn len(&self) -> usize {
        self.exchanges.len() + self.handles.len()
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// Whether one more attempt would leave too few descriptors for the rest of the agent.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.places
    }

    /// When [`Jobs::next`] is to be asked again at the latest; futures have timers of their own.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.exchanges.next_deadline()
    }

    pub(super) fn exchange(&mut self, check: CheckId, run: u64, exchange: Box<Exchange>) {
        self.exchanges.add(run, check, exchange);
    }

    pub(super) fn attempt(&mut self, check: CheckId, run: u64, attempt: Running) {
        self.add(check, run, Work::Attempt(attempt));
    }

    pub(super) fn watch(&mut self, check: CheckId, run: u64, mut watch: Box<Watch>) {
        let news = async move { (watch.next().await, watch) };
        self.add(check, run, Work::Watch(Box::pin(news)));
    }

    pub(super) fn remedy(
        &mut self,
        check: CheckId,
        run: u64,
        command: impl Future<Output = RemedyResult> + Send + 'static,
    ) {
        self.add(check, run, Work::Remedy(Box::pin(command)));
    }

    /// Gives one up: what it has opened is closed, a command is ended with everything that it started.
    pub(super) fn cancel(&mut self, run: u64) {
        match self.handles.remove(&run) {
            Some(handle) => handle.abort(),
            None => self.exchanges.cancel(run),
        }
    }

    pub(super) fn cancel_all(&mut self) {
        self.exchanges.clear();
        self.handles.clear();
        self.futures.clear();
    }

    /// Waits for the next end; for ever when nothing is under way. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Done {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Done> {
        if let Poll::Ready((run, check, attempt)) = self.exchanges.poll_next(context) {
            let attempt = attempt.unwrap_or_else(translate::panicked);
            return Poll::Ready(Done { check, run, found: Found::Attempt(attempt) });
        }
        while let Poll::Ready(Some(ended)) = self.futures.poll_next_unpin(context) {
            // Else it was cancelled, and its handle is gone.
            if let Ok(done) = ended {
                self.handles.remove(&done.run);
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    }

    fn add(&mut self, check: CheckId, run: u64, work: Work) {
        let (handle, registration) = AbortHandle::new_pair();
        self.handles.insert(run, handle);
        self.futures.push(Abortable::new(Job { check, run, work }, registration));
    }
}

impl Future for Job {
    type Output = Done;

    /// A mistake of ours that something a target sent brought to light must not end the agent.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Done> {
        let work = &mut self.work;
        let polled = catch_unwind(AssertUnwindSafe(|| work.poll(context)));
        let found = polled.unwrap_or_else(|_panic| Poll::Ready(self.work.panicked()));
        let (check, run) = (self.check, self.run);
        found.map(|found| Done { check, run, found })
    }
}

impl Work {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Found> {
        match self {
            Self::Attempt(attempt) => attempt.as_mut().poll(context).map(Found::Attempt),
            Self::Watch(news) => {
                news.as_mut().poll(context).map(|(attempt, watch)| Found::News(attempt, watch))
            }
            Self::Remedy(result) => result.as_mut().poll(context).map(Found::Remedy),
        }
    }

    fn panicked(&self) -> Found {
        match self {
            Self::Attempt(_) | Self::Watch(_) => Found::Attempt(translate::panicked()),
            Self::Remedy(_) => Found::Remedy(Err(translate::PANICKED.into())),
        }
    }
}
