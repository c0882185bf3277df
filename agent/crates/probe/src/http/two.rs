//! One exchange over HTTP/2. The connection's work is done within the attempt, so that it ends with it.

use std::pin::pin;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::HeaderMap;

use super::{Answer, Wanted};
use crate::attempt::Reason;
use crate::course::Course;
use crate::failure::Failure;
use crate::stream::{self, Stream};

/// Room that a server gets before we have read anything.
const WINDOW: u32 = 1 << 16;
/// Of all headers together, as [`h2`] counts them.
const LONGEST_HEAD: u32 = 1 << 16;

/// What is asked.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) head: &'a http::Request<()>,
    /// The body; `None`: there is none.
    pub(crate) body: Option<Bytes>,
    pub(crate) wanted: Wanted,
}

/// What came back, with the headers before and behind the body.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: Option<HeaderMap>,
}

pub(super) async fn fetch(
    stream: Stream,
    head: &http::Request<()>,
    wanted: Wanted,
    course: &mut Course,
) -> Result<Answer, Failure> {
    call(stream, Call { head, body: None, wanted }, course).await.map(|outcome| outcome.answer)
}

/// Makes one call over a fresh connection.
pub(crate) async fn call(stream: Stream, call: Call<'_>, course: &mut Course) -> Result<Outcome, Failure> {
    if let Stream::Tls(secured) = &stream
        && secured.get_ref().1.alpn_protocol() != Some(b"h2")
    {
        return Err(Failure::failed(Reason::Protocol, "the peer does not offer HTTP/2 (ALPN)"));
    }
    course.enter("request");
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(LONGEST_HEAD)
        .max_concurrent_reset_streams(1)
        .enable_push(false);
    let (sender, connection) =
        builder.handshake(stream).await.map_err(|error| failure(error, "begin HTTP/2"))?;
    let mut exchange = pin!(exchange(sender, call, course));
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        ended = connection => match ended {
            Err(error) => Err(failure(error, "speak HTTP/2")),
            // What had come before the end is still to be read.
            Ok(()) => exchange.await,
        },
    }
}

async fn exchange(
    sender: SendRequest<Bytes>,
    call: Call<'_>,
    course: &mut Course,
) -> Result<Outcome, Failure> {
    let sending = |error| failure(error, "send the request");
    let reading = |error| failure(error, "read the answer");
    let Call { head, body, wanted } = call;
    let mut sender = sender.ready().await.map_err(sending)?;
    let (response, mut upload) = sender.send_request(head.clone(), body.is_none()).map_err(sending)?;
    if let Some(body) = body {
        upload.send_data(body, true).map_err(sending)?;
    }
    course.enter("first_byte");
    let (head, mut download) = response.await.map_err(reading)?.into_parts();
    let mut answer = Answer { status: head.status.as_u16(), body: Vec::new(), is_cut: false };
    let mut trailers = None;
    if wanted.body && !wanted.is_head {
        course.enter("body");
        while let Some(piece) = download.data().await {
            let piece = piece.map_err(reading)?;
            let room = wanted.limit.saturating_sub(answer.body.len());
            answer.body.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                answer.is_cut = true;
                return Ok(Outcome { answer, headers: head.headers, trailers });
            }
            download.flow_control().release_capacity(piece.len()).map_err(reading)?;
        }
        trailers = download.trailers().await.map_err(reading)?;
    }
    Ok(Outcome { answer, headers: head.headers, trailers })
}

/// What an error of HTTP/2 says about the target.
fn failure(error: h2::Error, action: &str) -> Failure {
    if let Some(error) = error.get_io() {
        return stream::failure(error, action);
    }
    let told = format!("cannot {action}: {error}");
    let reason = if error.is_remote() { Reason::ClosedByPeer } else { Reason::Protocol };
    Failure::failed(reason, told)
}
