//! Whether the effect of a move is seen: the node shows the wish, no longer holds what has moved, and where the new holder is one
//! of the nodes asked, it is Active and its kernel holds the addresses.

use ha_proto::v1;

use super::call::Answer;
use super::{Change, Wish};
use crate::cluster::Cluster;
use crate::names;

/// What is not seen yet; none when all is.
pub(super) fn missing(cluster: &Cluster, change: &Change, answer: &Answer) -> Option<String> {
    let node = names::node(&change.name);
    let own: Vec<_> = cluster.instances().into_iter().filter(|one| one.node == node).collect();
    let of_node = || own.iter().filter_map(|one| cluster.find_instance(&one.name)).map(|(one, _)| one);
    if cluster.endpoint_of(node).is_none() {
        return Some(format!("{node} does not answer"));
    }
    let unlike = match &change.wish {
        Wish::Drain { .. } => of_node().find(|one| !one.drained).map(|_| "does not show the drain"),
        Wish::Undrain => of_node().find(|one| one.drained).map(|_| "still shows the drain"),
        Wish::Transfer { .. } => None,
        Wish::EndTransfer => of_node()
            .find(|one| one.name == change.name && one.preempt_hold.is_some())
            .map(|_| "still does not preempt"),
    };
    if let Some(unlike) = unlike {
        return Some(format!("{node} {unlike}"));
    }
    let moved = answer.moves.iter().filter(|one| one.outcome == "MOVED");
    moved.flat_map(|one| one.instances.iter().map(move |name| (name, &one.successor))).find_map(
        |(name, successor)| {
            let instance = of_node().find(|one| names::last(&one.name) == name)?;
            elsewhere(cluster, instance, node, successor.as_deref())
        },
    )
}

fn elsewhere(
    cluster: &Cluster,
    instance: &v1::Instance,
    node: &str,
    successor: Option<&str>,
) -> Option<String> {
    if instance.state() == v1::instance::State::Active {
        return Some(format!("{} is ACTIVE", names::instance_label(&instance.name)));
    }
    let addresses: Vec<&str> = instance.vips.iter().map(|vip| names::last(vip)).collect();
    let vips = cluster.vips();
    let of_it = vips.iter().filter(|vip| addresses.contains(&vip.address.as_str()));
    let seen = successor.filter(|successor| cluster.endpoint_of(successor).is_some());
    of_it.into_iter().find_map(|vip| {
        if vip.held_by.iter().any(|holder| holder == node) {
            return Some(format!("{} is still in the kernel of {node}", vip.address));
        }
        let successor = seen?;
        // Or somebody to whom that has given it since.
        let is_held = vip.active_on.iter().any(|holder| vip.held_by.contains(holder));
        (!is_held).then(|| format!("{successor} is not seen to hold {}", vip.address))
    })
}
