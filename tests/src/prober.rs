//! Asks for an address again and again, by ARP or neighbour solicitation, and records every answering MAC.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use crate::{Mac, Namespace, PacketSocket, Probe, Timeline, frame, sys};

/// A prober at work. Dropping it ends it.
#[derive(Debug)]
pub struct Prober {
    heard: Arc<Mutex<Heard>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Heard {
    sent: Vec<SystemTime>,
    answers: Vec<(SystemTime, Mac)>,
    announcements: Vec<(SystemTime, Mac)>,
}

impl Prober {
    /// Asks for `address` on `link` of `space` once every `every`.
    #[track_caller]
    pub fn start(space: &Namespace, link: &str, address: impl Into<IpAddr>, every: Duration) -> Self {
        let address = address.into();
        let question = Asker::on(space, link).question(address);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let stop = Arc::new(AtomicBool::new(false));
        // One socket to ask, one to listen: the listener is never behind a sleeping asker.
        let (asking, listening) = (PacketSocket::open(space, link), PacketSocket::open(space, link));
        let asker = {
            let (heard, stop) = (heard.clone(), stop.clone());
            thread::spawn(move || ask(&asking, &question, every, &heard, &stop))
        };
        let listener = {
            let (heard, stop) = (heard.clone(), stop.clone());
            thread::spawn(move || listen(&listening, address, &heard, &stop))
        };
        Self { heard, stop, threads: vec![asker, listener] }
    }

    /// What was heard until now.
    pub fn timeline(&self) -> Timeline {
        let heard = lock(&self.heard);
        let mut probes: Vec<Probe> =
            heard.sent.iter().map(|sent| Probe { sent: *sent, answers: Vec::new() }).collect();
        for &(at, mac) in &heard.answers {
            let number = probes.partition_point(|probe| probe.sent <= at);
            if let Some(probe) = number.checked_sub(1).and_then(|number| probes.get_mut(number)) {
                probe.answers.push((at, mac));
            }
        }
        Timeline::new(probes)
    }

    /// Gratuitous ARPs and unsolicited advertisements for the address, and the MAC they announced.
    pub fn announcements(&self) -> Vec<(SystemTime, Mac)> {
        lock(&self.heard).announcements.clone()
    }

    /// Ends the probing and returns what was heard.
    pub fn stop(mut self) -> Timeline {
        self.end();
        self.timeline()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ask(socket: &PacketSocket, question: &[u8], every: Duration, heard: &Mutex<Heard>, stop: &AtomicBool) {
    sys::prefer_this_thread();
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        lock(heard).sent.push(SystemTime::now());
        // A link that is down for a while is part of some tests: an unsent question stays unanswered.
        let _ = socket.send(question);
        due += every;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn listen(socket: &PacketSocket, address: IpAddr, heard: &Mutex<Heard>, stop: &AtomicBool) {
    sys::prefer_this_thread();
    while !stop.load(Ordering::Relaxed) {
        let Ok(Some((at, bytes))) = socket.receive() else { continue };
        match claim(&bytes) {
            Some(claim) if claim.address == address && claim.is_answer => {
                lock(heard).answers.push((at, claim.mac))
            }
            Some(claim) if claim.address == address => lock(heard).announcements.push((at, claim.mac)),
            _ => {}
        }
    }
}

pub(crate) struct Claim {
    pub(crate) address: IpAddr,
    pub(crate) mac: Mac,
    pub(crate) is_answer: bool,
}

/// Somebody says that an address is at a MAC: as an answer, or unasked.
pub(crate) fn claim(bytes: &[u8]) -> Option<Claim> {
    if let Some(arp) = frame::read_arp(bytes) {
        let is_gratuitous = arp.sender_address == arp.target_address;
        return (arp.is_reply || is_gratuitous).then(|| Claim {
            address: arp.sender_address.into(),
            mac: arp.sender,
            is_answer: !is_gratuitous,
        });
    }
    let found = frame::read_advertisement(bytes)?;
    Some(Claim { address: found.target.into(), mac: found.mac, is_answer: found.is_solicited })
}

/// Who asks: the addresses of the asking link.
struct Asker {
    mac: Mac,
    address4: Option<Ipv4Addr>,
    address6: Option<Ipv6Addr>,
}

impl Asker {
    #[track_caller]
    fn on(space: &Namespace, link: &str) -> Self {
        let shown = space.ip(&format!("-o link show dev {link}"));
        let mac = shown
            .split_whitespace()
            .skip_while(|word| *word != "link/ether")
            .nth(1)
            .and_then(|text| text.parse().ok());
        let ours: Vec<IpAddr> = space
            .addresses()
            .into_iter()
            .filter(|found| found.link == link)
            .map(|found| found.address)
            .collect();
        Self {
            mac: mac.unwrap_or_else(|| panic!("no MAC in {shown}")),
            address4: ours.iter().find_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            }),
            address6: ours.iter().find_map(|address| match address {
                IpAddr::V6(address) if address.is_unicast_link_local() => Some(*address),
                _ => None,
            }),
        }
    }

    #[track_caller]
    fn question(&self, address: IpAddr) -> Vec<u8> {
        match (address, self.address4, self.address6) {
            (IpAddr::V4(target), Some(from), _) => frame::arp_request(self.mac, from, target),
            (IpAddr::V6(target), _, Some(from)) => frame::neighbour_solicitation(self.mac, from, target),
            _ => panic!("the asking link has no address of the family of {address}"),
        }
    }
}

/// Asks once for each of many addresses and waits `patience` for the answers: who holds what.
///
/// Addresses that nobody answered for are missing from the result.
#[track_caller]
pub fn sweep(
    space: &Namespace,
    link: &str,
    addresses: &[IpAddr],
    patience: Duration,
) -> BTreeMap<IpAddr, BTreeSet<Mac>> {
    let asker = Asker::on(space, link);
    let socket = PacketSocket::open(space, link);
    for address in addresses {
        let _ = socket.send(&asker.question(*address));
    }
    let wanted: BTreeSet<IpAddr> = addresses.iter().copied().collect();
    let mut holders: BTreeMap<IpAddr, BTreeSet<Mac>> = BTreeMap::new();
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        let Ok(Some((_, bytes))) = socket.receive() else { continue };
        if let Some(claim) = claim(&bytes).filter(|claim| claim.is_answer && wanted.contains(&claim.address))
        {
            holders.entry(claim.address).or_default().insert(claim.mac);
        }
    }
    holders
}
