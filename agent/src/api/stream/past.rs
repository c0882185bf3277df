//! Where a stream begins, and the part of it that comes from the disk: earlier incarnations, and what of this one is no
//! longer in memory.

use std::sync::Arc;

use ha_proto::v1;
use ha_proto::v1::resync_required::Reason as Resync;
use ha_proto::v1::watch_events_request::Start;
use ha_proto::v1::watch_events_response::Payload;
use tokio::time::Instant;
use tonic::Status;

use super::super::convert::signed;
use super::super::error::{Reason, refuse};
use super::super::event::{checked_time, place_of};
use super::super::filter::Filter;
use super::super::shared::Shared;
use super::super::tokens;
use super::{Phase, Watch};
use crate::journal::{CHUNK, Journal, Place};

/// Where the stream is in the past.
pub(super) struct Past {
    /// Everything up to here was told.
    pub(super) place: Place,
    /// The incarnation whose losses were told.
    entered: Option<Arc<str>>,
}

impl Past {
    pub(super) fn new(place: Place) -> Self {
        Self { place, entered: None }
    }
}

impl Watch {
    /// The next of the past; `None` when nothing of it concerns this client, or the present begins.
    pub(super) async fn tell_past(&mut self) -> Option<Result<v1::WatchEventsResponse, Status>> {
        let Some(past) = self.past.take_if(|past| is_over(&self.shared.journal, &past.place)) else {
            return self.tell_kept().await;
        };
        self.begin_present(&past.place)
    }

    fn begin_present(&mut self, place: &Place) -> Option<Result<v1::WatchEventsResponse, Status>> {
        let journal = &self.shared.journal;
        let sequence = if place.incarnation == *journal.incarnation() { place.sequence } else { 0 };
        // What memory does not have either, the reader tells as lost.
        self.reader = journal.reader(sequence);
        self.phase = Phase::Live;
        None
    }

    async fn tell_kept(&mut self) -> Option<Result<v1::WatchEventsResponse, Status>> {
        self.phase = Phase::Past;
        let Some(past) = &mut self.past else {
            self.phase = Phase::Live;
            return None;
        };
        let archive = self.shared.journal.archive();
        let incarnation = Arc::clone(&past.place.incarnation);
        if past.entered.replace(Arc::clone(&incarnation)).as_ref() != Some(&incarnation)
            && let Some(lagged) = archive.gap(past.place.clone()).await
        {
            return Some(Ok(self.answer_of(&incarnation, self.lagged(lagged))));
        }
        let mut events = archive.after(Some(past.place.clone()), CHUNK).await;
        let Some(first) = events.first().map(place_of) else {
            let past = self.past.take()?;
            return self.begin_present(&past.place);
        };
        if first.incarnation != incarnation {
            past.place = Place { incarnation: first.incarnation, sequence: 0 };
            return None;
        }
        events.retain(|event| event.incarnation_id == *incarnation);
        past.place = events.last().map_or(first, place_of);
        events.retain(|event| self.filter.matches_kept(event));
        self.kept_answer(&incarnation, events)
    }

    /// Events, or a sign of life when there were none for long.
    fn kept_answer(
        &mut self,
        incarnation: &str,
        events: Vec<v1::Event>,
    ) -> Option<Result<v1::WatchEventsResponse, Status>> {
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
        let events = journal.archive().before(end.clone(), CHUNK).await;
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
