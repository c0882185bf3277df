//! How far a node's clock is from ours, and how well we know it.

use std::time::Duration;

use jiff::Timestamp;

use crate::span::Span;

/// A node's clock against ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    /// The node's time less ours.
    pub offset: Span,
    /// The offset is within this much of the truth: half the round trip.
    pub uncertainty: Span,
}

impl Clock {
    /// From one question sent at `wall` of our clock and answered with `server_time` after `round_trip`.
    ///
    /// The node read its clock at some moment of the round trip, so its middle is off by at most half of it.
    pub(crate) fn measured(
        wall: Timestamp,
        round_trip: Duration,
        server_time: Option<&prost_types::Timestamp>,
    ) -> Self {
        let half = Span::from(round_trip / 2);
        let Some(server_time) = server_time else {
            return Clock { offset: Span::ZERO, uncertainty: half };
        };
        let middle = wall.as_nanosecond() + i128::from(half.nanos());
        Clock { offset: Span::from_wide(proto_nanos(server_time) - middle), uncertainty: half }
    }

    /// A time of the node's clock on ours, in nanoseconds since 1970.
    pub(crate) fn corrected(self, time: Option<&prost_types::Timestamp>) -> i128 {
        time.map_or(0, proto_nanos) - i128::from(self.offset.nanos())
    }

    /// What the node's clock most likely shows at a time of ours.
    pub(crate) fn theirs(self, ours: Timestamp) -> Timestamp {
        shifted(ours, self.offset.nanos())
    }

    /// The earliest and the latest that it may show then.
    pub(crate) fn bounds(self, ours: Timestamp) -> (Timestamp, Timestamp) {
        let (theirs, error) = (self.theirs(ours), self.uncertainty.nanos());
        (shifted(theirs, error.saturating_neg()), shifted(theirs, error))
    }

    /// How long ago a time of the node's clock was; none for no time.
    pub(crate) fn age(self, time: Option<&prost_types::Timestamp>, now: Timestamp) -> Option<Span> {
        let since = self.corrected(Some(time?));
        Some(Span::from_wide((now.as_nanosecond() - since).max(0)))
    }
}

fn shifted(time: Timestamp, nanos: i64) -> Timestamp {
    time.checked_add(jiff::SignedDuration::from_nanos(nanos)).unwrap_or(time)
}

/// Nanoseconds since 1970.
pub(crate) fn proto_nanos(time: &prost_types::Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}

/// jiff's type; absent when it cannot be represented.
pub(crate) fn timestamp(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::from_nanosecond(proto_nanos(time)).ok())
}

/// protobuf's type.
pub(crate) fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    let nanos = time.as_nanosecond();
    prost_types::Timestamp {
        seconds: nanos.div_euclid(1_000_000_000) as i64,
        nanos: nanos.rem_euclid(1_000_000_000) as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_taken_at_the_middle_of_the_round_trip() {
        let wall = Timestamp::from_second(1_000).unwrap();
        let server = prost_types::Timestamp { seconds: 1_003, nanos: 0 };
        let clock = Clock::measured(wall, Duration::from_secs(2), Some(&server));
        assert_eq!(clock.offset, "2s".parse().unwrap());
        assert_eq!(clock.uncertainty, "1s".parse().unwrap());
        assert_eq!(clock.corrected(Some(&server)), 1_001_000_000_000);
        assert_eq!(clock.theirs(wall).as_second(), 1_002);
        let (earliest, latest) = clock.bounds(wall);
        assert_eq!((earliest.as_second(), latest.as_second()), (1_001, 1_003));
    }

    #[test]
    fn times_before_1970_survive_the_way_to_protobuf() {
        let time: Timestamp = "1969-12-31T23:59:59.5Z".parse().unwrap();
        assert_eq!(timestamp(Some(&to_proto(time))), Some(time));
    }
}
