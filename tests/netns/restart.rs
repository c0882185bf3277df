//! The Active agent is restarted, upgraded, and everything that can go wrong meanwhile: peers notice nothing, clients lose
//! nothing, or it is an ordinary death of a daemon.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use ha_tests::{
    Agent, AgentInstance, Capture, Cluster, Lab, Node, PingReport, Pinger, Told, Wanted, agent_binary, hactl,
    wait_for,
};
use nix::sys::signal::Signal;

use crate::common::{FOUR, SIX, SOON, both_families, only_four, pair, vip};

/// Long enough for a start on a machine that compiles beside it; Active_Down_Interval is 3.2 s and more.
const INTERVAL: &str = "1s";

/// What peers and clients saw since it began.
struct Watch {
    pinger: Pinger,
    capture: Capture,
    began: SystemTime,
}

impl Watch {
    #[track_caller]
    fn start(cluster: &Cluster) -> Self {
        let pinger = Pinger::start(&cluster.lab.client, vip(cluster), Duration::from_millis(1));
        pinger.wait_for_answers(100, SOON);
        let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
        Self { pinger, capture, began: SystemTime::now() }
    }

    /// Nobody but node 0 spoke, nobody released, nobody lost a ping, and no agent but the new one told of anything.
    #[track_caller]
    fn assert_silent(self, cluster: &Cluster) {
        // As long as a peer would take to take over.
        std::thread::sleep(Duration::from_millis(3700));
        let adverts = self.capture.adverts();
        let own = adverts.iter().all(|(_, advert)| is_from(cluster.lab.node(0), advert.source));
        let priorities: BTreeSet<u8> = adverts.iter().map(|(_, advert)| advert.priority).collect();
        assert!(own && priorities == [200].into(), "{adverts:#?}");
        let report = self.pinger.stop();
        println!("{report}");
        assert_lossless(&report);
        for node in 1..cluster.lab.nodes().len() {
            let told = changes_since(cluster.agent(node), self.began);
            assert_eq!(told, Vec::<Told>::new(), "node {node}");
        }
        assert_eq!(changes_since(cluster.agent(0), self.began), Vec::<Told>::new());
    }
}

/// A busy machine may answer a ping later than it counts; an address that was not there would lose more at once.
#[track_caller]
fn assert_lossless(report: &PingReport) {
    const MACHINE: Duration = Duration::from_millis(30);
    let allowed = MACHINE.max(report.worst_pace() * 2);
    assert!(report.longest_outage().duration < allowed, "{report}");
}

fn is_from(node: &Node, source: IpAddr) -> bool {
    [IpAddr::from(node.address4(0)), node.link_local(0).into()].contains(&source)
}

/// Everything that would be news to somebody on call.
fn changes_since(agent: &Agent, began: SystemTime) -> Vec<Told> {
    let kinds = [
        "instance.state_changed",
        "group.state_changed",
        "instance.priority_changed",
        "instance.duplicate_active_began",
        "vip.*",
    ];
    let began = began.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let is_new = |event: &Told| seconds_of(event.text("event_time")) > began;
    agent.events(&kinds).into_iter().filter(is_new).collect()
}

/// Seconds since 1970 of "2026-11-26T20:32:33.123Z".
fn seconds_of(time: &str) -> f64 {
    let number =
        |range: std::ops::Range<usize>| time.get(range).and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let days = days_since_1970(number(0..4) as i64, number(5..7) as i64, number(8..10) as i64) as f64;
    let fraction = time.get(17..).map(|text| text.trim_end_matches('Z')).and_then(|text| text.parse().ok());
    days * 86_400.0 + number(11..13) * 3600.0 + number(14..16) * 60.0 + fraction.unwrap_or(0.0)
}

/// Of the Gregorian calendar: years begin in March, so that a leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[track_caller]
fn cluster_of(nodes: u8, instances: impl Fn(&Node, &Lab) -> Vec<AgentInstance>) -> Cluster {
    let mut cluster = Cluster::start(nodes, instances);
    cluster.wait_for_holder(0);
    cluster.audit();
    cluster
}

