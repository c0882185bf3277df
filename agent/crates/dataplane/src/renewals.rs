//! Requests that renew leases: written once, and sent again and again until something changes. A thousand addresses with leases
//! of a second are two thousand renewals a second, and nearly always the same.

use ha_engine::InstanceId;

use crate::netlink::batch::write;
use crate::netlink::encode::Request;
use crate::observed::Observed;
use crate::ownership::{Holding, Holdings};

/// Addresses renewed before commands have their turn again.
const BATCH: usize = 128;

/// What was written last.
#[derive(Debug, Default)]
pub(crate) struct Renewals {
    basis: Option<Basis>,
    batches: Vec<Batch>,
}

/// What it was written from; when that has changed it is written anew.
#[derive(PartialEq, Eq, Debug)]
struct Basis {
    lifetimes: Vec<u32>,
    holdings: u64,
    observed: u64,
}

/// Requests for the addresses of some instances, in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The instance that they end with.
    pub(crate) last: InstanceId,
    pub(crate) octets: Vec<u8>,
    addresses: usize,
}

impl Renewals {
    /// The next batch behind an instance for what is held with one of these `lifetimes`, as far as it is there and ours,
    /// and whether it is the last.
    pub(crate) fn next(
        &mut self,
        holdings: &Holdings,
        observed: &Observed,
        lifetimes: &[u32],
        behind: Option<InstanceId>,
    ) -> Option<(&Batch, bool)> {
        self.bring_up_to_date(holdings, observed, lifetimes);
        let done = self.batches.partition_point(|batch| Some(batch.last) <= behind);
        Some((self.batches.get(done)?, done + 1 == self.batches.len()))
    }

    fn bring_up_to_date(&mut self, holdings: &Holdings, observed: &Observed, lifetimes: &[u32]) {
        let basis = Basis {
            lifetimes: lifetimes.to_vec(),
            holdings: holdings.version(),
            observed: observed.version(),
        };
        if self.basis.as_ref() == Some(&basis) {
            return;
        }
        self.basis = Some(basis);
        self.batches.clear();
        for (instance, holding) in holdings.iter() {
            if holding.lease.is_some_and(|lease| lifetimes.contains(&lease)) {
                self.add(instance, holding, observed);
            }
        }
    }

