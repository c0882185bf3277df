//! Kinds that the kernel reports on by itself, between attempts.

use crate::attempt::Attempt;
use crate::file;
use crate::interface;
use crate::process;
use crate::route;
use crate::tcp_keepalive::Holder;

/// Follows one target. Each [`Watch::next`] is a result, as from an attempt; the first comes as soon as the target is known.
#[derive(Debug)]
pub struct Watch {
    followed: Followed,
}

#[derive(Debug)]
enum Followed {
    TcpKeepalive(Holder),
    File(file::Follower),
    Interface(interface::Follower),
    Process(process::Follower),
    Route(route::Follower),
}

impl Watch {
    pub(crate) fn tcp_keepalive(holder: Holder) -> Self {
        Self { followed: Followed::TcpKeepalive(holder) }
    }

    pub(crate) fn file(follower: file::Follower) -> Self {
        Self { followed: Followed::File(follower) }
    }

    pub(crate) fn interface(follower: interface::Follower) -> Self {
        Self { followed: Followed::Interface(follower) }
    }

    pub(crate) fn route(follower: route::Follower) -> Self {
        Self { followed: Followed::Route(follower) }
    }

    pub(crate) fn process(follower: process::Follower) -> Self {
        Self { followed: Followed::Process(follower) }
    }

    /// Waits for what happens next. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Attempt {
        match &mut self.followed {
            Followed::TcpKeepalive(holder) => holder.next().await,
            Followed::File(follower) => follower.next().await,
            Followed::Interface(follower) => follower.next().await,
            Followed::Route(follower) => follower.next().await,
            Followed::Process(follower) => follower.next().await,
        }
    }
}