#[track_caller]
fn pair_at(interval: &str, extra: &str) -> Cluster {
    cluster_of(2, |node, lab| {
        vec![AgentInstance { interval: interval.to_owned(), ..only_four(node, lab, extra) }]
    })
}

/// To the millisecond: each process has its own idea of the wall clock.
#[track_caller]
fn taken_over_at(cluster: &Cluster) -> String {
    let shown = cluster.agent(0).instance(FOUR).expect("it answers");
    shown.text("last_transition_time").get(..23).expect("with a fraction").to_owned()
}

#[track_caller]
fn adopted(cluster: &Cluster, name: &str, state: &str) -> Told {
    cluster.agent(0).wait_for_event("instance.adopted", SOON, |event| {
        event.text("subject").ends_with(name) && event.text("current_state") == state
    })
}

#[test]
fn a_restart_of_the_active_agent_is_no_transition_and_loses_no_ping() {
    let mut cluster = cluster_of(3, |node, lab| both_families(node, lab, INTERVAL, ""));
    let since = taken_over_at(&cluster);
    let watch = Watch::start(&cluster);
    for _ in 0..3 {
        cluster.hand_on(0);
        for name in [FOUR, SIX] {
            let event = adopted(&cluster, name, "ACTIVE");
            println!("{}", event.text("message"));
            assert_eq!((event.text("previous_state"), event.text("cause")), ("ACTIVE", "AGENT_START"));
        }
    }
    watch.assert_silent(&cluster);
    assert_eq!(taken_over_at(&cluster), since, "it has held them since before");
    cluster.audit();
}

#[test]
fn virtual_macs_and_their_links_survive_a_restart_and_leave_no_trace_afterwards() {
    let extra = "virtual_mac = true";
    let mut cluster = cluster_of(2, |node, lab| both_families(node, lab, INTERVAL, extra));
    // A link that has sent nothing yet has an unknown state, which says nothing about whether it is the same.
    let links = |cluster: &Cluster| {
        cluster.space(0).ip("-o link show type macvlan").replace("state UNKNOWN", "state UP")
    };
    let quiet = |cluster: &Cluster| {
        let read = |key: &str| {
            cluster.space(0).run(|| std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/eth0/{key}")))
        };
        ["arp_ignore", "arp_announce"].map(|key| read(key).unwrap_or_default().trim().to_owned())
    };
    let before = links(&cluster);
    let watch = Watch::start(&cluster);
    cluster.hand_on(0);
    adopted(&cluster, SIX, "ACTIVE");
    watch.assert_silent(&cluster);
    assert_eq!(links(&cluster), before, "the same links, not new ones");
    cluster.audit();
    assert_eq!(quiet(&cluster), ["1", "2"]);
    cluster.agent_mut(0).process.terminate(SOON);
    cluster.wait_for_holder(1);
    assert_eq!((links(&cluster), quiet(&cluster)), (String::new(), ["0".to_owned(), "0".to_owned()]));
}

#[test]
fn version_2_unicast_an_address_owner_and_a_sync_group_survive_a_restart() {
    let mut cluster = cluster_of(2, |node, lab| {
        let of = |vrid: u8, extra: String| {
            let addresses = [lab.vip4(0, u16::from(vrid) - 50).into()];
            let priority = if node.index() == 0 { 200 } else { 100 };
            AgentInstance { extra, ..AgentInstance::new(vrid, priority, &addresses) }
        };
        let peer = lab.node(1 - node.index()).address4(0);
        let owner =
            AgentInstance { priority: if node.index() == 0 { 255 } else { 100 }, ..of(54, String::new()) };
        vec![
            AgentInstance { version: 2, ..of(51, "password = \"secret\"".to_owned()) },
            of(52, format!("[instance.unicast]\npeers = [\"{peer}\"]")),
            owner,
            of(55, "group = \"edge\"".to_owned()),
            of(56, "group = \"edge\"".to_owned()),
        ]
    });
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), Duration::from_millis(1));
    pinger.wait_for_answers(100, SOON);
    let began = SystemTime::now();
    cluster.hand_on(0);
    for vrid in [51, 52, 54, 55, 56] {
        adopted(&cluster, &format!("router-{vrid}"), "ACTIVE");
    }
    std::thread::sleep(Duration::from_millis(3700));
    for node in [0, 1] {
        assert_eq!(changes_since(cluster.agent(node), began), Vec::<Told>::new(), "node {node}");
    }
    assert_lossless(&pinger.stop());
    cluster.audit();
}

