//! Installation, start, reload, death and restart.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ha_tests::{Agent, AgentInstance, Lab, PingReport, Pinger, wait_for};
use serde_json::Value;

use crate::machine::{Machine, SOON};

/// The name that the harness gives to virtual router 51.
pub(crate) const ROUTER: &str = "router-51";

/// Node 0 as a machine, and an agent of the harness on node 1 where a peer is wanted.
pub(crate) struct Site {
    pub(crate) machine: Machine,
    pub(crate) peer: Option<Agent>,
    pub(crate) lab: Lab,
}

impl Site {
    /// A machine that holds the virtual address by itself, with more lines in the table of its virtual router and after it.
    #[track_caller]
    pub(crate) fn alone(table: &str, rest: &str) -> Self {
        let site = Self::prepared(table, rest, |_| ());
        site.machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
        site
    }

    /// The same, after what `prepare` does; whether the address is held is not waited for.
    #[track_caller]
    pub(crate) fn prepared(table: &str, rest: &str, prepare: impl Fn(&Machine)) -> Self {
        let lab = Lab::new(1, 1);
        let machine = Machine::boot(&lab, lab.node(0));
        let site = Self { machine, peer: None, lab };
        prepare(&site.machine);
        site.machine.install(&site.configuration(200, table, rest));
        site
    }

    /// The same with a peer of priority 100 that is Backup.
    #[track_caller]
    pub(crate) fn with_peer(interval: &str) -> Self {
        let lab = Lab::new(2, 1);
        let machine = Machine::boot(&lab, lab.node(0));
        let vip = lab.vip4(0, 1).into();
        let instance = AgentInstance { interval: interval.to_owned(), ..AgentInstance::new(51, 100, &[vip]) };
        let mut site = Self { machine, peer: None, lab };
        site.machine.install(&site.configuration(200, "", "").replace("200ms", interval));
        site.machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
        let mut peer = Agent::start(site.lab.node(1), site.lab.scratch(), &[instance]);
        peer.wait_until_ready(SOON);
        peer.wait_for_state(ROUTER, "BACKUP", SOON);
        site.peer = Some(peer);
        site
    }

    pub(crate) fn configuration(&self, priority: u8, table: &str, rest: &str) -> String {
        let instance = AgentInstance {
            interval: "200ms".to_owned(),
            extra: table.to_owned(),
            ..AgentInstance::new(51, priority, &[self.vip()])
        };
        instance.toml() + rest
    }

    pub(crate) fn vip(&self) -> IpAddr {
        self.lab.vip4(0, 1).into()
    }

    #[track_caller]
    pub(crate) fn peer(&self) -> &Agent {
        self.peer.as_ref().expect("this site has a peer")
    }

    /// Changes of state that the peer has told since.
    #[track_caller]
    pub(crate) fn transitions_of_peer(&self) -> usize {
        self.peer().events(&["instance.state_changed"]).len()
    }
}

/// No more than a ping or two, or what the pinger itself was late by.
#[track_caller]
pub(crate) fn nothing_is_lost(report: &PingReport) {
    println!("{report}");
    let longest = report.longest_outage().duration;
    assert!(longest < Duration::from_millis(30).max(report.worst_pace() * 2), "{report}");
}

