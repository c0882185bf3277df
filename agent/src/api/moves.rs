//! Planned moves on the control plane: `DrainNode`, `UndrainNode`, `GetDrain` of the node, `TransferInstance` and `EndTransfer`
//! of an instance. What they answer and how they refuse; who takes over is chosen in [`crate::moves`].

use std::sync::Arc;

use ha_engine::{InstanceId, Refusal, StateName, Subject};
use ha_proto::v1;
use tonic::Status;

use super::audit::Ticket;
use super::connection::User;
use super::convert::{Context, actor};
use super::error::{Reason, internal, refuse, stopping};
use super::gate::Caller;
use super::names::{self, Names};
use super::request;
use super::shared::Shared;
use super::snapshots::View;
use super::tokens;
use crate::intents::{self, About, Row};
use crate::moves::{DrainWish, Move, MoveError, Outcome, TransferWish};

/// What the audit says of a change: whom it is about, and the operator's words.
fn note(caller: &Caller, instance: Option<&Arc<str>>, reason: &Arc<str>, id: &str, dry_run: bool) {
    caller.ticket.note(|details| {
        if let Some(instance) = instance {
            details.subject = Subject::Instance(InstanceId(0), Arc::clone(instance));
        }
        details.reason = Arc::clone(reason);
        id.clone_into(&mut details.request_id);
        details.dry_run = dry_run;
    });
}

impl Shared {
    /// The drain as it stands.
    pub(super) async fn drain(&self) -> Result<v1::Drain, Status> {
        let view = self.snapshots.view().await?;
        Ok(drain(&self.context(&view), &view))
    }

    /// Drains the node, or says what that would do.
    pub(super) async fn drain_node(
        self: &Arc<Self>,
        caller: &Caller,
        request: v1::DrainNodeRequest,
    ) -> Result<v1::DrainNodeResponse, Status> {
        let id = request::id(&request.request_id)?;
        let wish = DrainWish {
            reason: request::reason(&request.reason)?.into(),
            expires: request::expires(request.ttl.as_ref())?,
            survives: request.survive_restart,
            actor: Arc::new(caller.actor(id)),
            expected_revision: tokens::expected_revision(self.journal.incarnation(), &request.etag),
            allow_no_successor: request.allow_no_successor,
            dry_run: request.validate_only,
        };
        note(caller, None, &wish.reason, id, wish.dry_run);
        // What changes nothing uses up no id.
        let id = if wish.dry_run { "" } else { id };
        let (this, user, ticket) = (Arc::clone(self), caller.user, caller.ticket.clone());
        let effect = async move {
            let resume_token = this.begin(user)?;
            let rows = this.rows_of_drain(&ticket, Some(&wish), wish.expected_revision).await?;
            let dry_run = wish.dry_run;
            let making = async {
                let moves = this.moves.drain(wish).await;
                this.snapshots.outdate();
                moves.map_err(|error| this.refused_move(error, "the node"))
            };
            let moves = this.keeping(rows, dry_run, making).await?;
            let moves = moves.iter().map(|one| shown(&this.names, one)).collect();
            let drain = Some(this.drain_after(&ticket).await?);
            Ok(v1::DrainNodeResponse { drain, moves, resume_token })
        };
        self.once.run(user, id, &request, effect).await
    }

    /// Ends a drain.
    pub(super) async fn undrain_node(
        self: &Arc<Self>,
        caller: &Caller,
        request: v1::UndrainNodeRequest,
    ) -> Result<v1::UndrainNodeResponse, Status> {
        let id = request::id(&request.request_id)?;
        let actor = Arc::new(caller.actor(id));
        let expected = tokens::expected_revision(self.journal.incarnation(), &request.etag);
        let dry_run = request.validate_only;
        note(caller, None, &Arc::default(), id, dry_run);
        let id = if dry_run { "" } else { id };
        let (this, user, ticket) = (Arc::clone(self), caller.user, caller.ticket.clone());
        let effect = async move {
            let resume_token = this.begin(user)?;
            let rows = this.rows_of_drain(&ticket, None, expected).await?;
            let making = async {
                let done = this.moves.undrain(actor, expected, dry_run).await;
                this.snapshots.outdate();
                done.map_err(|error| this.refused_move(error, "the node"))
            };
            this.keeping(rows, dry_run, making).await?;
            Ok(v1::UndrainNodeResponse { drain: Some(this.drain_after(&ticket).await?), resume_token })
        };
        self.once.run(user, id, &request, effect).await
    }

