//! What a contact in a node's view means.

use super::*;
use crate::exit::Exit;

fn stamp(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn node(contact: Contact, reason: &str, heard: Option<i64>) -> v1::NodeView {
    v1::NodeView {
        name: "nodes/b".to_owned(),
        contact: contact.into(),
        reason: reason.to_owned(),
        detail: "because".to_owned(),
        hear_time: heard.and_then(stamp),
        ..Default::default()
    }
}

fn view(nodes: Vec<v1::NodeView>) -> v1::ClusterView {
    v1::ClusterView { observer: "nodes/a".to_owned(), observe_time: stamp(100), nodes, ..Default::default() }
}

#[test]
fn each_contact_has_its_word() {
    use Contact::{Dialling, Reachable, Silent, Unspecified};
    for (contact, reason, heard, sight, word) in [
        (Reachable, "", Some(99), Sight::Heard, ""),
        (Dialling, "", None, Sight::Never, "DIALLING"),
        (Silent, "NO_ANSWER", Some(88), Sight::Silent, "NO_ANSWER"),
        (Silent, "UNREACHABLE", None, Sight::Never, "UNREACHABLE"),
        (Silent, "REFUSED", Some(88), Sight::Refused, "REFUSED"),
        (Silent, "CERTIFICATE", None, Sight::Refused, "CERTIFICATE"),
        (Silent, "OTHER_NODE", None, Sight::Refused, "OTHER_NODE"),
        // An older agent has no word for it, a newer one perhaps another contact.
        (Silent, "", Some(88), Sight::Silent, ""),
        (Unspecified, "", None, Sight::Never, ""),
    ] {
        let view = view(vec![node(contact, reason, heard)]);
        let reach = Reach::new(["a", "b"], &[("a".to_owned(), Ok(&view))]);
        let seen = reach.sighting("a", "b");
        assert_eq!((seen.sight, seen.reason.as_str()), (sight, word), "{contact:?} {reason}");
        assert_eq!(seen.age, heard.map(|heard| Span::from_nanos((100 - heard) * 1_000_000_000)));
    }
}

#[test]
fn who_is_not_in_a_view_is_not_configured_and_who_has_no_view_says_nothing() {
    let (empty, failure) =
        (view(Vec::new()), Failure::local(Exit::Internal, "UNIMPLEMENTED", "OLD", "old", ""));
    let views = [("a".to_owned(), Ok(&empty)), ("b".to_owned(), Err(&failure))];
    let reach = Reach::new(["a", "b", "c"], &views);
    for (from, to, sight) in [
        ("a", "b", Sight::NotConfigured),
        ("a", "c", Sight::NotConfigured),
        ("b", "a", Sight::Unknown),
        ("c", "a", Sight::Unknown),
    ] {
        assert_eq!(reach.sight(from, to), sight, "{from} {to}");
    }
    assert_eq!(reach.rows().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(reach.sighting("b", "a").reason, "OLD");
    assert!(reach.with_peers.is_empty());
}
