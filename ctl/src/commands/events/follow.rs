//! The streams of all nodes as one, until the user has enough, or, with `--resume` alone, until all have caught up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ha_proto::v1;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::exec::Exec;
use super::query::Query;
use super::{Lane, row, token};
use crate::args::Format;
use crate::clock::Clock;
use crate::commands::{Context, error_text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::merge::{Merged, Merger};
use crate::model::{EventView, NodeStatus};
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Report, end_line, jsonl_line, line};
use crate::signals::Signals;
use crate::watch::{Notice, NoticeKind, Told, Update, Watcher};

/// How long an event waits for others that may have happened before it.
const HOLD: Duration = Duration::from_millis(250);

/// How many updates may wait for us; then the watchers stop reading, and the agents say `Lagged`.
const QUEUE: usize = 4096;

/// What shall be followed.
pub(super) struct Plan {
    pub(super) query: Query,
    /// Until interrupted; otherwise until all have caught up.
    pub(super) endless: bool,
    pub(super) lanes: Vec<Lane>,
    pub(super) statuses: Vec<NodeStatus>,
    /// What to run for each event.
    pub(super) exec: Option<Exec>,
}

/// What waits for its turn.
enum Shown {
    Event(Box<v1::Event>, String, Clock),
    Notice(Box<Notice>),
}

/// How one node's stream is doing.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    live: bool,
    was_live: bool,
    ended: bool,
    caught_up: bool,
}

/// Why the loop is left.
enum Reason {
    Asked,
    AllCaughtUp,
    AllEnded,
    AllAway,
    TooLate,
}

struct Follower<'a> {
    context: &'a Context,
    merger: Merger<Shown>,
    hold: Duration,
    widths: Vec<usize>,
    tokens: BTreeMap<String, String>,
    health: Vec<Health>,
    data_lost: bool,
    last_failure: Option<Failure>,
    alone_since: Option<Instant>,
    exec: Option<Exec>,
}

pub(super) async fn run(context: &Context, mut plan: Plan, past: Vec<EventView>) -> Result<Exit, Stop> {
    // Before anything is printed, so that no signal falls into a gap.
    let mut signals = Signals::new()?;
    let mut follower = Follower::new(context, &plan);
    follower.exec = plan.exec.take();
    follower.begin(&plan, past)?;
    let (sender, mut updates) = mpsc::channel(QUEUE);
    let endless = plan.endless;
    spawn(context, plan, &sender);
    drop(sender);
    let reason = follower.follow(&mut updates, &mut signals, endless).await?;
    follower.drain()?;
    follower.end(reason)
}

fn spawn(context: &Context, plan: Plan, updates: &mpsc::Sender<Told>) {
    for (lane, told) in plan.lanes.into_iter().enumerate() {
        let watcher = Watcher {
            lane,
            endpoint: told.endpoint,
            node: told.node,
            wanted: context.global.node.clone(),
            limit: context.global.node_timeout,
            start: told.start,
            filter: plan.query.clone(),
            // To know soon that all has been told, also when nothing matches.
            heartbeat: (!plan.endless).then(|| Duration::from_secs(1)),
            updates: updates.clone(),
            last: told.last,
        };
        tokio::spawn(watcher.run());
    }
}

impl<'a> Follower<'a> {
    fn new(context: &'a Context, plan: &Plan) -> Self {
        let longest = plan.statuses.iter().map(|status| status.node.chars().count()).max().unwrap_or(0);
        // A node that does not answer does not count as lost: it never was there.
        let health = plan
            .lanes
            .iter()
            .map(|lane| Health { live: lane.failure.is_none(), ..Health::default() })
            .collect();
        Follower {
            context,
            merger: Merger::new(plan.lanes.len()),
            hold: if plan.lanes.len() > 1 { HOLD } else { Duration::ZERO },
            widths: row::usual_widths(context.global.output == Format::Wide, longest),
            tokens: BTreeMap::new(),
            health,
            data_lost: false,
            last_failure: None,
            alone_since: None,
            exec: None,
        }
    }

