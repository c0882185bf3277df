//! `PeerService`: what this node tells its peers, and what they ask of it. A caller is the peer that its certificate names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::peer_service_server::PeerService;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};

use super::error::{Reason, refuse, stopping};
use super::gate::Caller;
use super::shared::{Shared, caller};
use crate::peers::{
    self, Announced, AskedTakeOver, Direction, Incoming, Refusal, Teller, announced_to_wire,
    request_from_wire,
};

/// The service.
#[derive(Clone)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
    /// The stream of each peer that watches: a newer one ends it.
    watching: Arc<Mutex<BTreeMap<String, CancellationToken>>>,
}

/// Messages that wait for a peer's connection; what changes meanwhile is told at once when there is room.
const WAITING: usize = 4;

type Messages = Result<v1::WatchReportsResponse, Status>;

impl Peers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, watching: Arc::default() }
    }

    /// The peer that calls.
    fn peer(&self, caller: &Caller, claimed: &str) -> Result<Arc<str>, Status> {
        if !caller.is_node(claimed) {
            return Err(refuse(
                Reason::PeerUnknown,
                format!("{} is not node {claimed:.63}", caller.principal()),
                "give the caller the certificate of that node: hactl pki issue node",
            ));
        }
        if !self.shared.peers.knows(claimed) {
            return Err(refuse(
                Reason::PeerUnknown,
                format!("node {claimed:.63} is not configured here"),
                format!("add [[peer]] name = {claimed:.63} with its endpoint, and reload"),
            ));
        }
        Ok(claimed.into())
    }

    /// Ends an older stream of the same peer, whose connection may have died without a word.
    fn take_turn(&self, peer: &str) -> CancellationToken {
        let turn = self.shared.shutdown.child_token();
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(older) = watching.insert(peer.to_owned(), turn.clone()) {
            older.cancel();
        }
        turn
    }
}

#[async_trait]
impl PeerService for Peers {
    type WatchReportsStream = ReceiverStream<Messages>;

    async fn watch_reports(
        &self,
        request: Request<v1::WatchReportsRequest>,
    ) -> Result<Response<Self::WatchReportsStream>, Status> {
        let caller = caller(&request)?;
        let peer = self.peer(&caller, &request.get_ref().node)?;
        let (turn, shutdown) = (self.take_turn(&peer), self.shared.shutdown.clone());
        let (messages, stream) = mpsc::channel(WAITING);
        let teller = self.shared.peers.teller();
        tokio::spawn(async move {
            // Cancelled when the agent stops or the peer watches anew: then it learns which.
            if turn.run_until_cancelled(tell(teller, &messages)).await.is_none() {
                let is_over = shutdown.is_cancelled();
                let _ = messages.try_send(Err(if is_over { stopping() } else { replaced(&peer) }));
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn echo(&self, request: Request<v1::EchoRequest>) -> Result<Response<v1::EchoResponse>, Status> {
        let caller = caller(&request)?;
        self.peer(&caller, &request.get_ref().node)?;
        Ok(Response::new(v1::EchoResponse {}))
    }

    async fn take_over(
        &self,
        request: Request<v1::TakeOverRequest>,
    ) -> Result<Response<v1::TakeOverResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let peer = self.peer(&caller, &request.node)?;
        let sent = request.sent_at;
        let request = request_from_wire(request).map_err(|what| {
            refuse(Reason::RequestMalformed, what, "compare the versions of the two agents")
        })?;
        if !self.shared.peers.is_fresh(&peer, sent) {
            // The caller may have gone on as the holder since.
            self.shared.peers.count_takeover(&peer, Direction::Receive, &Err(Refusal::Late));
            return Err(refused(&Refusal::Late));
        }
        let answer = self.ask(Arc::clone(&peer), request).await;
        self.shared.peers.count_takeover(&peer, Direction::Receive, &answer);
        answer
            .map(|announced| Response::new(announced_to_wire(announced)))
            .map_err(|refusal| refused(&refusal))
    }
}

impl Peers {
    async fn ask(&self, peer: Arc<str>, request: peers::TakeOverRequest) -> Result<Announced, Refusal> {
        /// Beyond the limit that whoever acts keeps by itself.
        const MARGIN: Duration = Duration::from_millis(100);
        let limit = request.limit + MARGIN;
        let (reply, answer) = oneshot::channel();
        if !self.shared.peers.hand_on(Incoming::TakeOver(AskedTakeOver { peer, request, reply })) {
            return Err(Refusal::Busy);
        }
        timeout(limit, answer).await.map_err(|_| Refusal::Late)?.map_err(|_| Refusal::Busy)?
    }
}

/// Until the peer has gone.
async fn tell(mut teller: Teller, messages: &mpsc::Sender<Messages>) {
    let mut next = Some(teller.opened());
    loop {
        for message in next.into_iter().chain(teller.news()) {
            if messages.send(Ok(message)).await.is_err() {
                return;
            }
        }
        // Cancelled when the peer has gone: what it was not told it hears when it comes back.
        next = tokio::select! {
            next = teller.wait() => next,
            () = messages.closed() => return,
        };
    }
}

fn replaced(peer: &str) -> Status {
    refuse(
        Reason::StreamReplaced,
        format!("node {peer} has begun another stream, which takes the place of this one"),
        "if two agents have that name, give one of them a name and a certificate of its own",
    )
}

fn refused(refusal: &Refusal) -> Status {
    let (reason, next) = match refusal {
        Refusal::Fault => (Reason::TakeOverFault, "choose another successor"),
        Refusal::Drained => (Reason::TakeOverDrained, "choose another successor, or undrain the node"),
        Refusal::NotBackup => (Reason::TakeOverNotBackup, "look at the node's state: hactl instance get"),
        Refusal::UnknownRouter => {
            (Reason::TakeOverUnknownRouter, "compare VRID and addresses in the two configurations")
        }
        Refusal::VrrpDisagrees => (Reason::TakeOverVrrpDisagrees, "look at who is Active: hactl status"),
        Refusal::Late => (Reason::TakeOverLate, "look at the node's load and at its log"),
        Refusal::Busy | Refusal::Unreachable(_) => {
            (Reason::TakeOverBusy, "try again, or choose another successor")
        }
    };
    refuse(reason, format!("this node does not take over: {refusal}"), next)
}
