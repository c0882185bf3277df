//! Which adverts leave together. Few wake-ups are cheap, and a burst on a link must not overflow a queue on the way: what it
//! loses would be the same routers' adverts each time, until their Backups take over.
//!
//! ```text
//!   due within a 16th      | | ||            ->  ||||           with the first of them: early, never late
//!   more than a queue has  ||||||||||||||||  ->  ||||||||       each eighth of an interval so many
//!                                            ||||||||           the rest an eighth earlier from then on
//! ```

use core::time::Duration;

use super::Engine;
use crate::input::InstanceId;
use crate::instance::Instance;
use crate::schedule::Reason;
use crate::units::Instant;

/// Adverts of a link that may leave together. Network cards have queues of 256 packets and more, the kernel takes up to 64 at
/// a time from one, and 510 routers (255 VRIDs of two families) are no more than eight such bursts.
const MOST: u32 = 64;
/// Adverts that are due within this part of an interval leave together.
const TOGETHER: u32 = 16;
/// By this part of an interval those leave earlier that were too many.
const APART: u32 = 8;

/// The adverts that have left a link together.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// When the first was due.
    beat: Instant,
    count: u32,
}

impl Burst {
    /// Whether one more that is due at `at` would be too many.
    fn is_full(&self, at: Instant, interval: Duration) -> bool {
        self.contains(at, interval) && self.count >= MOST
    }

    fn add(&mut self, at: Instant, interval: Duration) {
        if !self.contains(at, interval) {
            *self = Self { beat: at, count: 0 };
        }
        self.count += 1;
    }

    fn contains(&self, at: Instant, interval: Duration) -> bool {
        at <= self.beat.after(interval / TOGETHER)
    }
}

impl Engine {
    /// Counts an advert that was due and has left. If it was one too many, those to come leave earlier.
    pub(super) fn make_room(&mut self, now: Instant, id: InstanceId, due: Instant) {
        let Some((interval, burst)) = self.burst_of(id) else { return };
        let is_full = burst.is_full(due, interval);
        burst.add(due, interval);
        if is_full {
            self.with(now, id, |instance, sink| instance.bring_forward(sink.now, interval / APART));
        }
    }

    /// Adverts that are nearly due leave with one that is, and keep its beat from then on: one wake-up and one system call for
    /// many. It is the first only that comes early, and never one that comes late: between two adverts of a router lies no
    /// more than its interval, so no peer's timer runs longer than before.
    pub(super) fn send_along(&mut self, now: Instant, beat: Instant, leader: usize) {
        let Some(leader) = self.instances.get(leader).and_then(Option::as_ref).map(interval_of) else {
            return;
        };
        while let Some((at, Reason::Advertisement, slot)) = self.schedule.first() {
            let Some(instance) = self.instances.get(slot).and_then(Option::as_ref) else { break };
            if at > beat.after(leader.min(interval_of(instance)) / TOGETHER) {
                break;
            }
            let id = instance.id;
            match self.burst_of(id) {
                Some((interval, burst)) if !burst.is_full(beat, interval) => burst.add(beat, interval),
                _ => break,
            }
            self.with(now, id, |instance, sink| instance.on_advert_due(sink, beat));
        }
    }

    fn burst_of(&mut self, id: InstanceId) -> Option<(Duration, &mut Burst)> {
        let instance = self.instance(id)?;
        let (interval, link) = (interval_of(instance), instance.link);
        self.links.get_mut(link.0 as usize).map(|link| (interval, &mut link.burst))
    }
}

fn interval_of(instance: &Instance) -> Duration {
    instance.config.interval.duration()
}
