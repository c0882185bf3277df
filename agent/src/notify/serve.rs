//! Tells notices one after the other, and again when they were not taken: for channels with one receiver.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ha_config::Notifier;
use tokio::sync::watch;
use tokio::time::timeout;

use super::episode::Episodes;
use super::queue::{Queue, Waiting};

/// One notifier's place in the agent.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) notifier: Arc<Notifier>,
    pub(super) queue: Arc<Queue>,
    pub(super) episodes: Arc<Episodes>,
}

impl Post {
    /// Tells telemetry what waits, with what is under way.
    pub(super) fn count(&self, under_way: usize) {
        let counts = self.episodes.counts();
        counts.set_queued(self.queue.len());
        counts.set_under_way(under_way);
    }
}

/// What is wanted of whoever tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Go on.
    Run,
    /// Another takes over what waits: end as soon as what is under way has ended.
    HandOver,
    /// The agent ends: tell what waits, once each, and end.
    Finish,
}

/// A way to one receiver.
pub(super) trait Channel: Send {
    /// What can be done before the first notice.
    fn prepare(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// The most notices that are told together.
    fn most(&self) -> usize;

    /// Tells them. Cut when the notifier's timeout is over, and called again with the same notices, and maybe more.
    fn deliver(&mut self, batch: &[Waiting]) -> impl Future<Output = Delivery> + Send;

    /// Whether notices may join those that were not taken.
    fn may_grow(&self) -> bool {
        true
    }

    /// What it means that a delivery took too long.
    fn lateness(&self, timeout: Duration) -> String {
        format!("no answer within {timeout:?}")
    }

    /// Between two attempts at most.
    fn longest_pause(&self) -> Duration {
        LONGEST_PAUSE
    }
}

/// How a delivery ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Delivery {
    /// It was taken.
    Done,
    /// It was not taken, and may be another time.
    Again(String),
    /// It was not taken, and will never be.
    Never(String),
}

/// Between two attempts, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Serves a post until another takes over or everything is told.
pub(super) async fn serve(mut channel: impl Channel, post: Post, mut phase: watch::Receiver<Phase>) {
    if let Err(why) = channel.prepare() {
        post.episodes.failed(&why);
    }
    while let Some(batch) = next(&post.queue, channel.most(), &mut phase).await {
        tell(&mut channel, &post, batch, &mut phase).await;
        post.count(0);
    }
}

async fn next(queue: &Queue, most: usize, phase: &mut watch::Receiver<Phase>) -> Option<Vec<Waiting>> {
    loop {
        let now = *phase.borrow_and_update();
        if now == Phase::HandOver {
            return None;
        }
        let batch = queue.take(most);
        if !batch.is_empty() {
            return Some(batch);
        }
        if now == Phase::Finish {
            return None;
        }
        tokio::select! {
            () = queue.changed() => {}
            changed = phase.changed() => changed.ok()?,
        }
    }
}

/// Until it is taken, dropped, or given back.
async fn tell(
    channel: &mut impl Channel,
    post: &Post,
    mut batch: Vec<Waiting>,
    phase: &mut watch::Receiver<Phase>,
) {
    let mut pause = FIRST_PAUSE.min(channel.longest_pause());
    loop {
        post.count(batch.len());
        let delivery = timeout(post.notifier.timeout, channel.deliver(&batch)).await;
        let late = |_| Delivery::Again(channel.lateness(post.notifier.timeout));
        match delivery.unwrap_or_else(late) {
            Delivery::Done => return post.episodes.delivered(batch.len(), post.queue.len() == 0),
            Delivery::Never(why) => {
                post.episodes.failed(&why);
                return post.episodes.dropped(count(&batch), &why);
            }
            Delivery::Again(why) => {
                post.episodes.failed(&why);
                give_up_old(post, &mut batch, &why, *phase.borrow());
            }
        }
        if batch.is_empty() {
            return;
        }
        let changed = timeout(pause, phase.changed()).await;
        if changed.is_ok() && *phase.borrow() == Phase::HandOver {
            let lost = post.queue.give_back(batch);
            return post.episodes.dropped(lost, "too many wait");
        }
        pause = (pause * 2).min(channel.longest_pause());
        if channel.may_grow() {
            let room = channel.most().saturating_sub(batch.len());
            batch.extend(post.queue.take(room));
        }
    }
}

/// Drops what was tried for long enough; at the end of the agent that is once.
fn give_up_old(post: &Post, batch: &mut Vec<Waiting>, why: &str, phase: Phase) {
    let before = batch.len();
    let patience = if phase == Phase::Finish { Duration::ZERO } else { post.notifier.retry_for };
    batch.retain(|waiting| waiting.since.elapsed() < patience);
    let dropped = u64::try_from(before - batch.len()).unwrap_or(u64::MAX);
    post.episodes.dropped(dropped, &format!("given up after {patience:?}: {why}"));
}

fn count(batch: &[Waiting]) -> u64 {
    u64::try_from(batch.len()).unwrap_or(u64::MAX)
}
