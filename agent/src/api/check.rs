//! `CheckService`: the health checks of the node, attempts on demand, and an operator's mutes.

use std::sync::Arc;

use ha_engine::{CheckRefusal, Subject};
use ha_proto::v1;
use ha_proto::v1::check_service_server::CheckService;
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use super::audit::Ticket;
use super::connection::{Places, User};
use super::convert::{Dependents, verdict};
use super::error::{Reason, refuse, refuse_for_now};
use super::gate::Caller;
use super::page::Page;
use super::request;
use super::shared::{Shared, caller};
use super::tokens;
use crate::health::{Action, CheckView, Command};
use crate::intents::{self, About, Row};

/// The service.
#[derive(Clone)]
pub(crate) struct Checks {
    shared: Arc<Shared>,
    /// Attempts that are made because somebody asked.
    places: Places,
}

/// What the page tokens of this listing begin with.
const PAGE_KIND: &str = "checks";

/// Attempts on demand at once, of which no user but 0 has more than half, and beyond that for user 0 alone.
const MOST_RUNS: usize = 16;
const RESERVED: usize = 2;

/// What a change asks for, checked.
struct Change {
    check: Arc<str>,
    action: Action,
    request_id: String,
    dry_run: bool,
}

#[async_trait]
impl CheckService for Checks {
    async fn get_check(
        &self,
        request: Request<v1::GetCheckRequest>,
    ) -> Result<Response<v1::GetCheckResponse>, Status> {
        let name = self.shared.names.check_of(&request.get_ref().name)?;
        let view = self.shared.checks.question(self.shared.checks.source().check(name)).await?;
        let view = view.ok_or_else(|| self.shared.names.no_check(name))?;
        Ok(Response::new(v1::GetCheckResponse { check: Some(self.shown(&view).await?) }))
    }

    async fn list_checks(
        &self,
        request: Request<v1::ListChecksRequest>,
    ) -> Result<Response<v1::ListChecksResponse>, Status> {
        let request = request.into_inner();
        self.shared.names.check_node(&request.parent)?;
        let after = tokens::page_start(PAGE_KIND, &request.page_token)?;
        let mut page = Page::new(request.page_size)?;
        let (checks, instances) = self.shared.check_views().await?;
        let dependents = Dependents::new(&instances.snapshot.instances, &checks.snapshot);
        let context = self.shared.context(&instances);
        let wanted = checks.snapshot.checks.iter().filter(|view| {
            let name = &*view.status.policy.name;
            after.is_none_or(|after| name > after) && (!request.failing || is_failing(view))
        });
        let (mut next_page_token, mut last) = (String::new(), "");
        for view in wanted {
            if page.is_full() {
                next_page_token = tokens::page_after(PAGE_KIND, last);
                break;
            }
            page.push(context.check(view, &dependents));
            last = &view.status.policy.name;
        }
        let resume_token = tokens::resume_token(&self.shared.journal, checks.sequence);
        Ok(Response::new(v1::ListChecksResponse {
            checks: page.into_entries(),
            next_page_token,
            resume_token,
        }))
    }

    async fn run_check(
        &self,
        request: Request<v1::RunCheckRequest>,
    ) -> Result<Response<v1::RunCheckResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let name: Arc<str> = self.shared.names.check_of(&request.name)?.into();
        let id = request::id(&request.request_id)?;
        caller.ticket.note(|details| {
            details.subject = Subject::Check(Arc::clone(&name));
            details.request_id = id.to_owned();
        });
        let this = self.clone();
        let user = caller.user;
        let effect = async move { this.run(user, &name).await };
        Ok(Response::new(self.shared.once.run(user, id, &request, effect).await?))
    }

    async fn mute_check(
        &self,
        request: Request<v1::MuteCheckRequest>,
    ) -> Result<Response<v1::MuteCheckResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let change = Change {
            check: self.shared.names.check_of(&request.name)?.into(),
            action: Action::Mute {
                reason: request::reason(&request.reason)?.into(),
                expires: request::expires(request.ttl.as_ref())?,
                survives: request.survive_restart,
            },
            request_id: request::id(&request.request_id)?.to_owned(),
            dry_run: request.validate_only,
        };
        Ok(Response::new(self.make(&caller, &request, change).await?))
    }

    async fn unmute_check(
        &self,
        request: Request<v1::UnmuteCheckRequest>,
    ) -> Result<Response<v1::UnmuteCheckResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let change = Change {
            check: self.shared.names.check_of(&request.name)?.into(),
            action: Action::Unmute,
            request_id: request::id(&request.request_id)?.to_owned(),
            dry_run: request.validate_only,
        };
        let v1::MuteCheckResponse { check, resume_token } = self.make(&caller, &request, change).await?;
        Ok(Response::new(v1::UnmuteCheckResponse { check, resume_token }))
    }
}

