//! Where a stream begins, and the part of it that comes from the disk: earlier incarnations, and what of this one is no
//! longer in memory.

use std::sync::Arc;

use ha_proto::v1;
use ha_proto::v1::resync_required::Reason as Resync;
use ha_proto::v1::watch_events_request::Start;
use ha_proto::v1::watch_events_response::Payload;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::super::convert::signed;
use super::super::error::{Reason, refuse};
use super::super::event::{checked_time, place_of};
use super::super::filter::Filter;
use super::super::shared::Shared;
use super::super::tokens;
use super::{Phase, Watch};
use crate::journal::{CHUNK, Journal, Lagged, Place};

/// Where the stream is in the past.
pub(super) struct Past {
    /// Everything up to here was told.
    pub(super) place: Place,
    /// The incarnation whose losses were told.
    entered: Option<Arc<str>>,
    /// Missing records of it after `place` that were told as lost.
    told: u64,
}

impl Past {
    pub(super) fn new(place: Place) -> Self {
        Self { place, entered: None, told: 0 }
    }
}

type Answer = Option<Result<v1::WatchEventsResponse, Status>>;

impl Watch {
    /// The next of the past; `None` when nothing of it concerns this client, or the present begins.
    pub(super) async fn tell_past(&mut self) -> Answer {
        let Some(past) = self.past.take_if(|past| is_over(&self.shared.journal, &past.place)) else {
            return self.tell_kept().await;
        };
        self.begin_present(&past.place)
    }

    fn begin_present(&mut self, place: &Place) -> Answer {
        let is_current = place.incarnation == *self.shared.journal.incarnation();
        // What memory does not have either, the reader tells as lost.
        self.reader.go_to(if is_current { place.sequence } else { 0 });
        self.past = None;
        self.phase = Phase::Live;
        None
    }

    async fn tell_kept(&mut self) -> Answer {
        self.phase = Phase::Past;
        let Some(place) = self.past.as_ref().map(|past| past.place.clone()) else {
            self.phase = Phase::Live;
            return None;
        };
        let kept = self.shared.journal.archive().after(Some(place.clone()), CHUNK).await.ok().flatten();
        let Some(mut events) = kept else { return self.without_disk(&place) };
        let next = events.first().map(place_of);
        events.retain(|event| event.incarnation_id == *place.incarnation);
        let reached = events.last().map(place_of);
        let missing = reached.as_ref().map(|reached| {
            let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
            (reached.sequence - place.sequence).saturating_sub(count)
        });
        let Some(gap) = self.new_gap(&place, missing).await else { return self.without_disk(&place) };
        if let Some(lagged) = gap {
            return Some(Ok(self.answer_of(&place.incarnation, self.lagged(lagged))));
        }
        let Some((reached, past)) = reached.zip(self.past.as_mut()) else {
            return self.leave_incarnation(&place, next);
        };
        past.told = past.told.saturating_sub(missing.unwrap_or(0));
        past.place = reached;
        events.retain(|event| self.filter.matches_kept(event));
        self.kept_answer(&place.incarnation, events)
    }

    /// What is missing after a place of which this client was not told. `missing` is what is among the next records; without
    /// it nothing follows in this incarnation. The outer `None`: the disk does not say.
    async fn new_gap(&mut self, place: &Place, missing: Option<u64>) -> Option<Option<Lagged>> {
        let past = self.past.as_mut()?;
        let is_new =
            past.entered.replace(Arc::clone(&place.incarnation)).as_ref() != Some(&place.incarnation);
        if is_new {
            past.told = 0;
        }
        if !is_new && missing.is_some_and(|missing| missing <= past.told) {
            return Some(None);
        }
        let Some(gap) = self.shared.journal.archive().gap(place.clone()).await? else { return Some(None) };
        let lost = gap.lost.checked_sub(past.told).filter(|lost| *lost > 0);
        past.told = gap.lost;
        if missing.is_none() {
            // Told or about to be; behind it nothing of this incarnation is on disk.
            past.place.sequence = gap.last;
            past.told = 0;
        }
        let Some(lost) = lost else { return Some(None) };
        self.wait_for_next_loss().await;
        self.reader.note_loss();
        Some(Some(Lagged { lost, ..gap }))
    }

