//! Disks at night: full, read-only, and given to two agents. History is what they cost, what was to survive is refused with a word
//! or restored, and no address moves.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use ha_tests::{Agent, AgentInstance, Lab, hactl, wait_for};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

use crate::common::{FOUR, SOON};

/// A writer that failed looks again after a minute at the latest.
const LOOKS_AGAIN: Duration = Duration::from_secs(75);

/// A file system of a few MiB, seen by this test and its agents alone; gone with the test's thread.
struct Disk(PathBuf);

impl Disk {
    fn mount(lab: &Lab) -> Self {
        let path = lab.scratch().file("disk");
        fs::create_dir_all(&path).expect("a mount point");
        unshare(CloneFlags::CLONE_NEWNS).expect("this needs root");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).expect("mounts of our own");
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some("size=4m")).expect("a small disk");
        Self(path)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Until not one octet more fits.
    fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(self.filler()).expect("a file");
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn remount(&self, flags: MsFlags) {
        let none = None::<&str>;
        mount(none, &self.0, none, MsFlags::MS_REMOUNT | flags, none).expect("it can be remounted");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn start(lab: &Lab, node: usize, directory: &Path) -> Agent {
    let journal = format!("[journal]\ndirectory = \"{}\"\nsize = \"8 MiB\"\n", directory.display());
    let router = AgentInstance {
        interval: "100ms".to_owned(),
        ..AgentInstance::new(51, 200, &[lab.vip4(0, 1).into()])
    };
    let mut agent = Agent::start_with(lab.node(node), lab.scratch(), &format!("{journal}{}", router.toml()));
    agent.wait_until_ready(SOON);
    agent
}

fn set(agent: &Agent, priority: &str, words: &[&str]) -> Output {
    hactl(&[agent], &[&["instance", "priority", "set", FOUR, priority, "--yes"], words].concat())
}

/// The override in force; 0 = none.
fn priority_of(agent: &Agent) -> i64 {
    let shown = agent.instance(FOUR).expect("it answers").0;
    shown["priority_override"]["priority"].as_i64().unwrap_or_default()
}

#[track_caller]
fn refuses(agent: &Agent, why: &str) {
    let before = priority_of(agent);
    let refused = set(agent, "60", &["--survive-restart"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    println!("{}", words.trim());
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    assert!(words.contains("would not survive a restart") && words.contains(why), "{words}");
    assert_eq!(priority_of(agent), before, "nothing was changed");
}

#[track_caller]
fn dies_and_comes_back(agent: &mut Agent, lab: &Lab) {
    agent.process.kill();
    agent.restart(lab.node(0));
    agent.wait_until_ready(SOON);
    agent.wait_for_state(FOUR, "ACTIVE", SOON);
}

fn count(agent: &Agent, kind: &str) -> usize {
    agent.events(&[kind]).len()
}

#[test]
fn a_full_disk_refuses_what_is_to_survive_and_still_says_what_did() {
    let lab = Lab::new(1, 1);
    let disk = Disk::mount(&lab);
    let mut agent = start(&lab, 0, &disk.0);
    agent.wait_for_state(FOUR, "ACTIVE", SOON);
    assert!(set(&agent, "50", &["--survive-restart", "--reason", "ticket"]).status.success());
    disk.fill();
    // What the store has in reserve lasts for a while.
    wait_for("a disk that takes nothing", SOON, || {
        let taken = set(&agent, "70", &["--survive-restart"]).status.success();
        disk.fill();
        !taken
    });
    refuses(&agent, "make room");
    let held = priority_of(&agent);
    agent.wait_for_event("journal.failing", SOON, |_| true);
    assert!(set(&agent, "80", &[]).status.success(), "without that it needs no disk");
    assert_eq!(priority_of(&agent), 80);
    // The row of before could not go, and that was said.
    let told = agent.wait_for_event("intent.not_forgotten", SOON, |_| true);
    println!("{}", told.text("message"));
    dies_and_comes_back(&mut agent, &lab);
    assert_eq!(priority_of(&agent), held, "as it was said: {}", agent.process.log());
    assert_eq!(count(&agent, "intent.restored"), 1);
    refuses(&agent, "make room");
    let cleared = hactl(&[&agent], &["instance", "priority", "clear", FOUR, "--yes"]);
    assert!(cleared.status.success(), "{cleared:?}");
    fs::remove_file(disk.filler()).expect("room");
    agent.wait_for_event("journal.recovered", LOOKS_AGAIN, |_| true);
    dies_and_comes_back(&mut agent, &lab);
    assert_eq!(priority_of(&agent), 0, "what had ended is gone, too");
    assert!(set(&agent, "90", &["--survive-restart"]).status.success());
    dies_and_comes_back(&mut agent, &lab);
    assert_eq!(priority_of(&agent), 90);
}

#[test]
fn a_disk_that_became_read_only_says_what_survived_and_takes_nothing_new() {
    let lab = Lab::new(1, 1);
    let disk = Disk::mount(&lab);
    let mut agent = start(&lab, 0, &disk.0);
    agent.wait_for_state(FOUR, "ACTIVE", SOON);
    assert!(set(&agent, "50", &["--survive-restart", "--ttl", "never"]).status.success());
    // Killed, so that the file is left as it was in the midst of things.
    agent.process.kill();
    disk.remount(MsFlags::MS_RDONLY);
    dies_and_comes_back(&mut agent, &lab);
    assert_eq!(priority_of(&agent), 50, "{}", agent.process.log());
    refuses(&agent, "remount it for writing");
    assert!(set(&agent, "80", &[]).status.success());
    disk.remount(MsFlags::empty());
    agent.wait_for_event("journal.recovered", LOOKS_AGAIN, |_| true);
    dies_and_comes_back(&mut agent, &lab);
    assert_eq!(priority_of(&agent), 0, "the one that took its place was not to survive");
}

#[test]
fn of_two_agents_with_one_directory_the_second_takes_none_of_the_firsts_wishes_and_keeps_none() {
    let lab = Lab::new(2, 1);
    let shared = lab.scratch().file("shared");
    let first = start(&lab, 0, &shared);
    first.wait_for_state(FOUR, "ACTIVE", SOON);
    assert!(set(&first, "210", &["--survive-restart"]).status.success());
    let second = start(&lab, 1, &shared);
    second.wait_for_state(FOUR, "BACKUP", SOON);
    let unread = second.wait_for_event("intent.unread", SOON, |_| true);
    println!("{}", unread.text("message"));
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!((priority_of(&first), priority_of(&second)), (210, 0));
    refuses(&second, "another process has");
    assert_eq!(count(&second, "intent.restored"), 0);
}
