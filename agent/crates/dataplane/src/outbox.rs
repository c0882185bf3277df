//! Reports on their way to a receiver that may be slow: kept by kind and object, the latest wins, so memory is bounded by
//! what is configured and no news is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::{Applied, InstanceId, LinkId};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::report::Report;

/// Log lines that may wait; of more the oldest are dropped.
const TROUBLES: usize = 64;

/// What has not been taken yet.
#[derive(Debug)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<Report>,
    links: BTreeMap<LinkId, Report>,
    applied: BTreeMap<InstanceId, Applied>,
    lost: BTreeSet<(InstanceId, IpAddr)>,
    announced: BTreeMap<InstanceId, Report>,
    troubles: VecDeque<Arc<str>>,
}

impl Outbox {
    pub(crate) fn new(sender: mpsc::Sender<Report>) -> Self {
        Self {
            sender,
            links: BTreeMap::new(),
            applied: BTreeMap::new(),
            lost: BTreeSet::new(),
            announced: BTreeMap::new(),
            troubles: VecDeque::new(),
        }
    }

    /// Queues a report, replacing an older one about the same.
    pub(crate) fn put(&mut self, report: Report) {
        match report {
            Report::Link { link, .. } => {
                self.links.insert(link, report);
            }
            Report::Applied(applied) => {
                self.applied.insert(applied.instance, applied);
            }
            Report::AddressLost { instance, address } => {
                self.lost.insert((instance, address));
            }
            Report::Announced { instance, takeover, at, count } => {
                let was_takeover =
                    matches!(self.announced.get(&instance), Some(Report::Announced { takeover: true, .. }));
                let report = Report::Announced { instance, takeover: takeover || was_takeover, at, count };
                self.announced.insert(instance, report);
            }
            Report::Trouble(text) => {
                if self.troubles.len() == TROUBLES {
                    self.troubles.pop_front();
                }
                self.troubles.push_back(text);
            }
        }
    }

    /// A newer ownership of an instance makes older losses pointless.
    pub(crate) fn forget_losses(&mut self, instance: InstanceId) {
        let first = IpAddr::from([0, 0, 0, 0]);
        let last = IpAddr::from([u8::MAX; 16]);
        let old: Vec<_> = self.lost.range((instance, first)..=(instance, last)).copied().collect();
        for loss in old {
            self.lost.remove(&loss);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
            && self.applied.is_empty()
            && self.lost.is_empty()
            && self.announced.is_empty()
            && self.troubles.is_empty()
    }

    /// Hands over what the receiver has room for.
    pub(crate) fn flush(&mut self) {
        while let Some(report) = self.pop() {
            match self.sender.try_send(report) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(report)) => {
                    self.put(report);
                    return;
                }
            }
        }
    }

    /// Resolves when the receiver has room, or is gone.
    pub(crate) async fn has_room(&self) {
        // Both outcomes are a reason to flush; the permit is given back.
        let _ = self.sender.reserve().await;
    }

    fn pop(&mut self) -> Option<Report> {
        if let Some((_, report)) = self.links.pop_first() {
            return Some(report);
        }
        if let Some((_, applied)) = self.applied.pop_first() {
            return Some(Report::Applied(applied));
        }
        if let Some((instance, address)) = self.lost.pop_first() {
            return Some(Report::AddressLost { instance, address });
        }
        if let Some((_, report)) = self.announced.pop_first() {
            return Some(report);
        }
        self.troubles.pop_front().map(Report::Trouble)
    }
}

#[cfg(test)]
mod tests {
    use ha_engine::Instant;

    use super::*;

    fn applied(instance: u32, generation: u64) -> Report {
        let result = Ok(());
        Report::Applied(Applied {
            instance: InstanceId(instance),
            generation,
            result,
            at: Instant::default(),
        })
    }

    fn announced(takeover: bool, at: u64) -> Report {
        Report::Announced { instance: InstanceId(1), takeover, at: Instant::from_nanos(at), count: 1 }
    }

    #[test]
    fn a_slow_receiver_gets_the_latest_of_each_and_nothing_is_lost() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        let lost = Report::AddressLost { instance: InstanceId(1), address: IpAddr::from([10, 0, 0, 1]) };
        outbox.put(applied(9, 1));
        outbox.flush();
        for report in
            [applied(1, 2), applied(2, 3), announced(true, 1), lost.clone(), lost.clone(), applied(1, 4)]
        {
            outbox.put(report);
            outbox.flush();
        }
        outbox.put(announced(false, 2));
        let mut received = Vec::new();
        while let Ok(report) = receiver.try_recv() {
            received.push(report);
            outbox.flush();
        }
        assert_eq!(received, [applied(9, 1), applied(1, 4), applied(2, 3), lost, announced(true, 2)]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn losses_before_a_newer_ownership_are_forgotten() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        for (instance, address) in [(1, "10.0.0.1"), (1, "2001:db8::1"), (2, "10.0.0.1")] {
            let address = address.parse().unwrap();
            outbox.put(Report::AddressLost { instance: InstanceId(instance), address });
        }
        outbox.forget_losses(InstanceId(1));
        assert_eq!(outbox.lost.len(), 1);
    }
}
