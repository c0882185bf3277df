//! Finds and ends everything below the launcher. It is the reaper of its descendants (PR_SET_CHILD_SUBREAPER): whatever leaves
//! its group, its session or its parent is still below it, so nothing escapes but what exceeds our permissions.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpid};
use rustix::process::WaitOptions;

/// Sends `signal` to the process group `group` and to whatever left it.
pub(super) fn signal_all(group: Pid, signal: Signal) {
    // Whoever is gone by now needs no signal.
    let _ = killpg(group, signal);
    for process in descendants() {
        let _ = kill(process, signal);
    }
}

/// Kills everything below us until nothing is left or `patience` is over. How many were killed.
pub(super) fn kill_all(group: Pid, patience: Duration) -> u32 {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(200);
    let mut killed = 0;
    // What ended by itself is not counted.
    let mut is_anybody_left = take_ends().1;
    while is_anybody_left && begun.elapsed() < patience {
        signal_all(group, Signal::SIGKILL);
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
        let (ended, left) = take_ends();
        killed += ended;
        is_anybody_left = left;
    }
    killed
}

/// Takes the ends of all children that ended: how many, and whether others are left.
fn take_ends() -> (u32, bool) {
    let mut ended = 0;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(None) => return (ended, true),
            Ok(Some(_)) => ended += 1,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return (ended, false),
        }
    }
}

/// All processes below us, in no order.
fn descendants() -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in processes() {
        let Some(parent) = parent(process) else { continue };
        children.entry(parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut above = vec![getpid().as_raw()];
    while let Some(parent) = above.pop() {
        let below = children.remove(&parent).unwrap_or_default();
        above.extend(&below);
        found.extend(below.into_iter().map(Pid::from_raw));
    }
    found
}

fn parent(process: i32) -> Option<i32> {
    Stat::of(process).map(|stat| stat.parent)
}

/// Kills the session of a launcher that is gone, until nothing of it is found. Its number is in use until the launcher
/// was waited for. What left the session is beyond our knowledge.
pub(super) fn kill_session(session: Pid) {
    const ROUNDS: usize = 50;
    for _ in 0..ROUNDS {
        let members = members(session);
        if members.is_empty() {
            return;
        }
        for process in members {
            // Whoever is gone by now needs no signal.
            let _ = kill(process, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Who lives in a session.
fn members(session: Pid) -> Vec<Pid> {
    let is_member = |process: &i32| {
        Stat::of(*process).is_some_and(|stat| stat.session == session.as_raw() && !stat.is_dead)
    };
    processes().filter(is_member).map(Pid::from_raw).collect()
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What the kernel says of a process.
struct Stat {
    /// It waits for its parent to take its end.
    is_dead: bool,
    parent: i32,
    session: i32,
}

impl Stat {
    fn of(process: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name is in brackets and may contain anything, brackets too; state, parent, group and session follow.
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let is_dead = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        Some(Self { is_dead, parent, session })
    }
}