#[test]
fn a_restarted_backup_says_nothing_and_goes_on_listening() {
    let mut cluster = pair_at(INTERVAL, "");
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    let began = SystemTime::now();
    cluster.hand_on(1);
    let event = cluster.agent(1).wait_for_event("instance.adopted", SOON, |_| true);
    assert_eq!(event.text("current_state"), "BACKUP");
    std::thread::sleep(Duration::from_millis(3700));
    assert!(capture.adverts().iter().all(|(_, advert)| is_from(cluster.lab.node(0), advert.source)));
    assert_eq!(changes_since(cluster.agent(1), began), Vec::<Told>::new());
    // And it still does its duty.
    cluster.agent_mut(0).process.kill();
    cluster.wait_for_holder(1);
    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn an_override_survives_a_restart_with_its_reason_and_its_actor() {
    let mut cluster = pair_at(INTERVAL, "");
    let words = ["instance", "priority", "set", "node-0/router-51", "180", "--reason", "ticket 7", "--yes"];
    let output = hactl(&[cluster.agent(0), cluster.agent(1)], &words);
    assert!(output.status.success(), "{output:?}");
    let shown = |cluster: &Cluster| {
        // Times differ by nanoseconds: each process has its own idea of the wall clock.
        let whole = cluster.agent(0).instance(FOUR).expect("it answers").0["priority_override"].clone();
        ["priority", "reason", "actor"].map(|key| whole[key].clone())
    };
    let before = shown(&cluster);
    assert_eq!(before[1].as_str(), Some("ticket 7"), "{before:?}");
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    cluster.hand_on(0);
    adopted(&cluster, FOUR, "ACTIVE");
    assert_eq!(shown(&cluster), before);
    let priorities: BTreeSet<u8> = capture.adverts().iter().map(|(_, advert)| advert.priority).collect();
    assert_eq!(priorities, [180].into());
    cluster.audit();
}

#[test]
fn a_check_that_passes_goes_on_counting_before_it_has_run_again() {
    // Without it, node 0 would be worse than node 1.
    let lab = Lab::new(2, 1);
    let start = |node: &Node| {
        let check = "[[check]]\nname = \"slow\"\nkind = \"script\"\ncommand = [\"/bin/sleep\", \"2\"]\n\
                     interval = \"5s\"\ntimeout = \"4s\"\nuser = \"root\"\n";
        let (priority, track) =
            [(100, "track = [{ check = \"slow\", weight = 60 }]"), (150, "")][node.index()];
        let router = AgentInstance {
            priority,
            extra: track.to_owned(),
            ..AgentInstance::new(51, priority, &[lab.vip4(0, 1).into()])
        };
        Agent::start_with(node, lab.scratch(), &format!("{check}{}", router.toml()))
    };
    let mut agents: Vec<Agent> = lab.nodes().iter().map(start).collect();
    agents.iter_mut().for_each(|agent| agent.wait_until_ready(SOON));
    agents[0].wait_for_state(FOUR, "ACTIVE", SOON);
    agents[1].wait_for_state(FOUR, "BACKUP", SOON);
    let capture = Capture::start(&lab.switch, "br0", Wanted::Vrrp);
    agents[0].hand_on(lab.node(0));
    agents[0].wait_until_ready(SOON);
    wait_for("five more adverts", SOON, || capture.adverts().len() >= 6);
    for (_, advert) in capture.adverts() {
        assert!(advert.priority == 160 && is_from(lab.node(0), advert.source), "{advert}");
    }
}

#[test]
fn with_another_configuration_only_what_is_the_same_router_is_gone_on_with() {
    let lab_vip = |lab: &Lab, number: u16| IpAddr::from(lab.vip4(0, number));
    let routers = |node: &Node, lab: &Lab, second: u8| {
        let priority = if node.index() == 0 { 200 } else { 100 };
        vec![
            AgentInstance::new(51, priority, &[lab_vip(lab, 1)]),
            AgentInstance {
                name: "moved".to_owned(),
                ..AgentInstance::new(second, priority, &[lab_vip(lab, 2)])
            },
        ]
    };
    let mut cluster = cluster_of(2, |node, lab| routers(node, lab, 52));
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), Duration::from_millis(1));
    pinger.wait_for_answers(100, SOON);
    let body: String =
        routers(cluster.lab.node(0), &cluster.lab, 53).iter().map(AgentInstance::toml).collect();
    cluster.agent(0).rewrite(&body);
    cluster.hand_on(0);
    adopted(&cluster, FOUR, "ACTIVE");
    let added = cluster.agent(0).wait_for_event("instance.state_changed", SOON, |_| true);
    assert_eq!((added.text("current_state"), added.text("cause")), ("BACKUP", "AGENT_START"), "{added:?}");
    let told = cluster.agent(0).events(&["instance.adopted"]);
    assert_eq!(told.len(), 1, "{told:?}");
    // The other node takes the router that is no longer here, and node 0 becomes Active for another of the same address.
    cluster.agent(1).wait_for_state("moved", "ACTIVE", SOON);
    assert_lossless(&pinger.stop());
}

