//! `hactl top`: the whole cluster on one screen, asked again every second, until the user has enough.
//!
//! The screen and the questions do not wait for each other: while a node hangs, keys work, and the age of what is shown
//! is said. However it ends, the terminal is as it was.

mod keys;
mod picture;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use ha_proto::v1;
use tokio::time::{sleep, sleep_until};

use self::keys::Keys;
use self::picture::{Look, Picture, Wish};
use crate::args::Format;
use crate::clock::Clock;
use crate::cluster::{Cluster, overall};
use crate::commands::Context;
use crate::commands::events::views;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Scope, Snapshot};
use crate::output::Stop;
use crate::session::Session;
use crate::signals::Signals;
use crate::span::Span;

/// How many events of the past are read each time.
const EVENTS: usize = 30;

/// Shows the cluster until the user ends it.
///
/// # Errors
/// When there is no terminal, or it cannot be used.
pub(crate) async fn run(context: &Context, interval: Span) -> Result<Exit, Stop> {
    let is_readable = matches!(context.global.output, Format::Table | Format::Wide);
    if !is_readable || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let remedy = "hactl status -o json and hactl events -f -o jsonl are for programs and files";
        return Err(Failure::usage("top needs a terminal to draw on", remedy).into());
    }
    let mut signals = Signals::new()?;
    let screen = Screen::open()?;
    let ended = show(context, interval.to_duration(), screen, &mut signals).await;
    ended.map_err(|error| unusable(&error))?;
    Ok(Exit::Done)
}

/// The terminal while it is ours.
struct Screen {
    terminal: ratatui::DefaultTerminal,
}

impl Screen {
    /// A panic gives it back as well: ratatui's hook does.
    fn open() -> Result<Self, Failure> {
        let terminal = ratatui::try_init();
        Ok(Screen { terminal: terminal.map_err(|error| unusable(&error))? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone cannot be given back.
        let _ = self.terminal.show_cursor();
        ratatui::restore();
    }
}

fn unusable(error: &std::io::Error) -> Failure {
    let message = format!("cannot use the terminal: {error}");
    Failure::local(
        Exit::Internal,
        "IO",
        "TERMINAL",
        message,
        "is TERM set, and does the terminal still exist?",
    )
}

async fn show(
    context: &Context,
    interval: Duration,
    mut screen: Screen,
    signals: &mut Signals,
) -> std::io::Result<()> {
    let mut keys = Keys::listen();
    let mut picture = Picture::new(context);
    let mut asking = Some(Box::pin(look(context)));
    let mut next = Instant::now();
    loop {
        screen.terminal.draw(|frame| picture.draw(frame))?;
        // All branches may be cancelled: the question goes on where it was, a key stays in its queue.
        tokio::select! {
            seen = async { asking.as_mut().expect("guarded by the condition").await }, if asking.is_some() => {
                asking = None;
                next = Instant::now() + interval;
                picture.take(seen);
            }
            key = keys.next() => match key.map(|key| picture.on_key(key)) {
                None | Some(Wish::Quit) => return Ok(()),
                Some(Wish::AskNow) => next = Instant::now(),
                Some(Wish::Nothing) => {}
            },
            () = sleep_until(next.into()), if asking.is_none() && !picture.is_paused() => {
                asking = Some(Box::pin(look(context)));
            }
            // The age of what is shown goes on.
            () = sleep(Duration::from_secs(1)) => {}
            () = signals.any() => return Ok(()),
        }
    }
}

/// Asks everything that the screen shows, of each node within one node-timeout.
async fn look(context: &Context) -> Look {
    let started = Instant::now();
    let request = v1::ListEventsRequest::default;
    let newest = async |session: &Session, _: &Snapshot| session.newest_events(request(), EVENTS).await;
    let (cluster, told) = Cluster::ask_with(&context.global, Scope::Problems, newest).await;
    let histories: Vec<(String, Clock, Vec<v1::Event>)> =
        told.into_iter().filter_map(|more| Some((more.node, more.clock, more.result.ok()?.events))).collect();
    let filter = context.filter();
    let mut vips = cluster.vips();
    vips.retain(|vip| context.global.node.is_empty() || vip.is_on(|node| filter.wants(node)));
    let beside = cluster.reasons_beside(&vips);
    let (verdict, _) = overall(&vips, &beside);
    Look {
        verdict,
        beside,
        vips,
        nodes: cluster.nodes(),
        statuses: cluster.statuses(),
        events: views(histories, EVENTS),
        at: Instant::now(),
        took: Span::from(started.elapsed()),
    }
}
