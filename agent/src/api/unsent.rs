//! Answers that are made and not yet sent. A client that asks and does not read leaves them with this agent: how many octets of
//! them there may be is bounded and shared like connections, and counted until the kernel has them or the connection ends.
//!
//! Streams are not counted: each makes the next message only when the connection has room, so who reads nothing has one unread
//! in each, of at most [`crate::journal::CHUNK`] events, beside what `WAITING` of a dump and of a peer's reports allows. Copies of how
//! everything stood, with which watches begin, are bounded by themselves (`stream/whole`). There are only so many streams: watches and
//! reflection share the places of `watches`, there is one dump at a time, and reports go to nodes alone.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Body as _;
use prost::bytes::Bytes;
use tonic::Status;
use tonic::body::Body;

use super::Counters;
use super::connection::{Place, Places, User};
use super::error::{Reason, internal, refuse_for_now};

/// Octets beyond everybody's for user 0 alone.
const ADMINISTRATOR: usize = 8 << 20;

/// An answer up to this many octets is always sent, so that what was changed, and a peer that takes over, is heard of. All calls of
/// all connections can have 17 MiB of these.
const SMALL: usize = 4 << 10;

/// The room for answers that nobody has read.
#[derive(Debug)]
pub(crate) struct Unsent {
    room: Places,
    counters: Arc<Counters>,
}

impl Unsent {
    /// Room for so many octets of everybody, of which no user but 0 has more than half.
    pub(crate) fn new(octets: usize, counters: Arc<Counters>) -> Self {
        Self { room: Places::new(octets, ADMINISTRATOR), counters }
    }

    /// Makes an answer that is no stream, and keeps room for it until it is sent; a refusal instead when there is none.
    pub(crate) fn hold(&self, user: User, response: Response<Body>) -> Response<Body> {
        if response.body().is_end_stream() {
            return response;
        }
        let (head, body) = response.into_parts();
        let held = make(body).and_then(|(octets, trailers)| {
            let room = if octets.len() > SMALL { Some(self.take(user, octets.len())?) } else { None };
            Ok((Held { octets, _room: room }, trailers))
        });
        match held {
            Ok((held, trailers)) => Response::from_parts(head, send(held, trailers)),
            Err(refusal) => refusal.into_http(),
        }
    }

    fn take(&self, user: User, octets: usize) -> Result<Place, Status> {
        let room = u32::try_from(octets).ok().and_then(|octets| self.room.take_many(user, octets));
        room.ok_or_else(|| {
            self.counters.answers_refused.fetch_add(1, Ordering::Relaxed);
            refuse_for_now(
                Reason::TooManyAnswers,
                format!("the answer of {octets} octets finds no room behind others that wait to be read"),
                "read the answers to other calls or end them, and ask for smaller pages; what was to be changed may have \
                 been, so repeat it with the same request_id",
                Duration::from_secs(1),
            )
        })
    }
}

/// The octets and trailers of an answer: all there, because it does not wait for anything once the service has returned it.
fn make(mut body: Body) -> Result<(Box<[u8]>, Option<HeaderMap>), Status> {
    let mut context = Context::from_waker(Waker::noop());
    let (mut octets, mut trailers) = (Vec::new(), None);
    loop {
        match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Ready(Some(frame)) => match frame?.into_data() {
                Ok(data) => octets.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
            Poll::Ready(None) => return Ok((octets.into_boxed_slice(), trailers)),
            Poll::Pending => return Err(internal()),
        }
    }
}

fn send(held: Held, trailers: Option<HeaderMap>) -> Body {
    let octets = Full::new(Bytes::from_owner(held));
    Body::new(octets.with_trailers(async move { trailers.map(Ok::<_, Infallible>) }))
}

/// Octets on their way. The transport drops them when they are written.
struct Held {
    octets: Box<[u8]>,
    _room: Option<Place>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}
