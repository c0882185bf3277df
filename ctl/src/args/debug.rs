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
        }
    }
}
