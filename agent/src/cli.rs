//! The command line of the daemon.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ha_config::Configuration;
use ha_probe::command::Commands;

use crate::supervisor;

/// Where the configuration is when nothing else is said.
const DEFAULT_CONFIG: &str = "/etc/ha-agent/ha-agent.toml";

/// Linux high-availability daemon: VRRP, virtual addresses, gRPC control plane.
#[derive(Parser, Debug)]
#[command(name = "ha-agent", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the daemon in the foreground until SIGTERM; SIGHUP reloads the configuration, SIGUSR2 leaves everything to the next
    /// process.
    Run {
        /// The configuration.
        #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG, env = "HA_AGENT_CONFIG")]
        config: PathBuf,
        /// Take over from the agent that runs with this configuration's socket: start beside it, have it leave, go on.
        #[arg(long)]
        replace: bool,
    },
    /// Replace the running agent by what its file is now, without a transition: the new process is started first, and the old
    /// one stays in charge if it cannot start.
    Upgrade {
        /// The configuration, for the socket by which the agent is found.
        #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG, env = "HA_AGENT_CONFIG")]
        config: PathBuf,
    },
    /// Start the process that is to take over, and say its number: for the running agent, in an upgrade.
    #[command(hide = true)]
    StartNext {
        /// The configuration.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration and say everything that is wrong with it. Exit status 0 = it can be run, 2 = it cannot.
    Check {
        /// The configuration.
        #[arg(value_name = "FILE", default_value = DEFAULT_CONFIG)]
        file: PathBuf,
        /// Show what it does, too: instances with what they track, checks, pools, who is told.
        #[arg(short, long)]
        summary: bool,
    },
    /// Remove every address and link that a killed agent left on this machine. Not while an agent runs.
    Cleanup {
        /// The configuration, for the socket by which a running agent is found.
        #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG, env = "HA_AGENT_CONFIG")]
        config: PathBuf,
    },
}

/// Reads the command line and does what it says. Exit status: 0 done, 1 failed, 2 the command line or the configuration is
/// wrong.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config, replace } => supervisor::run(&config, replace),
        Command::Upgrade { config } => supervisor::upgrade(&config),
        Command::StartNext { config } => supervisor::start_next(&config),
        Command::Check { file, summary } => check(&file, summary),
        Command::Cleanup { config } => supervisor::clean_up(&config),
    }
}

fn check(file: &Path, summary: bool) -> ExitCode {
    match supervisor::load(file, &Commands::default()) {
        Ok(loaded) => {
            let configuration = loaded.configuration;
            println!("{}: ok, {}", file.display(), counts(&configuration));
            if summary {
                println!("{}", ha_config::Summary(&configuration));
            }
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::from(supervisor::EXIT_CONFIGURATION),
    }
}

/// "2 instances, 1 check"; what there is none of is left out, except instances.
fn counts(configuration: &Configuration) -> String {
    let all = [
        (configuration.instances.len(), "instance"),
        (configuration.checks.len(), "check"),
        (configuration.pools.len(), "pool"),
        (configuration.notifiers.len(), "notifier"),
    ];
    let shown = all.iter().filter(|(count, what)| *count > 0 || *what == "instance");
    let words = shown.map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }));
    words.collect::<Vec<_>>().join(", ")
}
