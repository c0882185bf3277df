//! Attempts that wait for one socket each, driven together: one epoll set and one buffer for all of them, instead of a future,
//! a timer and a place in the runtime's books for each. Thousands a second are made so.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout_at};

use crate::attempt::Attempt;
use crate::course::Course;
use crate::errno;
use crate::failure::{Failure, Success};
use crate::probe::{Probe, conclude, overdue};
use crate::readiness::readable;
use crate::talk::{Progress, Talk};

/// Octets read at once.
pub(crate) const PIECE: usize = 4096;
/// Sockets heard of at once.
const MOST_EVENTS: usize = 64;

/// An attempt that waits for one socket and for nothing else. Dropping it closes that.
pub struct Exchange {
    probe: Arc<Probe>,
    talk: Talk,
    course: Course,
    /// It is among those that have more to do.
    is_going: bool,
}

/// Exchanges under way, each with a number that its owner chose and a `T` that it gets back.
#[derive(Debug)]
pub struct Exchanges<T> {
    /// Sockets are told by the numbers of their exchanges. They leave it by being closed: a child that was just forked may
    /// hold one for a moment longer, and then what is told of it is nobody's.
    epoll: AsyncFd<OwnedFd>,
    under_way: HashMap<u64, (T, Box<Exchange>)>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// Those that have more to do, and let others have their turn.
    going: VecDeque<u64>,
    ended: VecDeque<Ended<T>>,
    buffer: Box<[u8; PIECE]>,
}

/// The end of an exchange: its number, what came with it, and what it found; `None` when the agent itself failed in it.
pub type Ended<T> = (u64, T, Option<Attempt>);

impl Exchange {
    pub(crate) fn new(probe: Arc<Probe>, talk: Talk, course: Course) -> Box<Self> {
        Box::new(Self { probe, talk, course, is_going: false })
    }

    fn step(&mut self, buffer: &mut [u8]) -> Progress {
        self.probe.step(&mut self.talk, &mut self.course, buffer)
    }

    fn conclude(self, result: Result<Success, Failure>) -> Attempt {
        let Self { talk, course, .. } = self;
        // What was measured is over before the connection is.
        let attempt = conclude(result, course);
        drop(talk);
        attempt
    }

    fn expire(self) -> Attempt {
        let failure = overdue(&self.course);
        self.conclude(Err(failure))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("talk", &self.talk).finish_non_exhaustive()
    }
}

impl<T> Exchanges<T> {
    /// None yet. To be called within a runtime.
    ///
    /// # Errors
    /// When the kernel gives no epoll set.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: readable(epoll::create(CreateFlags::CLOEXEC)?)?,
            under_way: HashMap::new(),
            deadlines: BTreeSet::new(),
            going: VecDeque::new(),
            ended: VecDeque::new(),
            buffer: Box::new([0; PIECE]),
        })
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// When [`Exchanges::poll_next`] is to be called at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Drives one more. `number` must not be in use.
    pub fn add(&mut self, number: u64, tag: T, exchange: Box<Exchange>) {
        let mut events = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if !exchange.talk.only_listens() {
            events |= EventFlags::OUT;
        }
        match epoll::add(&self.epoll, &exchange.talk, EventData::new_u64(number), events) {
            Ok(()) => {
                self.deadlines.insert((exchange.course.deadline(), number));
                self.under_way.insert(number, (tag, exchange));
            }
            Err(error) => {
                let failure = errno::failure(&error.into(), "wait for a socket");
                self.ended.push_back((number, tag, Some(exchange.conclude(Err(failure)))));
            }
        }
    }

    /// Gives one up, if it is still under way.
    pub fn cancel(&mut self, number: u64) {
        drop(self.take(number));
        self.ended.retain(|(ended, ..)| *ended != number);
    }

    /// Gives all up.
    pub fn clear(&mut self) {
        self.under_way.clear();
        self.deadlines.clear();
        self.going.clear();
        self.ended.clear();
    }

    /// Waits for the next end, for who waits for nothing else; for ever when none is under way. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Ended<T> {
        loop {
            let deadline = self.next_deadline();
            let ended = poll_fn(|context| self.poll_next(context));
            match deadline {
                // Whose time is over is found when it is asked for.
                Some(deadline) => match timeout_at(deadline, ended).await {
                    Ok(ended) => return ended,
                    Err(_elapsed) => {}
                },
                None => return ended.await,
            }
        }
    }

    /// The next end. Nothing is lost when nobody asks again; time only counts when somebody does.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Ended<T>> {
        if self.ended.is_empty() {
            self.go_on(context);
            self.expire();
        }
        match self.ended.pop_front() {
            Some(ended) => Poll::Ready(ended),
            None => {
                if !self.going.is_empty() {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// One step for each that can go on. What has come counts although its deadline may have passed meanwhile.
    fn go_on(&mut self, context: &mut Context<'_>) {
        for _ in 0..self.going.len() {
            let Some(number) = self.going.pop_front() else { break };
            if let Some((_, exchange)) = self.under_way.get_mut(&number) {
                exchange.is_going = false;
                self.step(number);
            }
        }
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; MOST_EVENTS];
        while let Poll::Ready(Ok(mut ready)) = self.epoll.poll_read_ready(context) {
            const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
            let count = match epoll::wait(self.epoll.get_ref(), &mut events, Some(&AT_ONCE)) {
                Err(Errno::INTR) => continue,
                told => told.unwrap_or(0),
            };
            if count < MOST_EVENTS {
                // Whatever comes from now on is told anew.
                ready.clear_ready();
            }
            for event in events.iter().take(count) {
                self.step(event.data.u64());
            }
        }
    }

    fn step(&mut self, number: u64) {
        let Some((_, exchange)) = self.under_way.get_mut(&number) else { return };
        if exchange.is_going {
            return;
        }
        let buffer = &mut self.buffer[..];
        let stepped = catch_unwind(AssertUnwindSafe(|| exchange.step(buffer)));
        let result = match stepped {
            Ok(Progress::Waits) => return,
            Ok(Progress::Goes) => {
                exchange.is_going = true;
                return self.going.push_back(number);
            }
            Ok(Progress::Ended(result)) => Some(result),
            // A mistake of ours that something a target sent brought to light must not end the agent.
            Err(_panic) => None,
        };
        if let Some((tag, exchange)) = self.take(number) {
            self.ended.push_back((number, tag, result.map(|result| exchange.conclude(result))));
        }
    }

    fn expire(&mut self) {
        if self.deadlines.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((_, number)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now)
        {
            match self.take(number) {
                Some((tag, exchange)) => self.ended.push_back((number, tag, Some(exchange.expire()))),
                None => drop(self.deadlines.pop_first()),
            }
        }
    }

    fn take(&mut self, number: u64) -> Option<(T, Box<Exchange>)> {
        let (tag, exchange) = self.under_way.remove(&number)?;
        self.deadlines.remove(&(exchange.course.deadline(), number));
        Some((tag, exchange))
    }
}

#[cfg(test)]
mod tests;
