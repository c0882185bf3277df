//! What the control plane asks of the configuration, and what the supervisor answers: judge a text, put the file in force.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ha_config::{Change, Configuration, Finding, Severity};
use ha_engine::Actor;
use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot};

/// Something to say about a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// How bad it is.
    pub severity: Severity,
    /// 1-based line and column in characters; `None` = it is about no place in particular.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub remedy: String,
    /// The line of the text, secrets masked; may be empty.
    pub source_line: String,
    /// All in one line, with the file.
    pub headline: String,
    /// The same with the line of the text below it, where there is one.
    pub whole: String,
}

impl From<&Finding> for Told {
    fn from(finding: &Finding) -> Self {
        Self {
            severity: finding.severity,
            place: Some((finding.line, finding.column)),
            message: finding.message.clone(),
            remedy: finding.remedy.clone().unwrap_or_default(),
            source_line: finding.source_line().to_owned(),
            headline: finding.headline(),
            whole: finding.to_string(),
        }
    }
}

impl Told {
    /// An error about no place in particular, whose message says what to do.
    pub(crate) fn error(file: &Path, message: String) -> Self {
        let headline = format!("{}: error: {message}", file.display());
        let (remedy, source_line) = (String::new(), String::new());
        let whole = headline.clone();
        Self { severity: Severity::Error, place: None, message, remedy, source_line, headline, whole }
    }

    /// What has no place in this file: how bad, what, and what to do.
    pub(crate) fn about_no_place(
        file: &Path,
        (severity, message, remedy): (Severity, String, String),
    ) -> Self {
        let headline = format!("{}: {severity}: {message}; {remedy}", file.display());
        let (source_line, whole) = (String::new(), headline.clone());
        Self { severity, place: None, message, remedy, source_line, headline, whole }
    }
}

/// What a text is worth on this node.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Everything that there is to say about it, by place.
    pub told: Vec<Told>,
    /// What it says, when it could be put in force.
    pub configuration: Option<Arc<Configuration>>,
    /// SHA-256 of its octets, in hex.
    pub digest: String,
}

/// Somebody wants the file to be read again.
#[derive(Clone, Debug, Default)]
pub struct Reload {
    /// Who; `None` = a signal.
    pub actor: Option<Arc<Actor>>,
    /// In their words; may be empty.
    pub reason: String,
    /// The digest that must be in force; empty = any.
    pub in_force: String,
    /// The digest that the file must have; empty = any.
    pub expected: String,
    /// Only judge it.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// What the file is worth.
    pub judged: Judged,
    /// What changed or would change; empty when the file cannot be used.
    pub changes: Vec<Change>,
    /// How long it took to put it in force.
    pub took: Duration,
}

/// Why nothing came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Another configuration is in force than the caller thinks: this one.
    OtherInForce(String),
    /// The file is another than the caller expects: this one.
    OtherFile(String),
    /// The file has errors.
    Rejected {
        /// The first, with its place.
        first: String,
        /// How many.
        count: usize,
    },
    /// The agent is stopping.
    Stopping,
    /// Too many texts are being judged already.
    Busy,
}

/// A reload, and where its answer goes.
pub(crate) type Request = (Reload, oneshot::Sender<Result<Reloaded, Refused>>);

/// What reloads are taken from.
pub(crate) type Requests = mpsc::Receiver<Request>;

/// Judges octets as if they were those of the node's file. May take a while.
pub type Judge = Arc<dyn Fn(&[u8]) -> Judged + Send + Sync>;

/// Asks the supervisor.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    judge: Judge,
    /// Judging a large text takes a second of a processor: one at a time.
    turn: Arc<Semaphore>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// A handle, and what its reloads are taken from.
    pub(crate) fn new(judge: Judge) -> (Self, Requests) {
        /// Reloads that wait while another runs.
        const WAITING: usize = 8;
        let (requests, taken) = mpsc::channel(WAITING);
        (Self { requests, judge, turn: Arc::new(Semaphore::new(1)) }, taken)
    }

    /// Judges a text on a thread of its own.
    ///
    /// # Errors
    /// [`Refused::Busy`] while another is judged.
    pub async fn judge(&self, text: String) -> Result<Judged, Refused> {
        let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => Refused::Busy,
            TryAcquireError::Closed => Refused::Stopping,
        })?;
        let judge = Arc::clone(&self.judge);
        // The permit goes along: when the caller leaves, the text is still being judged.
        let judged = tokio::task::spawn_blocking(move || {
            let judged = judge(text.as_bytes());
            drop(turn);
            judged
        });
        judged.await.map_err(|_panicked| Refused::Stopping)
    }

    /// Has the file read again.
    ///
    /// # Errors
    /// Why it is not in force.
    pub async fn reload(&self, reload: Reload) -> Result<Reloaded, Refused> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send((reload, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Busy,
            mpsc::error::TrySendError::Closed(_) => Refused::Stopping,
        })?;
        answer.await.unwrap_or(Err(Refused::Stopping))
    }
}
