//! Log lines: the `tracing` subscriber, its formats and its level. Lines go through a bounded queue to a thread of their
//! own, so that a reader that stopped reading (a terminal, a pipe, the journal) stops nobody who logs.

mod journald;
mod level;
mod quiet;
mod sink;

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::config::{LogConfig, LogFormat};
use journald::JournaldLayer;
pub use level::{Directives, Invalid, LevelOverride, LevelStatus, Levels};
use quiet::{AtMostOnceAMinute, OursAloneAtTrace};
use sink::{Queue, Sink};

/// The running log. Kept until the agent ends; [`Log::flush`] is its last act.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    levels: Levels,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A directive of the level cannot be read.
    #[error(
        "cannot read the log level {level:?} (from {origin}): {reason}; write for example \"info\" or \"info,ha_agent=debug\""
    )]
    Level {
        /// As written.
        level: String,
        /// Where it was written: a variable or the configuration.
        origin: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The socket of systemd-journald cannot be had.
    #[error("cannot log to the journal at {JOURNAL_SOCKET}: {0}")]
    Journald(io::Error),
    /// No thread for writing.
    #[error("cannot start the log's thread: {0}")]
    Thread(io::Error),
    /// There is a subscriber already.
    #[error("logging was started before: {0}")]
    Started(String),
}

const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// Starts logging, for the whole process, with the `log` crate bridged to it.
///
/// # Errors
/// [`LogError`]; nothing is started then.
pub fn start(config: &LogConfig) -> Result<Log, LogError> {
    let level = chosen(config, &|name| std::env::var(name).ok());
    let filter = filter(&level)?;
    let format = resolve(config.format);
    let (sink, queue) = match format {
        LogFormat::Journald => {
            Sink::start(journal_writer(Path::new(JOURNAL_SOCKET)).map_err(LogError::Journald)?)
        }
        _ => Sink::start(Box::new(|line: &[u8]| io::stderr().write_all(line))),
    }
    .map_err(LogError::Thread)?;
    let layer = kept_back(layer(format, queue));
    let (filter, handle) = reload::Layer::new(filter);
    let subscriber = tracing_subscriber::registry().with(layer).with(filter);
    subscriber.try_init().map_err(|error| LogError::Started(error.to_string()))?;
    let apply = move |filter| handle.reload(filter).map_err(|error| error.to_string());
    let levels = Levels::new(&level.text, level.origin != CONFIGURATION, apply);
    Ok(Log { sink, levels })
}

impl Log {
    /// Lines that were lost since the start because nobody read them.
    pub fn lost(&self) -> Arc<AtomicU64> {
        self.sink.lost()
    }

    /// Which lines are written, and for how long.
    pub fn levels(&self) -> Levels {
        self.levels.clone()
    }

    /// Waits until what was logged so far is written, but not longer than a moment. Blocks.
    pub fn flush(&self) {
        self.sink.flush(Duration::from_millis(200));
    }
}

/// Where a level is written when no variable has one.
const CONFIGURATION: &str = "the configuration";

/// The level to begin with, and where it was written.
struct Chosen {
    text: String,
    origin: &'static str,
}

fn chosen(config: &LogConfig, environment: &dyn Fn(&str) -> Option<String>) -> Chosen {
    let set = |name: &'static str| Some((environment(name).filter(|level| !level.trim().is_empty())?, name));
    let (text, origin) = set("HA_AGENT_LOG")
        .or_else(|| set("RUST_LOG"))
        .unwrap_or_else(|| (config.level.clone(), CONFIGURATION));
    Chosen { text, origin }
}

fn filter(level: &Chosen) -> Result<EnvFilter, LogError> {
    level::parse(&level.text).map_err(|error| LogError::Level {
        reason: error.to_string(),
        level: level.text.clone(),
        origin: level.origin,
    })
}

/// The layer without what no level shows.
fn kept_back(layer: Box<dyn Layer<Registry> + Send + Sync>) -> impl Layer<Registry> + Send + Sync {
    layer.with_filter(AtMostOnceAMinute::new("opentelemetry").and(OursAloneAtTrace))
}

fn resolve(format: LogFormat) -> LogFormat {
    match format {
        LogFormat::Auto if is_journal() => LogFormat::Journald,
        LogFormat::Auto => LogFormat::Text,
        format => format,
    }
}

/// Whether standard error is the stream that systemd connected to the journal: JOURNAL_STREAM is its device and inode.
fn is_journal() -> bool {
    let stderr = nix::sys::stat::fstat(io::stderr().as_fd());
    let is = |status: nix::sys::stat::FileStat| format!("{}:{}", status.st_dev, status.st_ino);
    stderr.is_ok_and(|status| std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == is(status)))
}

/// Says what cannot wait for a log, or has none: on standard error, and with its level when that is the journal.
pub fn say(level: Level, text: &str) {
    let mark = if is_journal() { journald::mark(level) } else { String::new() };
    text.lines().for_each(|line| eprintln!("{mark}{line}"));
}

fn journal_writer(journal: &Path) -> io::Result<sink::Write> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(journal)?;
    Ok(Box::new(move |entry: &[u8]| socket.send(entry).map(|_| ())))
}

fn layer(format: LogFormat, queue: Queue) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer();
    match format {
        LogFormat::Journald => JournaldLayer::new(queue).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_writer(queue).boxed(),
        LogFormat::Auto | LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colours).with_writer(queue).boxed()
        }
    }
}

#[cfg(test)]
mod tests;
