//! The plainest HTTP client: one request on a connection of its own, and the whole answer or none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long [`http_get`] waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Status and body of the answer to `GET path`; `None` when nobody answers in whole within `patience`.
pub fn http_ask(server: SocketAddr, path: &str, patience: Duration) -> Option<(u16, String)> {
    let deadline = Instant::now() + patience;
    let mut stream = TcpStream::connect_timeout(&server, patience).ok()?;
    // HTTP/1.0: the body is not sent in pieces.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").as_bytes()).ok()?;
    let (mut answer, mut part) = (Vec::new(), [0; 8192]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
        match stream.read(&mut part).ok()? {
            0 => break,
            count => answer.extend_from_slice(part.get(..count)?),
        }
    }
    read(&String::from_utf8_lossy(&answer))
}

fn read(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The body of whatever is answered; `None` while nobody answers there.
pub fn http_get(server: SocketAddr, path: &str) -> Option<String> {
    http_ask(server, path, PATIENCE).map(|(_, body)| body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body_or_is_none() {
        let page = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello\n";
        assert_eq!(read(page), Some((200, "hello\n".to_owned())));
        assert_eq!(read("HTTP/1.1 502 Bad Gateway\r\n\r\nx"), Some((502, "x".to_owned())));
        assert_eq!(read("HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(read(""), None);
    }
}
