//! What other nodes say over the control plane: that they are Active for the same virtual router. Their word never makes this node
//! Active, and their silence means nothing. It matters where VRRP has failed: two routers are Active, and the adverts of one, or
//! of both, do not arrive.
//!
//! ```text
//!   this node Active ──┬── both, and the peer has been heard since ── grace ──► DuplicateActiveBegan ──► yields, if it is to
//!   peer says Active ──┘                                                                                 and would lose
//! ```
//! In Backup after that, a peer's word counts like its advert until one arrives: nothing else would keep this router from coming back.

#[cfg(test)]
mod tests;

use alloc::format;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use super::{Instance, Sink, State};
use crate::event::{Cause, EventKind, Evidence};
use crate::input::{PeerActive, PeerWord};
use crate::schedule::Reason;
use crate::units::Instant;

/// The most nodes whose word is remembered for one instance.
const MOST_WORDS: usize = 64;

/// A node's word.
#[derive(Debug)]
pub(super) struct Word {
    node: Arc<str>,
    active: PeerActive,
    /// Whether this node is to yield to it.
    yields: bool,
    /// Since when it says so.
    since: Instant,
}

impl Instance {
    /// A node says something new of this virtual router.
    pub(crate) fn on_peer_word(&mut self, sink: &mut Sink<'_>, word: &PeerWord) {
        let place = self.words.iter().position(|known| known.node == word.node);
        match (word.active, place) {
            (None, None) => {}
            (None, Some(place)) => {
                let before = self.words.swap_remove(place);
                if word.is_heard {
                    self.on_withdrawal_heard(sink.now, before.active.source);
                }
                self.on_word_withdrawn(sink, &word.node);
            }
            (Some(active), place) => {
                let before = place.map(|place| self.words.swap_remove(place));
                let since = before.filter(|before| before.active.source == active.source);
                let since = since.map_or(sink.now, |before| before.since);
                if self.words.len() < MOST_WORDS {
                    let node = Arc::clone(&word.node);
                    self.words.push(Word { node, active, yields: word.yields, since });
                }
            }
        }
    }

    /// When both have been Active for too long for an ordinary change of the Active router: that is to be told, or acted upon.
    pub(super) fn dispute_due(&self) -> Option<(Instant, Reason)> {
        let State::Active(active) = &self.state else { return None };
        if active.moving().is_some() {
            return None;
        }
        let due = self.disputes().filter_map(|word| self.grace_of(word)).min()?;
        Some((due.max(active.quiet_until()), Reason::PeerWord))
    }

    /// The words that have not had their effect: each, until one has begun a rivalry; from then on those to which this node is to
    /// yield. That may come late, with another policy or another priority.
    fn disputes(&self) -> impl Iterator<Item = &Word> {
        let is_told = matches!(&self.state, State::Active(active) if active.rival_node().is_some());
        self.words.iter().filter(move |word| !is_told || self.is_to_yield_to(word))
    }

    fn is_to_yield_to(&self, word: &Word) -> bool {
        word.yields && self.loses_to(&word.active)
    }

    /// The end of the grace for one word; `None` while its node was not heard since both are Active, so that the last word of a
    /// node that died is none.
    fn grace_of(&self, word: &Word) -> Option<Instant> {
        let both = self.both_since(word);
        (word.active.heard >= both).then(|| both.after(grace(self.config.interval.duration())))
    }

    /// Since when both count as Active. Who has sent priority 0 may keep the addresses until somebody has taken over and settled,
    /// and says so meanwhile.
    fn both_since(&self, word: &Word) -> Instant {
        let released = self.last_release.filter(|release| release.source == word.active.source);
        let gone = released.map(|last| last.at.after(self.active_down_interval(self.config.interval)));
        self.since.max(word.since).max(gone.unwrap_or_default())
    }

    /// Looked at after each input that reached this instance, because many things can end what a dispute waited for.
    pub(crate) fn on_dispute_due(&mut self, sink: &mut Sink<'_>) {
        if self.dispute_due().is_none_or(|(due, _)| due > sink.now) {
            return;
        }
        let now = sink.now;
        let is_due = |word: &&Word| self.grace_of(word).is_some_and(|due| due <= now);
        let strength = |word: &&Word| (word.active.priority, word.active.source);
        let Some(word) = self.disputes().filter(is_due).max_by_key(strength) else { return };
        let (node, since) = (Arc::clone(&word.node), self.since.max(word.since));
        let (source, yields) = (word.active.source, self.is_to_yield_to(word));
        let evidence = self.evidence_of_word(now, word);
        let began = self.begin_rival_by_word(sink, source, node, since, evidence.clone());
        if began && !yields {
            self.announce_burst(sink);
        }
        if yields {
            self.advertise_defeat(sink);
            self.leave_active(sink, false);
            self.become_backup(sink, Cause::DuplicateActive, evidence);
            if let State::Backup(backup) = &mut self.state {
                backup.believe_words();
            }
        }
    }

    /// Whether the election by priority and address would go to the peer (RFC 9568 §6.4.3).
    fn loses_to(&self, peer: &PeerActive) -> bool {
        self.source.is_some_and(|own| (peer.priority, peer.source) > (self.priority(), own))
    }

    /// Whether a node to which this one has yielded still says that it is Active.
    pub(super) fn is_held_back_by_a_word(&self) -> bool {
        self.words.iter().any(|word| self.is_to_yield_to(word))
    }

    /// Both views: what the peer says, and what arrives here.
    fn evidence_of_word(&self, now: Instant, word: &Word) -> Evidence {
        let PeerActive { source, priority, hears, .. } = word.active;
        let node = &word.node;
        let there = match hears {
            Some(heard) if Some(heard) == self.source => "and that it hears this node".into(),
            Some(heard) => format!("and that it hears {heard}"),
            None => "and that it hears nobody else".into(),
        };
        let last = self.last_advert.filter(|last| last.source == source);
        let here = match last {
            Some(last) if now.since(last.at) <= self.active_down_interval(self.config.interval) => {
                "its adverts arrive here"
            }
            _ => "its adverts do not arrive here",
        };
        let detail = format!("{node} says over the control plane that it is Active {there}; {here}");
        Evidence {
            peer: Some(source),
            peer_priority: Some(priority.get()),
            local_priority: Some(self.priority()),
            last_advertisement_age: last.map(|last| now.since(last.at)),
            subject: Some(format!("peers/{node}").into()),
            detail: Some(detail.into()),
            ..Evidence::default()
        }
    }

    /// Whether it is a rival only from now on.
    fn begin_rival_by_word(
        &mut self,
        sink: &mut Sink<'_>,
        address: IpAddr,
        node: Arc<str>,
        since: Instant,
        evidence: Evidence,
    ) -> bool {
        let State::Active(active) = &mut self.state else { return false };
        let began = active.note_rival_node(address, node, since);
        if began {
            self.counters.duplicate_active += 1;
            self.tell(sink, EventKind::DuplicateActiveBegan { address }, Cause::DuplicateActive, evidence);
        }
        began
    }

    /// The rival that only this node's word made one has gone.
    fn on_word_withdrawn(&mut self, sink: &mut Sink<'_>, node: &Arc<str>) {
        let State::Active(active) = &mut self.state else { return };
        if active.forget_rival_node(node) {
            self.end_rival(sink);
        }
    }
}

/// How long two routers may both be Active by their words: a change of the Active router is over much sooner, adverts and reports
/// on their way included, and a loser is to have yielded within a second.
fn grace(interval: Duration) -> Duration {
    interval.clamp(Duration::from_millis(100), Duration::from_millis(500))
}
