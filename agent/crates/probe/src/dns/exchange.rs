//! One question to one server: over UDP, and over TCP when the answer does not fit or TCP is asked for.

use std::net::SocketAddr;

use socket2::{Protocol, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::message::{Question, Response, Unusable};
use crate::attempt::Reason;
use crate::connect::Connecting;
use crate::course::Course;
use crate::errno;
use crate::failure::Failure;
use crate::random;
use crate::socket;
use crate::target::Origin;

/// Larger than anything that a server sends to one who did not ask for more than 512 octets (RFC 1035 §4.2.1).
const LARGEST_DATAGRAM: usize = 4096;

/// Asks `server` and waits for its answer; the caller holds the clock.
pub(crate) async fn ask(
    server: SocketAddr,
    origin: &Origin,
    question: &Question,
    only_tcp: bool,
    course: &mut Course,
) -> Result<Response, Failure> {
    if !only_tcp {
        let response = over_udp(server, origin, question, course).await?;
        if !response.is_truncated {
            return Ok(response);
        }
    }
    over_tcp(server, origin, question, course).await
}

async fn over_udp(
    server: SocketAddr,
    origin: &Origin,
    question: &Question,
    course: &mut Course,
) -> Result<Response, Failure> {
    let fail = |action: &str, error| errno::failure(&error, &format!("{action} {server}"));
    course.enter("request");
    course.set_address(server);
    let socket = socket::open(server, origin, Type::DGRAM, Protocol::UDP)?;
    // Connected: the kernel drops what comes from elsewhere and tells when the port is closed.
    socket.connect(&server.into()).map_err(|error| fail("ask", error))?;
    let socket = UdpSocket::from_std(socket.into()).map_err(|error| fail("ask", error))?;
    let id = random::id();
    socket.send(&question.message(id)).await.map_err(|error| fail("ask", error))?;
    course.enter("answer");
    let mut buffer = [0; LARGEST_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(|error| fail("get an answer from", error))?;
        match Response::parse(&buffer[..length], id, question) {
            Err(Unusable::Stray) => course.count_stray(),
            Err(Unusable::Malformed) => return Err(malformed(server)),
            Ok(response) => return Ok(response),
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    origin: &Origin,
    question: &Question,
    course: &mut Course,
) -> Result<Response, Failure> {
    let mut stream = Connecting::begin(server, origin, course)?.finish().await?;
    let fail = |action: &str, error| errno::failure(&error, &format!("{action} {server} over TCP"));
    course.enter("request");
    let id = random::id();
    let message = question.message(id);
    // A question has at most 271 octets.
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    let framed = [&length[..], &message[..]].concat();
    stream.write_all(&framed).await.map_err(|error| fail("ask", error))?;
    course.enter("answer");
    let length = stream.read_u16().await.map_err(|error| fail("get an answer from", error))?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(|error| fail("get an answer from", error))?;
    Response::parse(&answer, id, question).map_err(|_| malformed(server))
}

fn malformed(server: SocketAddr) -> Failure {
    Failure::failed(Reason::Protocol, format!("the answer of {server} is not a DNS message"))
}
