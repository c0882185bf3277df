//! Every number with its unit: time, priority, VRID, advertisement interval. The only file that converts wire units.
//! All arithmetic is in whole nanoseconds and divides last, so that a skew of a 10 ms interval is not rounded away.

use core::fmt;
use core::num::NonZeroU8;
use core::time::Duration;

/// A point on the driver's monotonic clock, in nanoseconds since an arbitrary origin (boot, on Linux).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The end of time, 584 years after the origin: what is due then is never due.
    pub(crate) const END: Self = Self(u64::MAX);

    /// From nanoseconds since the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// `self + duration`; stops at the end of time (584 years) instead of wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Nanoseconds of a duration, at most `u64::MAX`.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// VRID, 1..=255: the virtual router's number on its link (RFC 9568 §5.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VirtualRouterId(NonZeroU8);

impl VirtualRouterId {
    /// `None` for 0, which RFC 9568 §5.2.3 does not allow.
    pub const fn new(value: u8) -> Option<Self> {
        match NonZeroU8::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for VirtualRouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Priority of a participating router, 1..=255 (RFC 9568 §5.2.4). 0 exists only on the wire and means "I release".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(NonZeroU8);

impl Priority {
    /// The address owner's priority.
    pub const OWNER: Self = Self(NonZeroU8::MAX);
    /// What RFC 9568 §6.1 configures when nothing is said.
    pub const DEFAULT: Self = match Self::new(100) {
        Some(priority) => priority,
        None => Self::OWNER,
    };

    /// `None` for 0.
    pub const fn new(value: u8) -> Option<Self> {
        match NonZeroU8::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number on the wire, 1..=255.
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// Whether this is the address owner's priority, 255.
    pub const fn is_owner(self) -> bool {
        self.0.get() == u8::MAX
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The VRRP version that an instance speaks; adverts of the other version are discarded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// RFC 3768, IPv4 only, whole seconds.
    V2,
    /// RFC 5798 and RFC 9568, IPv4 and IPv6, centiseconds.
    V3,
}

impl Version {
    /// The number on the wire: 2 or 3.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// Address family of an instance; decides group, checksum and the form of announcements.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6 (VRRPv3 only).
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: core::net::IpAddr) -> Self {
        match address {
            core::net::IpAddr::V4(_) => Self::Ipv4,
            core::net::IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

/// Time between two adverts of an Active router.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AdvertisementInterval(Duration);

impl AdvertisementInterval {
    /// One second, the default of all versions.
    pub const DEFAULT: Self = Self(Duration::from_secs(1));

    /// What the version can say on the wire: V2 whole seconds 1 s ..= 255 s; V3 whole centiseconds 10 ms ..= 40.95 s.
    /// `None` for everything else.
    pub fn new(version: Version, interval: Duration) -> Option<Self> {
        let (unit, maximum) = match version {
            Version::V2 => (NANOS_PER_SECOND, 255),
            Version::V3 => (NANOS_PER_CENTISECOND, 4095),
        };
        let nanos = nanos(interval);
        let valid = nanos.is_multiple_of(unit) && (1..=maximum).contains(&(nanos / unit));
        valid.then_some(Self(interval))
    }

    /// From a v2 advert's Adver Int, in seconds.
    pub const fn from_seconds(seconds: u8) -> Self {
        Self(Duration::from_secs(seconds as u64))
    }

    /// From a v3 advert's Max Advertise Interval, in centiseconds.
    pub const fn from_centiseconds(centiseconds: u16) -> Self {
        Self(Duration::from_millis(centiseconds as u64 * 10))
    }

    /// The longest VRRPv3 interval that is not longer than `duration`; 0 when there is none.
    pub(crate) fn at_most(duration: Duration) -> Self {
        let centiseconds = nanos(duration) / NANOS_PER_CENTISECOND;
        Self::from_centiseconds(u16::try_from(centiseconds).unwrap_or(4095).min(4095))
    }

    /// For a v2 advert; at most 255.
    pub fn as_seconds(self) -> u8 {
        u8::try_from(self.0.as_secs()).unwrap_or(u8::MAX)
    }

    /// For a v3 advert; at most 4095.
    pub fn as_centiseconds(self) -> u16 {
        u16::try_from(nanos(self.0) / NANOS_PER_CENTISECOND).unwrap_or(4095).min(4095)
    }

    /// The interval itself.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Skew_Time. V2: (256 − Priority) / 256 seconds, whatever the interval (RFC 3768 §6.1).
    /// V3: ((256 − Priority) × Active_Adver_Interval) / 256 (RFC 9568 §6.1).
    pub fn skew_time(self, version: Version, priority: Priority) -> Duration {
        let base = match version {
            Version::V2 => NANOS_PER_SECOND,
            Version::V3 => nanos(self.0),
        };
        Duration::from_nanos((256 - u64::from(priority.get())) * base / 256)
    }

    /// Active_Down_Interval = 3 × Active_Adver_Interval + Skew_Time.
    pub fn active_down_interval(self, version: Version, priority: Priority) -> Duration {
        self.0 * 3 + self.skew_time(version, priority)
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_CENTISECOND: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_and_down_interval_are_exact_to_the_nanosecond() {
        let table = [
            (Version::V2, 1_000, 100, 609_375_000, 3_609_375_000),
            (Version::V2, 1_000, 254, 7_812_500, 3_007_812_500),
            (Version::V2, 1_000, 1, 996_093_750, 3_996_093_750),
            (Version::V3, 1_000, 200, 218_750_000, 3_218_750_000),
            (Version::V3, 100, 100, 60_937_500, 360_937_500),
            (Version::V3, 10, 100, 6_093_750, 36_093_750),
            (Version::V3, 10, 254, 78_125, 30_078_125),
            (Version::V3, 40_950, 1, 40_790_039_062, 163_640_039_062),
        ];
        for (version, millis, priority, skew, down) in table {
            let interval = AdvertisementInterval::new(version, Duration::from_millis(millis)).unwrap();
            let priority = Priority::new(priority).unwrap();
            assert_eq!(interval.skew_time(version, priority), Duration::from_nanos(skew));
            assert_eq!(interval.active_down_interval(version, priority), Duration::from_nanos(down));
        }
    }

    #[test]
    fn an_interval_that_the_wire_cannot_say_is_refused() {
        let refused = [
            (Version::V2, Duration::from_millis(1500)),
            (Version::V2, Duration::ZERO),
            (Version::V2, Duration::from_secs(256)),
            (Version::V3, Duration::from_millis(5)),
            (Version::V3, Duration::from_millis(15)),
            (Version::V3, Duration::from_millis(40_960)),
        ];
        for (version, interval) in refused {
            assert_eq!(AdvertisementInterval::new(version, interval), None, "{version:?} {interval:?}");
        }
    }
}
