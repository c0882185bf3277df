//! The cluster as one of its nodes sees it: what it was told by its peers, judged like answers of our own, and held against what the
//! nodes say when we ask them ourselves. Pure: no time, no I/O.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ha_proto::v1;
use ha_proto::v1::node_view::Contact;

use crate::model::{SeenOtherwise, SeenOtherwiseCode, SeenVipView, role};
use crate::names;
use crate::span::Span;
use crate::verdict::{Member, Presence, Reason, ReasonCode, Role, Verdict, and, judge, worst};

#[cfg(test)]
mod tests;

/// A node that we asked, and its virtual routers if it answered.
pub(crate) struct Asked<'a> {
    /// Its name.
    pub node: &'a str,
    /// As it says itself; none = it did not answer.
    pub instances: Option<&'a [v1::Instance]>,
}

/// A node of the view that says how it stands, and one of its routers.
struct Part<'a> {
    node: &'a str,
    router: &'a v1::PeerRouter,
}

/// The virtual addresses of the nodes that the observer hears, judged. The peers that it does not hear are missing nodes.
pub(crate) fn vips(view: &v1::ClusterView) -> Vec<SeenVipView> {
    let mut parts: BTreeMap<(Option<IpAddr>, &str), Vec<Part<'_>>> = BTreeMap::new();
    for node in view.nodes.iter().filter(|node| is_heard(node)) {
        for router in &node.routers {
            for address in &router.addresses {
                let part = Part { node: names::last(&node.name), router };
                parts.entry((address.parse().ok(), address)).or_default().push(part);
            }
        }
    }
    let missing = unheard(view);
    parts.into_iter().map(|((_, address), parts)| vip(address, &parts, &missing)).collect()
}

/// What makes the view as a whole less than OK, whatever its addresses.
pub(crate) fn reasons_beside(view: &v1::ClusterView, vips: &[SeenVipView]) -> Vec<Reason> {
    let observer = names::last(&view.observer);
    let missing = unheard(view);
    let mut reasons = Vec::new();
    if view.nodes.len() < 2 {
        let message = format!("{observer} knows no other node: no [[peer]] is configured there");
        reasons.push(Reason::new(Verdict::Unknown, ReasonCode::NodeMissing, &[observer], message));
    }
    if vips.is_empty() && !missing.is_empty() {
        let labels: Vec<&str> = missing.iter().map(String::as_str).collect();
        let message = format!("{observer} does not hear {}", and(&labels));
        reasons.push(Reason::new(Verdict::Unknown, ReasonCode::NodeMissing, &labels, message));
    }
    reasons
}

/// What the observer sees otherwise than we do. We asked a moment before or after it was told, so a state that has just changed
/// may be among it.
pub(crate) fn differences(view: &v1::ClusterView, asked: &[Asked<'_>]) -> Vec<SeenOtherwise> {
    let observer = names::last(&view.observer);
    let mut found = Vec::new();
    for one in asked.iter().filter(|one| one.node != observer) {
        let seen = view.nodes.iter().find(|node| names::last(&node.name) == one.node);
        match (seen, one.instances) {
            (None, Some(_)) => found.push(not_configured(observer, one.node)),
            (Some(seen), Some(_)) if !is_heard(seen) => found.push(not_heard(observer, one.node, seen)),
            (Some(seen), Some(instances)) => found.extend(states(observer, one.node, seen, instances)),
            (Some(seen), None) if is_heard(seen) => found.push(no_answer(observer, one.node)),
            (_, None) => {}
        }
    }
    found
}

/// The names of the peers that the observer does not hear.
pub(crate) fn unheard(view: &v1::ClusterView) -> Vec<String> {
    let silent = view.nodes.iter().filter(|node| !is_heard(node));
    silent.map(|node| names::last(&node.name).to_owned()).collect()
}

fn is_heard(node: &v1::NodeView) -> bool {
    matches!(node.contact(), Contact::Self_ | Contact::Reachable)
}

fn vip(address: &str, parts: &[Part<'_>], missing: &[String]) -> SeenVipView {
    let members: Vec<Member> = parts.iter().map(member).collect();
    let reasons = judge(&members, missing);
    let in_state = |state| parts.iter().filter(move |part| part.router.state() == state);
    let best = in_state(v1::instance::State::Backup).map(|part| part.router.effective_priority).max();
    let next = in_state(v1::instance::State::Backup)
        .filter(|part| Some(part.router.effective_priority) == best && !part.router.drained);
    let active: Vec<&Part<'_>> = in_state(v1::instance::State::Active).collect();
    SeenVipView {
        address: address.to_owned(),
        verdict: worst(&reasons),
        reasons,
        active_on: active.iter().map(|part| part.node.to_owned()).collect(),
        age: active.first().and_then(|part| part.router.state_age.as_ref()).map(Span::from),
        next: next.map(|part| part.node.to_owned()).collect(),
    }
}

/// A peer tells its state and not its kernel: an Active router is taken at its word that it holds its addresses.
fn member(part: &Part<'_>) -> Member {
    let router = part.router;
    let role = role(router.state());
    let held = if role == Role::Active { Presence::Present } else { Presence::Absent };
    let heard = Some(router.observed_active_address.clone()).filter(|address| !address.is_empty());
    Member {
        node: part.node.to_owned(),
        role,
        desired: held,
        kernel: held,
        rival: heard.clone().filter(|_| role == Role::Active),
        hears: heard.filter(|_| role == Role::Backup),
        fault_reasons: router.fault_reasons.clone(),
    }
}

fn not_configured(observer: &str, node: &str) -> SeenOtherwise {
    let message = format!("{node} answers here, and {observer} does not know it: add its [[peer]] there");
    SeenOtherwise { node: node.to_owned(), code: SeenOtherwiseCode::NotConfigured, message }
}

fn not_heard(observer: &str, node: &str, seen: &v1::NodeView) -> SeenOtherwise {
    let why = if seen.detail.is_empty() { "it is still dialled" } else { &seen.detail };
    let message = format!("{node} answers here, and {observer} does not hear it: {why}");
    SeenOtherwise { node: node.to_owned(), code: SeenOtherwiseCode::NotHeard, message }
}

fn no_answer(observer: &str, node: &str) -> SeenOtherwise {
    let message = format!("{observer} hears {node}, and here it does not answer");
    SeenOtherwise { node: node.to_owned(), code: SeenOtherwiseCode::NoAnswer, message }
}

fn states<'a>(
    observer: &'a str,
    node: &'a str,
    seen: &'a v1::NodeView,
    instances: &'a [v1::Instance],
) -> impl Iterator<Item = SeenOtherwise> + 'a {
    let word = |state: v1::instance::State| state.as_str_name().trim_start_matches("STATE_").to_owned();
    seen.routers.iter().filter_map(move |router| {
        let own = instances.iter().find(|instance| names::last(&instance.name) == router.name)?;
        let (told, says) = (router.state(), own.state());
        (told != says).then(|| SeenOtherwise {
            node: node.to_owned(),
            code: SeenOtherwiseCode::StateDiffers,
            message: format!(
                "{observer} was told that {} of {node} is {}, and here {node} says {}",
                router.name,
                word(told),
                word(says)
            ),
        })
    })
}
