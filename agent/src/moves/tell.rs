//! This node's own word when it lets go without having handed over: a check failed, a link went down. The best successor need not
//! wait for its timers then. VRRP's priority 0 says the same to those that hear it.

use std::sync::Arc;

use ha_engine::{Cause, Event, EventKind, StateName, Subject};

use super::Shared;
use super::choice::Unit;
use crate::journal::Read;
use crate::peers::{Released, RouterKey};

/// Reads the journal for as long as the agent lives.
pub(super) async fn tell(shared: Arc<Shared>) {
    const CHUNK: usize = 256;
    let mut reader = shared.journal.reader(shared.journal.newest());
    loop {
        // What was missed was told by VRRP.
        let Read::Records(records) = reader.read(CHUNK).await else { continue };
        let left: Vec<(Arc<str>, Cause)> =
            records.iter().filter_map(|record| let_go(record.event()?)).collect();
        if !left.is_empty() && !shared.peers.view().peers.is_empty() {
            shared.tell_released(&left).await;
        }
    }
}

/// An instance that went from Active to Fault.
fn let_go(event: &Event) -> Option<(Arc<str>, Cause)> {
    let EventKind::StateChanged { from: StateName::Active, to: StateName::Fault } = event.kind else {
        return None;
    };
    let Subject::Instance(_, name) = &event.subject else { return None };
    Some((Arc::clone(name), event.cause))
}

impl Shared {
    async fn tell_released(&self, left: &[(Arc<str>, Cause)]) {
        let Ok(snapshot) = self.snapshot().await else { return };
        let view = self.peers.view();
        let released = left.iter().filter_map(|(name, cause)| {
            let status = snapshot.instance(name)?;
            let unit = Unit { members: vec![Arc::new(status.clone())] };
            let successor = unit.choose(&view).candidates.into_iter().next()?;
            Some(Released {
                router: RouterKey::of(&status.config),
                // A link that is gone has no address any more; peers know us by the one that they heard.
                holder: status.known_as?,
                successor: Some(successor.peer),
                cause: *cause,
            })
        });
        let released: Vec<Released> = released.collect();
        if !released.is_empty() {
            self.peers.released(&released);
        }
    }
}
