//! The architecture as a test: which crate may depend on which, where `unsafe` may stand, what the engine must
//! not contain, how long a file may be. Each rule is a function from text to offences, and is itself tried on
//! text that offends.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Who may depend on whom among our crates. ha-tests may use all; nobody may use ha-tests or a binary.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("ha-agent", &["ha-proto", "ha-probe", "ha-balancer", "ha-dataplane", "ha-config", "ha-engine"]),
    ("hactl", &["ha-proto", "ha-config", "ha-engine"]),
    ("ha-dataplane", &["ha-engine"]),
    ("ha-config", &["ha-engine"]),
    ("ha-engine", &[]),
    ("ha-probe", &[]),
    ("ha-balancer", &[]),
    ("ha-proto", &[]),
    (
        "ha-tests",
        &[
            "ha-agent",
            "hactl",
            "ha-proto",
            "ha-probe",
            "ha-balancer",
            "ha-dataplane",
            "ha-config",
            "ha-engine",
        ],
    ),
];

/// A second TLS or cryptography, C libraries, a second protobuf.
const FORBIDDEN_CRATES: [&str; 5] = ["aws-lc-rs", "native-tls", "openssl-sys", "reqwest", "protobuf"];

/// The only places where `unsafe` may stand.
const UNSAFE_PLACES: [&str; 2] = ["agent/crates/dataplane/", "tests/src/sys.rs"];

const ENGINE: &str = "agent/crates/engine/src/";
const CEILING: usize = 500;

/// One Rust file.
struct Source {
    /// Relative to the workspace, with slashes.
    path: String,
    text: String,
    /// It is compiled for tests only.
    is_test: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is inside the workspace")
}

#[test]
fn our_crates_depend_on_each_other_only_as_the_architecture_says() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let edges = edges(&metadata);
    assert!(edges.contains(&("ha-agent".to_owned(), None)), "the workspace was not read: {edges:?}");
    assert_no(edge_offences(&edges));
}

#[test]
fn no_forbidden_crate_is_in_the_lock_file() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is committed");
    assert!(lock.contains("name = \"ha-engine\""), "the lock file was not read");
    assert_no(lock_offences(&lock));
}

#[test]
fn the_engine_has_no_standard_library_no_unsafe_and_no_unwrap() {
    assert_no(engine_offences(&sources()));
}

#[test]
fn unsafe_stands_only_where_the_kernel_is_spoken_to() {
    assert_no(unsafe_offences(&sources()));
}

#[test]
fn every_source_file_says_what_it_is_for_and_is_short() {
    let sources = sources();
    assert!(sources.len() > 20, "the sources were not found: {}", sources.len());
    assert_no(file_offences(&sources));
}

#[track_caller]
fn assert_no(offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

/// Pairs of our crates, and each crate alone (`None`), so that one without dependencies is seen too.
fn edges(metadata: &Value) -> BTreeSet<(String, Option<String>)> {
    let packages: Vec<&Value> = metadata["packages"].as_array().into_iter().flatten().collect();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(|package| name(package)).collect();
    let mut found: BTreeSet<_> = ours.iter().map(|name| (name.clone(), None)).collect();
    for package in packages {
        let dependencies = package["dependencies"].as_array().into_iter().flatten().map(name);
        let ours = dependencies.filter(|dependency| ours.contains(dependency));
        found.extend(ours.map(|dependency| (name(package), Some(dependency))));
    }
    found
}

fn edge_offences(edges: &BTreeSet<(String, Option<String>)>) -> Vec<String> {
    let judge = |(from, to): &(String, Option<String>)| {
        let allowed = ALLOWED.iter().find(|(name, _)| name == from).map(|(_, allowed)| *allowed);
        match (allowed, to) {
            (None, _) => Some(format!("{from} is not a crate of the architecture")),
            (Some(allowed), Some(to)) if !allowed.contains(&to.as_str()) => {
                Some(format!("{from} must not depend on {to}"))
            }
            _ => None,
        }
    };
    edges.iter().filter_map(judge).collect()
}

fn lock_offences(lock: &str) -> Vec<String> {
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    names
        .filter(|name| FORBIDDEN_CRATES.contains(name))
        .map(|name| format!("{name} is in Cargo.lock"))
        .collect()
}

fn engine_offences(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    let lib = sources.iter().find(|source| source.path == format!("{ENGINE}lib.rs"));
    let text = lib.map(|source| source.text.as_str()).unwrap_or_default();
    for attribute in ["no_std", "forbid(unsafe_code)"] {
        if !text.lines().any(|line| line.starts_with("#![") && line.contains(attribute)) {
            offences.push(format!("{ENGINE}lib.rs lacks #![{attribute}]"));
        }
    }
    for source in sources.iter().filter(|source| source.path.starts_with(ENGINE) && !source.is_test) {
        for (number, line) in code(&source.text) {
            for word in [".unwrap()", "std::time::Instant", "SystemTime", "HashMap"] {
                if line.contains(word) {
                    offences.push(format!("{}:{number}: {word} in the engine", source.path));
                }
            }
        }
    }
    offences
}

fn unsafe_offences(sources: &[Source]) -> Vec<String> {
    let is_free = |source: &&Source| !UNSAFE_PLACES.iter().any(|place| source.path.starts_with(place));
    let mut offences = Vec::new();
    for source in sources.iter().filter(is_free) {
        let lines = source.text.lines().enumerate().map(|(number, line)| (number + 1, without_comment(line)));
        for (number, line) in lines.filter(|(_, line)| has_word(line, "unsafe")) {
            offences.push(format!("{}:{number}: {}", source.path, line.trim()));
        }
    }
    offences
}

fn file_offences(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for Source { path, text, is_test } in sources {
        if !text.starts_with("//!") {
            offences.push(format!("{path} does not open with //!"));
        }
        if path.ends_with("/mod.rs") {
            offences.push(format!("{path}: foo.rs beside foo/ instead"));
        }
        let lines = code(text).count();
        if lines > CEILING && !is_test {
            offences.push(format!("{path} has {lines} lines without its tests"));
        }
        if !is_test {
            for word in ["todo!(", "unimplemented!(", "#[ignore"] {
                let found = code(text).find(|(_, line)| line.contains(word) && !line.contains('"'));
                offences.extend(found.map(|(number, _)| format!("{path}:{number}: {word}")));
            }
        }
    }
    offences
}

/// Test files may be long: they are lists. `tests.rs`, the test crate's tests, and modules under `cfg(test)`.
fn mark_tests(sources: &mut [Source]) {
    let under_cfg: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in sources {
        let path = &source.path;
        let is_test_crate = path.starts_with("tests/") && !path.starts_with("tests/src/");
        let is_under_cfg = under_cfg.iter().any(|module| {
            path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
        source.is_test =
            is_test_crate || is_under_cfg || path.ends_with("/tests.rs") || path.contains("/tests/");
    }
}

/// The paths, without `.rs`, of the modules that a file declares for tests only.
fn test_modules(source: &Source) -> Vec<String> {
    let own = source.path.trim_end_matches(".rs");
    let folder = match own.rsplit_once('/') {
        Some((folder, "lib" | "main")) => folder,
        _ => own,
    };
    let pairs = source.text.lines().zip(source.text.lines().skip(1));
    let declared = pairs.filter(|(line, _)| *line == "#[cfg(test)]").filter_map(|(_, next)| {
        let name = next.trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';')?;
        Some(format!("{folder}/{name}"))
    });
    declared.collect()
}

/// The lines of code before the test module, numbered, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let next = text.lines().skip(1).chain([""]);
    let before_tests = text.lines().zip(next).enumerate().take_while(|(_, (line, next))| {
        *line != "#[cfg(test)]" || !(next.starts_with("mod ") && next.ends_with('{'))
    });
    before_tests.map(|(number, (line, _))| (number + 1, without_comment(line)))
}

fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_alphanumeric() || "_\"`".contains(letter))
    };
    line.match_indices(word).any(|(at, _)| {
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

/// All Rust files of the workspace.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["proto", "agent", "ctl", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    mark_tests(&mut found);
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
            let relative = path.strip_prefix(root()).expect("it was found below the root");
            found.push(source(&relative.to_string_lossy(), &text));
        }
    }
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned(), is_test: false }
}

