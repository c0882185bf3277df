//! What `track` and `group` become, over all instances.

use std::collections::BTreeSet;

use ha_config::Configuration;
use ha_engine::TrackEffect;
use proptest::prelude::*;

use super::{model, outcome};

const CHECKS: &str = "[[check]]\nname = 'a'\nkind = 'interface'\ninterface = 'eth1'\n\
                      [[check]]\nname = 'b'\nkind = 'interface'\ninterface = 'eth2'\n\
                      [[check]]\nname = 'n'\nkind = 'file'\npath = '/run/n'\n";

/// Two instances, `first` and `second`, with these keys.
fn two(first: &str, second: &str) -> String {
    let instance = |name: &str, id: u8, keys: &str| {
        format!(
            "[[instance]]\nname = '{name}'\ninterface = 'eth0'\nvrid = {id}\naddresses = ['10.0.0.{id}']\n{keys}\n"
        )
    };
    format!("{}{}", instance("first", 1, first), instance("second", 2, second))
}

/// What an instance tracks, as text.
fn tracks(configuration: &Configuration, name: &str) -> Vec<String> {
    let instance = configuration.instances.iter().find(|instance| &*instance.name == name).unwrap();
    let shown = |effect| match effect {
        TrackEffect::Fault { reverse: false } => "fault".to_owned(),
        TrackEffect::Fault { reverse: true } => "fault while passing".to_owned(),
        TrackEffect::Weight { weight, reverse } => {
            format!("{weight}{}", if reverse { " reverse" } else { "" })
        }
        TrackEffect::Value { factor } => format!("times {factor}"),
        TrackEffect::ValueFault => "fault by value".to_owned(),
    };
    instance.tracks.iter().map(|track| format!("{} {}", track.fact, shown(track.effect))).collect()
}

#[test]
fn every_form_of_an_entry_has_its_effect() {
    let table = [
        ("'a'", "checks/a fault"),
        ("'checks/a'", "checks/a fault"),
        ("{ check = 'a' }", "checks/a fault"),
        ("{ check = 'a', reverse = true }", "checks/a fault while passing"),
        ("{ check = 'a', weight = 253 }", "checks/a 253"),
        ("{ check = 'a', weight = -253, reverse = true }", "checks/a -253 reverse"),
        ("{ check = 'n', factor = -2 }", "checks/n times -2"),
        ("{ check = 'n', fault_on_value = true }", "checks/n fault by value"),
        ("{ check = 'n', fault_on_value = false }", "checks/n fault"),
    ];
    for (entry, expected) in table {
        // The others are tracked, too, so that none is unused.
        let others: Vec<&str> =
            ["'a'", "'b'", "'n'"].into_iter().filter(|name| !entry.contains(name)).collect();
        let second = format!("track = [{}]", others.join(", "));
        let text = two(&format!("priority = 1\ntrack = [{entry}]"), &second) + CHECKS;
        assert_eq!(tracks(&model(&text), "first"), [expected], "{entry}");
    }
}

#[test]
fn what_one_member_weighs_counts_for_all_members_of_its_group() {
    let text = two(
        "group = 'g'\ntrack = ['a', { check = 'b', weight = -20 }]",
        "group = 'g'\ntrack = [{ check = 'n', factor = -1 }]",
    ) + CHECKS;
    let configuration = model(&text);
    // Fault of one member is Fault of all by the engine's own rule, so it stays with the member it is about.
    assert_eq!(tracks(&configuration, "first"), ["checks/a fault", "checks/b -20", "checks/n times -1"]);
    assert_eq!(tracks(&configuration, "second"), ["checks/b -20", "checks/n times -1"]);
    assert_eq!(configuration.instances[0].group.as_deref(), Some("g"));
}

#[test]
fn what_a_group_tracks_counts_for_all_members_and_for_nobody_else() {
    let text = two("group = 'g'\ntrack = ['b']", "track = ['n']")
        + &two("group = 'g'", "")
            .replace("first", "third")
            .replace("second", "fourth")
            .replace("= 1\n", "= 3\n")
            .replace("= 2\n", "= 4\n")
            .replace(".1'", ".3'")
            .replace(".2'", ".4'")
        + "[[group]]\nname = 'g'\ntrack = ['a', { check = 'b', weight = -20 }]\n"
        + CHECKS;
    let text = text.replace("track = ['b']", "track = [{ check = 'b', weight = -20 }]");
    let configuration = model(&text);
    assert_eq!(tracks(&configuration, "first"), ["checks/a fault", "checks/b -20"]);
    assert_eq!(tracks(&configuration, "third"), ["checks/a fault", "checks/b -20"]);
    assert_eq!(tracks(&configuration, "second"), ["checks/n fault"]);
    assert_eq!(tracks(&configuration, "fourth"), [""; 0]);
}

