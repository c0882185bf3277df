//! `script`: a program of the operator's is run, and its exit status is the result. Layer 5, or whatever the program looks at.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::attempt::{Reason, Trouble};
use crate::command::{Command, Commands, Ended, Ending};
use crate::course::Course;
use crate::failure::{Failure, Success};
use crate::spec::Invalid;

/// A program is run; status 0 passes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// What is run. Its timeout does not matter: what is left until the attempt's deadline counts.
    pub command: Command,
    /// Statuses from 2 to 255 pass, too, and give the attempt the value `status - 2`, as keepalived's `misc_dynamic`.
    pub value_from_exit: bool,
    /// Where it is run, together with others.
    pub commands: Commands,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    spec: Script,
    /// One run at a time: what is left of one that was too slow is ended before the next begins.
    turn: Arc<Semaphore>,
}

/// So much before the deadline the program's time is up, so that what it wrote is known by then.
const MARGIN: Duration = Duration::from_millis(20);

impl Compiled {
    pub(crate) fn new(spec: Script) -> Result<Self, Invalid> {
        match spec.command.argv.first() {
            Some(program) if program.starts_with('/') => Ok(Self { spec, turn: Arc::new(Semaphore::new(1)) }),
            program => {
                let program = program.map(String::as_str).unwrap_or_default();
                let text = format!(
                    "`{program}` is not the absolute path of a program; no shell and no PATH is used"
                );
                Err(Invalid::new("command", text))
            }
        }
    }

    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        course.enter("wait");
        let deadline = course.deadline();
        let latest = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        let turn = tokio::time::timeout_at(latest, Arc::clone(&self.turn).acquire_owned()).await;
        let Ok(turn) = turn else {
            return Err(late("its last run is still being ended"));
        };
        let Ok(slot) = tokio::time::timeout_at(latest, self.spec.commands.slot()).await else {
            return Err(late(&format!("{} commands run already, as many as may", self.spec.commands.most())));
        };
        course.enter("run");
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = left.saturating_sub(MARGIN.min(left / 10));
        let command = Command { timeout, ..self.spec.command.clone() };
        let ended = self.spec.commands.run_to_verdict(slot, &command, turn).await;
        course.note(|| ended.output.last_line(80));
        self.judge(&ended)
    }

    fn judge(&self, ended: &Ended) -> Result<Success, Failure> {
        let text = ended.to_string();
        let failed = |reason| Err(Failure::failed(reason, text.clone()));
        match ended.ending {
            Ending::Exited(0) => Ok(Success::new(text)),
            Ending::Exited(status @ 2..) if self.spec.value_from_exit => {
                Ok(Success { evidence: text, value: Some(status - 2) })
            }
            Ending::Exited(status) => failed(Reason::ExitCode(status)),
            Ending::Signalled(signal) => failed(Reason::Signal(signal)),
            Ending::TimedOut => failed(Reason::Timeout),
            Ending::Refused(_) => Err(Failure::trouble(Trouble::Permission, text)),
            Ending::NotStarted(_) | Ending::Lost(_) => Err(Failure::trouble(Trouble::Kernel, text)),
        }
    }
}

fn late(why: &str) -> Failure {
    Failure::trouble(Trouble::Late, format!("it did not get its turn in time: {why}"))
}
