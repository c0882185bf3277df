//! Texts that nobody meant: mutated, cut, random. The parser must answer with findings, and never with a panic or a leak.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::path::Path;

use ha_config::{Context, NoMachine, Outcome, Source, parse, parse_bytes};
use proptest::prelude::*;

const SEEDS: &[&str] = &[
    include_str!("../../../../deploy/examples/all-keys.toml"),
    include_str!("../../../../deploy/examples/two-nodes.toml"),
    include_str!("../../../../deploy/examples/unicast.toml"),
    include_str!("../../../../deploy/examples/beside-keepalived.toml"),
    include_str!("../../../../deploy/examples/checks.toml"),
    include_str!("../../../../deploy/examples/pool.toml"),
    include_str!("../../../../deploy/examples/notify.toml"),
    include_str!("keepalived/copied_from_a_page.conf"),
    include_str!("keepalived/ipvs_with_checks_and_a_sorry_server.conf"),
    include_str!("keepalived/killall_and_pidof.conf"),
    include_str!("broken/wrong_types.toml"),
    include_str!("broken/check_http.toml"),
    include_str!("broken/check_expressions.toml"),
    include_str!("broken/track_entries.toml"),
    include_str!("broken/pool_ranges.toml"),
    include_str!("broken/notify_values.toml"),
    include_str!("broken/unicast.toml"),
    include_str!("broken/passwords.toml"),
    include_str!("broken/bad_addresses.toml"),
];

fn read(text: &str) -> Outcome {
    let mut read_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let mut context = Context { host_name: "a", read_file: &mut read_file, machine: &mut NoMachine };
    parse(&Source { path: Path::new("x.toml"), text }, &mut context)
}

/// What holds for every outcome, whatever the text.
fn check(text: &str, outcome: &Outcome) {
    assert_eq!(outcome.model.is_some(), outcome.errors() == 0);
    assert!(outcome.findings.len() <= 500);
    assert!(outcome.findings.is_sorted_by_key(|finding| finding.span.start));
    for finding in &outcome.findings {
        assert!(finding.span.start <= finding.span.end && finding.span.end <= text.len(), "{finding:?}");
        let before = text.get(..finding.span.start).expect("a span begins at a character");
        assert_eq!(finding.line, before.matches('\n').count() + 1);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        assert_eq!(finding.column, before[line_start..].chars().count() + 1);
        assert!(finding.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "{finding}");
        let printed = finding.to_string();
        let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!printed.chars().any(|c| turns(c) || (c.is_control() && c != '\n')), "{printed:?}");
        assert!(printed.lines().count() <= 3 && printed.len() < 4096, "{printed}");
    }
}

/// One edit of a text: where, how much to remove, what to insert.
fn mutated(text: &str, edits: &[(usize, usize, String)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, length, inserted) in edits {
        let at = at % (characters.len() + 1);
        let end = (at + length).min(characters.len());
        characters.splice(at..end, inserted.chars());
    }
    characters.into_iter().collect()
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[\\[\\]{}=\"'#,.\n\\\\0-9a-z\u{e9}-]{1,4}",
        any::<char>().prop_map(String::from),
        Just("[[instance]]\n".to_owned()),
        Just("[defaults]\n".to_owned()),
        Just("[[check]]\nname = 'a'\n".to_owned()),
        Just("[[pool.server]]\n".to_owned()),
        Just("track = ['a', { check = 'b', weight = 5 }]\n".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("vrrp_instance a {\n".to_owned()),
        Just("virtual_ipaddress { 192.0.2.1 dev eth9 }\n".to_owned()),
        Just("${".to_owned()),
        Just("= \"99999999999999h\"\n".to_owned()),
        Just("password = \"canary\"\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_configuration_never_panics_and_its_findings_lie_inside(
        seed in 0..SEEDS.len(),
        edits in prop::collection::vec((any::<usize>(), 0_usize..40, fragment()), 1..6),
    ) {
        let text = mutated(SEEDS[seed], &edits);
        check(&text, &read(&text));
    }

    #[test]
    fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut read_file = |_: &Path| Ok("secret".to_owned());
        let mut context = Context { host_name: "a", read_file: &mut read_file, machine: &mut NoMachine };
        let outcome = parse_bytes(Path::new("x.toml"), &octets, &mut context);
        prop_assert!(outcome.findings.iter().all(|finding| finding.span.end <= octets.len()));
    }

    #[test]
    fn random_toml_like_text_never_panics(text in "[\\[\\]{}=\"'#,.\n \\\\0-9a-z\u{0}\u{7f}\u{2028}-]{0,200}") {
        check(&text, &read(&text));
    }

    #[test]
    fn a_password_is_not_shown_however_the_line_behind_it_is_broken(
        junk in "[\\[\\]{}=\"'#,. \\\\0-9a-z]{0,12}",
        more in "[\\[\\]{}=\"'#,.\n \\\\0-9a-z]{0,40}",
    ) {
        let text = format!("[[instance]]\nversion = 2\npassword = \"canary\" {junk}\n{more}\n");
        let outcome = read(&text);
        let debugged = format!("{outcome:?}");
        prop_assert!(!debugged.contains("canary"));
        let printed: Vec<String> = outcome.findings.iter().map(ToString::to_string).collect();
        prop_assert!(!printed.concat().contains("canary"), "{}", printed.join("\n"));
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("x = {}{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(read(&text).model, None);
    }
    let keys = format!("{} = 1", vec!["a"; 100_000].join("."));
    assert_eq!(read(&keys).model, None);
}

#[test]
fn a_large_text_of_one_repeated_piece_is_read_in_linear_time() {
    for piece in ["]\n", "[", "\"", "a.", "://", "pass [ ", "[[instance]]\n", "password = 'x'\n"] {
        let text = piece.repeat((1 << 17) / piece.len());
        check(&text, &read(&text));
    }
    for piece in ["{", "vrrp_instance a {\n", "192.0.2.1 dev eth1\n", "track_script { a }\n", "\"", "${a "] {
        let text =
            "vrrp_instance a {\nvirtual_ipaddress {\n".to_owned() + &piece.repeat((1 << 17) / piece.len());
        check(&text, &read(&text));
    }
}