#[test]
fn a_forbidden_edge_and_an_unknown_crate_are_found() {
    let metadata = serde_json::json!({ "packages": [
        { "name": "hactl", "dependencies": [{ "name": "ha-agent" }, { "name": "clap" }] },
        { "name": "ha-agent", "dependencies": [{ "name": "ha-engine" }] },
        { "name": "ha-engine", "dependencies": [] },
        { "name": "ha-new", "dependencies": [] },
    ]});
    let offences = edge_offences(&edges(&metadata));
    assert_eq!(offences, ["ha-new is not a crate of the architecture", "hactl must not depend on ha-agent"]);
}

#[test]
fn a_forbidden_crate_is_found() {
    let lock = "[[package]]\nname = \"reqwest\"\n[[package]]\nname = \"protobuf-parse\"\n";
    assert_eq!(lock_offences(lock), ["reqwest is in Cargo.lock"]);
}

#[test]
fn an_engine_that_is_not_pure_is_found() {
    let good = "//! x\n#![no_std]\n#![forbid(unsafe_code)]\n// .unwrap()\n#[cfg(test)]\nmod tests {\nx.unwrap();\n}\n";
    assert_eq!(engine_offences(&[source("agent/crates/engine/src/lib.rs", good)]), [""; 0]);
    let bad = "//! x\n#![cfg_attr(not(test), no_std)]\nfn f() { x.unwrap(); }\n";
    let offences = engine_offences(&[source("agent/crates/engine/src/lib.rs", bad)]);
    assert_eq!(offences.len(), 2, "{offences:?}");
}

#[test]
fn a_module_for_tests_only_is_known_from_its_declaration() {
    let mut sources = [
        source("agent/crates/engine/src/lib.rs", "//! x\n#[cfg(test)]\nmod fixtures;\nmod codec;\n"),
        source("agent/crates/engine/src/fixtures.rs", "//! x\n"),
        source("agent/crates/engine/src/codec.rs", "//! x\n"),
        source("agent/crates/engine/src/codec/tests.rs", "//! x\n"),
    ];
    mark_tests(&mut sources);
    assert_eq!(sources.map(|source| source.is_test), [false, true, false, true]);
}

#[test]
fn unsafe_in_a_wrong_place_is_found() {
    let text = "//! x\n#![forbid(unsafe_code)]\n// unsafe\nlet x = unsafe { f() };\n";
    assert_eq!(unsafe_offences(&[source("agent/src/main.rs", text)]).len(), 1);
    assert_eq!(unsafe_offences(&[source("agent/crates/dataplane/src/a.rs", text)]).len(), 0);
}

#[test]
fn a_long_file_and_one_without_purpose_are_found() {
    let long = format!("//! x\n{}", "fn f() {}\n".repeat(CEILING));
    let tested = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(CEILING));
    let found = file_offences(&[
        source("ctl/src/a.rs", &long),
        source("ctl/src/b.rs", &tested),
        source("ctl/src/c.rs", ""),
    ]);
    assert_eq!(
        found,
        ["ctl/src/a.rs has 501 lines without its tests", "ctl/src/c.rs does not open with //!"]
    );
}
