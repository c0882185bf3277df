//! A gRPC client with next to nothing between it and HTTP/2, so that a measurement of the server is not one of the client:
//! requests are octets made beforehand, and answers are read only where somebody looks at them.

use std::{future::poll_fn, io, path::Path};

use bytes::{Buf, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, Method, Request, header};
use tokio::net::UnixStream;

/// Octets before each message: a flag and the length.
const HEAD: usize = 5;

/// A connection to a unix socket; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
}

/// How much a connection and each of its streams let in before somebody has taken it, in octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) connection: u32,
    pub(crate) stream: u32,
}

impl Windows {
    /// Never in the way.
    pub(crate) const WIDE: Self = Self { connection: 1 << 26, stream: 1 << 20 };
    /// HTTP/2's defaults.
    pub(crate) const DEFAULT: Self = Self { connection: 65_535, stream: 65_535 };
}

/// A request, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    uri: http::Uri,
    body: Bytes,
}

impl Call {
    /// Of a method such as `NodeService/GetNode`.
    pub(crate) fn new(method: &str, message: &impl prost::Message) -> Self {
        let mut body = BytesMut::with_capacity(HEAD + message.encoded_len());
        body.extend_from_slice(&[0]);
        body.extend_from_slice(&u32::try_from(message.encoded_len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(&message.encode_to_vec());
        let uri = format!("http://agent/ha.agent.v1.{method}").parse().expect("methods have plain names");
        Self { uri, body: body.freeze() }
    }
}

impl Connection {
    /// Connects; a task of the current runtime carries it on.
    pub(crate) async fn open(socket: &Path, windows: Windows) -> io::Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(windows.stream).initial_connection_window_size(windows.connection);
        let (send, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            // Ends when the server closes it, or all who could send have gone.
            let _ = connection.await;
        });
        Ok(Self { send })
    }

    /// Begins a call; the answer's messages are in the stream.
    ///
    /// # Errors
    /// Also when the server refuses it before its first message.
    pub(crate) async fn begin(&self, call: &Call) -> io::Result<RecvStream> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(call.uri.clone())
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(())
            .map_err(io::Error::other)?;
        let mut send = self.send.clone().ready().await.map_err(io::Error::other)?;
        let (answer, mut body) = send.send_request(request, false).map_err(io::Error::other)?;
        body.send_data(call.body.clone(), true).map_err(io::Error::other)?;
        let answer = answer.await.map_err(io::Error::other)?;
        check_status(answer.headers())?;
        Ok(answer.into_body())
    }

    /// Makes a call whose answer is one message, and returns how many octets it has.
    pub(crate) async fn ask(&self, call: &Call) -> io::Result<usize> {
        let mut answer = self.begin(call).await?;
        let mut octets = 0;
        while let Some(part) = poll_fn(|cx| answer.poll_data(cx)).await {
            let part = part.map_err(io::Error::other)?;
            octets += part.len();
            answer.flow_control().release_capacity(part.len()).map_err(io::Error::other)?;
        }
        let trailers = poll_fn(|cx| answer.poll_trailers(cx)).await.map_err(io::Error::other)?;
        let trailers = trailers.ok_or_else(|| io::Error::other("an answer without a status"))?;
        check_status(&trailers)?;
        octets.checked_sub(HEAD).ok_or_else(|| io::Error::other("an answer without a message"))
    }
}

fn check_status(headers: &HeaderMap) -> io::Result<()> {
    match headers.get("grpc-status").map(|status| status.as_bytes()) {
        None | Some(b"0") => Ok(()),
        Some(status) => {
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            let message = headers.get("grpc-message").map(|message| text(message.as_bytes()));
            Err(io::Error::other(format!("status {}: {}", text(status), message.unwrap_or_default())))
        }
    }
}

/// The messages of a stream.
#[derive(Debug)]
pub(crate) struct Messages {
    stream: RecvStream,
    octets: BytesMut,
}

impl Messages {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, octets: BytesMut::new() }
    }

    /// The octets of the next message; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            match poll_fn(|cx| self.stream.poll_data(cx)).await {
                None => return Ok(None),
                Some(Err(error)) => return Err(io::Error::other(error)),
                Some(Ok(part)) => {
                    self.stream.flow_control().release_capacity(part.len()).map_err(io::Error::other)?;
                    self.octets.extend_from_slice(&part);
                }
            }
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        let length: [u8; 4] = self.octets.get(1..HEAD)?.try_into().ok()?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        if self.octets.len() < HEAD + length {
            return None;
        }
        self.octets.advance(HEAD);
        Some(self.octets.split_to(length).freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_flag_a_length_and_a_message() {
        let call = Call::new("NodeService/GetNode", &"abc".to_owned());
        assert_eq!(call.uri.path(), "/ha.agent.v1.NodeService/GetNode");
        assert_eq!(&call.body[..], b"\0\0\0\0\x05\x0a\x03abc");
    }

    #[test]
    fn a_status_other_than_ok_is_an_error_with_its_words() {
        let mut headers = HeaderMap::new();
        assert!(check_status(&headers).is_ok());
        headers.insert("grpc-status", "8".parse().expect("a value"));
        headers.insert("grpc-message", "too many".parse().expect("a value"));
        assert_eq!(check_status(&headers).expect_err("refused").to_string(), "status 8: too many");
    }
}
