//! What a collector receives of nodes that know each other: how they hear each other, and what they ask of each other.

use ha_tests::{Cluster, Collector, hactl, peers_over_sockets};

use super::{export, has_metrics_of_the_schema, is_of_peers, restart_with};
use crate::common::{SOON, pair};

/// Both nodes know each other; node 1 exports.
fn friends() -> (Cluster, Collector) {
    let mut cluster = pair("");
    let collector = Collector::start(cluster.space(1), cluster.lab.scratch());
    let known = peers_over_sockets(&cluster.lab);
    restart_with(&mut cluster, 0, &known);
    restart_with(&mut cluster, 1, &format!("{}{known}", export(Collector::ENDPOINT)));
    cluster.wait_for_holder(0);
    (cluster, collector)
}

#[test]
fn a_collector_of_other_makers_receives_how_peers_stand_and_what_they_ask_of_each_other() {
    let (mut cluster, collector) = friends();
    let contact = |state| [("peer", "node-0"), ("state", state)];
    let received = collector.wait_for("node 0 to be heard, and the way to it measured", SOON, |received| {
        received.number("ha_agent.peer.status", &contact("REACHABLE"), "Value") == 1.0
            && received.latest("ha_agent.peer.round_trip", &[]).is_some()
            && received.latest("ha_agent.peer.releases", &[]).is_some()
    });
    has_metrics_of_the_schema(&received, is_of_peers);
    let round_trip = received.number("ha_agent.peer.round_trip", &[("peer", "node-0")], "Value");
    println!("round trip {round_trip} s");
    assert!(round_trip > 0.0 && round_trip < 1.0, "{round_trip}");
    assert!(received.number("ha_agent.peer.report.age", &[("peer", "node-0")], "Value") < 3.0);

    let words = ["drain", "node-0", "--yes"];
    assert!(hactl(&[cluster.agent(0), cluster.agent(1)], &words).status.success());
    let asked = [("direction", "receive"), ("outcome", "ANNOUNCED"), ("peer", "node-0")];
    collector.wait_for("the takeover", SOON, |received| {
        received.number("ha_agent.peer.takeovers", &asked, "Value") == 1.0
    });
    cluster.agent_mut(0).process.kill();
    collector.wait_for("the silence", SOON, |received| {
        received.number("ha_agent.peer.status", &contact("SILENT"), "Value") == 1.0
            && received.number("ha_agent.peer.status", &contact("REACHABLE"), "Value") == 0.0
    });
    let resident = cluster.agent(1).process.usage().resident;
    println!("{} MiB resident", resident >> 20);
    assert!(resident < super::MOST_RESIDENT, "{resident} bytes resident");
}
