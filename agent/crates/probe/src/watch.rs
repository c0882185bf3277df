//! Kinds that the kernel reports on by itself, between attempts.

use crate::attempt::Attempt;

/// Follows one target. Each [`Watch::next`] is a result, as from an attempt; the first comes as soon as the target is known.
#[derive(Debug)]
pub struct Watch {
    followed: Followed,
}

#[derive(Debug)]
enum Followed {}

impl Watch {
    /// Waits for what happens next. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Attempt {
        match self.followed {}
    }
}