#[test]
fn when_the_next_process_cannot_read_its_configuration_the_kernel_and_the_peer_do_what_they_do_for_a_dead_daemon()
 {
    let mut cluster = pair_at(INTERVAL, "");
    let good = std::fs::read_to_string(cluster.agent(0).configuration()).expect("it is ours");
    std::fs::write(cluster.agent(0).configuration(), "[[instance]]\nname = 7\n").expect("it is ours");
    cluster.agent_mut(0).hand_on_to_nobody();
    let output = cluster.space(0).run(|| {
        std::process::Command::new(agent_binary())
            .arg("run")
            .arg("--config")
            .arg(cluster.agent(0).configuration())
            .output()
    });
    assert_eq!(output.expect("it starts").status.code(), Some(2));
    cluster.wait_for_holder(1);
    cluster.agent(1).wait_for_event("instance.state_changed", SOON, |event| {
        event.text("cause") == "ACTIVE_DOWN_TIMER"
            && event.text("current_state") == "ACTIVE"
            && event.0["evidence"]["peer_address"].is_string()
    });
    std::fs::write(cluster.agent(0).configuration(), good).expect("it is ours");
    cluster.restart(0);
    // Too late: as after any start.
    cluster.agent_mut(0).process.wait_for_log("it is too old", SOON);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_process_that_comes_too_late_makes_no_second_holder() {
    let mut cluster = pair("preempt = false");
    for late in [0, 100, 200, 250, 300, 400] {
        if !cluster.holders().values().all(|held| *held == [0]) {
            let agent = cluster.agent_mut(1);
            agent.process.terminate(SOON);
            cluster.wait_for_holder(0);
            cluster.restart(1);
            cluster.agent(1).wait_for_state(FOUR, "BACKUP", SOON);
        }
        cluster.agent_mut(0).hand_on_to_nobody();
        std::thread::sleep(Duration::from_millis(late));
        cluster.restart(0);
        // Whoever holds it: one, by kernel, by ARP and by what they say.
        cluster.audit();
        println!("{late} ms: {:?}", cluster.holders());
    }
}

#[test]
fn cleaning_up_between_the_two_processes_takes_nothing_away_and_after_a_crash_everything() {
    let mut cluster = pair_at(INTERVAL, "");
    let clean_up = |cluster: &Cluster| {
        let command = || {
            let mut command = std::process::Command::new(agent_binary());
            command.arg("cleanup").arg("--config").arg(cluster.agent(0).configuration()).output()
        };
        String::from_utf8_lossy(&cluster.space(0).run(command).expect("it starts").stdout).into_owned()
    };
    let watch = Watch::start(&cluster);
    cluster.agent_mut(0).hand_on_to_nobody();
    let said = clean_up(&cluster);
    assert!(said.contains("left its addresses to the next process"), "{said}");
    cluster.restart(0);
    cluster.agent_mut(0).wait_until_ready(SOON);
    adopted(&cluster, FOUR, "ACTIVE");
    watch.assert_silent(&cluster);
    cluster.agent_mut(0).process.kill();
    let said = clean_up(&cluster);
    assert!(said.contains("removed address"), "{said}");
    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_process_that_is_killed_while_it_leaves_is_a_dead_daemon_or_has_left() {
    let mut cluster = pair_at(INTERVAL, "");
    for delay in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
        cluster.agent(0).process.signal(Signal::SIGUSR2);
        std::thread::sleep(Duration::from_millis(delay));
        cluster.agent_mut(0).process.kill();
        cluster.restart(0);
        cluster.agent_mut(0).wait_until_ready(SOON);
        let told = cluster.agent(0).events(&["instance.adopted"]).len();
        println!("killed after {delay} ms: {told} gone on with");
        cluster.wait_for_holder(0);
    }
    cluster.audit();
}

#[test]
fn a_stop_while_it_leaves_releases_and_a_stop_at_once_wins() {
    let mut cluster = pair_at(INTERVAL, "");
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    for signals in [[Signal::SIGTERM, Signal::SIGUSR2], [Signal::SIGUSR2, Signal::SIGTERM]] {
        capture.clear();
        signals.iter().for_each(|signal| cluster.agent(0).process.signal(*signal));
        assert_eq!(cluster.agent_mut(0).process.wait(SOON).code(), Some(0));
        // Nothing is left for a next process: it says that it releases, and where it would have gone on there is nothing.
        let last = || {
            let sent = capture.adverts();
            let own = sent.iter().rfind(|(_, advert)| is_from(cluster.lab.node(0), advert.source));
            own.map(|(_, advert)| advert.priority)
        };
        wait_for("its last word is that it releases", SOON, || last() == Some(0));
        assert!(!legacy_of(cluster.agent(0)).exists(), "{signals:?}");
        cluster.wait_for_holder(1);
        cluster.restart(0);
        cluster.wait_for_holder(0);
    }
    cluster.audit();
}

#[test]
fn what_was_left_is_gone_on_with_once_and_a_copy_of_it_is_of_no_use() {
    let mut cluster = pair_at(INTERVAL, "preempt = false");
    cluster.agent_mut(0).hand_on_to_nobody();
    let file = legacy_of(cluster.agent(0));
    let copy = std::fs::read(&file).expect("it was left");
    cluster.restart(0);
    cluster.agent_mut(0).wait_until_ready(SOON);
    adopted(&cluster, FOUR, "ACTIVE");
    assert!(!file.exists(), "it was taken");
    cluster.agent_mut(0).process.kill();
    cluster.wait_for_holder(1);
    // Of the same boot and network, and everything in it is right, but its time is over.
    std::fs::write(&file, copy).expect("it is ours");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("it is ours");
    cluster.restart(0);
    cluster.agent(0).wait_for_state(FOUR, "BACKUP", SOON);
    cluster.agent_mut(0).process.wait_for_log("it is too old", SOON);
    assert!(!file.exists());
    cluster.wait_for_holder(1);
    cluster.audit();
}

#[test]
fn a_second_agent_beside_the_first_ends_and_takes_nothing() {
    let mut cluster = pair_at(INTERVAL, "");
    let watch = Watch::start(&cluster);
    for _ in 0..3 {
        let output = cluster.space(0).run(|| {
            let mut command = std::process::Command::new(agent_binary());
            command.arg("run").arg("--config").arg(cluster.agent(0).configuration()).output()
        });
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains("another agent is running"), "{output:?}");
    }
    watch.assert_silent(&cluster);
    cluster.hand_on(0);
    adopted(&cluster, FOUR, "ACTIVE");
    cluster.audit();
}

