//! The audits themselves: they find what is wrong, or the tests that end with them prove nothing.

use ha_tests::{Cluster, wait_for};

use crate::common::{SOON, pair, vip};

/// Breaks something, waits until the audits say so in these words, and mends it.
#[track_caller]
fn finds(cluster: &mut Cluster, words: &str, break_it: &str, mend_it: &str) {
    cluster.space(1).ip(break_it);
    wait_for(&format!("{words:?} among the findings"), SOON, || {
        cluster.violations().iter().any(|found| found.contains(words))
    });
    cluster.space(1).ip(mend_it);
    cluster.audit();
}

#[test]
fn the_audits_find_a_second_holder_an_orphan_a_missing_address_and_a_strange_link() {
    let mut cluster = pair("");
    let (vip, base) = (vip(&cluster), cluster.lab.node(1).address6(0));
    let pairs = [
        (
            "is held by nodes [0, 1]",
            format!("address add {vip}/32 dev eth0"),
            format!("address del {vip}/32 dev eth0"),
        ),
        (
            "is answered for by",
            format!("address add {vip}/32 dev lo"),
            format!("address del {vip}/32 dev lo"),
        ),
        (
            "is nobody's",
            "address add 10.80.3.3/32 dev eth0".into(),
            "address del 10.80.3.3/32 dev eth0".into(),
        ),
        (
            "is missing",
            format!("address del {base}/64 dev eth0"),
            format!("address add {base}/64 dev eth0 nodad"),
        ),
        ("came or went", "link add strange type bridge".into(), "link del strange".into()),
    ];
    for (words, break_it, mend_it) in pairs {
        finds(&mut cluster, words, &break_it, &mend_it);
    }
}

#[test]
fn the_audits_find_an_agent_that_has_ended_and_an_error_in_its_log() {
    let mut cluster = pair("");
    cluster.lab.unplug(cluster.lab.node(1), 0);
    wait_for("the error found", SOON, || cluster.violations().iter().any(|found| found.contains("ERROR")));
    cluster.lab.plug(cluster.lab.node(1), 0);
    cluster.expect_errors("FAULT");
    cluster.audit();
    cluster.agent_mut(1).process.kill();
    let found = cluster.violations();
    assert!(found.iter().any(|found| found.contains("node 1: the agent is not running")), "{found:?}");
    assert!(found.iter().any(|found| found.contains("hactl status ended with")), "{found:?}");
    cluster.restart(1);
    cluster.audit();
}
