//! A client that sends one echo request each millisecond and knows exactly which were answered.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use nix::sys::{
    socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, sendto, setsockopt, sockopt},
    time::{TimeVal, TimeValLike},
};

use crate::{Namespace, checksum, packet, sys, wait_for};

/// An answer later than this counts as lost: it waited in a queue while the address had no holder.
const LATE: Duration = Duration::from_millis(20);

/// A pinger at work. Dropping it ends it.
#[derive(Debug)]
pub struct Pinger {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    sender: Option<JoinHandle<Vec<SystemTime>>>,
    receiver: Option<JoinHandle<Vec<(usize, SystemTime)>>>,
}

/// What a pinger saw.
#[derive(Debug, Clone)]
pub struct PingReport {
    /// For each request in order: when it was sent, and when its answer came, if in time.
    pub pings: Vec<(SystemTime, Option<SystemTime>)>,
}

/// A run of requests without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When the last request before it that was answered was sent.
    pub from: SystemTime,
    /// Until the next request that was answered was sent (or the last of all).
    pub duration: Duration,
    /// Requests without an answer.
    pub lost: usize,
}

impl Pinger {
    /// Sends an echo request to `target` every `every`, from inside `space`.
    #[track_caller]
    pub fn start(space: &Namespace, target: impl Into<IpAddr>, every: Duration) -> Self {
        let target = target.into();
        let opened = space.run(|| open(target).and_then(|one| Ok((one, open(target)?))));
        let (sending, receiving) =
            opened.unwrap_or_else(|error| panic!("cannot open an echo socket: {error}"));
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let sender = {
            let stop = stop.clone();
            thread::spawn(move || send_all(&sending, target, every, &stop))
        };
        let receiver = {
            let (stop, answered) = (stop.clone(), answered.clone());
            thread::spawn(move || receive_all(&receiving, target, &stop, &answered))
        };
        Self { stop, answered, sender: Some(sender), receiver: Some(receiver) }
    }

    /// Answers so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for `count` more answers; panics when they have not come after `bound`.
    #[track_caller]
    pub fn wait_for_answers(&self, count: u64, bound: Duration) {
        let wanted = self.answered() + count;
        wait_for(&format!("{count} more answers to pings"), bound, || self.answered() >= wanted);
    }

    /// Ends the pinging and reports.
    pub fn stop(mut self) -> PingReport {
        let (sent, received) = self.end();
        let mut pings: Vec<_> = sent.into_iter().map(|sent| (sent, None)).collect();
        for (number, at) in received {
            let Some((sent, answer)) = pings.get_mut(number) else { continue };
            if at.duration_since(*sent).unwrap_or_default() <= LATE {
                answer.get_or_insert(at);
            }
        }
        PingReport { pings }
    }

    fn end(&mut self) -> (Vec<SystemTime>, Vec<(usize, SystemTime)>) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        (sent, self.receiver.take().and_then(|thread| thread.join().ok()).unwrap_or_default())
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.end();
    }
}

impl PingReport {
    /// Requests sent.
    pub fn sent(&self) -> usize {
        self.pings.len()
    }

    /// Requests without an answer in time.
    pub fn lost(&self) -> usize {
        self.pings.iter().filter(|(_, answer)| answer.is_none()).count()
    }

    /// All runs of lost requests, in order.
    pub fn outages(&self) -> Vec<Outage> {
        let mut found = Vec::new();
        let mut before: Option<SystemTime> = None;
        let mut lost = 0;
        for &(sent, answer) in &self.pings {
            if answer.is_none() {
                lost += 1;
                before.get_or_insert(sent);
                continue;
            }
            found.extend(outage(before, sent, lost));
            (before, lost) = (Some(sent), 0);
        }
        found.extend(self.pings.last().and_then(|last| outage(before, last.0, lost)));
        found
    }

    /// The longest run of lost requests; zero long when none was lost.
    pub fn longest_outage(&self) -> Outage {
        let none = Outage { from: SystemTime::UNIX_EPOCH, duration: Duration::ZERO, lost: 0 };
        self.outages().into_iter().max_by_key(|outage| outage.duration).unwrap_or(none)
    }

    /// The longest pause of the pinger itself: how far a machine under load coarsened the measurement.
    pub fn worst_pace(&self) -> Duration {
        let pairs = self.pings.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0).unwrap_or_default());
        pairs.max().unwrap_or_default()
    }
}

impl fmt::Display for PingReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outage = self.longest_outage().duration.as_secs_f64() * 1e3;
        let pace = self.worst_pace().as_secs_f64() * 1e3;
        write!(
            out,
            "{} sent, {} lost, longest outage {outage:.1} ms (own pace {pace:.1} ms)",
            self.sent(),
            self.lost()
        )
    }
}

