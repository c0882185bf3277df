//! Receive rules of RFC 9568 §7.1 and RFC 3768 §7.1: an advert is [`Accepted`] or a named [`Discard`].

/// Why a packet was discarded. The word is at once the counter, the metric label and the journal word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Discard {
    /// Shorter than a VRRP header.
    Truncated,
    /// Neither version 2 nor 3.
    VersionUnknown,
    /// Version 2 for a VRRPv3 instance or the other way round.
    VersionMismatch,
    /// The type is not ADVERTISEMENT.
    TypeUnknown,
    /// The octets do not fit the address count.
    LengthMismatch,
    /// No form of the checksum fits.
    ChecksumWrong,
    /// TTL or hop limit is not 255, or lower than expected of a unicast peer.
    TtlWrong,
    /// No instance with this VRID on this link and family.
    VirtualRouterUnknown,
    /// No address in the advert.
    CountZero,
    /// Interval 0.
    IntervalZero,
    /// A v2 advert with another interval than ours.
    IntervalMismatch,
    /// Another authentication type than ours.
    AuthenticationTypeMismatch,
    /// The password is not ours.
    AuthenticationFailed,
    /// The sender is neither a peer nor an allowed source.
    SourceNotAllowed,
    /// Our own packet came back.
    SourceIsOurs,
    /// Sent to another destination than adverts for this instance are.
    DestinationWrong,
}

impl Discard {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Truncated,
        Self::VersionUnknown,
        Self::VersionMismatch,
        Self::TypeUnknown,
        Self::LengthMismatch,
        Self::ChecksumWrong,
        Self::TtlWrong,
        Self::VirtualRouterUnknown,
        Self::CountZero,
        Self::IntervalZero,
        Self::IntervalMismatch,
        Self::AuthenticationTypeMismatch,
        Self::AuthenticationFailed,
        Self::SourceNotAllowed,
        Self::SourceIsOurs,
        Self::DestinationWrong,
    ];

    /// The word in API, log and metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "TRUNCATED",
            Self::VersionUnknown => "VERSION_UNKNOWN",
            Self::VersionMismatch => "VERSION_MISMATCH",
            Self::TypeUnknown => "TYPE_UNKNOWN",
            Self::LengthMismatch => "LENGTH_MISMATCH",
            Self::ChecksumWrong => "CHECKSUM_WRONG",
            Self::TtlWrong => "TTL_WRONG",
            Self::VirtualRouterUnknown => "VIRTUAL_ROUTER_UNKNOWN",
            Self::CountZero => "COUNT_ZERO",
            Self::IntervalZero => "INTERVAL_ZERO",
            Self::IntervalMismatch => "INTERVAL_MISMATCH",
            Self::AuthenticationTypeMismatch => "AUTHENTICATION_TYPE_MISMATCH",
            Self::AuthenticationFailed => "AUTHENTICATION_FAILED",
            Self::SourceNotAllowed => "SOURCE_NOT_ALLOWED",
            Self::SourceIsOurs => "SOURCE_IS_OURS",
            Self::DestinationWrong => "DESTINATION_WRONG",
        }
    }

    /// One sentence for a human.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Truncated => "shorter than a VRRP header",
            Self::VersionUnknown => "neither VRRP version 2 nor 3",
            Self::VersionMismatch => "another VRRP version than the instance speaks",
            Self::TypeUnknown => "not an advertisement",
            Self::LengthMismatch => "its length does not fit its address count",
            Self::ChecksumWrong => "wrong checksum",
            Self::TtlWrong => "TTL or hop limit shows that it was forwarded",
            Self::VirtualRouterUnknown => "no instance with this VRID on this link",
            Self::CountZero => "no address in it",
            Self::IntervalZero => "an advertisement interval of 0",
            Self::IntervalMismatch => "another advertisement interval, which VRRPv2 does not allow",
            Self::AuthenticationTypeMismatch => "another authentication type than ours",
            Self::AuthenticationFailed => "another password than ours",
            Self::SourceNotAllowed => "its sender is neither a peer nor an allowed source",
            Self::SourceIsOurs => "our own packet came back",
            Self::DestinationWrong => "not sent to where adverts for this instance go",
        }
    }
}

/// A number for each reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiscardCounters([u64; Discard::ALL.len()]);

impl DiscardCounters {
    /// One more.
    pub(crate) fn count(&mut self, reason: Discard) {
        if let Some(slot) = self.0.get_mut(reason as usize) {
            *slot = slot.saturating_add(1);
        }
    }

    /// How many of one reason.
    pub fn get(&self, reason: Discard) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or_default()
    }

    /// Each reason with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Discard, u64)> + '_ {
        Discard::ALL.into_iter().map(|reason| (reason, self.get(reason)))
    }
}

/// What is strange about an accepted advert. VRRP lets it pass; an operator wants to know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Oddity {
    /// A VRRPv3 interval other than ours (it is adopted).
    IntervalDiffers,
    /// An interval longer than `longest_adopted_interval` (it is cut).
    IntervalTooLong,
    /// Other addresses than ours.
    AddressesDiffer,
    /// The first IPv6 address is not link-local (RFC 9568 §5.2.9).
    FirstAddressNotLinkLocal,
}

impl Oddity {
    /// One sentence for a human.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::IntervalDiffers => "its advertisement interval is not ours; adopted",
            Self::IntervalTooLong => "its advertisement interval is longer than we adopt; cut to our bound",
            Self::AddressesDiffer => "its addresses are not ours; make the configurations equal",
            Self::FirstAddressNotLinkLocal => "its first IPv6 address is not link-local",
        }
    }
}
