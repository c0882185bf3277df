//! hactl, the client of ha-agent: asks all nodes at once, builds one view of the cluster, and says what it means.
//!
//! Questions go out in `fanout` over `session`; `cluster` puts the answers together and `verdict` judges them; `merge`
//! and `watch` make one stream of events out of many; `render` turns views into text. Protocol logic stays in the engine, which
//! `simulate` runs in virtual time.

mod args;
mod clock;
mod cluster;
mod commands;
mod contexts;
mod credentials;
mod diagnosis;
mod endpoint;
mod exit;
mod failure;
mod fanout;
mod merge;
mod model;
mod names;
mod outages;
mod output;
mod reach;
mod redact;
mod render;
mod session;
mod signals;
mod simulate;
mod span;
mod truth;
mod vantage;
mod verdict;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Format};
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Stop};

/// Runs hactl with these words of a command line, the program's name first, and says how it ended.
pub fn run(words: Vec<OsString>) -> ExitCode {
    let exit = match Cli::try_parse_from(&words) {
        Ok(cli) => execute(cli),
        Err(error) => misuse(&error, &words),
    };
    ExitCode::from(exit.code())
}

fn execute(cli: Cli) -> Exit {
    let kind = cli.command.kind();
    let mut context = Context::new(cli.global);
    if cli.command.asks_nodes()
        && let Err(failure) = context.global.resolve()
    {
        return context.fail(kind, failure, Vec::new());
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return context.fail(kind, Failure::internal(format!("cannot start: {error}")), Vec::new());
        }
    };
    let ended = runtime.block_on(commands::run(&context, cli.command));
    // A question to a user or a name service may still block a thread: nobody waits for it.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit,
        Err(Stop::PipeClosed) => Exit::Done,
        Err(Stop::Failure(failure, nodes)) => context.fail(kind, *failure, nodes),
    }
}

/// Help and version are data; a mistake is an error, in the envelope for those who asked for one.
fn misuse(error: &clap::Error, words: &[OsString]) -> Exit {
    if !error.use_stderr() {
        let out = Output::new(crate::args::ColorWhen::Auto, false, 0);
        return match out.data(&error.render().ansi().to_string()) {
            Ok(()) | Err(Stop::PipeClosed) => Exit::Done,
            Err(Stop::Failure(failure, _)) => failure.exit,
        };
    }
    // When standard error is closed there is nobody to tell.
    let _ = error.print();
    if let Some(format) = wanted_format(words) {
        let rendered = error.render().to_string();
        let message = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = Failure::usage(message, "hactl --help shows how");
        commands::print_failure(
            &Output::new(crate::args::ColorWhen::Never, true, 0),
            "Error",
            format,
            failure,
        );
    }
    Exit::Usage
}

/// The output format, found without clap, which has just failed.
fn wanted_format(words: &[OsString]) -> Option<Format> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let after =
        |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied();
    let joined =
        words.iter().find_map(|word| word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o")));
    let from_environment = std::env::var("HACTL_OUTPUT").ok();
    let given = after("-o").or_else(|| after("--output")).or(joined.filter(|text| !text.is_empty()));
    let format = match given.or(from_environment.as_deref())? {
        "json" | "=json" => Format::Json,
        "jsonl" | "=jsonl" => Format::Jsonl,
        "yaml" | "=yaml" => Format::Yaml,
        _ => return None,
    };
    Some(format)
}
