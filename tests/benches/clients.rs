//! Clients that ask a server at a steady rate, whatever becomes of their requests, and what became of each.

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ha_tests::Namespace;

/// How long a client waits for its whole answer.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1400);
/// Each client begins one request in this time, and so is never late for the next.
const ROUND: Duration = Duration::from_millis(1500);
const STACK: usize = 64 << 10;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer with status 200 and this body.
    Page(String),
    /// An answer with another status.
    Status(String),
    /// No whole answer in time.
    None,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) began: Instant,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
}

/// Clients at work. Dropping them ends them.
#[derive(Debug)]
pub(crate) struct Clients {
    requests: Arc<Mutex<Vec<Request>>>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Begins to ask from a namespace, so many times a second, each time over a connection of its own.
    pub(crate) fn start(space: &Namespace, server: IpAddr, rate: u32) -> Self {
        let (requests, end) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let start = Instant::now();
        let count = ROUND.as_millis() as u32 * rate / 1000;
        let client = |number: u32| {
            let (requests, end) = (Arc::clone(&requests), Arc::clone(&end));
            let first = start + ROUND * number / count;
            let work = move || ask_on(first, server, &requests, &end);
            thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread")
        };
        // A thread stays in the namespace in which it began.
        let threads = space.run(|| (0..count).map(client).collect());
        Self { requests, end, threads }
    }

    /// Ends them and says what became of every request, in the order in which they began.
    pub(crate) fn end(mut self) -> Vec<Request> {
        self.join();
        let mut requests = std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner));
        requests.sort_by_key(|request| request.began);
        requests
    }

    fn join(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.join();
    }
}

fn ask_on(first: Instant, server: IpAddr, requests: &Mutex<Vec<Request>>, end: &AtomicBool) {
    let mut next = first;
    loop {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if end.load(Ordering::Relaxed) {
            return;
        }
        let began = Instant::now();
        let outcome = ask(server).unwrap_or(Outcome::None);
        let request = Request { began, took: began.elapsed(), outcome };
        requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        next += ROUND;
    }
}

fn ask(server: IpAddr) -> Option<Outcome> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&(server, 80).into(), PATIENCE).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let (mut answer, mut part) = (Vec::new(), [0; 2048]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(part.get(..count)?),
            Err(_) => return None,
        }
    }
    outcome_of(&String::from_utf8_lossy(&answer))
}

fn outcome_of(answer: &str) -> Option<Outcome> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    Some(if status == "200" {
        Outcome::Page(body.trim().to_owned())
    } else {
        Outcome::Status(status.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_page_a_status_or_none() {
        let page = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello\n";
        assert_eq!(outcome_of(page), Some(Outcome::Page("hello".to_owned())));
        let bad = "HTTP/1.1 502 Bad Gateway\r\n\r\n<html>";
        assert_eq!(outcome_of(bad), Some(Outcome::Status("502".to_owned())));
        assert_eq!(outcome_of("HTTP/1.1 200 OK\r\n"), None);
    }
}