    fn add(&mut self, instance: InstanceId, holding: &Holding, observed: &Observed) {
        if self.batches.last().is_none_or(|batch| batch.addresses >= BATCH) {
            self.batches.push(Batch { last: instance, octets: Vec::new(), addresses: 0 });
        }
        let batch = self.batches.last_mut().expect("one was just made if there was none");
        batch.last = instance;
        for (device, addresses) in &holding.places {
            let Some(index) = device.index(observed) else { continue };
            for address in addresses {
                let mut found = observed.find(index, address.address);
                if found.any(|found| found.is_ours && found.prefix_length == address.prefix_length) {
                    let request = Request::renew_address(index, *address, holding.lease);
                    write(&mut batch.octets, &request.silent(), 0);
                    batch.addresses += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use ha_engine::{LinkId, Ownership, VirtualAddress};

    use super::*;
    use crate::address::Prefixed;
    use crate::netlink::decode::{Address, Change, Link, messages};

    fn address(number: u32) -> Prefixed {
        let [_, b, c, d] = number.to_be_bytes();
        Prefixed { address: [10, b, c, d].into(), prefix_length: 32 }
    }

    fn virtual_address(number: u32) -> VirtualAddress {
        VirtualAddress::new(address(number).address, 32)
    }

    fn holding(instance: u32, addresses: &[u32], seconds: u64) -> Holding {
        Holding::new(&Ownership {
            instance: InstanceId(instance),
            generation: 1,
            link: LinkId(0),
            interface: Arc::from("eth0"),
            addresses: addresses.iter().map(|number| virtual_address(*number)).collect(),
            lease: Some(Duration::from_secs(seconds)),
            virtual_mac: None,
        })
    }

    fn appear(observed: &mut Observed, number: u32) {
        let Prefixed { address, prefix_length } = address(number);
        let address = Address {
            address,
            prefix_length,
            is_ours: true,
            is_usable: true,
            is_secondary: false,
            is_leased: true,
        };
        observed.apply(Change::Address(7, address));
    }

    /// A link, and instances 0.. with so many addresses each, all in the kernel.
    fn world(counts: &[u32]) -> (Holdings, Observed) {
        let (mut holdings, mut observed) = (Holdings::default(), Observed::default());
        observed.apply(Change::Link(Link {
            index: 7,
            name: Arc::from("eth0"),
            is_up: true,
            is_running: true,
            mac: None,
            mtu: 1500,
            lower: None,
            is_ours: false,
        }));
        for (instance, count) in (0..).zip(counts) {
            let addresses: Vec<u32> = (0..*count).map(|number| instance * 1000 + number).collect();
            addresses.iter().for_each(|number| appear(&mut observed, *number));
            drop(holdings.put(InstanceId(instance), holding(instance, &addresses, 2)));
        }
        (holdings, observed)
    }

    /// A whole round: the last instance of each batch and its number of requests.
    fn round(renewals: &mut Renewals, holdings: &Holdings, observed: &Observed) -> Vec<(u32, usize)> {
        let (mut seen, mut behind) = (Vec::new(), None);
        while let Some((batch, is_last)) = renewals.next(holdings, observed, &[2], behind) {
            seen.push((batch.last.0, messages(&batch.octets).count()));
            behind = Some(batch.last);
            if is_last {
                break;
            }
        }
        seen
    }

    #[test]
    fn a_round_renews_every_address_once_some_hundred_at_a_time() {
        let (holdings, observed) = world(&[100, 27, 1, 1, 0, 200, 3]);
        let mut renewals = Renewals::default();
        assert_eq!(round(&mut renewals, &holdings, &observed), [(2, 128), (5, 201), (6, 3)]);
        assert_eq!(round(&mut Renewals::default(), &Holdings::default(), &observed), []);
    }

    #[test]
    fn what_is_written_stands_until_something_changes() {
        let (mut holdings, mut observed) = world(&[2, 2]);
        let mut renewals = Renewals::default();
        assert_eq!(round(&mut renewals, &holdings, &observed), [(1, 4)]);
        let written = renewals.batches[0].octets.as_ptr();
        assert_eq!(round(&mut renewals, &holdings, &observed), [(1, 4)]);
        assert_eq!(renewals.batches[0].octets.as_ptr(), written);
        // Gone from the kernel: a renewal would bring it back.
        let Prefixed { address: lost, prefix_length } = address(1);
        observed.apply(Change::AddressGone(7, lost, prefix_length));
        assert_eq!(round(&mut renewals, &holdings, &observed), [(1, 3)]);
        // No longer wanted.
        drop(holdings.put(InstanceId(1), holding(1, &[], 2)));
        assert_eq!(round(&mut renewals, &holdings, &observed), [(1, 1)]);
        // Another lifetime has its own round.
        drop(holdings.put(InstanceId(0), holding(0, &[0], 60)));
        assert_eq!(round(&mut renewals, &holdings, &observed), [(1, 0)]);
    }

    #[test]
    fn a_change_in_the_middle_of_a_round_leaves_nobody_out() {
        let (mut holdings, observed) = world(&[128, 128, 128]);
        let mut renewals = Renewals::default();
        let (batch, _) = renewals.next(&holdings, &observed, &[2], None).unwrap();
        assert_eq!(batch.last, InstanceId(0));
        drop(holdings.put(InstanceId(0), holding(0, &[0], 2)));
        // Now the first batch reaches to the second instance, whose turn it is.
        let (batch, is_last) = renewals.next(&holdings, &observed, &[2], Some(InstanceId(0))).unwrap();
        assert_eq!((batch.last, messages(&batch.octets).count(), is_last), (InstanceId(1), 129, false));
    }
}
