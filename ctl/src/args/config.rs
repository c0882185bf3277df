//! `hactl config …` as clap reads it.

use std::path::PathBuf;

use clap::Subcommand;

/// `hactl config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// What is in force on each node, defaults included, without secrets.
    Show,
    /// What differs: between each node and its own file, another node, or a file here. Exit status 3 when something does.
    Diff {
        /// A node's name, or a file here (a path with a slash, or one that ends with .toml).
        #[arg(long, value_name = "NODE|FILE")]
        against: Option<String>,
    },
    /// Has each node judge a file from here: everything that is wrong with it, with its place. Changes nothing.
    Validate {
        /// The file; - for standard input.
        file: PathBuf,
    },
    /// Writes a keepalived.conf as TOML, with where each table comes from and what could not be taken over. Asks no node. Exit status 3
    /// when something that matters could not be taken over.
    Convert {
        /// The file; - for standard input. What it includes is read, too.
        file: PathBuf,
    },
    /// Has each node read its own file again and put it in force, whole or not at all.
    Reload {
        /// Why, for those who find it later.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

impl ConfigCommand {
    /// The kind of the envelope that it answers with.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            ConfigCommand::Show => "ConfigList",
            ConfigCommand::Diff { .. } => "ConfigDifferenceList",
            ConfigCommand::Validate { .. } => "ConfigFindingList",
            ConfigCommand::Convert { .. } => "ConfigConversion",
            ConfigCommand::Reload { .. } => "ConfigChange",
        }
    }
}