#[test]
fn two_hundred_routers_are_gone_on_with_together() {
    const COUNT: u8 = 200;
    let mut cluster = cluster_of(2, |node, lab| {
        let priority = if node.index() == 0 { 200 } else { 100 };
        (1..=COUNT)
            .map(|vrid| AgentInstance::new(vrid, priority, &[lab.vip4(0, vrid.into()).into()]))
            .collect()
    });
    let watch = Watch::start(&cluster);
    cluster.hand_on(0);
    wait_for("all gone on with", SOON, || {
        cluster.agent(0).events(&["instance.adopted"]).len() == usize::from(COUNT)
    });
    watch.assert_silent(&cluster);
    cluster.audit();
}

#[test]
fn a_next_process_that_is_started_first_goes_on_within_milliseconds() {
    let mut cluster = cluster_of(2, |node, lab| both_families(node, lab, "100ms", ""));
    let watch = Watch::start(&cluster);
    for _ in 0..5 {
        let (agent, node) = cluster.agent_and_node(0);
        agent.replace(node);
        cluster.agent_mut(0).wait_until_ready(SOON);
        println!("{}", adopted(&cluster, FOUR, "ACTIVE").text("message"));
    }
    watch.assert_silent(&cluster);
    cluster.audit();
    // Where nobody runs, it is an ordinary start.
    cluster.agent_mut(0).process.kill();
    cluster.wait_for_holder(1);
    let (agent, node) = cluster.agent_and_node(0);
    agent.start_to_replace(node);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn an_upgrade_starts_the_next_process_and_one_that_cannot_start_costs_nothing() {
    let mut cluster = pair_at(INTERVAL, "");
    let good = std::fs::read_to_string(cluster.agent(0).configuration()).expect("it is ours");
    let upgrade = |cluster: &Cluster| {
        let command = || {
            let mut command = std::process::Command::new(agent_binary());
            command.arg("upgrade").arg("--config").arg(cluster.agent(0).configuration()).output()
        };
        cluster.space(0).run(command).expect("it starts")
    };
    let watch = Watch::start(&cluster);
    std::fs::write(cluster.agent(0).configuration(), "[[instance]]\nname = 7\n").expect("it is ours");
    assert_eq!(upgrade(&cluster).status.code(), Some(2));
    // Nobody checks before: the next process ends, the running one stays.
    cluster.agent(0).process.signal(Signal::SIGUSR1);
    cluster.agent_mut(0).process.wait_for_log("staying in charge", SOON);
    cluster.agent(0).wait_for_state(FOUR, "ACTIVE", SOON);

    std::fs::write(cluster.agent(0).configuration(), good).expect("it is ours");
    let output = upgrade(&cluster);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{output:?}");
    let next = said.split_whitespace().nth(1).and_then(|pid| pid.parse().ok()).expect("it names the process");
    let next = Orphan(nix::unistd::Pid::from_raw(next));
    assert_eq!(cluster.agent_mut(0).process.wait(SOON).code(), Some(0));
    adopted(&cluster, FOUR, "ACTIVE");
    watch.assert_silent(&cluster);
    next.end();
    cluster.wait_for_holder(1);
}

/// A process that is nobody's child here.
struct Orphan(nix::unistd::Pid);

impl Orphan {
    #[track_caller]
    fn end(self) {
        nix::sys::signal::kill(self.0, Signal::SIGTERM).expect("it runs");
        wait_for("its end", SOON, || nix::sys::signal::kill(self.0, None).is_err());
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.0, Signal::SIGKILL);
    }
}

fn legacy_of(agent: &Agent) -> PathBuf {
    PathBuf::from(format!("{}.legacy", agent.socket().display()))
}
