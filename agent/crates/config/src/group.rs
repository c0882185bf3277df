//! Sync groups: `[[group]]` tables, and what the members of one mean together.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeValue;

use crate::instance;
use crate::keys;
use crate::nearest::nearest;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::settings::resource_name;
use crate::track::{self, Tracks};
use crate::value::shown;

/// A group as it stands in the file.
pub(crate) struct Draft {
    title: String,
    span: Range<usize>,
    pub(crate) name: Slot<String>,
    pub(crate) track: Slot<Tracks>,
}

impl Draft {
    pub(crate) fn read(mut section: Section<'_>, report: &mut Report<'_>) -> Self {
        if let Some(DeValue::String(name)) = section.get("name").map(|name| name.get_ref()) {
            section.title = format!("group {}", shown(name));
        }
        section.reject_unknown(report, keys::GROUP, |key| match key {
            "group" | "members" | "instances" | "instance" => {
                Some("write group = \"NAME\" in each [[instance]] that belongs to it".to_owned())
            }
            key => keys::foreign_remedy(key),
        });
        let name = section.read(report, "name", resource_name);
        if name.is_absent() {
            report.error(&section.span, "a group has no name", "add name = \"edge\"");
        }
        let track = section.read(report, "track", track::read);
        Self { title: section.title, span: section.span, name, track }
    }
}

/// The instances of each group that any names, in the order of the file.
pub(crate) fn members(instances: &[instance::Draft]) -> BTreeMap<&str, Vec<usize>> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, draft) in instances.iter().enumerate() {
        if let Some(group) = draft.shared.group.value() {
            members.entry(group).or_default().push(index);
        }
    }
    members
}

/// Reports groups that are named twice, have no or one member, or whose members differ in what decides who is Active.
pub(crate) fn check(groups: &[Draft], instances: &[instance::Draft], report: &mut Report<'_>) {
    let members = members(instances);
    let mut seen: BTreeMap<&str, &Range<usize>> = BTreeMap::new();
    for group in groups {
        let Some(name) = group.name.spot() else {
            continue;
        };
        if let Some(first) = seen.insert(&name.value, &group.span) {
            let message =
                format!("name \"{}\" is taken by the group on line {}", name.value, report.line(first.start));
            report.error(&name.span, message, "give each group its own name");
        }
        if !members.contains_key(name.value.as_str()) {
            let message = format!("{} has no member", group.title);
            let remedy = format!("write group = \"{}\" in its instances, or remove it", name.value);
            report.warning(&group.span, message, remedy);
        }
    }
    for (name, members) in &members {
        check_members(name, members, instances, &seen, report);
    }
}

fn check_members(
    name: &str,
    members: &[usize],
    instances: &[instance::Draft],
    groups: &BTreeMap<&str, &Range<usize>>,
    report: &mut Report<'_>,
) {
    let members: Vec<&instance::Draft> = members.iter().filter_map(|index| instances.get(*index)).collect();
    let Some((first, others)) = members.split_first() else {
        return;
    };
    let place = |draft: &instance::Draft| {
        draft.shared.group.own().map_or(draft.span.clone(), |group| group.span.clone())
    };
    if others.is_empty() {
        let near = nearest(name, groups.keys().copied().filter(|known| *known != name));
        let remedy = near
            .map_or("name the same group in another instance, or remove it".to_owned(), |near| {
                format!("did you mean \"{near}\"?")
            });
        report.warning(&place(first), format!("group \"{name}\" has only one member"), remedy);
    }
    for other in others {
        check_equal(name, first, other, &place(other), report);
    }
}

/// Members become Active together: the one that wants it last decides, and one that gives up takes all along.
fn check_equal(
    name: &str,
    first: &instance::Draft,
    other: &instance::Draft,
    place: &Range<usize>,
    report: &mut Report<'_>,
) {
    let priority =
        |draft: &instance::Draft| draft.shared.priority.value().map_or(100, |priority| priority.get());
    let preempt = |draft: &instance::Draft| {
        (draft.shared.preempt.value_or(true), draft.shared.preempt_delay.value_or_default())
    };
    let differing = if priority(first) != priority(other) {
        format!("priority {} and {}", priority(first), priority(other))
    } else if preempt(first) != preempt(other) {
        "different preempt or preempt_delay".to_owned()
    } else {
        return;
    };
    let message = format!(
        "{} and {} move together as group \"{name}\", but have {differing}",
        first.title, other.title
    );
    let remedy = "give all members of a group the same values on one node, or nodes may take it from each other for ever";
    report.warning(place, message, remedy);
}
