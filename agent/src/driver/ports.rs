//! The raw sockets of the `vrrp` thread: one for each link and family, opened when the link appears and again when it
//! comes back under another number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ha_dataplane::{FrameSocket, SendFailure, VrrpSocket};
use ha_engine::{Family, LinkId, Packet, Transmit};
use tokio::io::unix::AsyncFd;

use super::outbox::Outbox;

/// Batches read from one socket before the others and the timers have their turn.
const BATCHES: usize = 8;

/// All sockets, and which of them have something to read.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: BTreeMap<(LinkId, Family), Port>,
    /// What the configuration needs.
    wanted: BTreeMap<LinkId, (Arc<str>, BTreeSet<Family>)>,
    /// The kernel's numbers of links that exist.
    numbers: BTreeMap<LinkId, u32>,
}

#[derive(Debug)]
struct Port {
    socket: AsyncFd<VrrpSocket>,
    /// Opened with the first advert from a virtual MAC.
    frames: Option<FrameSocket>,
    interface: Arc<str>,
    number: u32,
    readable: bool,
    queued: bool,
}

impl Ports {
    /// Takes over which links and families need a socket. Says what could not be opened.
    pub(super) fn want(&mut self, wanted: BTreeMap<LinkId, (Arc<str>, BTreeSet<Family>)>) -> Vec<String> {
        self.wanted = wanted;
        self.open_missing()
    }

    /// Takes over a link's number. Says what could not be opened.
    pub(super) fn renumber(&mut self, link: LinkId, number: Option<u32>) -> Vec<String> {
        match number {
            Some(number) => self.numbers.insert(link, number),
            None => self.numbers.remove(&link),
        };
        self.open_missing()
    }

    /// Links that exist and lack a socket.
    pub(super) fn refused(&self) -> BTreeSet<LinkId> {
        self.missing().into_iter().map(|(link, ..)| link).collect()
    }

    /// Opens what is wanted and possible, and closes what is not.
    pub(super) fn open_missing(&mut self) -> Vec<String> {
        let (wanted, numbers) = (&self.wanted, &self.numbers);
        self.ports.retain(|(link, family), port| {
            wanted.get(link).is_some_and(|(_, families)| families.contains(family))
                && numbers.get(link) == Some(&port.number)
        });
        let mut troubles = Vec::new();
        for (link, family, interface, number) in self.missing() {
            match Port::open(interface, number, family) {
                Ok(port) => drop(self.ports.insert((link, family), port)),
                Err(error) => troubles.push(error),
            }
        }
        troubles
    }

    fn missing(&self) -> Vec<(LinkId, Family, Arc<str>, u32)> {
        let mut missing = Vec::new();
        for (link, (interface, families)) in &self.wanted {
            let Some(number) = self.numbers.get(link) else { continue };
            let absent = families.iter().filter(|family| !self.ports.contains_key(&(*link, **family)));
            missing.extend(absent.map(|family| (*link, *family, Arc::clone(interface), *number)));
        }
        missing
    }

    /// Ready when some socket has something to read.
    pub(super) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut outcome = Poll::Pending;
        for port in self.ports.values_mut() {
            // An error of the socket shows when it is read.
            if port.readable || port.socket.poll_read_ready(context).is_ready() {
                port.readable = true;
                outcome = Poll::Ready(());
            }
        }
        outcome
    }

    /// Reads what has arrived, from ready sockets or from `all`, a bounded number of packets each.
    pub(super) fn receive(&mut self, all: bool, mut take: impl FnMut(Packet<'_>)) {
        for ((link, _), port) in &mut self.ports {
            if port.readable || all {
                port.receive(*link, &mut take);
            }
        }
    }

    /// Sends everything in the outbox; says what failed.
    pub(super) fn send(&mut self, outbox: &Outbox) -> Vec<String> {
        let mut troubles = Vec::new();
        for advert in outbox.iter() {
            let family = Family::of(advert.source);
            let Some(port) = self.ports.get_mut(&(advert.link, family)) else { continue };
            port.queue(&advert, &mut troubles);
        }
        for port in self.ports.values_mut().filter(|port| port.queued) {
            port.flush(&mut troubles);
        }
        troubles
    }
}

impl Port {
    fn open(interface: Arc<str>, number: u32, family: Family) -> Result<Self, String> {
        let socket = VrrpSocket::open(&interface, number, family).map_err(|error| error.to_string())?;
        let socket = ha_dataplane::watch_readable(socket)
            .map_err(|error| format!("cannot wait for the VRRP socket on {interface}: {error}"))?;
        Ok(Self { socket, frames: None, interface, number, readable: true, queued: false })
    }

    /// Reads until nothing waits or the others must have their turn; then the port stays readable.
    fn receive(&mut self, link: LinkId, take: &mut impl FnMut(Packet<'_>)) {
        for _ in 0..BATCHES {
            let outcome = self.socket.get_mut().recv_batch(|received| {
                take(Packet {
                    link,
                    source: received.source,
                    destination: received.destination,
                    ttl: received.ttl,
                    octets: received.octets,
                });
            });
            // An error is told once by the kernel, as ENETDOWN after the link went down; the link's own news follows.
            if !outcome.is_ok_and(|count| count > 0) {
                self.readable = false;
                self.forget_readiness();
                return;
            }
        }
    }

    fn forget_readiness(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(mut guard)) = self.socket.poll_read_ready(&mut context) {
            guard.clear_ready();
        }
    }

    fn queue(&mut self, advert: &Transmit<'_>, troubles: &mut Vec<String>) {
        self.queued = true;
        let Some(mac) = advert.virtual_mac else {
            let Transmit { source, destination, ttl, octets, .. } = *advert;
            return self.socket.get_mut().queue(source, destination, ttl, octets);
        };
        match self.frames(mac, advert) {
            Ok(()) => {}
            Err(error) => troubles.push(error),
        }
    }

    fn frames(&mut self, mac: [u8; 6], advert: &Transmit<'_>) -> Result<(), String> {
        let frames = match &mut self.frames {
            Some(frames) => frames,
            none => none
                .insert(FrameSocket::open(&self.interface, self.number).map_err(|error| error.to_string())?),
        };
        let Transmit { source, destination, ttl, octets, .. } = *advert;
        frames.queue(mac, source, destination, ttl, octets).map_err(|error| error.to_string())
    }

    fn flush(&mut self, troubles: &mut Vec<String>) {
        self.queued = false;
        let interface = &self.interface;
        let mut note = |failure: &SendFailure| {
            troubles.push(format!("cannot send an advert on {interface}: {}", failure.error()));
        };
        self.socket.get_mut().flush().failures.iter().for_each(&mut note);
        if let Some(frames) = &mut self.frames {
            frames.flush().failures.iter().for_each(note);
        }
    }
}