    /// What a drain, or its end, makes of the disk; the audit gets to know how it stood.
    async fn rows_of_drain(
        &self,
        ticket: &Ticket,
        wish: Option<&DrainWish>,
        expected: Option<u64>,
    ) -> Result<intents::Change, Status> {
        let view = self.snapshots.view().await?;
        tokens::check_expected(self.journal.incarnation(), expected, view.snapshot.drain_revision)?;
        ticket.note(|details| details.before = drain_in_words(&view));
        let before = view.snapshot.drain.as_ref().filter(|drain| drain.survives);
        let after = wish.filter(|wish| wish.survives).map(DrainWish::drain);
        let rows = [before.map(|drain| Row::of_order(drain)), after.as_ref().map(Row::of_order)];
        let [before, after] = rows;
        Ok(intents::Change::of(About::Node, before, after))
    }

    /// The drain as it stands, which the audit gets to know.
    async fn drain_after(&self, ticket: &Ticket) -> Result<v1::Drain, Status> {
        let view = self.snapshots.view().await?;
        ticket.note(|details| details.after = drain_in_words(&view));
        Ok(drain(&self.context(&view), &view))
    }

    /// Gives an instance to somebody else, or says to whom.
    pub(super) async fn transfer_instance(
        self: &Arc<Self>,
        caller: &Caller,
        request: v1::TransferInstanceRequest,
    ) -> Result<v1::TransferInstanceResponse, Status> {
        let id = request::id(&request.request_id)?;
        let wish = TransferWish {
            instance: self.names.instance_of(&request.name)?.into(),
            to: self.successor(&request.successor)?,
            reason: request::reason(&request.reason)?.into(),
            expires: request::expires(request.ttl.as_ref())?,
            actor: Arc::new(caller.actor(id)),
            expected_revision: tokens::expected_revision(self.journal.incarnation(), &request.etag),
            dry_run: request.validate_only,
        };
        note(caller, Some(&wish.instance), &wish.reason, id, wish.dry_run);
        let id = if wish.dry_run { "" } else { id };
        let (this, user, ticket) = (Arc::clone(self), caller.user, caller.ticket.clone());
        let name = Arc::clone(&wish.instance);
        let effect = async move {
            let resume_token = this.begin(user)?;
            let before = this.instance_in_words(&name).await?;
            ticket.note(|details| details.before = before);
            let done = this.moves.transfer(wish).await;
            this.snapshots.outdate();
            let one = done.map_err(|error| this.refused_move(error, &name))?;
            let after = this.instance_in_words(&name).await?;
            ticket.note(|details| details.after = after);
            let instance = Some(this.shown_instance(&name).await?);
            Ok(v1::TransferInstanceResponse {
                instance,
                r#move: Some(shown(&this.names, &one)),
                resume_token,
            })
        };
        self.once.run(user, id, &request, effect).await
    }

    /// Lets an instance preempt again.
    pub(super) async fn end_transfer(
        self: &Arc<Self>,
        caller: &Caller,
        request: v1::EndTransferRequest,
    ) -> Result<v1::EndTransferResponse, Status> {
        let id = request::id(&request.request_id)?;
        let name: Arc<str> = self.names.instance_of(&request.name)?.into();
        let actor = Arc::new(caller.actor(id));
        let expected = tokens::expected_revision(self.journal.incarnation(), &request.etag);
        let dry_run = request.validate_only;
        note(caller, Some(&name), &Arc::default(), id, dry_run);
        let id = if dry_run { "" } else { id };
        let (this, user, ticket) = (Arc::clone(self), caller.user, caller.ticket.clone());
        let effect = async move {
            let resume_token = this.begin(user)?;
            let before = this.instance_in_words(&name).await?;
            ticket.note(|details| details.before = before);
            let done = this.moves.end_hold(Arc::clone(&name), actor, expected, dry_run).await;
            this.snapshots.outdate();
            done.map_err(|error| this.refused_move(error, &name))?;
            let after = this.instance_in_words(&name).await?;
            ticket.note(|details| details.after = after);
            Ok(v1::EndTransferResponse { instance: Some(this.shown_instance(&name).await?), resume_token })
        };
        self.once.run(user, id, &request, effect).await
    }

    /// The peer that a name stands for; none = anybody.
    fn successor(&self, name: &str) -> Result<Option<Arc<str>>, Status> {
        if name.is_empty() {
            return Ok(None);
        }
        let is_fit = |node: &&str| (1..=names::LONGEST_NODE).contains(&node.len()) && !node.contains('/');
        let node = name.strip_prefix("nodes/").filter(is_fit).ok_or_else(|| {
            refuse(
                Reason::NameInvalid,
                format!("successor {:?} is not the name of a node", names::shorten(name)),
                "use nodes/{node}, or leave it out for the best",
            )
        })?;
        if self.peers.knows(node) {
            return Ok(Some(node.into()));
        }
        let known: Vec<String> = self.peers.view().peers.keys().map(ToString::to_string).collect();
        let next = match known[..] {
            [] => "configure peers ([[peer]]), or leave it out for whoever takes over".to_owned(),
            _ => format!("name one of its peers ({}), or leave it out for the best", known.join(", ")),
        };
        let what = format!("node {} has no peer {node:?}", self.journal.node());
        Err(refuse(Reason::NodeNotFound, what, next))
    }

