//! `hactl debug …` as clap reads it.

use clap::Subcommand;

use super::value::level_ttl;
use crate::span::Span;

/// `hactl debug …`
#[derive(Debug, Subcommand)]
pub(crate) enum DebugCommand {
    /// What each agent logs, and until when somebody has it log more.
    LogLevel {
        /// None: shows it.
        #[command(subcommand)]
        command: Option<LogLevelCommand>,
    },
    /// The agents' own inner state, for a report about a fault in an agent: timers, threads, queues, history, peers. Needs the role admin;
    /// hactl support has it, too. -o json for programs; what each key means stands in agent/STATE.md.
    StateDump {
        /// Only these sections: thread, queue, instance (repeat for more).
        #[arg(long, value_name = "SECTION")]
        section: Vec<String>,
    },
}

/// `hactl debug log-level …`
#[derive(Debug, Subcommand)]
pub(crate) enum LogLevelCommand {
    /// Has an agent log at another level for a while; then the configured one comes back by itself.
    Set {
        /// The node's name.
        node: String,
        /// error, warn, info, debug or trace, or MODULE=LEVEL for a part (ha_agent::peers=debug), separated by commas. Without a level for
        /// everything they are added to the configured one.
        level: String,
        /// How long it lasts: 1s..24h.
        #[arg(long, value_name = "TIME", default_value = "15m", value_parser = level_ttl)]
        ttl: Span,
        /// Why, for those who find it later.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Goes back to the configured level now.
    Reset {
        /// The node's name.
        node: String,
    },
}

impl DebugCommand {
    /// The kind of the envelope that it answers with.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            DebugCommand::LogLevel { command: None } => "LogLevelList",
            DebugCommand::LogLevel { command: Some(_) } => "LogLevelChange",
            DebugCommand::StateDump { .. } => "StateDump",
        }
    }
}
