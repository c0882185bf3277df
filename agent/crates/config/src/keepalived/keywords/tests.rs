//! The tables are what `KEEPALIVED.md` says, and what the translation does.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use super::{Fate, Keyword, TABLES, words};
use crate::keepalived::NoMachine;
use crate::{Context, Severity, Source, parse};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/KEEPALIVED.md");

fn row(keyword: &str, rest: &Keyword) -> String {
    let (how, what) = match rest.fate {
        Fate::Taken => ("taken over", rest.what.to_owned()),
        Fate::Native => ("accepted", rest.what.to_owned()),
        Fate::Differs => ("**warning**", format!("{}; {}", rest.what, rest.remedy)),
        Fate::Refused => ("**error**", format!("{}; {}", rest.what, rest.remedy)),
    };
    format!("| {keyword} | {how} | {what} |\n")
}

fn table(keywords: &[Keyword]) -> String {
    let mut made = "| keyword | | what is made of it |\n|---|---|---|\n".to_owned();
    for keyword in keywords {
        let words: Vec<String> = keyword.each().map(|word| format!("`{word}`")).collect();
        made.push_str(&row(&words.join(" "), keyword));
    }
    made
}

#[test]
fn keepalived_md_has_exactly_what_the_tables_say() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, _) = document.split_once("\n## Outside of blocks\n").unwrap();
    let mut expected = before.to_owned();
    for (title, keywords) in TABLES {
        let _ = write!(expected, "\n## {title}\n\n{}", table(keywords));
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(DOCUMENT, &expected).unwrap();
    }
    assert_eq!(expected, std::fs::read_to_string(DOCUMENT).unwrap(), "BLESS=1 writes it");
}

#[test]
fn no_keyword_stands_twice_and_each_says_what_becomes_of_it() {
    for (title, keywords) in TABLES {
        let mut seen = BTreeSet::new();
        for word in words(keywords) {
            assert!(seen.insert(word) && !word.is_empty(), "{title}: {word:?}");
        }
        for keyword in *keywords {
            assert!(!keyword.what.is_empty(), "{}", keyword.words);
            let needs_remedy = matches!(keyword.fate, Fate::Differs | Fate::Refused);
            assert_eq!(needs_remedy, !keyword.remedy.is_empty(), "{}", keyword.words);
        }
        let said = |keyword: &Keyword| (keyword.what, keyword.remedy);
        let rows: BTreeSet<_> = keywords.iter().map(said).collect();
        assert_eq!(rows.len(), keywords.len(), "{title}: words of which the same is said share a row");
    }
}

/// A file in which the line stands where keywords of that table do.
fn around(title: &str, line: &str) -> String {
    let block = match title {
        "Outside of blocks" => return format!("{line} x {{ }}\n"),
        "`authentication`" => format!("vrrp_instance a {{ authentication {{ {line} }} }}"),
        "`virtual_ipaddress`" => format!("vrrp_instance a {{ virtual_ipaddress {{ 192.0.2.1 {line} x }} }}"),
        "`vrrp_sync_group`" => {
            format!("vrrp_instance a {{ }}\nvrrp_sync_group g {{ group {{ a }}\n {line} }}")
        }
        "`vrrp_track_file` and `track_file`" => {
            format!("track_file f {{ file /f\n{line} }}\nvrrp_instance a {{ track_file {{ f }} }}")
        }
        "`vrrp_script`" => format!("vrrp_script f {{ {line} }}\nvrrp_instance a {{ track_script {{ f }} }}"),
        "`vrrp_track_process`" => {
            format!(
                "vrrp_track_process f {{ process p\n{line} }}\nvrrp_instance a {{ track_process {{ f }} }}"
            )
        }
        other => {
            format!("{} {{ {line} }}", other.trim_matches('`').replace("vrrp_instance", "vrrp_instance a"))
        }
    };
    block.replace("{ ", "{\n").replace(" }", "\n}\n")
}

#[test]
fn each_keyword_has_the_fate_that_its_table_says() {
    for (title, keywords) in TABLES {
        for keyword in *keywords {
            for word in keyword.each() {
                for value in ["", " 1", " x y z", " {\nq\n}"] {
                    check(title, word, keyword, value);
                }
            }
        }
    }
}

fn check(title: &str, word: &str, keyword: &Keyword, value: &str) {
    let mut text = around(title, &format!("{word}{value}"));
    // Without any it is only told.
    if word.starts_with("lvs_sync_daemon") {
        text.push_str("virtual_server 192.0.2.1 80 {\n}\n");
    }
    let mut read_file = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let mut context = Context { host_name: "a", read_file: &mut read_file, machine: &mut NoMachine };
    let outcome = parse(&Source { path: Path::new("keepalived.conf"), text: &text }, &mut context);
    let about = |severity: Severity| {
        let known = outcome.findings.iter().filter(move |finding| finding.severity == severity);
        known.filter(|finding| finding.message.contains(keyword.what)).count()
    };
    let forgotten =
        outcome.findings.iter().find(|finding| finding.message.contains("a mistake of ha-agent's"));
    assert!(forgotten.is_none(), "{text}{forgotten:?}");
    match keyword.fate {
        Fate::Refused => assert!(about(Severity::Error) > 0, "{text}{:#?}", outcome.findings),
        Fate::Differs => assert!(about(Severity::Warning) > 0, "{text}{:#?}", outcome.findings),
        Fate::Taken | Fate::Native => {}
    }
    let unknown =
        outcome.findings.iter().any(|finding| finding.message.contains(&format!("has no \"{word}\"")));
    assert!(!unknown, "{text}{:#?}", outcome.findings);
}
