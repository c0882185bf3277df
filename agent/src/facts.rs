//! Facts on their way to whoever acts on them: a bounded queue apart from everybody's requests. What it does not take its
//! teller keeps, the latest of each name, and offers again, so that neither side ever waits and memory stays bounded by the
//! number of facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use ha_engine::Fact;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// News of something that instances or pools look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// How it stands from now on.
    Stands(Fact),
    /// It exists no longer.
    Removed(Arc<str>),
}

impl News {
    /// The name of the fact.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Stands(fact) => &fact.name,
            Self::Removed(name) => name,
        }
    }
}

/// Tells somebody of facts. Each teller has its own, and its own facts.
#[derive(Debug)]
pub struct Facts {
    queue: mpsc::Sender<News>,
    /// What the queue did not take, by name.
    kept: BTreeMap<Arc<str>, News>,
}

/// What the listener reads.
pub type FactInbox = mpsc::Receiver<News>;

/// Facts that may wait for the listener, which takes them within microseconds unless it is overloaded.
const WAITING: usize = 1024;

/// A teller and the end that the listener reads.
pub fn channel() -> (Facts, FactInbox) {
    let (queue, inbox) = mpsc::channel(WAITING);
    (Facts { queue, kept: BTreeMap::new() }, inbox)
}

impl Facts {
    /// One more teller, of other facts.
    pub fn another(&self) -> Self {
        Self { queue: self.queue.clone(), kept: BTreeMap::new() }
    }

    /// Tells at once, or later: then [`Self::has_kept`] says so. News of the same fact never overtake each other.
    pub fn tell(&mut self, news: News) {
        self.kept.insert(Arc::clone(news.name()), news);
        self.offer();
    }

    /// Tries again to tell what was kept.
    pub fn offer(&mut self) {
        while let Some((name, news)) = self.kept.pop_first() {
            match self.queue.try_send(news) {
                Ok(()) => {}
                Err(TrySendError::Full(news)) => {
                    self.kept.insert(name, news);
                    return;
                }
                // The agent is about to end: nobody is to be told any more.
                Err(TrySendError::Closed(_)) => return self.kept.clear(),
            }
        }
    }

    /// Whether something waits to be offered again.
    pub fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use ha_engine::{Instant, Verdict};

    use super::*;

    fn news(name: &str, value: i32) -> News {
        News::Stands(Fact {
            name: name.into(),
            verdict: Verdict::Passing,
            value: Some(value),
            damped: false,
            detail: "".into(),
            since: Instant::default(),
        })
    }

    #[test]
    fn what_does_not_fit_is_kept_latest_wins_and_told_when_there_is_room() {
        let (mut facts, mut inbox) = channel();
        for number in 0..WAITING {
            facts.tell(news(&format!("checks/{number}"), 0));
        }
        assert!(!facts.has_kept());
        for value in 1..=1000 {
            facts.tell(news("checks/late", value));
        }
        facts.tell(News::Removed("checks/gone".into()));
        assert_eq!(facts.kept.len(), 2, "however often it changes");
        let taken = std::iter::from_fn(|| inbox.try_recv().ok()).count();
        assert_eq!(taken, WAITING);
        facts.offer();
        assert!(!facts.has_kept());
        assert_eq!(inbox.try_recv().unwrap(), News::Removed("checks/gone".into()));
        assert_eq!(inbox.try_recv().unwrap(), news("checks/late", 1000));
        assert!(inbox.try_recv().is_err());
    }

    #[test]
    fn two_tellers_share_the_way_and_an_ended_agent_keeps_nobody_waiting() {
        let (mut one, mut inbox) = channel();
        let mut other = one.another();
        one.tell(news("checks/a", 1));
        other.tell(news("pools/b", 2));
        assert_eq!(inbox.try_recv().unwrap(), news("checks/a", 1));
        assert_eq!(inbox.try_recv().unwrap(), news("pools/b", 2));
        drop(inbox);
        one.tell(news("checks/a", 3));
        assert!(!one.has_kept());
    }
}
