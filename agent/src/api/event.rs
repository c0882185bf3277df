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
use super::page::Page;
use super::shared::{Shared, caller};
use super::stream;
use super::tokens::{self, EventPage};
use crate::journal::{CHUNK, Journal, Range, Record};

/// The service.
#[derive(Clone)]
pub(crate) struct Events {
    pub(crate) shared: Arc<Shared>,
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
        Ok(Response::new(list(&self.shared, request.into_inner())?))
    }

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let caller = caller(&request)?;
        let deadline = request.extensions().get().copied();
        let answers = stream::open(&self.shared, caller.user, request.into_inner(), deadline)?;
        Ok(Response::new(answers))
    }
}

fn list(shared: &Shared, mut request: v1::ListEventsRequest) -> Result<v1::ListEventsResponse, Status> {
    let journal = &shared.journal;
    let token = std::mem::take(&mut request.page_token);
    let mut page = Page::new(std::mem::take(&mut request.page_size))?;
    let question = tokens::fingerprint(&request);
    let asked = Question::new(shared, request, !token.is_empty())?;
    let first = match token.is_empty() {
        true => asked.first_page(journal, question),
        false => EventPage::decode(journal, &token, question)?,
    };
    let (reached, more) = asked.collect(shared, first, &mut page)?;
    let resume = if asked.newest_first { first.newest } else { reached };
    let oldest = journal.oldest();
    Ok(v1::ListEventsResponse {
        events: page.into_entries(),
        next_page_token: match more {
            true => EventPage { position: reached, ..first }.encode(journal),
            false => String::new(),
        },
        oldest_available_sequence: oldest.as_ref().map_or(0, |record| convert::signed(record.sequence)),
        oldest_available_time: oldest.map(|record| convert::timestamp(record.wall)),
        resume_token: tokens::resume_token(journal, resume),
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
        let oldest = journal.oldest().map_or(newest, |record| record.sequence - 1);
        EventPage { position: if self.newest_first { newest + 1 } else { oldest }, newest, question }
    }

    fn wants(&self, record: &Record) -> bool {
        self.since.is_none_or(|since| record.wall >= since)
            && self.until.is_none_or(|until| record.wall <= until)
            && self.filter.matches(record)
    }

    /// Fills the page. Returns the sequence of the last record that was looked at, and whether more are wanted.
    fn collect(
        &self,
        shared: &Shared,
        first: EventPage,
        page: &mut Page<v1::Event>,
    ) -> Result<(u64, bool), Status> {
        let mut position = first.position;
        loop {
            let records = self.next(&shared.journal, position)?;
            if records.is_empty() {
                return Ok((position, false));
            }
            for record in records {
                if self.wants(&record) {
                    if page.is_full() {
                        return Ok((position, true));
                    }
                    page.push(convert::event(&shared.journal, &shared.names, &record));
                }
                position = record.sequence;
            }
        }
    }

    fn next(&self, journal: &Journal, position: u64) -> Result<Vec<Arc<Record>>, Status> {
        if self.newest_first {
            return Ok(journal.range_before(position, CHUNK));
        }
        let mut begin = position + 1;
        loop {
            match journal.range(begin, CHUNK) {
                Range::Records(records) => return Ok(records),
                Range::Overtaken { .. } if self.continues => return Err(tokens::page_token_expired()),
                // The oldest record went while we reached for it.
                Range::Overtaken { oldest } => begin = oldest,
            }
        }
    }
}

/// A time that the system can hold.
pub(crate) fn checked_time(time: &prost_types::Timestamp) -> Result<SystemTime, Status> {
    convert::checked_time(time).ok_or_else(|| {
        refuse(Reason::TimeOutOfRange, "a time in the request is out of range", "use a time since 1970")
    })
}
