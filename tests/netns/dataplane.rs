//! Links and addresses change under the agent's feet: it follows, restores, yields or says why it cannot.

use std::{
    net::IpAddr,
    process::Command,
    time::{Duration, Instant},
};

use ha_tests::{
    AgentInstance, Capture, Cluster, Lab, Namespace, Process, VrrpFrame, Wanted, agent_binary, wait_for,
};

use crate::common::{FOUR, SIX, SOON, both_families, only_four, pair, usual_cluster, vip};

#[test]
fn a_pulled_cable_is_a_fault_with_its_reason_and_heals_by_itself() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("FAULT");
    cluster.lab.unplug(cluster.lab.node(0), 0);
    cluster.agent(0).wait_for_state(FOUR, "FAULT", SOON);
    cluster.agent(0).wait_for_state(SIX, "FAULT", SOON);
    let instance = cluster.agent(0).instance(FOUR).expect("it answers");
    assert_eq!(instance.texts("fault_reasons").len(), 1, "{instance:?}");
    println!("{:?}", instance.texts("fault_reasons"));
    cluster.wait_for_holder(1);

    cluster.lab.plug(cluster.lab.node(0), 0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_flapping_link_ends_in_one_holder_and_few_transitions_at_the_others() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("FAULT");
    let count = |cluster: &Cluster| {
        cluster.agent(1).instance(FOUR).map_or(0, |instance| instance.number("transition_count"))
    };
    let before = count(&cluster);
    for _ in 0..20 {
        cluster.lab.unplug(cluster.lab.node(0), 0);
        cluster.lab.plug(cluster.lab.node(0), 0);
    }
    cluster.wait_for_holder(0);
    cluster.audit();
    let moved = count(&cluster) - before;
    println!("{moved} transitions of node 1");
    assert!(moved <= 8, "{moved} transitions of node 1");
}

