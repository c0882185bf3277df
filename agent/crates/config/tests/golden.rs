//! Broken configurations and the findings they must give: `tests/broken/NAME.toml` with `NAME.txt`; and files of keepalived's,
//! each in a style that people write, with the findings and the TOML that it becomes: `tests/keepalived/NAME.conf` with `NAME.txt`
//! and `NAME.toml`.
//! `BLESS=1` writes the findings of today into the text files, for a human to read in the diff.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::path::{Path, PathBuf};

use ha_config::{
    CheckKind, Configuration, Context, Conversion, Machine, NoMachine, Outcome, Severity, Source, convert,
    parse, parse_bytes,
};

/// What the password of every broken file begins with; it must never be seen.
const CANARY: &str = "canary";

fn broken_files() -> Vec<PathBuf> {
    files_in("broken", "toml")
}

fn files_in(folder: &str, kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == kind))
        .collect();
    files.sort();
    files
}

fn read_password(path: &Path) -> io::Result<String> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("good") => Ok("canary\n".to_owned()),
        Some("long") => Ok("canary-too-long\n".to_owned()),
        Some("lines") => Ok("canary\ncanary\n".to_owned()),
        Some("empty") => Ok("\n".to_owned()),
        Some("open") => Err(io::Error::other("others may read it (mode 0644)")),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn findings_of(name: &str, text: &str) -> Outcome {
    let mut read_file = read_password;
    let mut context = Context { host_name: "node-a", read_file: &mut read_file, machine: &mut NoMachine };
    parse(&Source { path: Path::new(name), text }, &mut context)
}

fn printed(outcome: &Outcome) -> String {
    outcome.findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn every_broken_configuration_gives_its_findings_with_place_and_remedy() {
    let files = broken_files();
    assert!(files.len() >= 45, "only {} files", files.len());
    compare(&files);
}

#[test]
fn a_keepalived_conf_runs_or_it_is_said_at_its_lines_why_not() {
    let files = files_in("keepalived", "conf");
    assert!(files.len() >= 30, "only {} files", files.len());
    let mut run = 0;
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let outcome = findings_of(name, &std::fs::read_to_string(path).unwrap());
        assert_eq!(outcome.model.is_some(), outcome.errors() == 0, "{name}");
        assert!(!format!("{outcome:?}").contains(CANARY), "{name}");
        assert!(!printed(&outcome).contains("not TOML"), "{name}");
        run += usize::from(outcome.model.is_some());
        compare_text(&printed(&outcome), &path.with_extension("txt"));
        compare_text(
            &conversion(name, &std::fs::read_to_string(path).unwrap()).text,
            &path.with_extension("toml"),
        );
    }
    assert!(run >= 15, "only {run} of them run");
}

fn conversion(name: &str, text: &str) -> Conversion {
    let mut read_file = read_password;
    let mut context = Context { host_name: "node-a", read_file: &mut read_file, machine: &mut NoMachine };
    convert(&Source { path: Path::new(name), text }, &mut context)
        .unwrap_or_else(|| panic!("{name} is no keepalived.conf"))
}

/// What stands in a file is what was meant; `BLESS=1` writes it.
fn compare_text(text: &str, path: &Path) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap_or_default(), "{}", path.display());
}

#[test]
fn a_converted_file_means_what_the_loaded_one_means() {
    let mut compared = 0;
    for path in files_in("keepalived", "conf") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let conversion = conversion(name, &std::fs::read_to_string(&path).unwrap());
        let again = findings_of("x.toml", &conversion.text);
        let Some(loaded) = conversion.outcome.model else {
            continue;
        };
        let converted = again.model.unwrap_or_else(|| panic!("{name}: {:?}", again.findings));
        compared += 1;
        let digest = loaded.digest.clone();
        assert_eq!(loaded, Configuration { digest, ..converted }, "{name}");
    }
    assert!(compared >= 15, "only {compared} of them were compared");
}

