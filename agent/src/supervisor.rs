//! Starts everything in order, reloads, and ends everything in order.
//!
//! Order of the start: configuration, capabilities, dataplane (which only reads yet), the claim of the control plane's socket (so
//! that a second agent stops before it touches anything), `vrrp` thread, then the readers of its events, then pools and checks. Order of the end:
//! priority 0, withdrawal, checks with their commands, clients, telemetry.

mod certificates;
mod checks;
mod conditions;
mod configuration;
mod descriptors;
mod keeping;
mod leave;
mod life;
mod next;
mod peers;
mod privilege;
mod punctual;
mod reload;
mod replace;
mod roles;
mod running;
mod start;
mod status;
mod systemd;
mod translate;

use std::path::Path;
use std::process::ExitCode;

use ha_config::Severity;
use ha_probe::command::Commands;
use tracing::Level;

use crate::telemetry::logging::say;
use crate::{clock, legacy};

pub(crate) use configuration::Loaded;
use configuration::Rejected;

/// Exit status when the command line or the configuration is wrong.
pub(crate) const EXIT_CONFIGURATION: u8 = 2;

/// Reads and judges a configuration; findings go to standard error.
pub(crate) fn load(file: &Path, commands: &Commands) -> Result<Loaded, Rejected> {
    let mut errors = 0;
    let outcome = configuration::read(file, commands, |told| {
        errors += usize::from(told.severity == Severity::Error);
        say(if told.severity == Severity::Error { Level::ERROR } else { Level::WARN }, &told.whole);
    });
    if let Err(rejected) = &outcome {
        match errors {
            0 => complain(&rejected.first),
            1 => complain(&format!("{}: 1 error", file.display())),
            _ => complain(&format!("{}: {errors} errors", file.display())),
        }
    }
    outcome
}

/// Runs the daemon until it is told to stop. With `replace`, in the place of a running one.
pub(crate) fn run(file: &Path, replace: bool) -> ExitCode {
    privilege::close_memory();
    let commands = Commands::default();
    let loaded = match load(file, &commands) {
        Ok(loaded) => loaded,
        Err(rejected) => {
            systemd::status(&format!("cannot start: {rejected}"));
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    if let Err(missing) = privilege::check() {
        return cannot_run(&missing);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot_run(&format!("cannot start: {error}")),
    };
    let outcome = runtime.block_on(running::run(file, loaded, commands, replace));
    // Whatever still blocks, a collector that does not answer for one, has had its time.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_run(&error.to_string()),
    }
}

fn cannot_run(why: &str) -> ExitCode {
    systemd::status(&format!("cannot run: {why}"));
    fail(why)
}

/// Has a running agent replace itself with what its file is now.
pub(crate) fn upgrade(file: &Path) -> ExitCode {
    let Ok(loaded) = load(file, &Commands::default()) else { return ExitCode::from(EXIT_CONFIGURATION) };
    match replace::upgrade(&loaded.configuration.api.socket) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(why) => fail(&why),
    }
}

/// Starts what is to take over from the agent that asks for it by its command line, and says its number.
pub(crate) fn start_next(file: &Path) -> ExitCode {
    match next::start(file) {
        Ok(pid) => {
            println!("{pid}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&format!("cannot start the next process: {error}")),
    }
}

/// Removes what a killed agent left.
pub(crate) fn clean_up(file: &Path) -> ExitCode {
    // A broken configuration must not keep leftovers on the machine.
    let loaded = configuration::octets_of(file)
        .ok()
        .and_then(|octets| configuration::judge(file, &octets, &[], &Commands::default()).loaded);
    let socket = loaded.map(|loaded| loaded.configuration.api.socket.clone());
    let socket = socket.unwrap_or_else(|| ha_config::Api::default().socket);
    if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        return fail(&format!(
            "an agent serves {}; stop it, it withdraws everything itself",
            socket.display()
        ));
    }
    if legacy::is_waiting(&socket, clock::now()) {
        println!("an agent has just left its addresses to the next process; nothing removed");
        return ExitCode::SUCCESS;
    }
    match ha_dataplane::cleanup(&ha_dataplane::Scope::Everywhere) {
        Ok(cleaned) => {
            cleaned.addresses.iter().for_each(|address| println!("removed address {address}"));
            cleaned.links.iter().for_each(|link| println!("removed link {link}"));
            cleaned.failures.iter().for_each(|failure| complain(&failure.to_string()));
            ExitCode::from(u8::from(!cleaned.failures.is_empty()))
        }
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(why: &str) -> ExitCode {
    complain(why);
    ExitCode::FAILURE
}

fn complain(what: &str) {
    say(Level::ERROR, &format!("ha-agent: {what}"));
}
