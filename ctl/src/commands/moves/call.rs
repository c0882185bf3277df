//! The call itself. A move takes as long as a successor does, so it may take all of `--timeout`, not just a node's share.

use ha_proto::v1;
use jiff::Timestamp;

use super::{Change, MoveView, Wish};
use crate::clock::timestamp;
use crate::commands::Context;
use crate::failure::Failure;
use crate::names;
use crate::session::Session;

/// What an agent answers to any of the wishes.
pub(super) struct Answer {
    /// Whether the node is drained; none for a transfer.
    pub(super) drained: Option<bool>,
    /// When the drain or the hold ends by itself.
    pub(super) expire_time: Option<Timestamp>,
    pub(super) moves: Vec<MoveView>,
}

/// Asks the agent for the change, or with `validate_only` what it would be.
pub(super) async fn call(context: &Context, change: &Change, validate_only: bool) -> Result<Answer, Failure> {
    let label = names::node(&change.name).to_owned();
    let limit = if validate_only { context.global.node_timeout } else { context.global.timeout };
    let asked = async {
        let session = Session::open(&change.endpoint, Default::default()).await?;
        ask(&session, change, validate_only).await
    };
    match tokio::time::timeout(limit.to_duration(), asked).await {
        Ok(answer) => answer.map_err(|failure: Failure| failure.on(label)),
        Err(_) => Err(in_doubt(Failure::node_timeout(limit).on(label), validate_only)),
    }
}

/// A change that was not answered may have been made.
fn in_doubt(mut failure: Failure, validate_only: bool) -> Failure {
    if !validate_only {
        failure.remedy = "it may have been done: hactl status, hactl events --last 20".to_owned().into();
    }
    failure
}

async fn ask(session: &Session, change: &Change, validate_only: bool) -> Result<Answer, Failure> {
    let (name, request_id, etag) = (change.name.clone(), change.request_id.clone(), String::new());
    match &change.wish {
        Wish::Drain { ttl, reason, survive_restart, allow_no_successor } => {
            let (reason, ttl) = (reason.clone(), ttl.to_proto());
            let (allow_no_successor, survive_restart) = (*allow_no_successor, *survive_restart);
            let request = v1::DrainNodeRequest {
                name,
                reason,
                ttl,
                allow_no_successor,
                etag,
                request_id,
                validate_only,
                survive_restart,
            };
            let answer = session.drain_node(request).await?;
            Ok(Answer { moves: views(&answer.moves), ..drained(answer.drain.as_ref()) })
        }
        Wish::Undrain => {
            let request = v1::UndrainNodeRequest { name, etag, request_id, validate_only };
            Ok(drained(session.undrain_node(request).await?.drain.as_ref()))
        }
        Wish::Transfer { to, ttl, reason } => {
            let successor = to.as_ref().map(|to| format!("nodes/{to}")).unwrap_or_default();
            let (reason, ttl) = (reason.clone(), ttl.to_proto());
            let request =
                v1::TransferInstanceRequest { name, successor, reason, ttl, etag, request_id, validate_only };
            let answer = session.transfer_instance(request).await?;
            let moves: Vec<v1::Move> = answer.r#move.into_iter().collect();
            Ok(Answer { moves: views(&moves), ..held(answer.instance.as_ref()) })
        }
        Wish::EndTransfer => {
            let request = v1::EndTransferRequest { name, etag, request_id, validate_only };
            Ok(held(session.end_transfer(request).await?.instance.as_ref()))
        }
    }
}

fn views(moves: &[v1::Move]) -> Vec<MoveView> {
    moves.iter().map(MoveView::from).collect()
}

fn drained(drain: Option<&v1::Drain>) -> Answer {
    Answer {
        drained: drain.map(|drain| drain.drained),
        expire_time: drain.and_then(|drain| timestamp(drain.expire_time.as_ref())),
        moves: Vec::new(),
    }
}

fn held(instance: Option<&v1::Instance>) -> Answer {
    let hold = instance.and_then(|instance| instance.preempt_hold.as_ref());
    Answer {
        drained: None,
        expire_time: hold.and_then(|hold| timestamp(hold.expire_time.as_ref())),
        moves: Vec::new(),
    }
}
