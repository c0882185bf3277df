//! The machine on which hactl runs: its network, and the agent's log when it has one. What is not there is left out.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::bundle::Bundle;
use crate::failure::Failure;

/// What is asked, by file.
const COMMANDS: [(&str, &[&str]); 9] = [
    ("uname.txt", &["uname", "-a"]),
    ("uptime.txt", &["uptime"]),
    ("ip-address.txt", &["ip", "-d", "-s", "address"]),
    ("ip-route.txt", &["ip", "route", "show", "table", "all"]),
    ("ip-rule.txt", &["ip", "rule"]),
    ("ip-neighbour.txt", &["ip", "neighbour"]),
    ("ip-maddress.txt", &["ip", "maddress"]),
    ("systemctl.txt", &["systemctl", "status", "--no-pager", "--lines=0", "ha-agent"]),
    (
        "journal.txt",
        &["journalctl", "--no-pager", "-q", "-u", "ha-agent", "-n", "5000", "-o", "short-iso-precise"],
    ),
];

/// A command that takes longer is ended, and what it said by then is kept.
const PATIENCE: Duration = Duration::from_secs(5);

/// More of one answer is cut off.
const MOST_OCTETS: u64 = 8 << 20;

/// Adds what the machine tells.
///
/// # Errors
/// When the bundle cannot be written.
pub(super) fn add(bundle: &mut Bundle) -> Result<(), Failure> {
    for (file, command) in COMMANDS {
        if let Some(text) = ask(command) {
            bundle.text(&format!("local/{file}"), &text)?;
        }
    }
    for (file, path) in [("meminfo.txt", "/proc/meminfo"), ("snmp.txt", "/proc/net/snmp")] {
        if let Ok(text) = std::fs::read_to_string(path) {
            bundle.text(&format!("local/{file}"), &text)?;
        }
    }
    Ok(())
}

/// What a command says; `None` when it is not there.
fn ask(words: &[&str]) -> Option<String> {
    let mut command = Command::new(words.first()?);
    command.args(&words[1..]).env("LC_ALL", "C").stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let stdout = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut octets = Vec::new();
        // What was read before an error is told all the same.
        let _ = stdout.take(MOST_OCTETS).read_to_end(&mut octets);
        octets
    });
    end(child);
    let octets = reader.join().ok()?;
    Some(String::from_utf8_lossy(&octets).into_owned())
}

/// Waits for its end, and makes it when it does not come.
fn end(mut child: Child) {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // It may have ended just now.
    let _ = child.kill();
    let _ = child.wait();
}
