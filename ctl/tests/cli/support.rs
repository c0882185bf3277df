//! What the tests share: a directory, a cluster of doubles, and the real hactl run against them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ha_proto::v1;
use ha_proto::v1::instance::State;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::double::{Agent, World};

/// A directory that goes away with the test.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hactl-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Three nodes with one virtual router and one address; the first is Active with priority 150, then 120 and 100.
pub struct Cluster {
    pub directory: Directory,
    pub agents: Vec<Agent>,
}

pub const VIP: &str = "10.0.0.10";

impl Cluster {
    pub fn new() -> Self {
        let directory = Directory::new();
        let agents = ["a", "b", "c"].map(|name| Agent::start(directory.path(), name));
        for (agent, (state, priority)) in
            agents.iter().zip([(State::Active, 150), (State::Backup, 120), (State::Backup, 100)])
        {
            agent.world().add("web", VIP, state, priority);
        }
        Cluster { directory, agents: agents.into() }
    }

    pub fn a(&self) -> &Agent {
        &self.agents[0]
    }

    pub fn b(&self) -> &Agent {
        &self.agents[1]
    }

    /// Runs hactl against all nodes.
    pub fn hactl(&self, line: &str) -> Run {
        self.hactl_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn hactl_words(&self, words: &[&str]) -> Run {
        Run::of(self.command(words))
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = hactl();
        command.args(words);
        for agent in &self.agents {
            command.args(["--endpoint", &agent.endpoint()]);
        }
        command
    }
}

impl World {
    /// Adds a virtual router with one address.
    pub fn add(&mut self, instance: &str, address: &str, state: State, priority: i32) {
        let name = format!("nodes/{}/instances/{instance}", self.name);
        let vip = format!("nodes/{}/vips/{address}", self.name);
        let is_v6 = address.parse::<IpAddr>().unwrap().is_ipv6();
        let family = if is_v6 { v1::instance::Family::Ipv6 } else { v1::instance::Family::Ipv4 };
        let second = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        self.instances.push(v1::Instance {
            name: name.clone(),
            virtual_router_id: 51,
            family: family as i32,
            vrrp_version: 3,
            interface: "eth0".to_owned(),
            last_transition_time: Some(self.now()),
            base_priority: priority,
            effective_priority: priority,
            preempt: true,
            advertisement_interval: second(1),
            active_down_interval: second(3),
            vips: vec![vip.clone()],
            etag: "1".to_owned(),
            ..v1::Instance::default()
        });
        self.vips.push(v1::Vip {
            name: vip,
            address: address.to_owned(),
            prefix_length: if is_v6 { 64 } else { 24 },
            interface: "eth0".to_owned(),
            instance: name,
            ..v1::Vip::default()
        });
        self.become_state(instance, state);
    }

    /// Puts a virtual router and the kernel's address into a state, without an event.
    pub fn become_state(&mut self, instance: &str, state: State) {
        let active = state == State::Active;
        let now = self.now();
        let suffix = format!("/instances/{instance}");
        for router in self.instances.iter_mut().filter(|router| router.name.ends_with(&suffix)) {
            router.state = state as i32;
            router.last_transition_time = Some(now);
            let cause = if active { v1::Cause::ActiveDownTimer } else { v1::Cause::AgentStart };
            router.last_transition_cause = cause as i32;
            router.last_transition_evidence = active.then(|| v1::Evidence {
                peer_address: "192.0.2.9".to_owned(),
                peer_priority: Some(200),
                last_advertisement_age: Some(prost_types::Duration { seconds: 3, nanos: 610_000_000 }),
                active_down_interval: Some(prost_types::Duration { seconds: 3, nanos: 600_000_000 }),
                ..v1::Evidence::default()
            });
        }
        for vip in self.vips.iter_mut().filter(|vip| vip.instance.ends_with(&suffix)) {
            let there = if active { v1::vip::State::Present } else { v1::vip::State::Absent };
            (vip.desired_state, vip.kernel_state) = (there as i32, there as i32);
        }
    }
}

/// A change of state of a node's virtual router.
pub fn transition(node: &str, from: &str, to: &str, cause: v1::Cause) -> v1::Event {
    v1::Event {
        r#type: "instance.state_changed".to_owned(),
        subject: format!("nodes/{node}/instances/web"),
        previous_state: from.to_owned(),
        current_state: to.to_owned(),
        cause: cause as i32,
        severity: v1::Severity::Info as i32,
        ..v1::Event::default()
    }
}

/// An event at this many milliseconds after a fixed moment.
pub fn at(mut event: v1::Event, ms: i64) -> v1::Event {
    event.event_time = Some(prost_types::Timestamp {
        seconds: 1_700_000_000 + ms / 1_000,
        nanos: (ms % 1_000 * 1_000_000) as i32,
    });
    event
}

pub fn nanos(time: Option<&prost_types::Timestamp>) -> i128 {
    time.map_or(0, |time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos))
}

/// An error as the contract wants it.
pub fn refused(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(
        code,
        message,
        ErrorDetails::with_error_info(reason, "ha-agent", HashMap::new()),
    )
}

/// The real program, without what the caller's environment might say.
pub fn hactl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hactl"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HACTL_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// One run of hactl that has ended.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Run {
    pub fn of(mut command: Command) -> Run {
        let started = Instant::now();
        let Output { status, stdout, stderr } = command.output().unwrap();
        Run {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
            took: started.elapsed(),
        }
    }

    /// Fails the test unless it ended so.
    #[track_caller]
    pub fn ends(self, code: i32) -> Run {
        assert_eq!(self.code, code, "\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}", self.out))
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A run of hactl that goes on, read line by line.
pub struct Following {
    pub child: Child,
    out: mpsc::Receiver<String>,
    err: mpsc::Receiver<String>,
}

impl Following {
    pub fn start(mut command: Command) -> Following {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Following { child, out, err }
    }

    /// The next line of standard output that contains `text`.
    #[track_caller]
    pub fn wait_out(&self, text: &str) -> String {
        wait(&self.out, text)
    }

    /// The next line of standard error that contains `text`.
    #[track_caller]
    pub fn wait_err(&self, text: &str) -> String {
        wait(&self.err, text)
    }

    /// Ends it as a user does, with Ctrl-C; gives the exit code and what was left on standard output.
    pub fn interrupt(self) -> (i32, Vec<String>) {
        let killed = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.end()
    }

    /// Waits for its end.
    pub fn end(mut self) -> (i32, Vec<String>) {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code().unwrap_or(-1), self.out.iter().collect());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        panic!("hactl did not end");
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[track_caller]
fn wait(lines: &mpsc::Receiver<String>, text: &str) -> String {
    let mut seen = Vec::new();
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(_) => panic!("no line with {text:?}, but\n{}", seen.join("\n")),
        }
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
