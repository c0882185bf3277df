//! When to renew address leases: about every third of their lifetime, and only while the `vrrp` thread is alive, so that a
//! thread that hangs loses its addresses too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ha_engine::Instant;

/// How soon to look again for a heartbeat that is overdue.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Due times by lifetime in seconds: addresses of one lifetime are renewed together.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    due: BTreeMap<u32, Instant>,
}

impl Leases {
    /// Which lifetimes are in use from now on.
    pub(crate) fn set(&mut self, lifetimes: &BTreeSet<u32>, now: Instant) {
        self.due.retain(|lifetime, _| lifetimes.contains(lifetime));
        for lifetime in lifetimes {
            self.due.entry(*lifetime).or_insert_with(|| now.after(third(*lifetime)));
        }
    }

    /// When to look again.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// How long the renewal of these took. When that is more than a 256th of the time between two, the next one waits longer,
    /// at most half of the lifetime: for each IPv6 address that is renewed the kernel walks over all multicast groups of the link, of which each
    /// address has one (ipv6_find_idev), and over all IPv6 addresses of the namespace (addrconf_verify_rtnl).
    pub(crate) fn note_cost(&mut self, lifetimes: &[u32], start: Instant, cost: Duration) {
        const SHARE: u32 = 256;
        for lifetime in lifetimes {
            if let Some(due) = self.due.get_mut(lifetime) {
                let half = Duration::from_secs(u64::from(*lifetime)) / 2;
                *due = start.after(third(*lifetime).max(cost * SHARE).min(half));
            }
        }
    }

    /// The lifetimes whose addresses are to be renewed now. None of them while the heartbeat is older than a third of it.
    pub(crate) fn take_due(&mut self, now: Instant, alive: Instant) -> Vec<u32> {
        let mut renew = Vec::new();
        for (lifetime, due) in &mut self.due {
            if *due > now {
                continue;
            }
            if now.since(alive) <= third(*lifetime) {
                renew.push(*lifetime);
                *due = now.after(third(*lifetime));
            } else {
                *due = now.after(LOOK_AGAIN);
            }
        }
        renew
    }
}

fn third(lifetime: u32) -> Duration {
    Duration::from_secs(u64::from(lifetime)) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    #[test]
    fn a_lease_is_renewed_every_third_of_it_while_the_heartbeat_is_fresh() {
        let mut leases = Leases::default();
        leases.set(&[3, 30].into(), at(0));
        assert_eq!(leases.next(), Some(at(1000)));
        // (now, heartbeat) → renewed, next
        let table = [
            (999, 999, vec![], 1000),
            (1000, 0, vec![3], 2000),
            (2000, 900, vec![], 2050),
            (2050, 900, vec![], 2100),
            (2100, 2090, vec![3], 3100),
            (10_000, 9990, vec![3, 30], 11_000),
        ];
        for (now, alive, renewed, next) in table {
            assert_eq!(leases.take_due(at(now), at(alive)), renewed, "{now}");
            assert_eq!(leases.next(), Some(at(next)), "{now}");
        }
    }

    #[test]
    fn a_costly_renewal_is_done_less_often_but_twice_in_a_lifetime() {
        let table = [(2, 1000), (3, 1000), (5, 1280), (100, 1500)];
        for (cost, next) in table {
            let mut leases = Leases::default();
            leases.set(&[3].into(), at(0));
            leases.note_cost(&[3, 7], at(0), Duration::from_millis(cost));
            assert_eq!(leases.next(), Some(at(next)), "{cost}");
        }
    }

    #[test]
    fn a_lifetime_out_of_use_is_forgotten_and_a_known_one_keeps_its_time() {
        let mut leases = Leases::default();
        leases.set(&[3, 6].into(), at(0));
        leases.set(&[3].into(), at(900));
        assert_eq!(leases.next(), Some(at(1000)));
        leases.set(&BTreeSet::new(), at(950));
        assert_eq!(leases.next(), None);
    }
}
