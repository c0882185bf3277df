//! `hactl man`: manual pages, made from the command tree itself: one printed, or all into a folder.

use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Cli;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Stop;

/// Prints the page of the command with these words, or writes all pages into `folder`.
///
/// # Errors
/// When there is no such command, or the pages cannot be written.
pub(crate) fn run(context: &Context, words: &[String], folder: Option<&Path>) -> Result<Exit, Stop> {
    let root = Cli::command().disable_help_subcommand(true);
    match folder {
        Some(folder) => {
            let written =
                std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(root, folder));
            written.map_err(|error| {
                let message = format!("cannot write manual pages to {}: {error}", folder.display());
                Failure::local(Exit::Usage, "IO", "FILE", message, "check the path and your permissions")
            })?;
        }
        None => context.out.data(&page(root, words)?)?,
    }
    Ok(Exit::Done)
}

fn page(mut root: clap::Command, words: &[String]) -> Result<String, Failure> {
    root.build();
    let mut command = &root;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            let message = format!("there is no command hactl {}", words.join(" "));
            Failure::usage(message, "hactl --help shows what there is")
        })?;
    }
    let mut text = Vec::new();
    Man::new(command.clone())
        .render(&mut text)
        .map_err(|error| Failure::internal(format!("cannot write the page: {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
