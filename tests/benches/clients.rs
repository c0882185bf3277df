//! Clients that ask a server at a steady rate, whatever becomes of their requests, and what became of each.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ha_tests::{Namespace, http_ask};

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
    let (status, body) = http_ask((server, 80).into(), "/", PATIENCE)?;
    Some(match status {
        200 => Outcome::Page(body.trim().to_owned()),
        other => Outcome::Status(other.to_string()),
    })
}
