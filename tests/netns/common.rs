//! What the tests of this program share: the usual cluster and the usual patience.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use ha_tests::{AgentInstance, Capture, Cluster, Lab, Mac, Node};

/// How long anything may take that should come at once or after a few adverts; generous, because the machine is shared.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Names of the two virtual routers of the usual cluster.
pub(crate) const FOUR: &str = "router-51";
pub(crate) const SIX: &str = "router-61";

/// Node 0 before node 1 before node 2.
pub(crate) fn priority_of(node: &Node) -> u8 {
    [200, 150, 100].get(node.index()).copied().unwrap_or(50)
}

/// One virtual router for IPv4 and one for IPv6, both at this interval, with `extra` lines in each.
pub(crate) fn both_families(node: &Node, lab: &Lab, interval: &str, extra: &str) -> Vec<AgentInstance> {
    let four = AgentInstance::new(51, priority_of(node), &[lab.vip4(0, 1).into()]);
    let virtual_link_local = IpAddr::from(Mac::virtual6(61).link_local());
    let six = AgentInstance::new(61, priority_of(node), &[virtual_link_local, lab.vip6(0, 1).into()]);
    let finish =
        |instance| AgentInstance { interval: interval.to_owned(), extra: extra.to_owned(), ..instance };
    [four, six].map(finish).to_vec()
}

/// Three nodes with both families, at 100 ms adverts, node 0 holding everything.
#[track_caller]
pub(crate) fn usual_cluster() -> Cluster {
    cluster_with("")
}

/// The usual cluster with `extra` lines in each instance.
#[track_caller]
pub(crate) fn cluster_with(extra: &str) -> Cluster {
    let mut cluster = Cluster::start(3, |node, lab| both_families(node, lab, "100ms", extra));
    settle(&mut cluster, extra);
    cluster.audit();
    cluster
}

/// Two nodes with one IPv4 router at 100 ms adverts, node 0 holding it; `extra` lines in the instance.
#[track_caller]
pub(crate) fn pair(extra: &str) -> Cluster {
    let mut cluster = Cluster::start(2, |node, lab| vec![only_four(node, lab, extra)]);
    settle(&mut cluster, extra);
    cluster.audit();
    cluster
}

/// Waits until node 0 holds everything. Without preemption the first to start would keep it: the others start once more.
#[track_caller]
fn settle(cluster: &mut Cluster, extra: &str) {
    let others = 1..cluster.lab.nodes().len();
    if extra.contains("preempt = false") {
        for node in others.clone() {
            assert_eq!(cluster.agent_mut(node).process.terminate(SOON).code(), Some(0));
        }
        cluster.wait_for_holder(0);
        others.for_each(|node| cluster.restart(node));
    }
    cluster.wait_for_holder(0);
}

/// The IPv4 router of the usual cluster.
pub(crate) fn only_four(node: &Node, lab: &Lab, extra: &str) -> AgentInstance {
    let instance = AgentInstance::new(51, priority_of(node), &[lab.vip4(0, 1).into()]);
    AgentInstance { interval: "100ms".to_owned(), extra: extra.to_owned(), ..instance }
}

/// The virtual address that most tests look at.
pub(crate) fn vip(cluster: &Cluster) -> IpAddr {
    cluster.lab.vip4(0, 1).into()
}

/// Times and priorities of the adverts of one node, both families.
pub(crate) fn adverts_of(capture: &Capture, node: &Node) -> Vec<(SystemTime, u8)> {
    let ours: [IpAddr; 2] = [node.address4(0).into(), node.link_local(0).into()];
    let adverts = capture.adverts();
    let own = adverts.iter().filter(|(_, advert)| ours.contains(&advert.source));
    own.map(|(at, advert)| (*at, advert.priority)).collect()
}