    /// Losses are told a second apart, and not while the agent stops.
    async fn wait_for_next_loss(&self) {
        if let Some(earliest) = self.reader.next_loss() {
            // Cancelled here when the agent stops, or the client goes.
            let _ = self.shared.shutdown.run_until_cancelled(sleep_until(earliest)).await;
        }
    }

    /// On to the next incarnation, or to the present when there is none.
    fn leave_incarnation(&mut self, place: &Place, next: Option<Place>) -> Answer {
        let Some(past) = self.past.as_mut() else { return self.begin_present(place) };
        let Some(next) = next else {
            let place = past.place.clone();
            self.disk_ends = Some(place.sequence);
            return self.begin_present(&place);
        };
        past.place = Place { incarnation: next.incarnation, sequence: 0 };
        None
    }

    /// The disk does not answer, or has forgotten where this client is.
    fn without_disk(&mut self, place: &Place) -> Answer {
        if place.incarnation == *self.shared.journal.incarnation() {
            self.disk_ends = Some(place.sequence);
            return self.begin_present(place);
        }
        // Nobody can say any more what happened after that.
        let journal = &self.shared.journal;
        self.unsettled = Some(tokens::resume_token_of(journal, place));
        self.newest_at_start = journal.newest();
        self.reader.go_to(self.newest_at_start);
        self.past = None;
        self.phase = Phase::Resync(Resync::TokenExpired);
        None
    }

    /// Events, or a sign of life when there were none for long.
    fn kept_answer(&mut self, incarnation: &str, events: Vec<v1::Event>) -> Answer {
        let payload = if !events.is_empty() {
            Payload::EventBatch(v1::EventBatch { events })
        } else if self.next_heartbeat <= Instant::now() {
            self.next_heartbeat = Instant::now() + self.heartbeat;
            let newest = self.past.as_ref().map_or(0, |past| past.place.sequence);
            Payload::Heartbeat(v1::Heartbeat { newest_sequence: signed(newest) })
        } else {
            return None;
        };
        Some(Ok(self.answer_of(incarnation, payload)))
    }
}

/// Whether memory has everything from here on.
fn is_over(journal: &Journal, place: &Place) -> bool {
    place.incarnation == *journal.incarnation() && journal.has_all_after(place.sequence)
}

/// The place after which the client's events follow, and why it must begin anew if it must.
pub(super) async fn start(
    shared: &Shared,
    filter: &Filter,
    start: Option<Start>,
    newest: u64,
) -> Result<(Place, Option<Resync>), Status> {
    let journal = &shared.journal;
    Ok(match start {
        None => (journal.place(newest), None),
        Some(Start::ResumeToken(token)) => {
            let (place, reason) = tokens::resume_place(journal, &token).await;
            (place.unwrap_or_else(|| journal.place(newest)), reason)
        }
        Some(Start::TailCount(count)) => {
            let count = usize::try_from(count)
                .map_err(|_| refuse(Reason::RequestMalformed, "tail_count is negative", "use 0 or more"))?;
            (tail(journal, filter, count).await, None)
        }
        Some(Start::SinceTime(time)) => (since(journal, checked_time(&time)?).await, None),
    })
}

/// The place after which exactly the newest `count` records that are wanted follow.
async fn tail(journal: &Journal, filter: &Filter, count: usize) -> Place {
    let (position, mut found) = journal.tail(count, |record| filter.matches(record));
    let mut place = journal.place(position);
    // Going back, a place is before its record.
    let mut end = journal.place(position + 1);
    while found < count {
        let events = journal.archive().before(end.clone(), CHUNK).await.unwrap_or_default();
        if events.is_empty() {
            break;
        }
        for event in &events {
            end = place_of(event);
            place = Place { sequence: end.sequence.saturating_sub(1), ..end.clone() };
            found += usize::from(filter.matches_kept(event));
            if found == count {
                break;
            }
        }
    }
    place
}

/// The place after which the first record of `time` or later follows.
async fn since(journal: &Journal, time: std::time::SystemTime) -> Place {
    let in_memory = journal.oldest().is_some_and(|oldest| oldest.wall < time);
    let on_disk = if in_memory { None } else { journal.archive().place_of(time).await };
    on_disk.unwrap_or_else(|| journal.place(journal.position_of(time)))
}