#[test]
fn a_link_that_is_deleted_and_made_anew_is_used_again() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("FAULT");
    cluster.lab.node(0).delete_link(0);
    cluster.agent(0).wait_for_state(FOUR, "FAULT", SOON);
    let instance = cluster.agent(0).instance(FOUR).expect("it answers");
    assert_eq!(instance.texts("fault_reasons"), ["there is no link eth0"], "{instance:?}");
    cluster.wait_for_holder(1);

    cluster.lab.recreate_link(cluster.lab.node(0), 0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_link_that_is_not_there_at_the_start_is_a_fault_until_it_appears() {
    let lab = Lab::new(2, 1);
    lab.node(0).delete_link(0);
    let mut cluster = Cluster::start_in(lab, |node, lab| both_families(node, lab, "100ms", ""));
    cluster.expect_errors("FAULT");
    cluster.agent(0).wait_for_state(FOUR, "FAULT", SOON);
    let instance = cluster.agent(0).instance(FOUR).expect("it answers");
    assert_eq!(instance.texts("fault_reasons"), ["there is no link eth0"], "{instance:?}");
    cluster.wait_for_holder(1);

    cluster.lab.recreate_link(cluster.lab.node(0), 0);
    cluster.wait_for_holder(0);
    wait_for("both families Active", SOON, || {
        [FOUR, SIX].iter().all(|name| cluster.agent(0).state(name) == "ACTIVE")
    });
}

#[test]
fn an_address_never_stays_on_a_link_that_was_renamed_away_and_comes_back_with_the_name() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("FAULT");
    // Kernels before 6.2 rename only what is down.
    cluster.lab.node(0).link_down(0);
    cluster.lab.node(0).rename_link("eth0", "other").expect("a link that is down can be renamed");
    cluster.lab.node(0).space.ip("link set other up");
    cluster.agent(0).wait_for_state(FOUR, "FAULT", SOON);
    cluster.wait_for_holder(1);
    cluster.lab.node(0).space.ip("link set other down");
    cluster.lab.node(0).rename_link("other", "eth0").expect("a link that is down can be renamed");
    cluster.lab.node(0).link_up(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_rename_while_the_link_is_up_moves_the_addresses_to_another_node() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("FAULT");
    if let Err(refusal) = cluster.lab.node(0).rename_link("eth0", "other") {
        // Before Linux 6.2 there is no such thing; the kernel says so.
        assert!(refusal.contains("busy"), "{refusal}");
        return;
    }
    cluster.agent(0).wait_for_state(FOUR, "FAULT", SOON);
    cluster.wait_for_holder(1);
    cluster.lab.node(0).rename_link("other", "eth0").expect("and back");
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_link_that_is_moved_to_another_namespace_is_a_fault_and_no_end() {
    let mut cluster = pair("");
    cluster.expect_errors("FAULT");
    let elsewhere = Namespace::create(&format!("{}-elsewhere", cluster.lab.scratch().name()));
    cluster.space(0).ip(&format!("link set eth0 netns {}", elsewhere.name()));
    cluster.agent(0).wait_for_state(FOUR, "FAULT", SOON);
    cluster.wait_for_holder(1);
    drop(elsewhere);
    let port = format!("link show dev {}", cluster.lab.node(0).port(0));
    wait_for("the link gone with its namespace", SOON, || cluster.lab.switch.try_ip(&port).is_err());
    cluster.lab.recreate_link(cluster.lab.node(0), 0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn addresses_of_others_are_not_touched() {
    let mut cluster = pair("");
    let foreign: IpAddr = "10.80.200.7".parse().expect("an address");
    for node in [0, 1] {
        cluster.space(node).ip(&format!("address add {foreign}/32 dev eth0"));
    }
    // The virtual address itself, put on the Backup by hand: not ours to remove.
    let vip = vip(&cluster);
    cluster.space(1).ip(&format!("address add {vip}/32 dev eth0"));
    cluster.lab.cut_off(cluster.lab.node(0));
    cluster.expect_errors("FAULT");
    cluster.agent(1).wait_for_state(FOUR, "ACTIVE", SOON);
    cluster.lab.reconnect(cluster.lab.node(0));
    cluster.agent(0).wait_for_state(FOUR, "ACTIVE", SOON);
    cluster.agent(1).wait_for_state(FOUR, "BACKUP", SOON);
    assert!(cluster.space(1).has_address(vip), "the operator's address was taken");
    cluster.space(1).ip(&format!("address del {vip}/32 dev eth0"));
    for node in [0, 1] {
        assert!(cluster.space(node).has_address(foreign), "the foreign address of node {node} was taken");
        cluster.space(node).ip(&format!("address del {foreign}/32 dev eth0"));
    }
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn an_address_that_somebody_removes_is_put_back_with_an_event() {
    let mut cluster = usual_cluster();
    for (address, prefix) in [(vip(&cluster), 32), (IpAddr::from(cluster.lab.vip6(0, 1)), 128)] {
        cluster.space(0).ip(&format!("address del {address}/{prefix} dev eth0"));
        let begin = Instant::now();
        wait_for("the address back", SOON, || cluster.space(0).has_address(address));
        println!("{address} was away for at most {:?}", begin.elapsed());
        cluster
            .agent(0)
            .wait_for_event("vip.lost", SOON, |event| event.text("subject").ends_with(&address.to_string()));
    }
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn who_fights_for_an_address_gets_it_after_a_while_and_another_node_takes_over() {
    let mut cluster = pair("");
    cluster.expect_errors("FAULT");
    let vip = vip(&cluster);
    wait_for("node 0 giving up", SOON, || {
        let _ = cluster.space(0).try_ip(&format!("address del {vip}/32 dev eth0"));
        cluster.agent(0).state(FOUR) != "ACTIVE"
    });
    cluster.wait_for_holder(1);
    let lost = cluster.agent(0).events(&["vip.lost"]).len();
    assert!((2..=12).contains(&lost), "{lost} losses");
    let event = cluster
        .agent(0)
        .wait_for_event("instance.state_changed", SOON, |event| event.text("previous_state") == "ACTIVE");
    assert_eq!(event.text("cause"), "ADDRESS_CONFLICT", "{event:?}");
    // Node 0 stays away for a minute.
    cluster.expect_verdict("DEGRADED");
    cluster.audit();
}

#[test]
fn with_the_release_policy_an_address_that_somebody_removes_moves_at_once() {
    let mut cluster = pair("address_lost = \"release\"");
    cluster.expect_errors("FAULT");
    let vip = vip(&cluster);
    cluster.space(0).ip(&format!("address del {vip}/32 dev eth0"));
    cluster.wait_for_holder(1);
    let event = cluster
        .agent(0)
        .wait_for_event("instance.state_changed", SOON, |event| event.text("previous_state") == "ACTIVE");
    assert_eq!(event.text("cause"), "ADDRESS_CONFLICT", "{event:?}");
    // Node 0 stays away for a minute.
    cluster.expect_verdict("DEGRADED");
    cluster.audit();
}

#[test]
fn without_a_base_address_the_instance_is_in_fault_until_there_is_one() {
    let mut cluster = pair("");
    cluster.expect_errors("FAULT");
    let base = cluster.lab.node(0).address4(0);
    cluster.space(0).ip(&format!("address del {base}/16 dev eth0"));
    cluster.agent(0).wait_for_state(FOUR, "FAULT", SOON);
    let instance = cluster.agent(0).instance(FOUR).expect("it answers");
    let reasons = instance.texts("fault_reasons").join(" ");
    assert!(reasons.contains("no address to send adverts from"), "{instance:?}");
    cluster.wait_for_holder(1);

    cluster.space(0).ip(&format!("address add {base}/16 dev eth0"));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn without_a_link_local_address_ipv6_alone_is_in_fault() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("FAULT");
    let base = cluster.lab.node(0).link_local(0);
    let six = IpAddr::from(cluster.lab.vip6(0, 1));
    cluster.space(0).ip(&format!("address del {base}/64 dev eth0"));
    cluster.agent(0).wait_for_state(SIX, "FAULT", SOON);
    wait_for("the IPv6 address on node 1", SOON, || cluster.lab.holders(six) == [1]);
    assert_eq!(cluster.agent(0).state(FOUR), "ACTIVE");
    assert_eq!(cluster.lab.holders(vip(&cluster)), [0]);

    cluster.space(0).ip(&format!("address add {base}/64 dev eth0 nodad"));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_virtual_address_that_goes_with_the_primary_address_of_its_network_comes_back() {
    // In the network of the base address and not alone in its prefix: the kernel makes it a secondary address.
    let lab = Lab::new(2, 1);
    for node in lab.nodes() {
        node.space.sysctl("ipv4/conf/all/promote_secondaries", "0");
        node.space.sysctl("ipv4/conf/eth0/promote_secondaries", "0");
    }
    let mut cluster = Cluster::start_in(lab, |node, lab| vec![only_four(node, lab, "")]);
    cluster.expect_errors("FAULT");
    let vip = vip(&cluster);
    let body = |cluster: &Cluster, node: usize| {
        let instance = only_four(cluster.lab.node(node), &cluster.lab, "");
        instance.toml().replace(&format!("\"{vip}\""), &format!("\"{vip}/16\""))
    };
    for node in [0, 1] {
        cluster.agent(node).rewrite(&body(&cluster, node));
        cluster.agent(node).reload();
        cluster
            .agent(node)
            .wait_for_event("config.loaded", SOON, |event| event.text("cause") == "CONFIG_RELOAD");
    }
    cluster.wait_for_holder(0);
    let base = cluster.lab.node(0).address4(0);
    cluster.space(0).ip(&format!("address del {base}/16 dev eth0"));
    cluster.wait_for_holder(1);
    cluster.space(0).ip(&format!("address add {base}/16 dev eth0"));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn adverts_that_the_firewall_refuses_are_said_and_harm_nothing_after_it() {
    let mut cluster = pair("");
    cluster.lab.node(0).cut_vrrp(ha_tests::Direction::Out);
    cluster.expect_errors("is Active too");
    cluster.agent(1).wait_for_state(FOUR, "ACTIVE", SOON);
    let log = |cluster: &Cluster| cluster.agent(0).process.log();
    wait_for("a word about it", SOON, || log(&cluster).contains("Operation not permitted"));
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    wait_for("30 adverts of node 1", SOON, || capture.adverts().len() >= 30);
    let lines = log(&cluster).lines().filter(|line| line.contains("Operation not permitted")).count();
    assert!(lines <= 5, "{lines} lines about refused adverts:\n{}", log(&cluster));

    cluster.lab.node(0).heal_vrrp();
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn adverts_longer_than_the_link_takes_travel_in_pieces_and_move_nothing() {
    let mut cluster = Cluster::start(2, |node, lab| {
        let vips = (1..=40).map(|number| lab.vip4(0, number).into()).collect();
        vec![AgentInstance { addresses: vips, ..only_four(node, lab, "") }]
    });
    cluster.wait_for_holder(0);
    let moved = |cluster: &Cluster| cluster.agent(1).events(&["instance.state_changed"]).len();
    let before = moved(&cluster);
    // An advert with 40 addresses has 188 octets.
    cluster.space(0).ip("link set eth0 mtu 100");
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::All);
    let is_piece = |bytes: &[u8]| {
        bytes.get(12..14) == Some(&[8, 0][..]) && bytes.get(23) == Some(&112) && bytes.len() <= 114
    };
    wait_for("40 pieces", SOON, || {
        capture.frames().iter().filter(|frame| is_piece(&frame.bytes)).count() >= 40
    });
    assert_eq!(moved(&cluster), before, "the Backup moved");
    cluster.space(0).ip("link set eth0 mtu 1500");
    // Below 1280 there is no IPv6, and its addresses were gone.
    cluster.lab.node(0).link_up(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_storm_of_netlink_messages_loses_nothing() {
    let mut cluster = pair("");
    let vip = vip(&cluster);
    cluster.space(0).ip("link add storm type bridge");
    cluster.space(0).ip("link set storm up");
    for round in 0..4 {
        let lines = |verb: &str| -> String {
            let line = |number: u32| {
                format!("address {verb} 172.16.{}.{}/32 dev storm\n", number / 250, number % 250 + 1)
            };
            (0..2000).map(line).collect()
        };
        cluster.space(0).ip_batch(&lines("add"));
        if round == 2 {
            cluster.space(0).ip(&format!("address del {vip}/32 dev eth0"));
        }
        cluster.space(0).ip_batch(&lines("del"));
    }
    cluster.space(0).ip("link del storm");
    wait_for("the address back", SOON, || cluster.space(0).has_address(vip));
    cluster.agent(0).wait_for_state(FOUR, "ACTIVE", SOON);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_second_agent_on_a_node_ends_and_touches_nothing() {
    let mut cluster = pair("");
    let before = cluster.space(0).ip("address show dev eth0 scope global");
    let mut command = Command::new(agent_binary());
    command.arg("run").arg("--config").arg(cluster.agent(0).configuration());
    let log = cluster.lab.scratch().file("second.log");
    let mut second = Process::start(cluster.space(0), "second-agent", command, &log);
    let status = second.wait(SOON);
    assert_eq!(status.code(), Some(1), "{}", second.log());
    println!("{}", second.log());
    let socket = cluster.agent(0).socket().display().to_string();
    assert!(second.log().contains(&socket), "it does not say who is in its way: {}", second.log());
    let without_lease = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("valid_lft")).map(str::to_owned).collect()
    };
    let after = cluster.space(0).ip("address show dev eth0 scope global");
    assert_eq!(without_lease(&before), without_lease(&after));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn cleanup_removes_what_a_killed_agent_left_and_refuses_while_one_runs() {
    let mut cluster = pair("address_lease = \"off\"");
    let clean = |cluster: &Cluster| {
        let configuration = cluster.agent(0).configuration().display().to_string();
        let agent = agent_binary().display().to_string();
        cluster.space(0).output(&agent, &["cleanup", "--config", &configuration])
    };
    let refusal = clean(&cluster).expect_err("an agent runs");
    assert!(refusal.contains("stop it"), "{refusal}");
    cluster.wait_for_holder(0);

    cluster.agent_mut(0).process.kill();
    let vip = vip(&cluster);
    assert!(cluster.space(0).has_address(vip), "there is nothing to clean up");
    let foreign = "10.80.200.9";
    cluster.space(0).ip(&format!("address add {foreign}/32 dev eth0"));
    let said = clean(&cluster).expect("it cleans up");
    assert!(said.contains(&vip.to_string()), "{said}");
    assert!(!cluster.space(0).has_address(vip));
    assert!(cluster.space(0).ip("address show dev eth0").contains(foreign), "a stranger's address went");
    assert_eq!(clean(&cluster).expect("nothing is no failure"), "");
    cluster.space(0).ip(&format!("address del {foreign}/32 dev eth0"));

    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn every_address_of_many_moves_and_every_one_is_announced() {
    let vips = |lab: &Lab| -> Vec<IpAddr> { (1..=200).map(|number| lab.vip4(0, number).into()).collect() };
    let mut cluster = Cluster::start(2, |node, lab| {
        vec![AgentInstance { addresses: vips(lab), ..only_four(node, lab, "") }]
    });
    cluster.wait_for_holder(0);
    cluster.audit();
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::VrrpAndAnnouncements);
    cluster.agent_mut(0).process.terminate(SOON);
    cluster.wait_for_holder(1);
    let announced = |address: IpAddr| {
        let IpAddr::V4(address) = address else { return false };
        let octets = address.octets();
        // Gratuitous ARP: the sender's and the target's address are the same.
        capture.frames().iter().any(|frame| {
            frame.bytes.get(12..14) == Some(&[8, 6][..])
                && frame.bytes.get(28..32) == Some(&octets[..])
                && frame.bytes.get(38..42) == Some(&octets[..])
        })
    };
    for address in vips(&cluster.lab) {
        wait_for(&format!("announcement of {address}"), SOON, || announced(address));
    }
    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn an_advert_with_a_message_only_checksum_is_heard_and_one_with_a_wrong_one_is_not() {
    let mut cluster = pair("");
    let vip = vip(&cluster);
    let injector = ha_tests::Injector::new(&cluster.lab.client, "eth0");
    let advert = VrrpFrame::v3(cluster.lab.client_address4(0), 51, 254, 10, &[vip]);
    let wrong = VrrpFrame { checksum: ha_tests::Checksum::Value(0xdead), ..advert.clone() };
    injector.send(&wrong.bytes());
    cluster.agent(0).wait_for_event("interface.packets_discarded", SOON, |_| true);
    assert_eq!(cluster.agent(0).state(FOUR), "ACTIVE");

    let message_only = VrrpFrame { checksum: ha_tests::Checksum::MessageOnly, ..advert };
    wait_for("the address released", Duration::from_secs(5), || {
        injector.send(&message_only.bytes());
        cluster.holders()[&vip].is_empty()
    });
    // The stranger is silent now, and the nodes elect again.
    cluster.wait_for_holder(0);
    cluster.audit();
}
