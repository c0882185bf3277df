//! A change is made once, however often it is asked for: the same `request_id` again gets the same answer, also when the
//! first caller left before it had one. Answers are kept for an hour, and no user but 0 has more than half of the room for them.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use prost::Message;
use prost::bytes::Bytes;
use tokio::time::Instant;
use tonic::Status;

use super::connection::User;
use super::error::{Reason, internal, refuse, refuse_for_now};
use super::tokens::fingerprint;

/// How long an answer is kept at least.
const KEPT: Duration = Duration::from_secs(3600);

/// How many answers are kept at most, and how many octets of them.
const MOST: Share = Share { answers: 16_384, octets: 16 << 20 };

/// Those of one user at most.
const HALF: Share = Share { answers: MOST.answers / 2, octets: MOST.octets / 2 };

/// All of them when user 0 asks.
const ADMINISTRATOR: Share = Share { answers: MOST.answers + 1024, octets: MOST.octets + (1 << 20) };

/// The longest request id in octets.
pub(crate) const LONGEST_ID: usize = 128;

/// Who asked, and under which id.
type Key = (User, String);

type Answer = Shared<BoxFuture<'static, Result<Bytes, Status>>>;

/// The answers of the last hour.
#[derive(Clone, Default)]
pub(crate) struct Once {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    answers: HashMap<Key, Kept>,
    /// By number, oldest first.
    order: BTreeMap<u64, (Instant, Key)>,
    /// What each user has; who has nothing is not there.
    shares: HashMap<User, Share>,
    all: Share,
    asked: u64,
}

/// Answers that are kept or waited for, and octets of those that are kept.
#[derive(Clone, Copy, Default)]
struct Share {
    answers: usize,
    octets: usize,
}

struct Kept {
    /// Tells an entry from a later one of the same key.
    number: u64,
    question: u64,
    octets: usize,
    answer: Answer,
}

impl Once {
    /// Runs `effect` to its end even if the caller leaves, and answers what it answered. With a request id that was used
    /// for the same `request` by the same user before, answers what was answered then. Failures are not kept.
    pub(crate) async fn run<Q: Message, A: Message + Default>(
        &self,
        user: User,
        request_id: &str,
        request: &Q,
        effect: impl Future<Output = Result<A, Status>> + Send + 'static,
    ) -> Result<A, Status> {
        let effect = async move { effect.await.map(|answer| Bytes::from(answer.encode_to_vec())) };
        let answer = if request_id.is_empty() {
            spawned(effect)
        } else {
            self.answer((user, request_id.to_owned()), fingerprint(request), effect)?
        };
        // Cancelled here when the caller leaves; the effect runs in its own task.
        A::decode(answer.await?).map_err(|_| internal())
    }

    /// Answers that are kept, and octets of them.
    pub(crate) fn fill(&self) -> (usize, usize) {
        let table = self.lock();
        (table.all.answers, table.all.octets)
    }

    fn answer(
        &self,
        key: Key,
        question: u64,
        effect: impl Future<Output = Result<Bytes, Status>> + Send + 'static,
    ) -> Result<Answer, Status> {
        let mut table = self.lock();
        table.forget(Instant::now());
        if let Some(kept) = table.answers.get(&key) {
            return if kept.question == question { Ok(kept.answer.clone()) } else { Err(reused(&key.1)) };
        }
        if table.is_full_for(key.0) {
            return Err(full());
        }
        table.asked += 1;
        let number = table.asked;
        let (this, owner) = (self.clone(), key.clone());
        let answer = spawned(async move {
            let outcome =
                AssertUnwindSafe(effect).catch_unwind().await.unwrap_or_else(|_panic| Err(internal()));
            this.settle(&owner, number, &outcome);
            outcome
        });
        table.order.insert(number, (Instant::now(), key.clone()));
        table.count(key.0, |share| share.answers += 1);
        table.answers.insert(key, Kept { number, question, octets: 0, answer: answer.clone() });
        Ok(answer)
    }

    /// An answer is kept, a failure is not: it had no effect.
    fn settle(&self, key: &Key, number: u64, outcome: &Result<Bytes, Status>) {
        let mut table = self.lock();
        match outcome {
            Ok(answer) => {
                if let Some(kept) = table.answers.get_mut(key).filter(|kept| kept.number == number) {
                    kept.octets = answer.len();
                    table.count(key.0, |share| share.octets += answer.len());
                }
            }
            Err(_) => table.remove(number),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn is_full_for(&self, user: User) -> bool {
        if user == User::ROOT {
            return self.all.reaches(ADMINISTRATOR);
        }
        self.all.reaches(MOST) || self.shares.get(&user).is_some_and(|share| share.reaches(HALF))
    }

    fn count(&mut self, user: User, change: impl Fn(&mut Share)) {
        change(&mut self.all);
        let share = self.shares.entry(user).or_default();
        change(share);
        if share.answers == 0 {
            self.shares.remove(&user);
        }
    }

    fn remove(&mut self, number: u64) {
        let Some((_, key)) = self.order.remove(&number) else { return };
        let Some(kept) = self.answers.remove(&key) else { return };
        self.count(key.0, |share| {
            share.answers = share.answers.saturating_sub(1);
            share.octets = share.octets.saturating_sub(kept.octets);
        });
    }

    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.order.first_entry().filter(|oldest| now - oldest.get().0 > KEPT) {
            let number = *oldest.key();
            self.remove(number);
        }
    }
}

impl Share {
    fn reaches(self, most: Self) -> bool {
        self.answers >= most.answers || self.octets >= most.octets
    }
}

fn spawned(effect: impl Future<Output = Result<Bytes, Status>> + Send + 'static) -> Answer {
    let task = tokio::spawn(effect);
    async move { task.await.unwrap_or_else(|_panicked| Err(internal())) }.boxed().shared()
}

fn reused(id: &str) -> Status {
    refuse(
        Reason::RequestIdReused,
        format!("request_id {id:?} was used for another change within the last hour"),
        "use a new id for each change",
    )
}

fn full() -> Status {
    refuse_for_now(
        Reason::RequestIdTableFull,
        "too many changes with a request_id within the last hour, all together or by this user",
        "wait, or leave request_id out",
        Duration::from_secs(60),
    )
}

#[cfg(test)]
mod tests;
