//! Numbers that a stranger cannot guess: DNS ids, echo tokens.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A new number. The standard library keys SipHash from the kernel's randomness; no other source is needed here.
pub(crate) fn number() -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    KEY.hash_one(COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// 16 bits of a new number.
pub(crate) fn id() -> u16 {
    number().to_be_bytes().first_chunk().map_or(0, |octets| u16::from_be_bytes(*octets))
}
