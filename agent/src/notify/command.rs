//! A program of the operator's is run for each notice: in order for each subject and never twice at once for the same, for
//! different subjects side by side, so that a script that hangs for one delays no other.

use std::collections::BTreeSet;
use std::sync::Arc;

use ha_config::NotifyState;
use ha_probe::command::{Command, Commands, Ended, Leftovers, Limits};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::document;
use super::line::word;
use super::notice::{Class, Notice};
use super::queue::Waiting;
use super::serve::{Phase, Post};
use crate::journal::{Journal, subject_name};

/// So many programs of one notifier run at once.
const MOST_AT_ONCE: usize = 8;

/// What runs programs.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) journal: Arc<Journal>,
    pub(super) commands: Commands,
    pub(super) notify: ha_config::NotifyCommand,
}

/// A subject whose program runs.
type Busy = BTreeSet<(Class, String)>;

/// Serves a post until another takes over or everything is told.
pub(super) async fn serve(runner: Runner, post: Post, mut phase: watch::Receiver<Phase>) {
    let mut running: JoinSet<(Waiting, Ended)> = JoinSet::new();
    let mut busy = Busy::new();
    loop {
        let now = *phase.borrow_and_update();
        if now != Phase::HandOver {
            start(&runner, &post, &mut running, &mut busy);
        }
        post.count(running.len());
        if running.is_empty() && now != Phase::Run {
            return;
        }
        tokio::select! {
            Some(ended) = running.join_next() => {
                if let Ok((waiting, ended)) = ended {
                    busy.remove(&key(&waiting.notice));
                    judge(&post, &ended, running.is_empty());
                }
            }
            () = post.queue.changed() => {}
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}

fn key(notice: &Notice) -> (Class, String) {
    let (class, name) = notice.key();
    (class, name.to_owned())
}

fn start(runner: &Runner, post: &Post, running: &mut JoinSet<(Waiting, Ended)>, busy: &mut Busy) {
    while busy.len() < MOST_AT_ONCE {
        let Some(waiting) = post.queue.take_where(|notice| !busy.contains(&key(notice))) else { return };
        busy.insert(key(&waiting.notice));
        let (runner, post) = (runner.clone(), post.clone());
        running.spawn(async move {
            // Cancelled when the agent has no more time: the launcher ends the program.
            let ended = runner.commands.run(&runner.command(&post, &waiting.notice)).await;
            (waiting, ended)
        });
    }
}

fn judge(post: &Post, ended: &Ended, is_last: bool) {
    if ended.is_success() {
        return post.episodes.delivered(1, is_last && post.queue.len() == 0);
    }
    let why = ended.to_string();
    post.episodes.failed(&why);
    post.episodes.dropped(1, &why);
}

impl Runner {
    fn command(&self, post: &Post, notice: &Notice) -> Command {
        let ha_config::NotifyCommand { command: configured, arguments: told, leave_running } = &self.notify;
        let mut argv = configured.argv.clone();
        if *told {
            argv.extend(arguments(notice));
        }
        // What may start a service hands its limits on to it.
        let (limits, leftovers) = match leave_running {
            true => (Limits::REMEDY, Leftovers::Stay),
            false => (Limits::HOOK, Leftovers::Kill),
        };
        Command {
            environment: self.environment(&post.notifier.name, notice),
            user: configured.user.clone(),
            // Root must be said.
            allow_root: configured.user.as_deref().is_some_and(|user| user == "root" || user == "0"),
            limits,
            leftovers,
            ..Command::new(argv, post.notifier.timeout)
        }
    }

    /// Documented in NOTIFICATIONS.md.
    fn environment(&self, notifier: &str, notice: &Notice) -> Vec<(String, String)> {
        let record = &notice.record;
        let node = self.journal.node();
        let evidence = record.evidence();
        let (previous, current) = record.transition().unwrap_or_default();
        let current = notice.turned.map_or(current, NotifyState::as_str);
        let detail = evidence.and_then(|evidence| evidence.detail.as_deref());
        let led = evidence.and_then(|evidence| evidence.subject.as_deref());
        let values = [
            ("NOTIFIER", notifier.to_owned()),
            ("NODE", node.to_string()),
            ("EVENT", record.type_name().to_owned()),
            ("SEQUENCE", record.sequence.to_string()),
            ("TIME", document::time(record.wall)),
            ("SEVERITY", document::severity(record.severity()).to_owned()),
            ("SUBJECT", subject_name(node, record.subject())),
            ("KIND", notice.class.word().to_owned()),
            ("NAME", notice.name.clone()),
            ("STATE", current.to_owned()),
            ("PREVIOUS_STATE", previous.to_owned()),
            ("PRIORITY", notice.priority.to_string()),
            ("CAUSE", record.cause().as_str().to_owned()),
            ("CAUSED_BY", led.unwrap_or_default().to_owned()),
            ("DETAIL", detail.unwrap_or_default().to_owned()),
            ("MESSAGE", record.message()),
            ("ACTOR", record.actor().map(|actor| actor.principal.clone()).unwrap_or_default()),
            ("REQUEST_ID", record.request.as_deref().unwrap_or_default().to_owned()),
        ];
        // Scripts read lines: what a target or the kernel said must not look like another variable.
        let one_line = |value: String| value.replace(|letter: char| letter.is_control(), " ");
        values.into_iter().map(|(name, value)| (format!("HA_{name}"), one_line(value))).collect()
    }
}

/// The four that keepalived appends to its generic notify script: what, name, state, priority.
fn arguments(notice: &Notice) -> [String; 4] {
    let state = notice.turned.map_or("", word);
    [notice.class.word().to_owned(), notice.name.clone(), state.to_owned(), notice.priority.to_string()]
}