/// A folder with one file.
struct Beside(&'static str);

impl Machine for Beside {
    fn read(&mut self, path: &Path) -> io::Result<String> {
        let found = (path == Path::new("k/keepalived.toml")).then(|| self.0.to_owned());
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&mut self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn has_user(&mut self, name: &str) -> Option<bool> {
        Some(name == "keepalived_script")
    }

    fn has_program(&mut self, program: &str) -> Option<bool> {
        Some(program != "/missing")
    }
}

fn beside(text: &str, beside: &'static str) -> Outcome {
    let mut read_file = read_password;
    let mut context =
        Context { host_name: "node-a", read_file: &mut read_file, machine: &mut Beside(beside) };
    parse(&Source { path: Path::new("k/keepalived.conf"), text }, &mut context)
}

#[test]
fn what_something_else_does_is_left_out_when_the_file_beside_says_so() {
    const BALANCED: &str = "vrrp_instance a {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n }\n \
                            virtual_routes {\n 192.0.2.128/25 via 192.0.2.2\n }\n}\nvirtual_server 192.0.2.1 80 {\n \
                            real_server 192.0.2.7 80 {\n }\n}\nvirtual_server 192.0.2.1 81 {\n}\n";
    let found = |text| printed(&beside(BALANCED, text));
    let both = "[log]\nlevel = 'debug'\n[keepalived]\nleave_out = [\n 'virtual_server',\n 'virtual_routes',\n]\n[metrics]\nlisten = '127.0.0.1:1'\n";
    let outcome = beside(BALANCED, both);
    let model = outcome.model.as_ref().unwrap_or_else(|| panic!("{:?}", outcome.findings));
    assert_eq!(
        (model.instances.len(), model.metrics.listen.is_some()),
        (1, true),
        "the rest of the file counts"
    );
    let told = printed(&outcome);
    assert_eq!(told.matches("as leave_out says").count(), 2, "{told}");
    let one = found("[keepalived]\nleave_out = ['virtual_server']\n");
    assert!(
        one.contains("warning: keepalived's virtual_server is left out here, as leave_out says"),
        "{one}"
    );
    assert!(one.contains("error: keepalived's virtual_routes cannot be taken over"), "{one}");
    for (text, expected) in [
        (
            "[keepalived]\nleave_out = ['virtual_sever']",
            "k/keepalived.toml:2:14: error: keepalived has no \"virtual_sever\"; did you mean virtual_server?",
        ),
        (
            "# a\n[keepalived]\nleave_out = ['priority']",
            "k/keepalived.toml:3:14: warning: priority is no error",
        ),
        ("[keepalived]\nleave = []", "k/keepalived.toml:2:1: error: [keepalived] has no key \"leave\""),
        ("[keepalived]\nleave_out = 'x", "k/keepalived.toml:2:"),
        (
            "[log]\nlevel = 'loud'\n[keepalived]\nleave_out = ['virtual_server', 'virtual_routes']\n",
            "k/keepalived.toml:2:9: error: level does not know \"loud\"",
        ),
        (
            "[keepalived]\nleave_out = ['virtual_server', 'virtual_routes']\n[log]\nlevel = 'loud'\n",
            "k/keepalived.toml:4:9: error: level does not know \"loud\"",
        ),
    ] {
        assert!(found(text).contains(expected), "{}", found(text));
    }
}

#[test]
fn a_program_that_is_not_on_the_machine_is_told_once_because_keepalived_runs_without_it() {
    let text = "vrrp_script s {\n script \"killall -0 x\"\n}\nvrrp_instance a {\n interface eth0\n virtual_router_id 1\n \
                track_script {\n s\n }\n virtual_ipaddress {\n 192.0.2.1\n }\n notify_master \"/missing a\"\n \
                notify_backup \"/missing b\"\n}\n";
    let outcome = beside(text, "");
    let found = printed(&outcome);
    let named = text.replace("vrrp_script s {\n", "vrrp_script s {\n user gone gone\n");
    let named = printed(&beside(&named, ""));
    assert!(
        named.contains("k/keepalived.conf:2:7: warning: there is no user \"gone\" on this machine"),
        "{named}"
    );
    assert!(
        found.contains("k/keepalived.conf:13:16: warning: \"/missing\" is not on this machine"),
        "{found}"
    );
    assert_eq!(found.matches("is not on this machine").count(), 1, "{found}");
    assert!(outcome.model.is_some());
}

#[test]
fn a_user_that_is_not_on_the_machine_is_told_once_and_may_be_an_argument() {
    let text = "vrrp_instance a {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n }\n \
                notify_master /bin/a primary\n notify_backup /bin/b primary\n notify_fault /bin/c keepalived_script\n}\n";
    let outcome = beside(text, "");
    let found = printed(&outcome);
    assert!(found.contains("k/keepalived.conf:7:23: warning: there is no user \"primary\""), "{found}");
    assert_eq!(found.matches("there is no user").count(), 1, "{found}");
    assert!(outcome.model.is_some());
}

#[test]
fn what_keepalived_cannot_say_stands_in_a_file_beside_it_and_both_are_one_configuration() {
    let text = "vrrp_script s { \nscript /bin/true\n}\nvrrp_instance a {\n interface eth0\n virtual_router_id 1\n \
                track_script {\n s\n }\n virtual_ipaddress { 192.0.2.1\n }\n}\n";
    let read = |beside: &'static str| {
        let mut read_file = read_password;
        let mut context =
            Context { host_name: "node-a", read_file: &mut read_file, machine: &mut Beside(beside) };
        parse(&Source { path: Path::new("k/keepalived.conf"), text }, &mut context)
    };
    let outcome = read("[node]\nname = 'b'\n[[notify]]\nname = 'x'\non = ['instances/a']\nfifo = '/run/x'");
    let model = outcome.model.unwrap_or_else(|| panic!("{:?}", outcome.findings));
    assert_eq!((&*model.node_name, model.notifiers.len(), model.instances.len()), ("b", 1, 1));
    let CheckKind::Script(script) = &model.checks[0].kind else { panic!("a script") };
    assert_eq!(script.command.user.as_deref(), Some("keepalived_script"));
    for (beside, expected) in [
        ("[log]\nlevel = 'loud'\n", "k/keepalived.toml:2:9: error: level does not know \"loud\""),
        ("[log\n", "k/keepalived.toml:1:5: error: "),
        ("x = 1\n", "k/keepalived.toml:1:1: error: the file has no key \"x\""),
        ("[[instance]]\nname = 'a'\n", "k/keepalived.toml:1:1: error: instance \"a\" has no interface"),
    ] {
        let outcome = read(beside);
        let told: Vec<String> = outcome.findings.iter().map(ha_config::Finding::headline).collect();
        assert!(outcome.model.is_none() && told.iter().any(|told| told.starts_with(expected)), "{told:#?}");
    }
}

#[test]
fn a_keepalived_conf_of_any_name_is_known_by_its_first_block() {
    for begin in ["", "@node-a ", "! why\n@^node-b  ", "$X=1\n\t"] {
        let text = format!(
            "{begin}vrrp_instance a {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n192.0.2.1\n}}\n}}\n"
        );
        let outcome = findings_of("x.conf", &text);
        assert!(outcome.model.is_some_and(|model| model.instances.len() == 1), "{text}");
    }
}

#[test]
fn a_file_of_ours_is_never_taken_for_one_of_keepaliveds() {
    for text in
        ["[node]\nname = \nvrrp_instance = 1\n", "vrrp_instances {\n", "# vrrp_script {\nname = \n", "=\n"]
    {
        let outcome = findings_of("x.toml", text);
        assert!(
            outcome.findings.iter().all(|finding| !finding.message.contains("keepalived.conf")),
            "{text}"
        );
    }
}

/// Compares the findings of each file with those in the text file beside it.
fn compare(files: &[PathBuf]) {
    let mut differing = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let outcome = findings_of(name, &std::fs::read_to_string(path).unwrap());
        assert!(!outcome.findings.is_empty(), "{name} gives no finding");
        let expected_path = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected_path, printed(&outcome)).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if expected != printed(&outcome) {
            differing.push(format!("--- {name}\n{}", printed(&outcome)));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_broken_configuration_has_no_model_and_a_doubtful_one_has() {
    for path in broken_files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let outcome = findings_of(name, &std::fs::read_to_string(&path).unwrap());
        let only_warnings = outcome.findings.iter().all(|finding| finding.severity == Severity::Warning);
        assert_eq!(outcome.model.is_some(), only_warnings, "{name}");
        assert_eq!(only_warnings, name.starts_with("warning_") || name == "nothing_to_do.toml", "{name}");
    }
}

#[test]
fn no_finding_shows_a_password() {
    let mut with_canary = 0;
    for path in broken_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        with_canary += usize::from(text.contains(CANARY));
        let outcome = findings_of("x.toml", &text);
        assert!(!printed(&outcome).contains(CANARY), "{}", path.display());
        assert!(!format!("{outcome:?}").contains(CANARY), "{}", path.display());
    }
    assert!(with_canary >= 5);
}

