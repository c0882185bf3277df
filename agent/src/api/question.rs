//! Questions on their way in. A client that begins to ask and does not go on leaves with this agent what it has sent so far, and whoever
//! reads a message makes room at once for all that its first octets announce, in memory that is locked. So how long a question may be
//! follows from its method, before any of it is read, and long ones share their room like connections until the service has them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Frame, SizeHint};
use prost::bytes::Bytes;
use tonic::Status;
use tonic::body::Body;

use super::connection::{Place, Places, User};
use super::error::{Reason, refuse, refuse_for_now};

/// Octets of a question at most: a configuration's text of 1 MiB, and what is around it.
pub(super) const LONGEST: usize = (1 << 20) + (1 << 10);

/// Of every other method: a filter with all that it may have is half of that.
const USUAL: usize = 64 << 10;

/// A question up to this many octets needs no room. All calls of all connections can have 16 MiB of these.
const SMALL: usize = 4 << 10;

/// Octets of everybody's long questions, of which no user but 0 has more than half, and beyond that for user 0 alone.
const ROOM: usize = 16 << 20;
const ADMINISTRATOR: usize = 2 << 20;

/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The room for long questions.
#[derive(Clone, Debug)]
pub(crate) struct Questions(Places);

impl Default for Questions {
    fn default() -> Self {
        Self(Places::new(ROOM, ADMINISTRATOR))
    }
}

impl Questions {
    /// The body of a call, which fails as soon as it announces more than its method takes, or than there is room for.
    pub(crate) fn take_in(&self, user: User, method: &str, body: Body) -> Body {
        let Some(most) = longest(method) else { return body };
        let room = self.0.clone();
        Body::new(Question { inner: body, room, user, most, prefix: [0; PREFIX], heard: 0, place: None })
    }
}

/// Octets of a method's question; `None` when it asks as often as it likes, each time within limits of its own.
fn longest(method: &str) -> Option<usize> {
    match method {
        "/ha.agent.v1.ConfigService/ValidateConfig" => Some(LONGEST),
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => None,
        _ => Some(USUAL),
    }
}

/// One message that comes in.
struct Question {
    inner: Body,
    room: Places,
    user: User,
    most: usize,
    prefix: [u8; PREFIX],
    /// Octets so far, the prefix among them.
    heard: usize,
    place: Option<Place>,
}

impl Question {
    fn hear(&mut self, octets: &[u8]) -> Result<(), Status> {
        let begin = self.heard.min(PREFIX);
        let head = &octets[..octets.len().min(PREFIX - begin)];
        self.prefix[begin..begin + head.len()].copy_from_slice(head);
        self.heard += octets.len();
        if self.heard < PREFIX {
            return Ok(());
        }
        let [_, length @ ..] = self.prefix;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if begin < PREFIX {
            self.make_room(length)?;
        }
        if self.heard - PREFIX > length {
            let next = "send one, and compare the client's version with the agent's";
            return Err(refuse(Reason::RequestMalformed, "the call has more than one message", next));
        }
        Ok(())
    }

    fn make_room(&mut self, length: usize) -> Result<(), Status> {
        if length > self.most {
            return Err(refuse(
                Reason::RequestTooLarge,
                format!("the request has {length} octets and this call takes at most {}", self.most),
                "send a smaller request",
            ));
        }
        if length > SMALL {
            let place = u32::try_from(length).ok().and_then(|octets| self.room.take_many(self.user, octets));
            self.place = Some(place.ok_or_else(|| too_many(length))?);
        }
        Ok(())
    }
}

fn too_many(length: usize) -> Status {
    refuse_for_now(
        Reason::TooManyRequests,
        format!("the request of {length} octets finds no room beside others that are not whole yet"),
        "finish or end the other calls, and try again",
        Duration::from_secs(1),
    )
}

impl hyper::body::Body for Question {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            let frame = frame?;
            if let Some(octets) = frame.data_ref() {
                self.hear(octets)?;
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_that_asks_once_has_a_longest_question() {
        let sets = [ha_proto::DESCRIPTORS, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET];
        let mut alone = 0;
        for file in sets.iter().flat_map(|set| FileDescriptorSet::decode(*set).unwrap().file) {
            for (service, method) in file
                .service
                .iter()
                .flat_map(|service| service.method.iter().map(move |method| (service, method)))
            {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                assert_eq!(longest(&path).is_none(), method.client_streaming(), "{path}");
                alone += 1;
            }
        }
        assert!(alone > 30);
    }

    #[test]
    fn what_is_announced_counts_in_whatever_pieces_it_comes() {
        let room = Places::new(64 << 10, 0);
        // Announced length, octets after the prefix, and what becomes of it.
        let table = [
            (0, 0, None),
            (10, 10, None),
            (10, 11, Some("REQUEST_MALFORMED")),
            (20 << 10, 0, None),
            (40 << 10, 0, Some("TOO_MANY_REQUESTS")),
            ((64 << 10) + 1, 0, Some("REQUEST_TOO_LARGE")),
            (usize::try_from(u32::MAX).unwrap(), 0, Some("REQUEST_TOO_LARGE")),
        ];
        for (length, more, expected) in table {
            for piece in [1, 3, 5, 64] {
                let mut question = Question {
                    inner: Body::empty(),
                    room: room.clone(),
                    user: User::Unix(1000),
                    most: USUAL,
                    prefix: [0; PREFIX],
                    heard: 0,
                    place: None,
                };
                let mut octets = vec![0];
                octets.extend(u32::try_from(length).unwrap().to_be_bytes());
                octets.extend(vec![7; more]);
                let heard = octets.chunks(piece).try_for_each(|piece| question.hear(piece));
                let reason = heard.err().map(|status| crate::api::tests::reason(&status));
                assert_eq!(reason.as_deref(), expected, "{length} {more} in pieces of {piece}");
            }
        }
    }
}
