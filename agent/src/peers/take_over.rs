//! What one node asks of another: to take over from it, and what it says that it has released.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{Actor, Cause};
use ha_proto::v1::peer_service_client::PeerServiceClient;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::{RouterKey, wire};

/// The longest time for a peer to take over.
pub(super) const LONGEST_LIMIT: Duration = Duration::from_secs(10);

/// What is asked of a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakeOverRequest {
    /// Which virtual router.
    pub router: RouterKey,
    /// Where the holder's adverts come from.
    pub holder: IpAddr,
    /// How long it may take, 1 ms ..= 10 s; after that the holder goes on.
    pub limit: Duration,
    /// Why the holder wants it.
    pub cause: Cause,
    /// Whose wish it is.
    pub actor: Arc<Actor>,
}

/// The peer is Active, its kernel holds the addresses, and its first announcements have left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announced {
    /// From the request's arrival there until the kernel held the addresses.
    pub held_after: Duration,
    /// And until the first announcements left.
    pub announced_after: Duration,
}

/// Why a peer does not take over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is in Fault there.
    Fault,
    /// An operator has drained it.
    Drained,
    /// It is not Backup there.
    NotBackup,
    /// It has no such virtual router.
    UnknownRouter,
    /// It hears another Active router than the one that asks.
    VrrpDisagrees,
    /// It has too much to do.
    Busy,
    /// It did not become Active within the limit.
    Late,
    /// It is not a peer, or it cannot be reached: why.
    Unreachable(Arc<str>),
}

/// A word of a peer for this node, which is authenticated as that peer.
#[derive(Debug)]
pub enum Incoming {
    /// It asks us to take over.
    TakeOver(AskedTakeOver),
    /// It has released something.
    Released(HeardRelease),
}

/// A peer asks us to take over.
#[derive(Debug)]
pub struct AskedTakeOver {
    /// Who asks.
    pub peer: Arc<str>,
    /// What.
    pub request: TakeOverRequest,
    /// Answer here; dropped = refused as [`Refusal::Busy`].
    pub reply: oneshot::Sender<Result<Announced, Refusal>>,
}

/// A peer's own word that it holds something no longer.
#[derive(Debug)]
pub struct HeardRelease {
    /// Who says so.
    pub peer: Arc<str>,
    /// What.
    pub routers: Vec<Released>,
}

/// A virtual router that its holder lets go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Released {
    /// Which.
    pub router: RouterKey,
    /// Where the holder's adverts came from.
    pub holder: IpAddr,
    /// The node that is to become Active at once; the others keep to VRRP's timers.
    pub successor: Option<Arc<str>>,
    /// Why it let go.
    pub cause: Cause,
}

impl Refusal {
    /// Those that a peer itself can say.
    pub(super) const WORDS: [Self; 7] = [
        Self::Fault,
        Self::Drained,
        Self::NotBackup,
        Self::UnknownRouter,
        Self::VrrpDisagrees,
        Self::Busy,
        Self::Late,
    ];

    /// The word in API, log and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Fault => "TAKE_OVER_FAULT",
            Self::Drained => "TAKE_OVER_DRAINED",
            Self::NotBackup => "TAKE_OVER_NOT_BACKUP",
            Self::UnknownRouter => "TAKE_OVER_UNKNOWN_ROUTER",
            Self::VrrpDisagrees => "TAKE_OVER_VRRP_DISAGREES",
            Self::Busy => "TAKE_OVER_BUSY",
            Self::Late => "TAKE_OVER_LATE",
            Self::Unreachable(_) => "PEER_UNREACHABLE",
        }
    }
}

/// One clause for a human.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault => f.write_str("it is in Fault there"),
            Self::Drained => f.write_str("it is drained"),
            Self::NotBackup => f.write_str("it is not Backup there"),
            Self::UnknownRouter => f.write_str("it has no such virtual router"),
            Self::VrrpDisagrees => f.write_str("it hears another Active router"),
            Self::Busy => f.write_str("it has too much to do"),
            Self::Late => f.write_str("it did not become Active in time"),
            Self::Unreachable(why) => write!(f, "it cannot be reached: {why}"),
        }
    }
}

/// Asks over a connection on which the peer is heard; `None` when there is none.
pub(super) async fn ask(
    channel: Option<Channel>,
    node: Arc<str>,
    request: TakeOverRequest,
) -> Result<Announced, Refusal> {
    /// For the way there and back, beyond what the peer itself may take.
    const WAY: Duration = Duration::from_millis(250);
    let channel = channel.ok_or_else(|| Refusal::Unreachable("no connection to it stands".into()))?;
    let limit = request.limit.min(LONGEST_LIMIT);
    let mut client = PeerServiceClient::new(channel).max_decoding_message_size(64 << 10);
    let asked = client.take_over(Request::new(wire::request(&node, &request)));
    let answer = timeout(limit + WAY, asked).await.map_err(|_| Refusal::Late)?;
    wire::announced(&answer.map_err(|status| refusal_of(&status))?.into_inner())
}

/// What a peer's error means; its own words for what has none.
fn refusal_of(status: &Status) -> Refusal {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    let known = Refusal::WORDS.into_iter().find(|refusal| refusal.as_str() == reason);
    known.unwrap_or_else(|| match status.code() {
        Code::DeadlineExceeded | Code::Cancelled => Refusal::Late,
        Code::ResourceExhausted => Refusal::Busy,
        _ => Refusal::Unreachable(status.message().chars().take(200).collect::<String>().into()),
    })
}
