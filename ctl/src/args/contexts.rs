//! `hactl context …` as clap reads it. The certificates of a new context are those of the global flags.

use clap::Subcommand;

/// `hactl context …`
#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// All contexts.
    List,
    /// One context, whole.
    Show {
        /// Its name [default: the current one].
        name: Option<String>,
    },
    /// Makes a context the current one.
    Use {
        /// Its name.
        name: String,
    },
    /// Adds a context with the nodes of --endpoint and the certificates of --cacert, --cert and --key.
    Add {
        /// Its name.
        name: String,
        /// Replace the context of this name.
        #[arg(long)]
        replace: bool,
    },
    /// Removes a context.
    Remove {
        /// Its name.
        name: String,
    },
}
