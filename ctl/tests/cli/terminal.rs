//! `hactl top` on a pseudo-terminal: what it shows, and that the terminal is as it was however it ends.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ha_proto::v1::instance::State;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::support::Cluster;

const ROWS: u16 = 30;
const COLUMNS: u16 = 120;

/// A program on a terminal of its own.
struct Terminal {
    keyboard: File,
    line: File,
    before: Termios,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
}

impl Terminal {
    fn run(command: Command) -> Terminal {
        Terminal::wide(command, COLUMNS)
    }

    fn wide(mut command: Command, columns: u16) -> Terminal {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
        let line = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
        let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(line.as_fd(), size).unwrap();
        let before = tcgetattr(&line).unwrap();
        let stdio = || Stdio::from(line.try_clone().unwrap());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let keyboard = File::from(keyboard);
        let [rows, columns] = [ROWS, columns].map(|count| count.try_into().unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let (mut written, shown) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = written.read(&mut buffer) {
                shown.lock().unwrap().process(&buffer[..count]);
            }
        });
        Terminal { keyboard, line, before, screen, child }
    }

    fn top(cluster: &Cluster, flags: &[&str]) -> Terminal {
        Terminal::run(cluster.command(&[&["top", "--interval", "100ms"], flags].concat()))
    }

    fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let there = wait(|| self.shown().contains(text));
        assert!(there, "{text} is not on the screen:\n{}", self.shown());
    }

    /// The program's screen has gone, and the cursor is back.
    fn is_given_back(&self) -> bool {
        let parser = self.screen.lock().unwrap();
        !parser.screen().alternate_screen() && !parser.screen().hide_cursor()
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for the end; the terminal must be as it was.
    #[track_caller]
    fn ends_clean(mut self) -> (i32, Duration) {
        let started = Instant::now();
        let until = started + Duration::from_secs(10);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it did not end:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = started.elapsed();
        assert!(wait(|| self.is_given_back()), "the terminal was not given back:\n{}", self.shown());
        let after = tcgetattr(&self.line).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(after.output_modes, self.before.output_modes);
        (status.code().unwrap_or(-1), took)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(condition: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while !condition() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn top_shows_the_cluster_and_what_becomes_of_it_and_leaves_the_terminal_clean() {
    let cluster = Cluster::new();
    let mut top = Terminal::top(&cluster, &[]);
    top.wait_for("3/3 nodes answered");
    top.wait_for("10.0.0.10/24");
    cluster.b().world().become_state("web", State::Active);
    top.wait_for("SPLIT_BRAIN");
    top.press("q");
    assert_eq!(top.ends_clean().0, 0);
}

#[test]
fn every_way_to_end_top_leaves_the_terminal_clean() {
    let cluster = Cluster::new();
    type Way = (&'static str, fn(&mut Terminal));
    let ways: [Way; 4] = [
        ("escape", |top| top.press("\u{1b}")),
        ("control-c", |top| top.press("\u{3}")),
        ("SIGTERM", |top| top.signal("-TERM")),
        ("SIGINT", |top| top.signal("-INT")),
    ];
    for (what, end) in ways {
        let mut top = Terminal::top(&cluster, &[]);
        top.wait_for("3/3 nodes answered");
        assert!(!top.is_given_back());
        end(&mut top);
        assert_eq!(top.ends_clean().0, 0, "{what}");
    }
}

#[test]
fn a_node_that_hangs_holds_up_neither_keys_nor_the_end() {
    let cluster = Cluster::new();
    cluster.agents[2].world().hangs = true;
    let mut top = Terminal::top(&cluster, &["--node-timeout", "20s"]);
    top.wait_for("asking the nodes");
    top.press("q");
    let (code, took) = top.ends_clean();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let top = Terminal::top(&cluster, &["--node-timeout", "500ms"]);
    top.wait_for("2/3 nodes answered");
    top.wait_for("TIMEOUT");
}

#[test]
fn without_a_terminal_top_says_what_to_use_instead() {
    let cluster = Cluster::new();
    let run = cluster.hactl("top").ends(2);
    assert!(
        run.err.contains("top needs a terminal") && run.err.contains("hactl status -o json"),
        "{}",
        run.err
    );
    assert_eq!(run.out, "");
}

#[test]
fn a_table_fits_into_the_terminal_and_into_a_pipe_it_goes_whole() {
    let cluster = Cluster::new();
    for (line, told, folded) in [
        ("instance list", "web       c     BACKUP", "    SINCE "),
        ("vip list", "10.0.0.10/24", "    WHY ACTIVE_DOWN_TIMER: "),
        ("status", "10.0.0.10/24", "    WHY ACTIVE_DOWN_TIMER: "),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let terminal = Terminal::wide(cluster.command(&words), 80);
        terminal.wait_for(folded);
        terminal.wait_for(told);
        let whole = cluster.hactl(line).ends(0).out;
        assert!(whole.lines().any(|line| line.len() > 80), "{line}:\n{whole}");
        let terminal = Terminal::wide(cluster.command(&[&words[..], &["-o", "wide"]].concat()), 80);
        terminal.wait_for(told);
        assert!(!terminal.shown().contains(folded), "{line} wide:\n{}", terminal.shown());
    }
}
