//! `hactl completion`: a script for a shell, made from the command tree itself.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::{Cli, CompletionShell};
use crate::commands::Context;
use crate::exit::Exit;
use crate::output::Stop;

/// Prints the script.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn run(context: &Context, shell: CompletionShell) -> Result<Exit, Stop> {
    let shell = match shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    // Into memory first: clap_complete panics when its writer fails, and a closed pipe is no bug.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hactl", &mut script);
    context.out.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
