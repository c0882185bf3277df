//! A reload touches what changed and nothing else, and a broken configuration changes nothing.

use std::{collections::BTreeSet, net::IpAddr, process::Command};

use ha_tests::{AgentInstance, Capture, Cluster, Lab, Node, Process, Wanted, wait_for};

use crate::common::{FOUR, SIX, SOON, both_families, pair, vip};

/// What the kernel tells about links, addresses, routes and rules of a node, a line for each message.
struct Monitor {
    process: Process,
}

impl Monitor {
    fn start(cluster: &Cluster, node: usize) -> Self {
        let mut command = Command::new("ip");
        command.args(["-o", "monitor", "link", "address", "route", "rule"]);
        let log = cluster.lab.scratch().file(&format!("monitor-{node}.log"));
        let monitor = Self { process: Process::start(cluster.space(node), "ip-monitor", command, &log) };
        monitor.wait_for_a_mark(cluster, node);
        monitor.forget(&log);
        monitor
    }

    fn forget(&self, log: &std::path::Path) {
        // The file is open for appending: what comes next begins at its start.
        std::fs::write(log, "").expect("the log can be emptied");
    }

    /// Makes a change of its own and waits until it is told: everything before it has been told too.
    fn wait_for_a_mark(&self, cluster: &Cluster, node: usize) {
        let before = self.marks();
        wait_for("the monitor", SOON, || {
            cluster.space(node).ip("address replace 127.0.0.77/32 dev lo");
            cluster.space(node).ip("address del 127.0.0.77/32 dev lo");
            self.marks() > before
        });
    }

    fn marks(&self) -> usize {
        self.process.log().lines().filter(|line| line.contains("127.0.0.77")).count()
    }

    /// What was told beside our own marks.
    fn lines(&self, cluster: &Cluster, node: usize) -> Vec<String> {
        self.wait_for_a_mark(cluster, node);
        let log = self.process.log();
        log.lines().filter(|line| !line.contains("127.0.0.77")).map(str::to_owned).collect()
    }
}

/// An owner: Active at once, and silent for 40 s after its first advert.
fn quiet_owner(_: &Node, lab: &Lab) -> Vec<AgentInstance> {
    let vips: Vec<IpAddr> = (1..=100).map(|number| lab.vip4(0, number).into()).collect();
    vec![AgentInstance {
        interval: "40s".to_owned(),
        extra: "address_lease = \"off\"\nannounce = { repeat = 1, delay = \"0s\" }".to_owned(),
        ..AgentInstance::new(51, 255, &vips)
    }]
}

fn body(instances: &[AgentInstance]) -> String {
    instances.iter().map(AgentInstance::toml).collect()
}

fn reload_and_wait(cluster: &Cluster, node: usize) {
    let loaded = || cluster.agent(node).events(&["config.loaded"]).len();
    let before = loaded();
    cluster.agent(node).reload();
    wait_for("the configuration taken over", SOON, || loaded() > before);
}

#[test]
fn the_same_configuration_again_and_again_writes_nothing_and_sends_nothing() {
    let mut cluster = Cluster::start(1, quiet_owner);
    cluster.wait_for_holder(0);
    cluster.agent(0).wait_for_event("instance.announced", SOON, |_| true);
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::VrrpAndAnnouncements);
    let monitor = Monitor::start(&cluster, 0);
    let transitions = |cluster: &Cluster| cluster.agent(0).events(&["instance.*"]).len();
    let before = transitions(&cluster);
    for _ in 0..10 {
        reload_and_wait(&cluster, 0);
    }
    assert_eq!(monitor.lines(&cluster, 0), Vec::<String>::new());
    let adverts = capture.adverts();
    assert!(adverts.is_empty(), "{} adverts", adverts.len());
    assert_eq!(transitions(&cluster), before);
    cluster.audit();
}