fn outage(from: Option<SystemTime>, until: SystemTime, lost: usize) -> Option<Outage> {
    let from = from.filter(|_| lost > 0)?;
    Some(Outage { from, duration: until.duration_since(from).unwrap_or_default(), lost })
}

fn open(target: IpAddr) -> io::Result<OwnedFd> {
    let (family, protocol) = match target {
        IpAddr::V4(_) => (AddressFamily::Inet, nix::sys::socket::SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, nix::sys::socket::SockProtocol::IcmpV6),
    };
    let socket = nix::sys::socket::socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20))?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(20))?;
    Ok(socket)
}

fn send_all(socket: &OwnedFd, target: IpAddr, every: Duration, stop: &AtomicBool) -> Vec<SystemTime> {
    sys::prefer_this_thread();
    let address: SockaddrStorage = match target {
        IpAddr::V4(target) => SocketAddr::from(SocketAddrV4::new(target, 0)).into(),
        IpAddr::V6(target) => SocketAddr::from(SocketAddrV6::new(target, 0, 0, 0)).into(),
    };
    let mut sent = Vec::with_capacity(100_000);
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let request = request(target, sent.len() as u64);
        sent.push(SystemTime::now());
        // A refusal (no neighbour, no route) is a lost request.
        let _ = sendto(socket.as_raw_fd(), &request, &address, MsgFlags::MSG_DONTWAIT);
        due += every;
        let now = Instant::now();
        if due + every < now {
            // After a pause of the machine: go on from here rather than send a burst.
            due = now;
        }
        thread::sleep(due.saturating_duration_since(now));
    }
    sent
}

fn receive_all(
    socket: &OwnedFd,
    target: IpAddr,
    stop: &AtomicBool,
    answered: &AtomicU64,
) -> Vec<(usize, SystemTime)> {
    sys::prefer_this_thread();
    let mut received = Vec::with_capacity(100_000);
    let mut end = None;
    // After the stop a little longer, for answers on their way.
    while end.is_none_or(|end| Instant::now() < end) {
        if let Ok(Some((at, bytes))) = packet::receive(socket)
            && let Some(number) = answer(target, &bytes)
        {
            received.push((number as usize, at));
            answered.fetch_add(1, Ordering::Relaxed);
        }
        if stop.load(Ordering::Relaxed) {
            end.get_or_insert(Instant::now() + 2 * LATE);
        }
    }
    received
}

fn identifier() -> [u8; 2] {
    (std::process::id() as u16).to_be_bytes()
}

/// The number of the request stands whole in the payload: sequence numbers wrap after a minute.
fn request(target: IpAddr, number: u64) -> Vec<u8> {
    let kind = if target.is_ipv4() { 8 } else { 128 };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier());
    message.extend((number as u16).to_be_bytes());
    message.extend(number.to_be_bytes());
    if target.is_ipv4() {
        // For IPv6 the kernel does it.
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

fn answer(target: IpAddr, bytes: &[u8]) -> Option<u64> {
    let (message, kind) = match target {
        IpAddr::V4(target) => {
            let header = usize::from(bytes.first()? & 0xf) * 4;
            (bytes.get(header..).filter(|_| bytes.get(12..16) == Some(&target.octets()))?, 0)
        }
        IpAddr::V6(_) => (bytes, 129),
    };
    let is_ours = *message.first()? == kind && message.get(4..6)? == identifier();
    is_ours.then(|| message.get(8..16)?.try_into().ok().map(u64::from_be_bytes))?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One request each millisecond; `.` is answered, `x` is lost.
    fn report(answers: &str) -> PingReport {
        let ping = |(number, letter): (usize, char)| {
            let sent = SystemTime::UNIX_EPOCH + Duration::from_millis(number as u64);
            (sent, (letter == '.').then_some(sent))
        };
        PingReport { pings: answers.chars().enumerate().map(ping).collect() }
    }

    #[test]
    fn an_outage_lasts_from_the_last_answered_request_to_the_next() {
        let report = report("...xxxx...x..");
        assert_eq!(report.lost(), 5);
        assert_eq!(report.outages().len(), 2);
        assert_eq!(report.longest_outage().duration, Duration::from_millis(5));
        assert_eq!(report.longest_outage().lost, 4);
    }

    #[test]
    fn no_loss_is_no_outage() {
        assert_eq!(report(".....").longest_outage().duration, Duration::ZERO);
    }

    #[test]
    fn an_outage_may_last_until_the_end() {
        assert_eq!(report("..xxx").longest_outage().duration, Duration::from_millis(3));
    }
}
