//! Every change that somebody asks for leaves one event, made or refused, whatever becomes of the call: who asked stands in
//! its actor, what it was about in its subject.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ha_engine::{Actor, Audit, Cause, Event, EventKind, Evidence, Refused, Subject};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::roles::{Role, required};
use crate::clock;
use crate::journal::Journal;

/// Refusals that have an event of their own: so many a second, after a burst.
const PER_SECOND: f64 = 10.0;
const BURST: f64 = 50.0;

/// Characters of a method's path that are kept: who calls what does not exist chooses its length.
const LONGEST_METHOD: usize = 128;

/// Methods above a reader's that change nothing.
const LOOKING: [&str; 5] = [
    "/ha.agent.v1.DebugService/DumpState",
    "/ha.agent.v1.VipService/ProbeVip",
    "/ha.agent.v1.ConfigService/ValidateConfig",
    "/ha.agent.v1.PeerService/WatchReports",
    "/ha.agent.v1.PeerService/Echo",
];

/// Writes the events.
#[derive(Debug)]
pub(crate) struct Auditor {
    journal: Arc<Journal>,
    refusals: Mutex<Refusals>,
}

/// How many refusals may still be told apart, and how many were not since the last.
#[derive(Debug)]
struct Refusals {
    tokens: f64,
    filled: Instant,
    unrecorded: u64,
}

/// One change that is asked for. Services fill in what they know; the gate closes it with the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticket(Arc<Mutex<Details>>);

/// What a service knows of a change.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    /// What it is about.
    pub(crate) subject: Subject,
    /// The operator's words.
    pub(crate) reason: Arc<str>,
    /// The client's id of it.
    pub(crate) request_id: String,
    /// It is only asked what would be.
    pub(crate) dry_run: bool,
    /// How it stood, in words.
    pub(crate) before: Arc<str>,
    /// How it stands after, in words.
    pub(crate) after: Arc<str>,
}

/// A change under way. Dropped without an answer it says that the caller left.
pub(crate) struct Open {
    auditor: Arc<Auditor>,
    ticket: Ticket,
    method: String,
    actor: Actor,
    closed: bool,
}

impl Default for Details {
    fn default() -> Self {
        Self {
            subject: Subject::Node,
            reason: Arc::default(),
            request_id: String::new(),
            dry_run: false,
            before: Arc::default(),
            after: Arc::default(),
        }
    }
}

impl Ticket {
    /// Fills in what is known.
    pub(crate) fn note(&self, fill: impl FnOnce(&mut Details)) {
        fill(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Details> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Auditor {
    pub(crate) fn new(journal: Arc<Journal>) -> Arc<Self> {
        let refusals = Refusals { tokens: BURST, filled: Instant::now(), unrecorded: 0 };
        Arc::new(Self { journal, refusals: Mutex::new(refusals) })
    }

    /// Opens the account of a call; `None` when its method changes nothing, and then nobody asks who calls.
    pub(crate) fn open(
        self: &Arc<Self>,
        method: &str,
        ticket: &Ticket,
        actor: impl FnOnce() -> Option<Actor>,
    ) -> Option<Open> {
        if required(method) == Role::Reader || LOOKING.contains(&method) {
            return None;
        }
        let (method, ticket) = (method.to_owned(), ticket.clone());
        Some(Open { auditor: Arc::clone(self), ticket, method, actor: actor()?, closed: false })
    }

    fn write(&self, method: &str, mut actor: Actor, details: Details, refusal: Option<Refused>) {
        let Some(unrecorded) = self.may_record(refusal.is_some()) else { return };
        actor.request_id = details.request_id;
        let audit = Audit {
            method: method.chars().take(LONGEST_METHOD).collect::<String>().into(),
            reason: details.reason,
            before: details.before,
            after: if refusal.is_some() { Arc::default() } else { details.after },
            refusal,
            unrecorded,
        };
        self.journal.append(Box::new(Event {
            at: clock::now(),
            subject: details.subject,
            kind: EventKind::Audit(Arc::new(audit)),
            cause: Cause::OperatorRequest,
            evidence: Evidence::default(),
            actor: Some(Arc::new(actor)),
        }));
    }

    /// Changes always; refusals within their rate. Returns how many were left out before.
    fn may_record(&self, is_refusal: bool) -> Option<u64> {
        if !is_refusal {
            return Some(0);
        }
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let more = (now - refusals.filled).as_secs_f64() * PER_SECOND;
        refusals.tokens = (refusals.tokens + more).min(BURST);
        refusals.filled = now;
        if refusals.tokens < 1.0 {
            refusals.unrecorded += 1;
            return None;
        }
        refusals.tokens -= 1.0;
        Some(std::mem::take(&mut refusals.unrecorded))
    }
}

impl Open {
    /// The call was answered; `None` = as asked.
    pub(crate) fn close(mut self, answer: Option<&Status>) {
        let refusal = answer.filter(|status| status.code() != Code::Ok).map(refused);
        self.write(refusal);
    }

    fn write(&mut self, refusal: Option<Refused>) {
        self.closed = true;
        let details = self.ticket.lock().clone();
        if !details.dry_run {
            self.auditor.write(&self.method, self.actor.clone(), details, refusal);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.closed {
            let reason = "the caller left before the answer; the change may have been made".into();
            self.write(Some(Refused { code: "CANCELLED".into(), reason }));
        }
    }
}

fn refused(status: &Status) -> Refused {
    let info = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    let sentence = status.message();
    let reason = if info.is_empty() { sentence.to_owned() } else { format!("{info}: {sentence}") };
    Refused { code: code_word(status.code()).into(), reason: reason.into() }
}

/// The code's word in the protocol: PERMISSION_DENIED.
fn code_word(code: Code) -> String {
    let mut word = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}
