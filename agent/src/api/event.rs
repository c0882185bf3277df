//! `EventService`: the history in pages, and the stream of what happens now.

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures::Stream;
use ha_proto::v1;
use ha_proto::v1::event_service_server::EventService;
use tonic::{Request, Response, Status, async_trait};

use super::convert;
use super::error::{Reason, refuse};
use super::filter::Filter;
use super::names::Names;
use super::page::Page;
use super::shared::{Shared, caller};
use super::stream;
use super::tokens::{self, EventPage};
use crate::journal::{CHUNK, Journal, Place, Range, Record, Untold};

/// The service.
#[derive(Clone)]
pub(crate) struct Events {
    pub(crate) shared: Arc<Shared>,
}

/// A line of the history, wherever it comes from.
enum Line {
    Live(Arc<Record>),
    Kept(Box<v1::Event>),
}

/// How far a page has come.
struct Reached {
    /// The place of the last line that was looked at.
    place: Place,
    /// Whether more are wanted.
    more: bool,
    /// The disk did not say what it has.
    past_missing: bool,
}

/// What a listing asks for, checked.
struct Question {
    /// Whether this goes on where an earlier page ended, so that a gap since then must be said.
    continues: bool,
    filter: Filter,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    newest_first: bool,
}

#[async_trait]
impl EventService for Events {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        Ok(Response::new(list(&self.shared, request.into_inner()).await?))
    }

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let caller = caller(&request)?;
        let deadline = request.extensions().get().copied();
        let answers = stream::open(&self.shared, caller.user, request.into_inner(), deadline).await?;
        Ok(Response::new(answers))
    }
}

async fn list(shared: &Shared, mut request: v1::ListEventsRequest) -> Result<v1::ListEventsResponse, Status> {
    let journal = &shared.journal;
    let token = std::mem::take(&mut request.page_token);
    let mut page = Page::new(std::mem::take(&mut request.page_size))?;
    let question = tokens::fingerprint(&request);
    let asked = Question::new(shared, request, !token.is_empty())?;
    let first = match token.is_empty() {
        true => asked.first_page(journal, question),
        false => EventPage::decode(journal, &token, question).await?,
    };
    let Reached { place, more, past_missing } = asked.collect(shared, first.place.clone(), &mut page).await?;
    let resume = if asked.newest_first { first.newest.clone() } else { after_all(journal, &place) };
    let in_memory = journal.oldest().filter(|_| past_missing);
    Ok(v1::ListEventsResponse {
        events: page.into_entries(),
        next_page_token: match more {
            true => EventPage { place, ..first }.encode(),
            false => String::new(),
        },
        oldest_available_sequence: convert::signed(
            in_memory.as_ref().map_or_else(|| journal.oldest_sequence(), |oldest| oldest.sequence),
        ),
        oldest_available_time: in_memory
            .map(|oldest| oldest.wall)
            .or_else(|| journal.oldest_time())
            .map(convert::timestamp),
        resume_token: tokens::resume_token_of(journal, &resume),
        past_missing,
    })
}

impl Question {
    fn new(shared: &Shared, request: v1::ListEventsRequest, continues: bool) -> Result<Self, Status> {
        Ok(Self {
            continues,
            filter: Filter::new(request.filter, &shared.names, shared.journal.node())?,
            since: request.since_time.as_ref().map(checked_time).transpose()?,
            until: request.until_time.as_ref().map(checked_time).transpose()?,
            newest_first: request.newest_first,
        })
    }

    fn first_page(&self, journal: &Journal, question: u64) -> EventPage {
        let newest = journal.newest();
        let place = if self.newest_first { journal.place(newest + 1) } else { beginning() };
        EventPage { place, newest: journal.place(newest), question }
    }

