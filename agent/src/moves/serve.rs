//! The other side of a handover: a peer asks us to take over, or says that it has released. What it asks the engine decides;
//! who it is, and whether it speaks of what is its own, is looked at here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ha_engine::{Actor, Cause, InstanceStatus, Instant, OperatorAction, OperatorCommand, StateName};
use tokio::sync::{Semaphore, mpsc};
use tracing::info;

use super::{Shared, WAY};
use crate::clock;
use crate::driver::Snapshot;
use crate::peers::{Announced, AskedTakeOver, HeardRelease, Incoming, Refusal, Released, RouterKey};

/// Words of peers that are acted upon at a time. A node that hands over all its routers sends as many at once; the rest wait in
/// the channel, and what finds no room there is refused.
const AT_ONCE: usize = 64;

/// Serves peers until nobody can ask any more. Requests are served side by side, and each ends within its own limit.
pub(super) async fn serve(shared: Arc<Shared>, mut words: mpsc::Receiver<Incoming>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(word) = words.recv().await {
        // Nobody closes it: there is always a place sooner or later.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _place = place;
            match word {
                Incoming::TakeOver(asked) => {
                    let AskedTakeOver { peer, request, reply } = asked;
                    let answer = shared.take_over(&peer, &request.router, &Word::of(&request)).await;
                    // Who no longer waits goes on as the holder.
                    let _ = reply.send(answer);
                }
                Incoming::Released(heard) => shared.on_released(heard).await,
            }
        });
    }
}

/// What a holder says.
struct Word {
    holder: IpAddr,
    limit: Duration,
    cause: Cause,
    actor: Arc<Actor>,
}

impl Word {
    fn of(request: &crate::peers::TakeOverRequest) -> Self {
        let cause = match request.cause {
            // Here nothing stops.
            Cause::AgentStop => Cause::PeerReleased,
            cause => cause,
        };
        Self { holder: request.holder, limit: request.limit, cause, actor: Arc::clone(&request.actor) }
    }
}

impl Shared {
    /// Becomes Active in a peer's place and returns when the addresses are held and announced.
    async fn take_over(&self, peer: &str, router: &RouterKey, word: &Word) -> Result<Announced, Refusal> {
        let begun = clock::now();
        let snapshot = self.snapshot().await.map_err(|_| Refusal::Busy)?;
        let status = find(&snapshot, router).ok_or(Refusal::UnknownRouter)?;
        if !self.speaks_for_itself(peer, router, word.holder) {
            return Err(Refusal::VrrpDisagrees);
        }
        let name = Arc::clone(&status.config.name);
        let until = begun.after(word.limit + WAY);
        self.become_active(&name, word, until).await?;
        let limit = begun.after(word.limit);
        let mut times = [Duration::ZERO; 2];
        for (wanted, time) in [Progress::Held, Progress::Announced].into_iter().zip(&mut times) {
            let reached =
                self.look(limit, |snapshot| progress(snapshot, &name).filter(|at| *at >= wanted)).await;
            match reached {
                Some(Progress::Lost) => return Err(Refusal::Fault),
                Some(_) => *time = clock::now().since(begun),
                None => return Err(Refusal::Late),
            }
        }
        let [held_after, announced_after] = times;
        Ok(Announced { held_after, announced_after })
    }

    async fn become_active(&self, name: &Arc<str>, word: &Word, until: Instant) -> Result<(), Refusal> {
        let command = OperatorCommand {
            instance: Arc::clone(name),
            action: OperatorAction::TakeOver { from: word.holder, until, cause: word.cause },
            actor: Arc::clone(&word.actor),
            expected_revision: None,
            dry_run: false,
        };
        match self.driver.operate(command).await {
            Ok(answer) => answer.map_err(refusal_of),
            Err(_gone) => Err(Refusal::Busy),
        }
    }

    /// A peer speaks for its own addresses only; one whose link is gone has none to name.
    fn speaks_for_itself(&self, peer: &str, router: &RouterKey, holder: IpAddr) -> bool {
        let view = self.peers.view();
        let report = view.peers.get(peer).and_then(|peer| peer.report.as_ref());
        let told = report.and_then(|report| report.router(router));
        told.is_some_and(|told| told.source.is_none_or(|source| source == holder))
    }

    /// The holder's own word that it has let go: the named successor needs no timer.
    async fn on_released(&self, heard: HeardRelease) {
        let own = self.journal.node();
        let Ok(snapshot) = self.snapshot().await else { return };
        let ours = heard.routers.iter().filter(|one| one.successor.as_ref() == Some(own));
        join_all(ours.map(|released| self.follow_release(&snapshot, &heard.peer, released))).await;
    }

    async fn follow_release(&self, snapshot: &Snapshot, peer: &str, released: &Released) {
        let Some(status) = find(snapshot, &released.router) else { return };
        if status.state != StateName::Backup
            || !self.speaks_for_itself(peer, &released.router, released.holder)
        {
            return;
        }
        let word = Word {
            holder: released.holder,
            limit: Duration::ZERO,
            cause: Cause::PeerReleased,
            actor: Arc::default(),
        };
        if let Err(refusal) = self.become_active(&status.config.name, &word, clock::now()).await {
            info!(peer, router = %released.router, %refusal, "a peer has released; VRRP's timers decide");
        }
    }
}

/// How far a takeover is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Progress {
    /// The kernel holds the addresses.
    Held,
    /// The first announcements have left.
    Announced,
    /// The instance is not Active any more.
    Lost,
}

fn progress(snapshot: &Snapshot, name: &str) -> Option<Progress> {
    let Some(status) = snapshot.instance(name).filter(|status| status.state == StateName::Active) else {
        return Some(Progress::Lost);
    };
    let holds = matches!(status.applied, Some(Ok(())));
    holds.then_some(if status.is_announced { Progress::Announced } else { Progress::Held })
}

fn find<'s>(snapshot: &'s Snapshot, router: &RouterKey) -> Option<&'s InstanceStatus> {
    let mut instances = snapshot.instances.iter().filter(|_| router.names_one());
    instances.find(|status| router.is_of(&status.config))
}

fn refusal_of(refusal: ha_engine::Refusal) -> Refusal {
    use ha_engine::Refusal as Engine;
    match refusal {
        Engine::Faulty => Refusal::Fault,
        Engine::Drained => Refusal::Drained,
        Engine::AnotherActive { .. } => Refusal::VrrpDisagrees,
        Engine::UnknownInstance => Refusal::UnknownRouter,
        Engine::RevisionMismatch { .. }
        | Engine::AddressOwner
        | Engine::NotActive
        | Engine::NotHandingOver
        | Engine::NotBackup => Refusal::NotBackup,
    }
}