#[test]
fn a_storm_of_reloads_harms_nothing() {
    let mut cluster = pair("address_lease = \"off\"");
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    let monitor = Monitor::start(&cluster, 0);
    // As long as 20 adverts take, as fast as it goes.
    wait_for("20 adverts", SOON, || {
        cluster.agent(0).reload();
        capture.adverts().len() >= 20
    });
    cluster.agent(0).wait_for_state(FOUR, "ACTIVE", SOON);
    assert_eq!(monitor.lines(&cluster, 0), Vec::<String>::new());
    assert_eq!(cluster.agent(1).state(FOUR), "BACKUP");
    assert!(capture.adverts().iter().all(|(_, advert)| advert.priority == 200));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn one_address_of_a_hundred_changed_is_one_delete_and_one_add() {
    let mut cluster = Cluster::start(1, quiet_owner);
    cluster.wait_for_holder(0);
    cluster.agent(0).wait_for_event("instance.announced", SOON, |_| true);
    let monitor = Monitor::start(&cluster, 0);
    let mut instances = quiet_owner(cluster.lab.node(0), &cluster.lab);
    let (old, new) = (IpAddr::from(cluster.lab.vip4(0, 40)), IpAddr::from(cluster.lab.vip4(0, 140)));
    for address in instances[0].addresses.iter_mut().filter(|address| **address == old) {
        *address = new;
    }
    cluster.agent(0).rewrite(&body(&instances));
    reload_and_wait(&cluster, 0);
    cluster.now_has(&instances[0].addresses);
    cluster.wait_for_holder(0);
    wait_for("the old address gone", SOON, || !cluster.space(0).has_address(old));

    let lines = monitor.lines(&cluster, 0);
    // The kernel keeps a route in its local table for each address; those lines follow by themselves.
    let of_addresses: Vec<&String> = lines.iter().filter(|line| line.contains(" inet ")).collect();
    assert_eq!(of_addresses.len(), 2, "{lines:#?}");
    let told: BTreeSet<(bool, bool)> = of_addresses
        .iter()
        .map(|line| (line.contains("Deleted"), line.contains(&format!(" {old}/32 "))))
        .collect();
    assert_eq!(told, [(true, true), (false, false)].into(), "{lines:#?}");
    for line in &lines {
        assert!(
            line.contains(&old.to_string()) || line.contains(&new.to_string()),
            "this has nothing to do with the change: {line}"
        );
    }
    cluster.audit();
}

#[test]
fn a_broken_configuration_is_told_with_its_place_and_changes_nothing() {
    let mut cluster = pair("");
    cluster.expect_errors("agent-0.toml");
    cluster.expect_errors("not taken over");
    cluster.expect_errors("config.rejected");
    let good = body(&[crate::common::only_four(cluster.lab.node(0), &cluster.lab, "")]);
    let broken = good.replace("priority = 200", "priority = 100\nprioritty = 7");
    cluster.agent(0).rewrite(&broken);
    cluster.agent(0).reload();
    let event = cluster.agent(0).wait_for_event("config.rejected", SOON, |_| true);
    assert!(event.text("message").contains("prioritty"), "{event:?}");
    assert!(event.text("message").contains("agent-0.toml:"), "no place: {event:?}");
    assert!(cluster.agent(0).process.log().contains("prioritty"), "{}", cluster.agent(0).process.log());
    let instance = cluster.agent(0).instance(FOUR).expect("it answers");
    assert_eq!(instance.number("effective_priority"), 200);
    assert_eq!(instance.text("state"), "ACTIVE");
    let node = cluster.agent(0).ask(&["node", "list"]).to_string();
    assert!(node.contains("ConfigCurrent"), "{node}");
    cluster.wait_for_holder(0);

    cluster.agent(0).rewrite(&good);
    reload_and_wait(&cluster, 0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_configuration_file_that_is_gone_changes_nothing() {
    let mut cluster = pair("");
    cluster.expect_errors("cannot read");
    cluster.expect_errors("not taken over");
    std::fs::remove_file(cluster.agent(0).configuration()).expect("it is there");
    cluster.agent(0).reload();
    cluster.agent(0).wait_for_event("config.rejected", SOON, |_| true);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_priority_changed_in_the_file_moves_the_address() {
    let mut cluster = pair("");
    let mut instance = crate::common::only_four(cluster.lab.node(0), &cluster.lab, "");
    instance.priority = 50;
    cluster.agent(0).rewrite(&instance.toml());
    reload_and_wait(&cluster, 0);
    cluster.wait_for_holder(1);
    let event = cluster.agent(0).wait_for_event("instance.priority_changed", SOON, |_| true);
    assert_eq!(event.text("cause"), "CONFIG_RELOAD", "{event:?}");
    instance.priority = 200;
    cluster.agent(0).rewrite(&instance.toml());
    reload_and_wait(&cluster, 0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn an_interval_changed_in_the_file_is_sent_and_adopted_without_a_transition() {
    let mut cluster = pair("");
    let transitions = |cluster: &Cluster| cluster.agent(1).events(&["instance.state_changed"]).len();
    let before = transitions(&cluster);
    let mut instance = crate::common::only_four(cluster.lab.node(0), &cluster.lab, "");
    instance.interval = "300ms".to_owned();
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    cluster.agent(0).rewrite(&instance.toml());
    reload_and_wait(&cluster, 0);
    wait_for("adverts with the new interval", SOON, || {
        capture.adverts().iter().filter(|(_, advert)| advert.interval == 30).count() >= 5
    });
    let adopted = cluster.agent(1).instance(FOUR).expect("it answers");
    assert_eq!(adopted.text("active_advertisement_interval"), "0.3s", "{adopted:?}");
    assert_eq!(transitions(&cluster), before);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn an_instance_is_added_and_another_removed_while_the_rest_goes_on() {
    let mut cluster = Cluster::start(2, |node, lab| both_families(node, lab, "100ms", ""));
    cluster.wait_for_holder(0);
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    let added = IpAddr::from(cluster.lab.vip4(0, 9));
    let moved = |cluster: &Cluster| {
        let events = cluster.agent(1).events(&["instance.state_changed"]);
        events.iter().filter(|event| event.text("subject").ends_with(FOUR)).count()
    };
    let before = moved(&cluster);
    for node in [1, 0] {
        let mut instances = both_families(cluster.lab.node(node), &cluster.lab, "100ms", "");
        instances.truncate(1);
        let priority = instances[0].priority;
        let more = AgentInstance::new(70, priority, &[added]);
        instances.push(AgentInstance { interval: "100ms".to_owned(), ..more });
        cluster.agent(node).rewrite(&body(&instances));
        reload_and_wait(&cluster, node);
    }
    let removed = IpAddr::from(cluster.lab.vip6(0, 1));
    wait_for("the removed address gone", SOON, || cluster.lab.holders(removed).is_empty());
    let last = capture.adverts().into_iter().rfind(|(_, advert)| advert.vrid == 61);
    assert_eq!(last.map(|(_, advert)| advert.priority), Some(0), "it was not released");
    wait_for("the instance gone from the answers", SOON, || cluster.agent(0).state(SIX).is_empty());
    cluster.now_has(&[vip(&cluster), added]);
    cluster.wait_for_holder(0);
    assert_eq!(moved(&cluster), before, "the untouched instance of node 1 moved");
    cluster.audit();
}

#[test]
fn what_needs_a_restart_is_said_and_not_done() {
    let mut cluster = pair("");
    let instance = crate::common::only_four(cluster.lab.node(0), &cluster.lab, "");
    cluster.agent(0).rewrite(&format!("[metrics]\nlisten = \"127.0.0.1:9650\"\n{}", instance.toml()));
    reload_and_wait(&cluster, 0);
    wait_for("a word about the restart", SOON, || cluster.agent(0).process.log().contains("restart"));
    cluster.wait_for_holder(0);
    cluster.audit();
}
