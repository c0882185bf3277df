//! Kinds that the kernel reports on by itself, between attempts.

use crate::attempt::Attempt;
use crate::tcp_keepalive::Holder;

/// Follows one target. Each [`Watch::next`] is a result, as from an attempt; the first comes as soon as the target is known.
#[derive(Debug)]
pub struct Watch {
    followed: Followed,
}

#[derive(Debug)]
enum Followed {
    TcpKeepalive(Holder),
}

impl Watch {
    pub(crate) fn tcp_keepalive(holder: Holder) -> Self {
        Self { followed: Followed::TcpKeepalive(holder) }
    }

    /// Waits for what happens next. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Attempt {
        match &mut self.followed {
            Followed::TcpKeepalive(holder) => holder.next().await,
        }
    }
}