#[test]
fn octets_that_are_no_text_are_refused_at_their_place() {
    let mut read_file = read_password;
    let mut context = Context { host_name: "node-a", read_file: &mut read_file, machine: &mut NoMachine };
    let outcome = parse_bytes(Path::new("x.toml"), b"[node]\nname = \"a\xff\"\n", &mut context);
    assert_eq!(outcome.model, None);
    let expected = "x.toml:2:10: error: the text is not UTF-8 from here on; save the file as UTF-8";
    assert_eq!(outcome.findings[0].headline(), expected);
    let nul = findings_of("x.toml", "[node]\nname = \"a\0\"\n");
    assert!(nul.findings[0].headline().starts_with("x.toml:2:10: error: the file contains a NUL octet"));
}

#[test]
fn a_text_that_is_too_large_is_not_read() {
    let outcome = findings_of("x.toml", &"#\n".repeat(ha_config::LARGEST_TEXT / 2 + 1));
    assert_eq!((outcome.model.is_some(), outcome.findings.len()), (false, 1));
    assert!(outcome.findings[0].message.contains("4194306 octets"));
}

#[test]
fn an_error_is_shown_however_many_warnings_stand_before_it() {
    let instance = |index: u32| {
        format!(
            "[[instance]]\nname = 'i{index}'\ninterface = 'eth{index}'\nvrid = 1\naddresses = ['2001:db8::{index:x}']\n"
        )
    };
    let text = (1..=12_000).map(instance).collect::<String>() + "[log]\nlevel = 'loud'\n";
    let outcome = findings_of("x.toml", &text);
    assert_eq!((outcome.findings.len(), outcome.errors()), (500, 1));
    assert!(outcome.findings[499].message.starts_with("level does not know \"loud\""));
}

#[test]
fn a_thousand_mistakes_give_at_most_500_findings() {
    let text: String = (0..10_000).map(|index| format!("key{index} = 1\n")).collect();
    let outcome = findings_of("x.toml", &text);
    assert_eq!(outcome.findings.len(), 500);
    assert!(outcome.findings[499].message.ends_with("more findings, not shown)"));
}