    /// The past, and above it what stands above.
    fn begin(&mut self, plan: &Plan, past: Vec<EventView>) -> Result<(), Stop> {
        let mut out = String::new();
        match self.context.global.output {
            Format::Jsonl => {
                for status in &plan.statuses {
                    out.push_str(&jsonl_line("NodeStatus", status)?);
                }
            }
            Format::Table | Format::Wide if !self.context.global.no_headers => {
                let headers = EventView::headers(self.context.global.output == Format::Wide);
                let cells: Vec<Cell> =
                    headers.into_iter().map(|word| Cell::painted(Paint::Dim, word)).collect();
                out.push_str(&line(&cells, &self.widths));
            }
            _ => {}
        }
        for event in past {
            out.push_str(&self.event_line(&event)?);
            if let Some(exec) = &mut self.exec {
                exec.run_patiently(&event);
            }
        }
        self.context.out.data(&out)
    }

    async fn follow(
        &mut self,
        updates: &mut mpsc::Receiver<Told>,
        signals: &mut Signals,
        endless: bool,
    ) -> Result<Reason, Stop> {
        let patience = self.context.global.timeout.to_duration();
        let give_up = Instant::now() + patience;
        loop {
            let now = Instant::now();
            self.release(now)?;
            if !endless {
                if self.health.iter().all(|health| health.caught_up || health.ended) {
                    return Ok(Reason::AllCaughtUp);
                }
                if now >= give_up {
                    return Ok(Reason::TooLate);
                }
            }
            self.alone_since = match self.health.iter().any(|health| health.live) {
                true => None,
                false => self.alone_since.or(Some(now)),
            };
            let away = self.alone_since.map(|since| since + patience);
            if away.is_some_and(|at| now >= at) {
                return Ok(Reason::AllAway);
            }
            let wake = [self.merger.due(now, self.hold), away, (!endless).then_some(give_up)];
            let wake = wake.into_iter().flatten().min();
            // All branches may be cancelled: an update stays in its channel, a signal stays noted.
            tokio::select! {
                told = updates.recv() => match told {
                    Some(told) => self.take(told),
                    None => return Ok(Reason::AllEnded),
                },
                () = sleep_until(wake.unwrap_or(now).into()), if wake.is_some() => {}
                () = signals.any() => return Ok(Reason::Asked),
            }
        }
    }

    /// Notes an update in its lane.
    fn take(&mut self, told: Told) {
        let (arrived, lane) = (Some(Instant::now()), told.lane);
        if let Some(token) = told.token {
            self.tokens.insert(told.node.clone(), token);
        }
        let Some(health) = self.health.get_mut(lane) else { return };
        match told.update {
            Update::Event(event, clock) => {
                (health.live, health.was_live) = (true, true);
                let copy = (*event).clone();
                self.merger.push(lane, &copy, clock, arrived, Shown::Event(event, told.node, clock));
            }
            Update::Notice(notice) => {
                health.live = !matches!(notice.notice, NoticeKind::NodeLost | NoticeKind::StreamRefused);
                health.ended = notice.notice == NoticeKind::StreamRefused;
                self.data_lost |= notice.data_lost;
                self.last_failure = notice.error.clone().or(self.last_failure.take());
                let time = jiff::Timestamp::now().as_nanosecond();
                self.merger.push_mark(lane, time, arrived, Shown::Notice(notice));
            }
            Update::CaughtUp => health.caught_up = true,
            Update::Handled => (health.live, health.was_live) = (true, true),
        }
    }

    /// Prints what has waited long enough.
    fn release(&mut self, now: Instant) -> Result<(), Stop> {
        let mut out = String::new();
        while let Some(merged) = self.merger.pop_due(now, self.hold) {
            out.push_str(&self.show(merged)?);
        }
        if out.is_empty() { Ok(()) } else { self.context.out.data(&out) }
    }

