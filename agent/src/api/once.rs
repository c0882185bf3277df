//! A change is made once, however often it is asked for: the same `request_id` again gets the same answer, also when the
//! first caller left before it had one. Answers are kept for an hour.

use std::collections::{HashMap, VecDeque};
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
const MOST_ANSWERS: usize = 16_384;
const MOST_OCTETS: usize = 16 << 20;

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
    /// Oldest first; those that failed since are no longer in `answers`.
    order: VecDeque<(Instant, u64, Key)>,
    octets: usize,
    asked: u64,
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
        (table.answers.len(), table.octets)
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
        if table.answers.len() >= MOST_ANSWERS || table.octets >= MOST_OCTETS {
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
        table.order.push_back((Instant::now(), number, key.clone()));
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
                    table.octets += answer.len();
                }
            }
            Err(_) => {
                table.answers.remove(key);
                table.order.retain(|(_, other, _)| *other != number);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(asked, ..)| now - *asked > KEPT) {
            let Some((_, _, key)) = self.order.pop_front() else { break };
            if let Some(kept) = self.answers.remove(&key) {
                self.octets = self.octets.saturating_sub(kept.octets);
            }
        }
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
        "too many changes with a request_id within the last hour",
        "wait, or leave request_id out",
        Duration::from_secs(60),
    )
}

#[cfg(test)]
mod tests;
