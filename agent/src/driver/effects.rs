//! Carries out what the engine wants, in its order, without ever waiting: what a queue does not take is kept, latest-wins,
//! and offered again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ha_engine::{Announcement, Event, InstanceId, LinkId, Output, Outputs, Ownership, Refusal};
use tokio::sync::mpsc;

use super::outbox::Outbox;
use super::ports::Ports;

/// Everything that an output can reach.
#[derive(Debug)]
pub(super) struct Effects {
    outbox: Outbox,
    dataplane: ha_dataplane::Handle,
    events: mpsc::Sender<Box<Event>>,
    lost: Arc<AtomicU64>,
    troubles: mpsc::Sender<String>,
    /// What leaves after the adverts, latest-wins, and what the dataplane did not take yet.
    ownerships: BTreeMap<InstanceId, Ownership>,
    announcements: BTreeMap<InstanceId, Announcement>,
    watch: Option<Vec<(LinkId, Arc<str>)>>,
    /// Instances that hold addresses.
    holders: BTreeSet<InstanceId>,
    /// The answer to the operator whose command was the last input.
    answer: Option<Result<(), Refusal>>,
}

impl Effects {
    pub(super) fn new(
        dataplane: ha_dataplane::Handle,
        events: mpsc::Sender<Box<Event>>,
        lost: Arc<AtomicU64>,
        troubles: mpsc::Sender<String>,
    ) -> Self {
        Self {
            outbox: Outbox::default(),
            dataplane,
            events,
            lost,
            troubles,
            ownerships: BTreeMap::new(),
            announcements: BTreeMap::new(),
            watch: None,
            holders: BTreeSet::new(),
            answer: None,
        }
    }

    /// Carries out the effects of one input.
    pub(super) fn carry_out(&mut self, outputs: Outputs<'_>) {
        for output in outputs {
            match output {
                Output::Transmit(transmit) => self.outbox.push(&transmit),
                Output::Own(ownership) => self.own(ownership),
                Output::Announce(announcement) => self.announce(announcement),
                Output::Event(event) => self.tell(event),
                Output::Answer(answer) => self.answer = Some(answer),
            }
        }
    }

    /// Sends the adverts, then hands on what the dataplane is to do: a peer hears of a takeover before its addresses move,
    /// and of a release before they go.
    pub(super) fn flush(&mut self, ports: &mut Ports) {
        let troubles = ports.send(&self.outbox);
        self.outbox.clear();
        self.report_trouble(troubles);
        if self.has_pending() {
            self.hand_on();
        }
    }

    /// Events that nobody has taken yet, and how many may wait.
    pub(super) fn events_waiting(&self) -> (usize, usize) {
        let most = self.events.max_capacity();
        (most - self.events.capacity(), most)
    }

    /// Whether the kernel holds addresses for us, whose leases need our heartbeat.
    pub(super) fn holds_addresses(&self) -> bool {
        !self.holders.is_empty()
    }

    /// Whether something waits to be offered again.
    pub(super) fn has_pending(&self) -> bool {
        !self.ownerships.is_empty() || !self.announcements.is_empty() || self.watch.is_some()
    }

    /// Ownerships first: nothing is announced before the ownership that it belongs to was taken.
    fn hand_on(&mut self) {
        for ownership in std::mem::take(&mut self.ownerships).into_values() {
            if let Err(undelivered) = self.dataplane.own(ownership) {
                self.ownerships.insert(undelivered.item.instance, undelivered.item);
            }
        }
        for announcement in std::mem::take(&mut self.announcements).into_values() {
            if self.ownerships.contains_key(&announcement.instance) {
                self.announcements.insert(announcement.instance, announcement);
            } else if let Err(undelivered) = self.dataplane.announce(announcement) {
                self.announcements.insert(undelivered.item.instance, undelivered.item);
            }
        }
        if let Some(links) = self.watch.take() {
            self.watch(links);
        }
    }

    /// Makes the dataplane report exactly these links.
    pub(super) fn watch(&mut self, links: Vec<(LinkId, Arc<str>)>) {
        if let Err(undelivered) = self.dataplane.watch(links) {
            self.watch = Some(undelivered.item);
        }
    }

    pub(super) fn dataplane(&self) -> &ha_dataplane::Handle {
        &self.dataplane
    }

    pub(super) fn take_answer(&mut self) -> Option<Result<(), Refusal>> {
        self.answer.take()
    }

    pub(super) fn report_trouble(&self, troubles: impl IntoIterator<Item = String>) {
        for trouble in troubles {
            // A full queue means that somebody is being told already.
            let _ = self.troubles.try_send(trouble);
        }
    }

    fn own(&mut self, ownership: Ownership) {
        if ownership.addresses.is_empty() {
            self.holders.remove(&ownership.instance);
            // What is being given up must not be announced any more.
            self.announcements.remove(&ownership.instance);
        } else {
            self.holders.insert(ownership.instance);
        }
        self.ownerships.insert(ownership.instance, ownership);
    }

    /// A later round takes the place of one that still waits, but a takeover stays a takeover.
    fn announce(&mut self, mut announcement: Announcement) {
        if let Some(waiting) = self.announcements.get(&announcement.instance) {
            announcement.takeover |= waiting.takeover;
        }
        self.announcements.insert(announcement.instance, announcement);
    }

    fn tell(&self, event: Box<Event>) {
        if self.events.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
