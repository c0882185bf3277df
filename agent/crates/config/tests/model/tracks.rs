//! What `track` and `group` become, over all instances.

use ha_config::Configuration;
use ha_engine::TrackEffect;

use super::model;

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
