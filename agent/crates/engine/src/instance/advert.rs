//! Adverts on their way out. One is like the other for as long as nothing changes, so that its octets are kept: a node with a
//! thousand routers at 100 ms sends ten thousand a second.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::{Instance, Sink, State};
use crate::codec::{encode, multicast_group};
use crate::config::Transport;
use crate::output::{Effect, Transmit};

/// The advert that was sent last, to be sent again.
#[derive(Debug, Default)]
pub(super) struct LastSent {
    /// Its priority and all but its octets; `None` = no longer true.
    known: Option<(u8, Transmit<'static>)>,
    octets: Vec<u8>,
    /// Where it came from.
    source: Option<IpAddr>,
}

impl LastSent {
    /// What it was made from has changed.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Where it came from, whatever has become of that address.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.source
    }

    fn is(&self, priority: u8, source: IpAddr, destination: IpAddr) -> bool {
        self.known.is_some_and(|(known, transmit)| {
            known == priority && transmit.source == source && transmit.destination == destination
        })
    }
}

impl Instance {
    /// Sends an advert with our priority to every destination; nothing while it has said that it releases.
    pub(super) fn advertise(&mut self, sink: &mut Sink<'_>) {
        if matches!(&self.state, State::Active(active) if active.is_silent()) {
            return;
        }
        self.transmit(sink, self.priority().get());
    }

    /// Tells everybody that we release.
    pub(super) fn advertise_release(&mut self, sink: &mut Sink<'_>) {
        let before = self.counters.sent;
        self.transmit(sink, 0);
        self.counters.sent_priority_zero += self.counters.sent - before;
    }

    fn transmit(&mut self, sink: &mut Sink<'_>, priority: u8) {
        if let Transport::Multicast { .. } = self.config.transport {
            return self.transmit_to(sink, priority, multicast_group(self.config.family), u8::MAX);
        }
        let config = Arc::clone(&self.config);
        if let Transport::Unicast { peers, ttl } = &config.transport {
            for peer in peers {
                self.transmit_to(sink, priority, peer.address, *ttl);
            }
        }
    }

    fn transmit_to(&mut self, sink: &mut Sink<'_>, priority: u8, destination: IpAddr, ttl: u8) {
        let Some(source) = self.source else { return };
        if !self.last_sent.is(priority, source, destination) {
            self.compose(priority, source, destination, ttl);
        }
        let Some((_, transmit)) = self.last_sent.known else { return };
        let start = sink.octets.len();
        sink.octets.extend_from_slice(&self.last_sent.octets);
        sink.effects.push(Effect::Transmit(transmit, start..sink.octets.len()));
        self.counters.sent += 1;
    }

    fn compose(&mut self, priority: u8, source: IpAddr, destination: IpAddr, ttl: u8) {
        let (instance, link, virtual_mac) = (self.id, self.link, self.config.virtual_mac_address());
        let transmit = Transmit { instance, link, source, destination, ttl, virtual_mac, octets: &[] };
        self.last_sent.octets.clear();
        encode(&mut self.last_sent.octets, &self.config, priority, source, destination);
        self.last_sent.known = Some((priority, transmit));
        self.last_sent.source = Some(source);
    }
}