/// Entries of the agent's unit, as `journalctl` shows them to programs.
fn entries(machine: &Machine, matches: &str) -> Vec<BTreeMap<String, Value>> {
    let text = machine.run(&format!("journalctl --no-pager --output json {matches}")).1;
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn installed_as_the_readme_says_it_is_confined_punctual_and_says_what_it_does() {
    let site = Site::alone("", "");
    let machine = &site.machine;
    assert_eq!(machine.does("systemd-analyze verify /etc/systemd/system/ha-agent.service"), "");
    let security = machine.does("systemd-analyze security --no-pager ha-agent");
    let score = security.lines().rev().find_map(|line| line.split("ha-agent.service: ").nth(1));
    let score: f64 = score.and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a score");
    assert!(score <= 2.4, "{score}");
    // It is stopped before the network goes, and does not wait for it.
    let after = machine.property("After");
    assert!(after.contains("network.target") && !after.contains("network-online.target"), "{after}");
    let pid = machine.agent();
    let of_process = machine.does(&format!("cat /proc/{pid}/status /proc/{pid}/limits"));
    // CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK and CAP_SYS_NICE, and no way to more.
    for line in ["CapEff:\t0000000000807000", "CapBnd:\t0000000000807000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(of_process.contains(line), "{line}");
    }
    assert!(!of_process.contains("VmLck:\t       0 kB"));
    let files: Vec<&str> = of_process
        .lines()
        .find(|line| line.contains("open files"))
        .expect("a limit")
        .split_whitespace()
        .collect();
    assert!(files[3] == files[4] && files[3].parse::<u32>().is_ok_and(|files| files >= 20_000), "{files:?}");
    let scheduling =
        machine.does(&format!("for t in /proc/{pid}/task/*; do cat $t/comm; chrt -p ${{t##*/}}; done"));
    assert!(scheduling.contains("vrrp\n") && scheduling.contains("SCHED_FIFO"), "{scheduling}");
    assert!(machine.does("hactl doctor").contains("no problem"));
    let modes = machine.does("stat -c '%a %U %n' /run/ha-agent/api.sock /var/lib/ha-agent/history.redb");
    assert_eq!(modes, "660 ha-agent /run/ha-agent/api.sock\n600 ha-agent /var/lib/ha-agent/history.redb\n");
    let took_over = entries(machine, "_SYSTEMD_UNIT=ha-agent.service CAUSE=ACTIVE_DOWN_TIMER TO=ACTIVE");
    assert_eq!(took_over.len(), 1);
    for (field, value) in [
        ("PRIORITY", "6"),
        ("EVENT_TYPE", "instance.state_changed"),
        ("FROM", "BACKUP"),
        ("SYSLOG_IDENTIFIER", "ha-agent"),
    ] {
        assert_eq!(took_over[0][field], value, "{field}");
    }
    let message = took_over[0]["MESSAGE"].as_str().unwrap_or_default();
    assert!(message.starts_with("instances/router-51: BACKUP to ACTIVE"), "{message}");
}

#[test]
fn a_reload_takes_a_file_over_or_fails_and_leaves_the_old_one_in_force() {
    let site = Site::alone("", "");
    let machine = &site.machine;
    let priority = |machine: &Machine| -> Value {
        let list = machine.does("hactl instance list --output json");
        let list: Value = serde_json::from_str(&list).expect("hactl prints JSON");
        list["items"][0]["base_priority"].clone()
    };
    machine.write("etc/ha-agent/ha-agent.toml", &site.configuration(201, "", ""));
    machine.does("systemctl reload ha-agent");
    wait_for("the first reload", SOON, || priority(machine) == 201);
    machine.write("etc/ha-agent/ha-agent.toml", &site.configuration(202, "bogus = 1", ""));
    let pid = machine.agent();
    machine.refuses("systemctl reload ha-agent");
    assert_eq!(priority(machine), 201);
    assert_eq!((machine.agent(), machine.property("ActiveState")), (pid, "active".to_owned()));
    let errors = entries(machine, "_SYSTEMD_UNIT=ha-agent.service PRIORITY=3");
    let says = |text: &str| {
        errors.iter().any(|entry| entry["MESSAGE"].as_str().is_some_and(|said| said.contains(text)))
    };
    assert!(says("has no key \"bogus\"") && says("the old one stays in force"), "{errors:#?}");
    machine.write("etc/ha-agent/ha-agent.toml", &site.configuration(202, "", ""));
    machine.does("systemctl reload ha-agent");
    wait_for("the second reload", SOON, || priority(machine) == 202);
    assert_eq!(site.lab.holders(site.vip()), [0]);
}

#[test]
fn a_hung_agent_is_fenced_by_the_kernel_and_replaced_by_systemd_and_a_killed_one_too() {
    let site = Site::with_peer("200ms");
    let machine = &site.machine;
    machine.does(&format!("kill -STOP {}", machine.agent()));
    let fenced = wait_for("the end of the lease", SOON, || !site.lab.holders(site.vip()).contains(&0));
    wait_for("the peer's takeover", SOON, || site.lab.holders(site.vip()) == [1]);
    let replaced = machine.wait_for_property("NRestarts", "1");
    machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
    println!("fenced after {fenced:?}, replaced {replaced:?} later");
    let journal = machine.does("journalctl --no-pager --unit ha-agent");
    assert!(journal.contains("Watchdog timeout") && journal.contains("Failed with result 'watchdog'"));
    machine.does(&format!("kill -KILL {}", machine.agent()));
    machine.wait_for_property("NRestarts", "2");
    machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
    wait_for("one holder again", SOON, || site.lab.holders(site.vip()) == [0]);
}

#[test]
fn a_restart_and_an_upgrade_are_noticed_by_nobody() {
    // Long enough for a start on a busy machine.
    let site = Site::with_peer("1s");
    let machine = &site.machine;
    let before = site.transitions_of_peer();
    let pinger = Pinger::start(&site.lab.client, site.vip(), Duration::from_millis(1));
    pinger.wait_for_answers(100, SOON);
    let renew = "install -m755 /root/ha-agent/target/release/ha-agent /usr/bin/";
    for line in [
        "systemctl restart ha-agent",
        renew,
        "systemctl restart ha-agent",
        renew,
        "ha-agent upgrade",
        "systemctl restart ha-agent",
    ] {
        let pid = machine.agent();
        machine.does(line);
        machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
        assert!(line == renew || pid != machine.agent(), "{line}");
    }
    pinger.wait_for_answers(1000, SOON);
    let report = pinger.stop();
    nothing_is_lost(&report);
    assert_eq!((site.transitions_of_peer(), machine.property("NRestarts")), (before, "0".to_owned()));
    // systemd follows the process that an upgrade made: it misses it when it dies.
    machine.does("ha-agent upgrade");
    machine.does(&format!("kill -KILL {}", machine.agent()));
    machine.wait_for_property("NRestarts", "1");
}

#[test]
fn an_upgrade_to_what_cannot_start_changes_nothing() {
    let site = Site::alone("", "");
    let machine = &site.machine;
    let pid = machine.agent();
    machine.write("etc/ha-agent/ha-agent.toml", "bogus = 1\n");
    machine.refuses("ha-agent upgrade");
    machine.does(&format!("kill -USR1 {pid}"));
    machine.wait_for_word("journalctl --no-pager --unit ha-agent", "staying in charge");
    assert_eq!((machine.agent(), machine.property("ActiveState")), (pid, "active".to_owned()));
    assert_eq!(site.lab.holders(site.vip()), [0]);
}

#[test]
fn a_stop_hands_over_without_loss() {
    let site = Site::with_peer("200ms");
    let pinger = Pinger::start(&site.lab.client, site.vip(), Duration::from_millis(1));
    pinger.wait_for_answers(100, SOON);
    site.machine.does("systemctl stop ha-agent");
    assert_eq!(site.lab.holders(site.vip()), [1]);
    pinger.wait_for_answers(500, SOON);
    let report = pinger.stop();
    nothing_is_lost(&report);
    assert_eq!(
        (site.machine.property("ActiveState"), site.machine.property("Result")),
        ("inactive".to_owned(), "success".to_owned())
    );
}

#[test]
fn a_stop_may_take_longer_than_the_unit_allows_because_the_agent_says_so() {
    let site = Site::alone("", "[cluster]\nstop_timeout = \"20s\"\n");
    let machine = &site.machine;
    let slow = site.configuration(200, "", "[cluster]\nstop_timeout = \"20s\"\n").replace("200ms", "4s");
    machine.write("etc/ha-agent/ha-agent.toml", &slow);
    machine.write("etc/systemd/system/ha-agent.service.d/short.conf", "[Service]\nTimeoutStopSec=1s\n");
    machine.does("systemctl daemon-reload && systemctl reload ha-agent");
    machine.wait_for_property("StatusText", "1 virtual router: 1 Active");
    let began = SystemTime::now();
    machine.does("systemctl stop ha-agent");
    let took = began.elapsed().unwrap_or_default();
    println!("stopped after {took:?}");
    assert!(took > Duration::from_secs(2), "{took:?}");
    assert_eq!(machine.property("Result"), "success");
    assert!(machine.log().contains("released without a successor"));
}
