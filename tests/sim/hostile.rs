//! A host on the link that sends what no node may accept: noise, and adverts of others with something changed.

use std::sync::Arc;

use crate::node::Wire;
use crate::plan::node_address;
use crate::world::{Failure, World};

impl World {
    /// A host that sends what must not be accepted.
    pub(crate) fn attack(&mut self, node: usize) -> Result<(), Failure> {
        if !self.nodes[node].runs() {
            return Ok(());
        }
        for _ in 0..self.random.between(1, 20) {
            let wire = self.forge(node);
            // On a link that is down nobody hears anything.
            if self.nodes[node].is_up(wire.link) {
                self.receive(node, &wire)?;
            }
        }
        Ok(())
    }

    fn forge(&mut self, node: usize) -> Wire {
        let random = &mut self.random;
        let Some(count) = std::num::NonZeroUsize::new(self.network.overheard.len()) else {
            let source = node_address(ha_engine::Family::Ipv4, 200);
            let octets = (0..random.up_to(64)).map(|_| random.next() as u8).collect();
            return Wire { link: 0, source, destination: source, ttl: 255, octets, hostile: true };
        };
        let mut wire = self.network.overheard[random.index(count.get())].clone();
        wire.hostile = true;
        let mut octets = wire.octets.to_vec();
        match random.up_to(5) {
            0 => wire.ttl = u8::try_from(random.up_to(254)).unwrap(),
            1 => wire.destination = node_address(ha_engine::Family::of(wire.source), 99),
            2 => octets.truncate(random.index(octets.len())),
            3 => octets.extend([0; 8]),
            4 => wire.source = node_address(ha_engine::Family::of(wire.source), node),
            _ => {
                let bit = random.index(octets.len() * 8);
                octets[bit / 8] ^= 1 << (bit % 8);
            }
        }
        wire.octets = Arc::from(octets);
        wire
    }
}
