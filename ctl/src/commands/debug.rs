//! `hactl debug …`: what helps whoever looks for a fault in an agent itself.

mod level;
mod state;

pub(super) use self::state::cut;

use crate::args::{DebugCommand, LogLevelCommand};
use crate::commands::Context;
use crate::exit::Exit;
use crate::output::Stop;

/// Does what the user asked for.
///
/// # Errors
/// When a node that is named did not answer or refuses, or none answered.
pub(super) async fn run(context: &Context, command: DebugCommand) -> Result<Exit, Stop> {
    match command {
        DebugCommand::StateDump { section } => state::dump(context, &section).await,
        DebugCommand::LogLevel { command: None } => level::list(context).await,
        DebugCommand::LogLevel { command: Some(LogLevelCommand::Set { node, level, ttl, reason }) } => {
            level::change(context, &node, level::Wish::Set { level, ttl, reason }).await
        }
        DebugCommand::LogLevel { command: Some(LogLevelCommand::Reset { node }) } => {
            level::change(context, &node, level::Wish::Reset).await
        }
    }
}
