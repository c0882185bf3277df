//! The truth about addresses: what elections want, what kernels have, who answers on the wire; with second owners made by hand.

use std::time::{Duration, SystemTime};

use ha_tests::{Capture, Wanted, wait_for};

use crate::common::{FOUR, SOON, pair, usual_cluster, vip};

#[test]
fn a_healthy_cluster_is_verified_on_every_layer_and_in_both_families() {
    let mut cluster = usual_cluster();
    let (code, text) = cluster.hactl("verify");
    assert_eq!(code, 0);
    assert!(text.starts_with("desired and kernel agree for 3 addresses  (3/3 nodes answered)"), "{text}");
    let (code, text) = cluster.hactl("verify --probe");
    assert_eq!(code, 0);
    assert!(text.starts_with("desired, kernel and wire agree for 3 addresses"), "{text}");
    // Both Backups heard the holder, under the address that its adverts come from.
    let holder = format!("{} after", cluster.lab.node(0).mac(0));
    assert_eq!(text.matches(&holder).count(), 6, "{text}");
    assert_eq!(text.matches(&format!("({})", cluster.lab.node(0).address4(0))).count(), 2, "{text}");
    cluster.audit();
}

#[test]
fn a_second_owner_made_by_hand_is_named_beside_the_first_and_leaves_an_event() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("answer");
    let address = vip(&cluster);
    cluster.space(1).ip(&format!("address add {address}/32 dev eth0"));
    let (code, text) = cluster.hactl("verify --probe");
    assert_eq!(code, 3);
    let (zero, one) = (cluster.lab.node(0).mac(0), cluster.lab.node(1).mac(0));
    let both = format!("node-0 ({zero}) and node-1 ({one}) answer for {address}");
    assert!(text.contains(&both), "{text}");
    let event = cluster.agent(0).wait_for_event("vip.conflict", SOON, |_| true);
    assert_eq!(event.text("cause"), "ADDRESS_CONFLICT");
    assert!(event.text("message").contains(&format!("this node holds it, and {one}")), "{event:?}");
    let (code, text) = cluster.hactl(&format!("vip probe {address} -o json"));
    assert_eq!(code, 3);
    assert!(text.contains("SPLIT_BRAIN"), "{text}");
    let (code, text) = cluster.hactl("verify");
    assert_eq!(code, 3);
    assert!(text.contains(&format!("{address} is in the kernels of node-0 and node-1")), "{text}");
    cluster.space(1).ip(&format!("address del {address}/32 dev eth0"));
    assert_eq!(cluster.hactl("verify --probe").0, 0);
    cluster.audit();
}

#[test]
fn a_second_owner_of_an_ipv6_address_is_named_too() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("answer");
    let address = cluster.lab.vip6(0, 1);
    cluster.space(2).ip(&format!("address add {address}/128 dev eth0 nodad"));
    let (code, text) = cluster.hactl(&format!("vip probe {address}"));
    assert_eq!(code, 3);
    let (zero, two) = (cluster.lab.node(0).mac(0), cluster.lab.node(2).mac(0));
    assert!(text.contains(&format!("node-0 ({zero}) and node-2 ({two}) answer for {address}")), "{text}");
    cluster.space(2).ip(&format!("address del {address}/128 dev eth0"));
    assert_eq!(cluster.hactl(&format!("vip probe {address}")).0, 0);
    cluster.audit();
}

#[test]
fn a_stranger_and_silence_on_the_wire_are_faults() {
    let mut cluster = pair("");
    cluster.expect_errors("answer");
    let address = vip(&cluster);
    cluster.lab.client.ip(&format!("address add {address}/32 dev eth0"));
    let (code, text) = cluster.hactl("verify --probe");
    assert_eq!(code, 3);
    assert!(text.contains("a stranger (02:00:00:00:00:fa)") && text.contains("node-0 ("), "{text}");
    // Only the stranger answers: the holder's kernel is told to say nothing.
    cluster.space(0).sysctl("ipv4/conf/eth0/arp_ignore", "8");
    let (code, text) = cluster.hactl("verify --probe");
    assert_eq!(code, 3);
    let alone = format!("a stranger (02:00:00:00:00:fa) answers for {address}, which node-0 (");
    assert!(text.contains(&alone), "{text}");
    cluster.lab.client.ip(&format!("address del {address}/32 dev eth0"));
    let (code, text) = cluster.hactl("verify --probe --wait 200ms");
    assert_eq!(code, 3);
    assert!(
        text.contains(&format!("nobody answers for {address}, which node-0 holds, asked by node-1")),
        "{text}"
    );
    cluster.space(0).sysctl("ipv4/conf/eth0/arp_ignore", "0");
    cluster.audit();
}

#[test]
fn an_address_that_is_nowhere_is_found_and_a_missing_node_is_no_proof() {
    let mut cluster = pair("");
    for node in [0, 1] {
        cluster.space(node).ip("link set eth0 down");
        cluster.agent(node).wait_for_state(FOUR, "FAULT", SOON);
    }
    let address = vip(&cluster);
    let (code, text) = cluster.hactl("verify --probe");
    assert_eq!(code, 3);
    let nobody = format!("nobody holds {address}: it is in no kernel of node-0 and node-1");
    assert!(text.contains(&nobody), "{text}");
    cluster.agent_mut(1).process.kill();
    let (code, text) = cluster.hactl("verify");
    assert_eq!(code, 4, "who did not answer may hold it");
    assert!(text.starts_with("not everything could be verified"), "{text}");
    assert!(text.contains(&format!("no node that answered holds {address}")), "{text}");
}

#[test]
fn the_holder_announces_again_when_asked_and_nobody_else_does() {
    let mut cluster = pair("announce = { delay = \"0s\" }");
    let address = vip(&cluster);
    cluster.agent(0).wait_for_event("instance.announced", SOON, |_| true);
    std::thread::sleep(Duration::from_secs(1));
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::VrrpAndAnnouncements);
    let since = SystemTime::now();
    let (code, text) = cluster.hactl(&format!("vip announce {address} --yes --reason new-switch"));
    assert_eq!(code, 0);
    assert!(text.contains(&format!("node-0/{address}  announced again")), "{text}");
    let announced = || {
        let all = capture.announcements();
        all.iter().filter(|(at, announced, _)| *at >= since && *announced == address).count()
    };
    wait_for("a whole burst of five", SOON, || announced() >= 5);
    let event = cluster.agent(0).wait_for_event("instance.reannounced", SOON, |_| true);
    assert_eq!(event.text("cause"), "ADMIN_ANNOUNCE");
    assert!(event.text("message").contains("new-switch"), "{event:?}");
    let (code, _) = cluster.hactl(&format!("vip announce {address} --yes -n node-1"));
    assert_eq!(code, 7, "a Backup must not announce");
    cluster.audit();
}