    /// A change is about to be made: where to watch for its effects.
    fn begin(&self, user: User) -> Result<String, Status> {
        self.rate.take(user)?;
        Ok(tokens::resume_token(&self.journal, self.journal.newest()))
    }

    /// Where an instance is and what keeps it there, for who reads what was changed.
    async fn instance_in_words(&self, name: &str) -> Result<Arc<str>, Status> {
        let view = self.snapshots.view().await?;
        let status = view.instance(name).ok_or_else(|| self.names.no_instance(name))?;
        let state = status.state.as_str();
        Ok(match &status.hold {
            None => format!("{state} here"),
            Some(hold) => format!("{state} here, does not preempt by the wish of {}", hold.actor.principal),
        }
        .into())
    }

    /// An instance as it stands.
    pub(super) async fn shown_instance(&self, name: &str) -> Result<v1::Instance, Status> {
        let view = self.snapshots.view().await?;
        let status = view.instance(name).ok_or_else(|| self.names.no_instance(name))?;
        Ok(self.context(&view).instance(status))
    }

    fn refused_move(&self, error: MoveError, subject: &str) -> Status {
        match error {
            MoveError::Gone => stopping(),
            MoveError::NoSuccessor(kept) => no_successor(&kept),
            MoveError::Refused(Refusal::UnknownInstance) => self.names.no_instance(subject),
            MoveError::Refused(Refusal::RevisionMismatch { current }) => {
                tokens::etag_mismatch(self.journal.incarnation(), current)
            }
            MoveError::Refused(Refusal::NotActive) => refuse(
                Reason::NotActive,
                format!("{subject} is not Active here: there is nothing to transfer"),
                "ask the node that is: hactl status names it",
            ),
            // They answer others' questions.
            MoveError::Refused(
                Refusal::AddressOwner
                | Refusal::NotHandingOver
                | Refusal::Faulty
                | Refusal::Drained
                | Refusal::NotBackup
                | Refusal::AnotherActive { .. },
            ) => internal(),
        }
    }
}

/// Whether the node is drained and what is Active on it, for who reads what was changed.
fn drain_in_words(view: &View) -> Arc<str> {
    let active = view.snapshot.instances.iter().filter(|status| status.state == StateName::Active).count();
    match &view.snapshot.drain {
        None => format!("not drained, {active} Active here"),
        Some(drain) => format!("drained by {}, {active} Active here", drain.actor.principal),
    }
    .into()
}

fn no_successor(kept: &[Move]) -> Status {
    /// A message that names a thousand is read by nobody.
    const MOST: usize = 8;
    let mut named: Vec<String> = kept.iter().take(MOST).map(ToString::to_string).collect();
    if kept.len() > MOST {
        named.push(format!("and {} more", kept.len() - MOST));
    }
    refuse(
        Reason::NoSuccessor,
        format!("nobody takes over {}", named.join(" | ")),
        "mend or undrain a peer, or name another (hactl status); a drain with allow_no_successor keeps here what nobody takes",
    )
}

fn drain(context: &Context<'_>, view: &View) -> v1::Drain {
    let snapshot = &view.snapshot;
    let active = snapshot.instances.iter().filter(|status| status.state == StateName::Active).count();
    let wish = snapshot.drain.as_ref();
    v1::Drain {
        name: format!("{}/drain", context.names.node()),
        drained: wish.is_some(),
        reason: wish.map(|wish| wish.reason.to_string()).unwrap_or_default(),
        actor: wish.map(|wish| actor(&wish.actor)),
        create_time: wish.and_then(|wish| context.time(wish.since)),
        expire_time: wish.and_then(|wish| wish.expires).and_then(|at| context.time(at)),
        survives_restart: wish.is_some_and(|wish| wish.survives),
        etag: tokens::etag(context.incarnation, snapshot.drain_revision),
        active_count: i32::try_from(active).unwrap_or(i32::MAX),
    }
}

fn shown(names: &Names, one: &Move) -> v1::Move {
    let outcome = match one.outcome {
        Outcome::Planned => v1::r#move::Outcome::Planned,
        Outcome::Moved => v1::r#move::Outcome::Moved,
        Outcome::Kept => v1::r#move::Outcome::Kept,
    };
    v1::Move {
        instances: one.instances.iter().map(|name| names.instance(name)).collect(),
        outcome: outcome.into(),
        successor: one.successor.as_ref().map(|node| format!("nodes/{node}")).unwrap_or_default(),
        successor_address: one.address.map(|address| address.to_string()).unwrap_or_default(),
        detail: one.detail.clone(),
    }
}