    fn wants(&self, line: &Line) -> bool {
        let time = line.time();
        self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time <= until)
            && match line {
                Line::Live(record) => self.filter.matches(record),
                Line::Kept(event) => self.filter.matches_kept(event),
            }
    }

    /// Fills the page.
    async fn collect(
        &self,
        shared: &Shared,
        mut place: Place,
        page: &mut Page<v1::Event>,
    ) -> Result<Reached, Status> {
        let journal = &shared.journal;
        let mut past_missing = false;
        loop {
            let (lines, untold) = match self.newest_first {
                true => earlier(journal, &place).await,
                false => self.later(journal, &place).await?,
            };
            past_missing |= untold == Some(Untold::Silent);
            if lines.is_empty() {
                return Ok(Reached { place, more: false, past_missing });
            }
            for line in lines {
                let next = line.place(journal);
                if self.wants(&line) {
                    if page.is_full() {
                        return Ok(Reached { place, more: true, past_missing });
                    }
                    page.push(line.event(journal, &shared.names));
                }
                place = next;
            }
        }
    }

    /// From memory when it has all that follows, otherwise from the disk, and what that has not from memory again.
    async fn later(&self, journal: &Journal, place: &Place) -> Result<Lines, Status> {
        let mut untold = None;
        let is_current = place.incarnation == *journal.incarnation();
        if !is_current || !journal.has_all_after(place.sequence) {
            let from = Some(place.clone()).filter(|place| *place != beginning());
            match journal.archive().after(from, CHUNK).await {
                Ok(kept) => {
                    let kept = kept.unwrap_or_default();
                    if !kept.is_empty() {
                        return Ok((kept.into_iter().map(Line::kept).collect(), None));
                    }
                }
                Err(why) => untold = Some(why),
            }
        }
        let mut begin = if is_current { place.sequence.saturating_add(1) } else { 1 };
        loop {
            match journal.range(begin, CHUNK) {
                Range::Records(records) => {
                    return Ok((records.into_iter().map(Line::Live).collect(), untold));
                }
                Range::Overtaken { .. } if self.continues && is_current => {
                    return Err(tokens::page_token_expired());
                }
                // The oldest record went while we reached for it.
                Range::Overtaken { oldest } => begin = oldest,
            }
        }
    }
}

/// Lines, and why the disk said nothing that was to say something.
type Lines = (Vec<Line>, Option<Untold>);

/// Newest first.
async fn earlier(journal: &Journal, place: &Place) -> Lines {
    if place.incarnation == *journal.incarnation() {
        let records = journal.range_before(place.sequence, CHUNK);
        if !records.is_empty() {
            return (records.into_iter().map(Line::Live).collect(), None);
        }
    }
    match journal.archive().before(place.clone(), CHUNK).await {
        Ok(kept) => (kept.into_iter().map(Line::kept).collect(), None),
        Err(why) => (Vec::new(), Some(why)),
    }
}

impl Line {
    fn kept(event: v1::Event) -> Self {
        Self::Kept(Box::new(event))
    }

    fn time(&self) -> SystemTime {
        match self {
            Self::Live(record) => record.wall,
            Self::Kept(event) => {
                event.event_time.as_ref().and_then(convert::checked_time).unwrap_or(SystemTime::UNIX_EPOCH)
            }
        }
    }

    fn place(&self, journal: &Journal) -> Place {
        match self {
            Self::Live(record) => journal.place(record.sequence),
            Self::Kept(event) => place_of(event),
        }
    }

    fn event(self, journal: &Journal, names: &Names) -> v1::Event {
        match self {
            Self::Live(record) => convert::event(journal, names, &record),
            Self::Kept(event) => *event,
        }
    }
}

/// Where an event from the disk stands.
pub(crate) fn place_of(event: &v1::Event) -> Place {
    let sequence = u64::try_from(event.sequence).unwrap_or(0);
    Place { incarnation: event.incarnation_id.as_str().into(), sequence }
}

/// Before everything.
fn beginning() -> Place {
    Place { incarnation: "".into(), sequence: 0 }
}

/// A listing of nothing ends where this incarnation begins.
fn after_all(journal: &Journal, reached: &Place) -> Place {
    if *reached == beginning() { journal.place(0) } else { reached.clone() }
}

/// A time that the system can hold.
pub(crate) fn checked_time(time: &prost_types::Timestamp) -> Result<SystemTime, Status> {
    convert::checked_time(time).ok_or_else(|| {
        refuse(Reason::TimeOutOfRange, "a time in the request is out of range", "use a time since 1970")
    })
}
