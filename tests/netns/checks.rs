//! Checks decide where addresses are: a service that dies is restarted by its remedy and nothing moves; one that cannot be
//! restarted takes its node's addresses away, and gives them back when it is mended.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime},
};

use ha_tests::{AgentInstance, Capture, Cluster, Lab, Node, Scratch, Told, Wanted, wait_for, wait_some};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::common::{FOUR, SOON, adverts_of, only_four, vip};

/// A service of one node: a program of a name of its own, started by a script. Kept where only root may write, as scripts
/// must be.
struct Service {
    folder: PathBuf,
    name: String,
}

impl Service {
    /// Of a name that nobody else has: processes of all nodes are counted alike.
    fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("hat-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(Scratch::TRUSTED).join(&name);
        fs::create_dir_all(&folder).expect("a new folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("ours");
        let this = Self { folder, name };
        fs::copy("/bin/sleep", this.program()).expect("sleep is there");
        let lines = format!(
            "test -e {} && {{ echo cannot start; exit 1; }}\n{} 1000 > /dev/null 2>&1 < /dev/null &\n",
            this.broken().display(),
            this.program().display()
        );
        fs::write(this.script(), format!("#!/bin/sh\n{lines}")).expect("ours");
        fs::set_permissions(this.script(), fs::Permissions::from_mode(0o755)).expect("ours");
        this.mend();
        this
    }

    fn program(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn script(&self) -> PathBuf {
        self.folder.join("restart")
    }

    fn broken(&self) -> PathBuf {
        self.folder.join("broken")
    }

    /// Its processes.
    fn processes(&self) -> Vec<Pid> {
        let program = self.program();
        let numbers = fs::read_dir("/proc").expect("there is a /proc").flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_own = |pid: &i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        numbers.filter(is_own).map(Pid::from_raw).collect()
    }

    fn kill(&self) {
        for process in self.processes() {
            // It may have ended by itself.
            let _ = kill(process, Signal::SIGKILL);
        }
    }

    /// Kills it, and keeps it from being restarted.
    fn break_it(&self) {
        fs::write(self.broken(), "").expect("ours");
        self.kill();
    }

    /// Starts it as an operator would.
    fn mend(&self) {
        let _ = fs::remove_file(self.broken());
        let mut starter = Command::new(self.script());
        starter.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(starter.status().expect("a script").success());
    }

    /// The check of it, with the script as its remedy.
    fn check(&self, wait: &str) -> String {
        format!(
            "[[check]]\nname = 'service'\nkind = 'process'\nprocess = '{}'\n[check.remedy]\ncommand = ['{}']\n\
             user = 'root'\ntimeout = '5s'\nwait = '{wait}'\nrest = '0s'\n",
            self.name,
            self.script().display()
        )
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Two nodes with a service each, which both track; node 0 holds the address.
fn cluster(services: &[Service; 2], extra: &str) -> Cluster {
    let instance = |node: &Node, lab: &Lab| -> AgentInstance {
        let check = services[node.index()].check("100ms");
        only_four(node, lab, &format!("track = ['service']\n{extra}\n{check}"))
    };
    let mut cluster = Cluster::start(2, |node, lab| vec![instance(node, lab)]);
    // What these tests break on purpose.
    cluster.expect_errors("check.remedy_ended");
    cluster.expect_errors("FAULT");
    cluster.wait_for_holder(0);
    cluster.audit();
    cluster
}

fn time_of(event: &Told) -> String {
    event.text("event_time").to_owned()
}

#[test]
fn a_service_that_dies_is_restarted_by_its_remedy_and_the_address_stays() {
    let services = [Service::start(), Service::start()];
    let mut cluster = cluster(&services, "");
    let began = Instant::now();
    services[0].kill();
    let ended = cluster.agent(0).wait_for_event("check.remedy_ended", SOON, |_| true);
    println!("helped {:?} after the kill, {}", began.elapsed(), time_of(&ended));
    assert_eq!(ended.text("subject"), "nodes/node-0/checks/service");
    assert!(ended.text("message").contains("the remedy helped"), "{ended:?}");
    assert_eq!(services[0].processes().len(), 1);
    let types: Vec<String> =
        cluster.agent(0).events(&["check.*"]).iter().map(|event| event.text("type").to_owned()).collect();
    let expected = ["check.changed", "check.remedy_started", "check.remedy_ran", "check.remedy_ended"];
    assert_eq!(types, expected, "the verdict never fell");
    let changes = cluster.agent(0).events(&["instance.state_changed"]);
    assert!(changes.iter().all(|event| event.text("previous_state") != "ACTIVE"), "{changes:?}");
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_service_that_cannot_be_restarted_takes_the_address_away_and_brings_it_back_when_it_is_mended() {
    let services = [Service::start(), Service::start()];
    let mut cluster = cluster(&services, "");
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    let began = Instant::now();
    services[0].break_it();
    wait_for("the address on node 1", SOON, || cluster.holders()[&vip(&cluster)] == [1]);
    println!("moved {:?} after the kill", began.elapsed());
    let left = cluster
        .agent(0)
        .wait_for_event("instance.state_changed", SOON, |event| event.text("previous_state") == "ACTIVE");
    assert_eq!((left.text("cause"), left.text("current_state")), ("CHECK_CHANGED", "FAULT"), "{left:?}");
    let evidence = &left.0["evidence"];
    assert_eq!(evidence["subject"].as_str(), Some("nodes/node-0/checks/service"), "{left:?}");
    // What the check saw, and the check's own event as what led to it.
    assert!(!evidence["detail"].as_str().unwrap_or_default().is_empty(), "{left:?}");
    let fell = cluster
        .agent(0)
        .wait_for_event("check.changed", SOON, |event| event.text("current_state") == "FAILING");
    assert_eq!(left.texts("caused_by_events"), [fell.text("name")]);
    assert_eq!(released(&capture, cluster.lab.node(0)), Some(0));
    // Not the election at the start.
    cluster.agent(1).wait_for_event("instance.state_changed", SOON, |event| {
        event.text("current_state") == "ACTIVE" && event.text("cause") == "PEER_PRIORITY_ZERO"
    });

    services[0].mend();
    cluster.wait_for_holder(0);
    cluster.agent(0).wait_for_state(FOUR, "ACTIVE", SOON);
    cluster.audit();
}

/// The priority of a node's last advert so far.
fn released(capture: &Capture, node: &Node) -> Option<u8> {
    adverts_of(capture, node).last().map(|(_, priority): &(SystemTime, u8)| *priority)
}

#[test]
fn a_weighted_check_moves_the_address_at_once_without_a_fault() {
    let services = [Service::start(), Service::start()];
    let cluster = Cluster::start(2, |node, lab| {
        let check = services[node.index()].check("100ms");
        let keys = format!("track = [{{ check = 'service', weight = -100 }}]\n{check}");
        vec![only_four(node, lab, &keys)]
    });
    let mut cluster = cluster;
    cluster.expect_errors("check.remedy_ended");
    cluster.wait_for_holder(0);
    let began = Instant::now();
    services[0].break_it();
    cluster.wait_for_holder(1);
    println!("moved {:?} after the kill", began.elapsed());
    let instance = wait_some("the lowered priority", SOON, || {
        cluster.agent(0).instance(FOUR).filter(|instance| instance.number("effective_priority") == 100)
    });
    assert_eq!(instance.text("state"), "BACKUP");
    services[0].mend();
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn an_agent_that_is_stopped_gives_up_its_address_and_leaves_no_command_behind() {
    let services = [Service::start(), Service::start()];
    let slow = services[0].folder.join("slow");
    let pids = services[0].folder.join("pids");
    let lines =
        format!("#!/bin/sh\ntrap '' TERM\nsleep 1001 &\necho $! $$ > {}\nwait\nsleep 1002\n", pids.display());
    fs::write(&slow, lines).expect("ours");
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).expect("ours");
    let check = format!(
        "[[check]]\nname = 'slow'\nkind = 'script'\ncommand = ['{}']\nuser = 'root'\ninterval = '1h'\ntimeout = '1h'\n",
        slow.display()
    );
    let mut cluster = Cluster::start(2, |node, lab| {
        let keys = if node.index() == 0 {
            format!("track = [{{ check = 'slow', weight = 10 }}]\n{check}")
        } else {
            String::new()
        };
        vec![only_four(node, lab, &keys)]
    });
    cluster.wait_for_holder(0);
    let running =
        wait_some("the script", SOON, || fs::read_to_string(&pids).ok().filter(|text| text.ends_with('\n')));
    let began = Instant::now();
    let status = cluster.agent_mut(0).process.terminate(SOON);
    println!("ended after {:?}", began.elapsed());
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for pid in running.split_whitespace() {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} still runs");
    }
    cluster.wait_for_holder(1);
    let vip: IpAddr = vip(&cluster);
    assert!(!cluster.space(0).has_address(vip));
}