#[test]
fn track_and_group_are_inherited_from_defaults() {
    let defaults = "[defaults]\ntrack = ['a']\ngroup = 'g'\n";
    let text = format!("{defaults}{}{CHECKS}", two("", "track = ['b', 'n']"));
    let configuration = model(&text);
    assert_eq!(tracks(&configuration, "first"), ["checks/a fault"]);
    assert_eq!(tracks(&configuration, "second"), ["checks/b fault", "checks/n fault"]);
    assert!(configuration.instances.iter().all(|instance| instance.group.as_deref() == Some("g")));
}

/// One table of a file, which may stand anywhere among the others.
fn instance(index: usize, group: Option<u8>, tracks: &[(usize, i16)]) -> String {
    let entry = |(check, weight): &(usize, i16)| match weight {
        0 => format!("'c{check}'"),
        weight => format!("{{ check = 'c{check}', weight = {weight} }}"),
    };
    let tracks: Vec<String> = tracks.iter().map(entry).collect();
    let group = group.map(|group| format!("group = 'g{group}'\n")).unwrap_or_default();
    format!(
        "[[instance]]\nname = 'i{index}'\ninterface = 'eth0'\nvrid = {}\naddresses = ['10.0.0.{}']\n\
         priority = 100\n{group}track = [{}]\n",
        index + 1,
        index + 1,
        tracks.join(", ")
    )
}

/// Instances in up to two groups; each check has one effect wherever it is tracked, so that nothing contradicts.
fn tables() -> impl Strategy<Value = Vec<String>> {
    let effects = prop::collection::vec(prop_oneof![Just(0_i16), -30_i16..0, 1_i16..20], 4);
    let one = (prop::option::of(0_u8..2), prop::collection::btree_set(0_usize..4, 0..4));
    (effects, prop::collection::vec(one, 1..6)).prop_map(|(effects, instances)| {
        let check =
            |index: usize| format!("[[check]]\nname = 'c{index}'\nkind = 'icmp'\nhost = 'h{index}'\n");
        let tables = instances.iter().enumerate().map(|(index, (group, tracked))| {
            let tracks: Vec<(usize, i16)> = tracked.iter().map(|check| (*check, effects[*check])).collect();
            instance(index, *group, &tracks)
        });
        tables.chain((0..4).map(check)).collect()
    })
}

/// The tracks that change a priority.
fn weights(configuration: &Configuration, index: usize) -> BTreeSet<String> {
    let weighs = |track: &String| !track.contains("fault");
    tracks(configuration, &configuration.instances[index].name).into_iter().filter(weighs).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_members_of_a_group_have_the_same_changes_of_priority_and_no_fact_twice(tables in tables()) {
        let configuration = outcome(&tables.concat()).model.unwrap();
        for (index, instance) in configuration.instances.iter().enumerate() {
            let facts: BTreeSet<_> = instance.tracks.iter().map(|track| &track.fact).collect();
            prop_assert_eq!(facts.len(), instance.tracks.len());
            let others = configuration.instances.iter().enumerate();
            for (other, _) in others.filter(|(_, other)| other.group.is_some() && other.group == instance.group) {
                prop_assert_eq!(weights(&configuration, index), weights(&configuration, other));
            }
        }
    }

    #[test]
    fn the_order_of_the_sections_does_not_matter(
        (tables, shuffled) in tables().prop_flat_map(|tables| (Just(tables.clone()), Just(tables).prop_shuffle())),
    ) {
        let sorted = |tables: &[String]| {
            let mut configuration = outcome(&tables.concat()).model.unwrap();
            configuration.instances.sort_by(|a, b| a.name.cmp(&b.name));
            configuration.checks.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
            let tracks: Vec<BTreeSet<String>> =
                configuration.instances.iter().map(|i| tracks(&configuration, &i.name).into_iter().collect()).collect();
            (configuration.checks, tracks)
        };
        prop_assert_eq!(sorted(&tables), sorted(&shuffled));
    }
}
