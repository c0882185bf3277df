//! Follows the processes that are meant: ends by pidfd, starts by the connector or by looking.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::Compiled;
use super::connector::{News, Subscription};
use super::table::{self, Seen};
use crate::attempt::{Attempt, Outcome};
use crate::course::Course;
use crate::failure::Failure;
use crate::probe::conclude;
use crate::readiness::readable;

/// The processes of one check, followed.
#[derive(Debug)]
pub(crate) struct Follower {
    check: Arc<Compiled>,
    /// `None` until the connector was asked for; `Err`: why there is none.
    starts: Option<Result<Arc<Subscription>, String>>,
    /// `None` until the first look succeeded.
    members: Option<BTreeMap<i32, Member>>,
    ends: FuturesUnordered<End>,
    last_ended: Option<i32>,
    found: watch::Receiver<Arc<[Seen]>>,
    look_at: Instant,
    /// How often was looked since a process ended.
    looks: u32,
    /// Whether the last result passed. A failure that gets worse is no other failure.
    told: Option<bool>,
}

#[derive(Debug)]
struct Member {
    seen: Seen,
    /// Nobody tells its end, because there are too many or the kernel refused.
    is_unwatched: bool,
}

/// The end of one process.
type End = Pin<Box<dyn Future<Output = Seen> + Send + Sync>>;

/// So many processes of one check are watched, each with a descriptor; the others are only counted.
const MOST_WATCHED: usize = 256;
/// Looks after a process ended, because what ends is often started again.
const SOON: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(200),
    Duration::from_millis(500),
];
/// Between two looks when nobody tells of starts.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks when the connector does.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);

impl Follower {
    pub(crate) fn new(check: Arc<Compiled>) -> Self {
        let found = check.found.subscribe();
        Self {
            check,
            starts: None,
            members: None,
            ends: FuturesUnordered::new(),
            last_ended: None,
            found,
            look_at: Instant::now(),
            looks: 0,
            told: None,
        }
    }

    /// Waits until the check turns. May be cancelled: what is known stays, and what was being looked at is looked at again.
    pub(crate) async fn next(&mut self) -> Attempt {
        self.ask_for_starts().await;
        loop {
            let course = Course::new(Instant::now(), false);
            if self.look_at <= Instant::now()
                && let Err(failure) = self.look().await
            {
                self.told = None;
                return conclude(Err(failure), course);
            }
            if let Some(members) = &self.members {
                let numbers: Vec<i32> = members.keys().copied().collect();
                let result = conclude(self.check.judge(&numbers, &self.more(members)), course);
                let passed = result.outcome == Outcome::Passed;
                if self.told != Some(passed) {
                    self.told = Some(passed);
                    return result;
                }
            }
            self.wait().await;
        }
    }

    async fn ask_for_starts(&mut self) {
        if self.starts.is_none() {
            let matching = self.check.spec.matching.clone();
            let starts = spawn_blocking(move || Subscription::new(matching)).await;
            self.starts = Some(starts.unwrap_or_else(|_| Err("it could not be asked".to_owned())));
        }
    }

    /// What the evidence says beside the count.
    fn more(&self, members: &BTreeMap<i32, Member>) -> String {
        let ended = self.last_ended.map_or_else(String::new, |process| format!("; {process} ended"));
        let is_partial = members.values().any(|member| member.is_unwatched);
        let ends = if is_partial { "pidfd (some only by looking)" } else { "pidfd" };
        match &self.starts {
            Some(Ok(_)) => format!("{ended}; told by {ends} and proc connector"),
            Some(Err(why)) => format!("{ended}; told by {ends}, starts looked for every {LOOK:?}: {why}"),
            None => ended,
        }
    }

    /// Counts again.
    async fn look(&mut self) -> Result<(), Failure> {
        let found = self.check.look().await;
        self.plan_look();
        self.adopt_all(&found?);
        Ok(())
    }

    fn plan_look(&mut self) {
        let usual = if matches!(self.starts, Some(Ok(_))) { LOOK_ANYWAY } else { LOOK };
        let index = usize::try_from(self.looks).unwrap_or(usize::MAX);
        self.looks = self.looks.saturating_add(1);
        self.look_at = Instant::now() + SOON.get(index).copied().unwrap_or(usual);
    }

    /// Waits for something that may change the count.
    async fn wait(&mut self) {
        let subscription = self.starts.as_ref().and_then(|starts| starts.as_ref().ok()).cloned();
        let news = async {
            match &subscription {
                Some(subscription) => subscription.news().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Ends first: they are what somebody waits for.
            biased;
            Some(ended) = self.ends.next() => self.bury(ended),
            news = news => self.hear(news),
            // The sender lives in the check.
            Ok(()) = self.found.changed() => {
                let found = Arc::clone(&self.found.borrow_and_update());
                self.adopt_all(&found);
            }
            () = sleep_until(self.look_at) => {}
        }
    }

    fn bury(&mut self, ended: Seen) {
        let Some(members) = &mut self.members else { return };
        // Its number may have gone to another process that is meant.
        if members.get(&ended.process).is_some_and(|member| member.seen == ended) {
            members.remove(&ended.process);
            self.last_ended = Some(ended.process);
            self.looks = 0;
            self.look_at = Instant::now() + SOON[0];
            self.tell_members();
        }
    }

    fn hear(&mut self, news: News) {
        if news.is_incomplete {
            self.look_at = Instant::now();
            return;
        }
        for process in news.processes {
            match table::look(process, &self.check.spec.matching) {
                Some(seen) => self.adopt(seen),
                None => drop(self.members.as_mut().and_then(|members| members.remove(&process))),
            }
        }
        self.tell_members();
    }

    fn adopt_all(&mut self, found: &[Seen]) {
        let members = self.members.get_or_insert_default();
        members.retain(|_, member| found.contains(&member.seen));
        found.iter().for_each(|seen| self.adopt(*seen));
        self.tell_members();
    }

    fn adopt(&mut self, seen: Seen) {
        let known = self.members.as_ref().and_then(|members| members.get(&seen.process));
        if known.is_some_and(|member| member.seen == seen) {
            return;
        }
        let end = if self.ends.len() < MOST_WATCHED { self.end_of(seen).ok() } else { None };
        let is_unwatched = match end {
            Some(Some(end)) => {
                self.ends.push(end);
                false
            }
            // It ended meanwhile.
            Some(None) => return,
            None => true,
        };
        self.members.get_or_insert_default().insert(seen.process, Member { seen, is_unwatched });
    }

    /// `None` when it is no longer the process that was seen.
    fn end_of(&self, seen: Seen) -> io::Result<Option<End>> {
        let Some(process) = Pid::from_raw(seen.process) else { return Ok(None) };
        let descriptor: OwnedFd = match pidfd_open(process, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            opened => opened?,
        };
        // The descriptor is of whoever has the number now.
        if table::look(seen.process, &self.check.spec.matching) != Some(seen) {
            return Ok(None);
        }
        let descriptor = readable(descriptor)?;
        Ok(Some(Box::pin(async move {
            // An error is an end as well: the next look finds out.
            let _ = descriptor.readable().await;
            seen
        })))
    }

    fn tell_members(&self) {
        if let (Some(Ok(subscription)), Some(members)) = (&self.starts, &self.members) {
            subscription.set_members(members.keys().copied());
        }
    }
}