    /// Prints all that is left.
    fn drain(&mut self) -> Result<(), Stop> {
        let mut out = String::new();
        while let Some(merged) = self.merger.pop() {
            out.push_str(&self.show(merged)?);
        }
        self.context.out.data(&out)
    }

    fn show(&mut self, merged: Merged<Shown>) -> Result<String, Stop> {
        match merged.payload {
            Shown::Event(event, node, clock) => {
                let event = EventView::new(&event, &node, clock, merged.order_uncertain);
                if let Some(exec) = &mut self.exec {
                    exec.run(&event);
                }
                self.event_line(&event)
            }
            Shown::Notice(notice) => {
                let sentence = crate::render::clean(&notice.sentence()).into_owned();
                match notice.notice {
                    NoticeKind::NodeBack => self.context.out.note(&sentence),
                    _ => self.context.out.error(&sentence),
                }
                match self.context.global.output {
                    Format::Jsonl => Ok(jsonl_line("Notice", &*notice)?),
                    _ => Ok(String::new()),
                }
            }
        }
    }

    fn event_line(&self, event: &EventView) -> Result<String, Stop> {
        match self.context.global.output {
            Format::Jsonl => Ok(jsonl_line(EventView::KIND, event)?),
            Format::Name => Ok(event.name() + "\n"),
            format => Ok(line(&event.cells(format == Format::Wide, &self.context.times), &self.widths)),
        }
    }

    fn end(mut self, reason: Reason) -> Result<Exit, Stop> {
        let patience = self.context.global.timeout.to_duration();
        let token = (!self.tokens.is_empty()).then(|| token::encode(&self.tokens));
        let (mut failure, mut exit) = self.judge(&reason);
        if let Some(Err(late)) = self.exec.take().map(|exec| exec.finish(patience))
            && failure.is_none()
        {
            (exit, failure) = (late.exit, Some(late));
        }
        if let Some(token) = &token {
            self.context.out.detail(&format!("go on with: hactl events --resume {token}"));
        }
        if let Some(failure) = &failure {
            self.context.out.error(&error_text(failure));
        }
        if self.context.global.output == Format::Jsonl {
            let mut answer: Report<EventView> = Report::new("EventStream");
            answer.complete = exit == Exit::Done;
            (answer.resume_token, answer.error) = (token, failure);
            self.context.out.data(&end_line(&answer)?)?;
        }
        Ok(exit)
    }

    /// What the end means. A loss counts even when the user has ended the stream: what is on the screen has a hole.
    fn judge(&self, reason: &Reason) -> (Option<Failure>, Exit) {
        let lost = self.data_lost || self.health.iter().any(|health| health.was_live && !health.live);
        let present = self.health.iter().filter(|health| health.was_live).count();
        let failure = match reason {
            Reason::Asked | Reason::AllCaughtUp => None,
            Reason::TooLate => Some(Failure::local(
                Exit::Timeout,
                "DEADLINE_EXCEEDED",
                "NOT_CAUGHT_UP",
                format!("not all nodes told all they know within {}", self.context.global.timeout),
                "allow more with --timeout",
            )),
            Reason::AllEnded | Reason::AllAway if present == 0 => self.last_failure.clone(),
            Reason::AllEnded | Reason::AllAway => Some(Failure::local(
                Exit::StreamLost,
                "UNAVAILABLE",
                "ALL_STREAMS_LOST",
                "no node is left to follow",
                "hactl status shows what can be reached",
            )),
        };
        let exit = match &failure {
            Some(failure) => failure.exit,
            None if lost => Exit::StreamLost,
            None if !self.context.global.require.is_met(present, self.health.len()) => Exit::NodesMissing,
            None => Exit::Done,
        };
        (failure, exit)
    }
}