impl Checks {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, places: Places::new(MOST_RUNS, RESERVED) }
    }

    /// One check, with what depends on it.
    async fn shown(&self, view: &CheckView) -> Result<v1::Check, Status> {
        let (checks, instances) = self.shared.check_views().await?;
        let dependents = Dependents::new(&instances.snapshot.instances, &checks.snapshot);
        Ok(self.shared.context(&instances).check(view, &dependents))
    }

    /// One attempt; as long as its timeout, and whatever must end before it, allows.
    async fn run(&self, user: User, name: &str) -> Result<v1::RunCheckResponse, Status> {
        self.shared.rate.take(user)?;
        let _place = self.places.take(user).ok_or_else(too_many_runs)?;
        let answer = self.shared.checks.source().run_now(name).await;
        // No answer: the check is gone, or the agent is going.
        let asked = answer.map_err(|_gone| self.shared.names.no_check(name))?;
        let asked = asked.map_err(|refusal| self.refused(refusal, name))?;
        let (checks, instances) = self.shared.check_views().await?;
        let dependents = Dependents::new(&instances.snapshot.instances, &checks.snapshot);
        let context = self.shared.context(&instances);
        let check = context.check(&asked.check, &dependents);
        Ok(v1::RunCheckResponse { check: Some(check), attempt: Some(context.attempt(&asked)) })
    }

    /// Makes a change, or says what it would do. Returns the check after it, and where to watch for its effects.
    async fn make(
        &self,
        caller: &Caller,
        request: &impl Message,
        change: Change,
    ) -> Result<v1::MuteCheckResponse, Status> {
        // A change that changes nothing uses up no id.
        let id = if change.dry_run { String::new() } else { change.request_id.clone() };
        let (this, user) = (self.clone(), caller.user);
        let actor = Arc::new(caller.actor(&change.request_id));
        let Change { check, action, dry_run, request_id } = change;
        let ticket = caller.ticket.clone();
        ticket.note(|details| {
            details.subject = Subject::Check(Arc::clone(&check));
            if let Action::Mute { reason, .. } = &action {
                details.reason = Arc::clone(reason);
            }
            details.request_id = request_id;
            details.dry_run = dry_run;
        });
        let command = Command { check, action, actor, dry_run };
        let effect = async move { this.carry_out(user, &ticket, command).await };
        self.shared.once.run(user, &id, request, effect).await
    }

    /// What runs to its end even if the caller leaves.
    async fn carry_out(
        &self,
        user: User,
        ticket: &Ticket,
        command: Command,
    ) -> Result<v1::MuteCheckResponse, Status> {
        let shared = &self.shared;
        shared.rate.take(user)?;
        let resume_token = tokens::resume_token(&shared.journal, shared.journal.newest());
        let name = Arc::clone(&command.check);
        let before = shared.checks.question(shared.checks.source().check(&name)).await?;
        ticket.note(|details| details.before = before.as_ref().map(in_words).unwrap_or_default());
        let (rows, dry_run) = (rows(before.as_ref(), &command), command.dry_run);
        let would_be = dry_run.then(|| command.clone());
        let making = async {
            let answer = shared.checks.change(shared.checks.source().operate(command)).await?;
            answer.map_err(|refusal| self.refused(refusal, &name))
        };
        let mut view = shared.keeping(rows, dry_run, making).await?;
        ticket.note(|details| details.after = in_words(&view));
        if let Some(command) = would_be {
            view.would_be(command);
        }
        Ok(v1::MuteCheckResponse { check: Some(self.shown(&view).await?), resume_token })
    }

    fn refused(&self, refusal: CheckRefusal, check: &str) -> Status {
        match refusal {
            CheckRefusal::UnknownCheck => self.shared.names.no_check(check),
            CheckRefusal::NotRunnable => refuse(
                Reason::CheckNotRunnable,
                format!("{check} follows from other checks and has no attempts of its own"),
                "run those that it names",
            ),
        }
    }
}

/// What it makes of the disk.
fn rows(before: Option<&CheckView>, command: &Command) -> intents::Change {
    let Some(view) = before else { return intents::Change::default() };
    let row = |view: &CheckView| {
        let status = &view.status;
        let mute = status.mute.as_ref().filter(|mute| mute.survives)?;
        Some(Row::of_mute(mute, status.verdict, status.value))
    };
    let mut after = view.clone();
    after.would_be(command.clone());
    intents::Change::of(About::Check(Arc::clone(&command.check)), row(view), row(&after))
}

/// Whether it is muted, for who reads what was changed.
fn in_words(view: &CheckView) -> Arc<str> {
    let verdict = view.status.verdict.as_str();
    match &view.status.mute {
        None => format!("not muted, {verdict}").into(),
        Some(mute) => format!("muted by {}, {verdict}", mute.actor.principal).into(),
    }
}

fn is_failing(view: &CheckView) -> bool {
    verdict(view.status.verdict) != v1::Verdict::Passing
}

fn too_many_runs() -> Status {
    refuse_for_now(
        Reason::TooManyRuns,
        format!("{MOST_RUNS} attempts that somebody asked for are under way, or half of that by this user"),
        "wait for them, or look at the check's last result",
        std::time::Duration::from_secs(1),
    )
}
