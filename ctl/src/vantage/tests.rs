//! A view from given reports: how it is judged, and what is seen otherwise.

use super::*;

fn router(state: v1::instance::State, priority: i32, address: &str) -> v1::PeerRouter {
    v1::PeerRouter {
        name: "web".to_owned(),
        virtual_router_id: 51,
        addresses: vec![address.to_owned()],
        state: state.into(),
        effective_priority: priority,
        ..Default::default()
    }
}

fn node(name: &str, contact: Contact, routers: &[v1::PeerRouter]) -> v1::NodeView {
    v1::NodeView {
        name: format!("nodes/{name}"),
        contact: contact.into(),
        detail: if contact == Contact::Silent { "its cable is cut".to_owned() } else { String::new() },
        routers: routers.to_vec(),
        ..Default::default()
    }
}

fn view(nodes: Vec<v1::NodeView>) -> v1::ClusterView {
    v1::ClusterView { observer: "nodes/a".to_owned(), nodes, ..Default::default() }
}

const VIP: &str = "10.0.0.10";

fn active() -> v1::PeerRouter {
    router(v1::instance::State::Active, 200, VIP)
}

fn backup() -> v1::PeerRouter {
    router(v1::instance::State::Backup, 100, VIP)
}

#[test]
fn a_view_is_judged_over_whom_the_observer_hears_and_who_is_silent_is_missing() {
    use Contact::{Dialling, Reachable, Self_, Silent};
    let table = [
        (
            "all are heard",
            vec![node("a", Self_, &[active()]), node("b", Reachable, &[backup()])],
            Verdict::Ok,
        ),
        (
            "a Backup is silent",
            vec![node("a", Self_, &[active()]), node("b", Silent, &[backup()])],
            Verdict::Degraded,
        ),
        // Its last word that it is Active counts for nothing.
        (
            "the holder is silent",
            vec![node("a", Self_, &[backup()]), node("b", Silent, &[active()])],
            Verdict::Unknown,
        ),
        ("one is dialled", vec![node("a", Self_, &[active()]), node("b", Dialling, &[])], Verdict::Degraded),
        (
            "both are Active",
            vec![node("a", Self_, &[active()]), node("b", Reachable, &[active()])],
            Verdict::SplitBrain,
        ),
        (
            "nobody is",
            vec![node("a", Self_, &[backup()]), node("b", Reachable, &[backup()])],
            Verdict::NoActive,
        ),
        ("it knows nobody else", vec![node("a", Self_, &[active()])], Verdict::Unknown),
        (
            "it has no router and hears nobody",
            vec![node("a", Self_, &[]), node("b", Silent, &[])],
            Verdict::Unknown,
        ),
    ];
    for (case, nodes, expected) in table {
        let view = view(nodes);
        let vips = vips(&view);
        let beside = reasons_beside(&view, &vips);
        let verdict = vips.iter().map(|vip| vip.verdict).max().unwrap_or_default().max(worst(&beside));
        assert_eq!(verdict, expected, "{case}: {vips:?} {beside:?}");
    }
}

#[test]
fn an_active_router_that_hears_a_rival_is_a_split_brain() {
    let rival = v1::PeerRouter { observed_active_address: "10.0.0.2".to_owned(), ..active() };
    let view = view(vec![node("a", Contact::Self_, &[rival]), node("b", Contact::Reachable, &[backup()])]);
    assert_eq!(vips(&view)[0].verdict, Verdict::SplitBrain);
}

#[test]
fn who_is_next_is_neither_drained_nor_silent() {
    let drained = v1::PeerRouter { drained: true, effective_priority: 1, ..backup() };
    let view = view(vec![
        node("a", Contact::Self_, &[active()]),
        node("b", Contact::Reachable, &[drained]),
        node("c", Contact::Silent, &[backup()]),
    ]);
    assert!(vips(&view)[0].next.is_empty());
}

#[test]
fn what_is_seen_otherwise_here_is_named() {
    use SeenOtherwiseCode::{NoAnswer, NotConfigured, NotHeard, StateDiffers};
    let view = view(vec![
        node("a", Contact::Self_, &[backup()]),
        node("b", Contact::Silent, &[active()]),
        node("c", Contact::Reachable, &[backup()]),
        node("d", Contact::Reachable, &[backup()]),
        node("f", Contact::Silent, &[]),
    ]);
    let says = |state: v1::instance::State| {
        vec![v1::Instance {
            name: "nodes/x/instances/web".to_owned(),
            state: state.into(),
            ..Default::default()
        }]
    };
    let (b, c) = (says(v1::instance::State::Active), says(v1::instance::State::Active));
    let asked = [
        Asked { node: "a", instances: Some(&[]) },
        Asked { node: "b", instances: Some(&b) },
        Asked { node: "c", instances: Some(&c) },
        Asked { node: "d", instances: None },
        Asked { node: "e", instances: Some(&[]) },
        Asked { node: "f", instances: None },
    ];
    let found = differences(&view, &asked);
    let short: Vec<_> = found.iter().map(|one| (one.node.as_str(), one.code)).collect();
    assert_eq!(short, [("b", NotHeard), ("c", StateDiffers), ("d", NoAnswer), ("e", NotConfigured)]);
    assert_eq!(found[0].message, "b answers here, and a does not hear it: its cable is cut");
    assert_eq!(found[1].message, "a was told that web of c is BACKUP, and here c says ACTIVE");
}
