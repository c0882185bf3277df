//! One exchange over HTTP/1.1. The connection serves nothing else and is cut as soon as enough has been read.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Answer, Offence, Reply, Wanted};
use crate::attempt::Reason;
use crate::course::Course;
use crate::exchange::PIECE;
use crate::failure::Failure;
use crate::stream::{self, Stream};

/// The step in which the request leaves.
pub(super) const REQUEST: &str = "request";
/// The step in which the answer is waited for.
pub(super) const FIRST_BYTE: &str = "first_byte";

/// Sends the request and reads the answer.
pub(super) async fn exchange(
    mut stream: Stream,
    request: &[u8],
    wanted: Wanted,
    course: &mut Course,
) -> Result<Answer, Failure> {
    course.enter(REQUEST);
    let sent = async {
        stream.write_all(request).await?;
        stream.flush().await
    };
    sent.await.map_err(|error| stream::failure(&error, "send the request"))?;
    course.enter(FIRST_BYTE);
    let mut reply = Reply::new(wanted);
    let mut buffer = vec![0; PIECE];
    while !reply.is_complete() {
        let length = match stream.read(&mut buffer).await {
            Ok(length) => length,
            // TLS without a last word is as much of an end as any.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(stream::failure(&error, "read the answer")),
        };
        hear(&mut reply, &buffer[..length], course)?;
    }
    Ok(reply.take_answer())
}

/// Takes a piece of the answer; an empty one is the end of the connection.
pub(super) fn hear(reply: &mut Reply, piece: &[u8], course: &mut Course) -> Result<(), Failure> {
    let taken = if piece.is_empty() { reply.end() } else { reply.take(piece) };
    taken.map_err(failure)?;
    if !reply.is_complete() {
        course.enter(if reply.has_head() { "body" } else { "head" });
    }
    Ok(())
}

fn failure(offence: Offence) -> Failure {
    let reason = match offence {
        Offence::Incomplete => Reason::ClosedByPeer,
        Offence::LongHead | Offence::TooManyInterim => Reason::TooLarge,
        Offence::NotHttp | Offence::BadHead | Offence::BadChunk => Reason::Protocol,
    };
    Failure::failed(reason, offence.as_str())
}
