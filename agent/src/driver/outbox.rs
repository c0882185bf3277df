//! Adverts on their way to the sockets: copied once, in order, in memory that is used again.

use std::ops::Range;

use ha_engine::Transmit;

/// Adverts of one turn of the loop.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    adverts: Vec<(Transmit<'static>, Range<usize>)>,
    octets: Vec<u8>,
}

impl Outbox {
    pub(super) fn push(&mut self, transmit: &Transmit<'_>) {
        let start = self.octets.len();
        self.octets.extend_from_slice(transmit.octets);
        let advert = Transmit {
            octets: &[],
            instance: transmit.instance,
            link: transmit.link,
            source: transmit.source,
            destination: transmit.destination,
            ttl: transmit.ttl,
            virtual_mac: transmit.virtual_mac,
        };
        self.adverts.push((advert, start..self.octets.len()));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Transmit<'_>> {
        self.adverts.iter().map(|(advert, range)| {
            let octets = self.octets.get(range.clone()).unwrap_or_default();
            Transmit { octets, ..*advert }
        })
    }

    pub(super) fn clear(&mut self) {
        self.adverts.clear();
        self.octets.clear();
    }
}
