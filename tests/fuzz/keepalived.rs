//! keepalived.conf: whatever the text and whatever it includes, reading ends, findings lie inside their file and show no
//! password, and what runs is what `convert` writes.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::Path,
};

use ha_config::{Configuration, Context, Machine, NoMachine, Source, convert, parse};
use ha_tests::Fuzz;

/// A password, which no finding may show.
const SECRET: &str = "s3kr1t!";

const WORDS: [&str; 29] = [
    "vrrp_instance a {\n",
    "vrrp_script s {\n script \"/bin/x 'a b'\"\n}\n",
    "vrrp_sync_group g {\n group {\n a\n }\n}\n",
    "global_defs {\n",
    "virtual_ipaddress {\n 192.0.2.1 dev eth1\n}\n",
    "track_script {\n s weight -5 reverse\n}\n",
    "auth_pass s3kr1t!\n",
    "authentication {\n auth_type PASS\n auth_pass s3kr1t!\n}\n",
    "unicast_peer {\n 10.0.0.2 min_ttl 3\n}\n",
    "notify_master \"/bin/x\" root\n",
    "include self\n",
    "include *.conf\n",
    "include {a,b,{c,d}}*\n",
    "~SEQ(A, 1, 99999999) ",
    "~SEQx(B, 0x10, -1, 0) ",
    "~LST({A, B}, {1, 2}, {3, 4}) ",
    "$A= \\\n",
    "$A=$A$B${A}\n",
    "$A\n",
    "${_RANDOM} ${_PWD} ${_HASH}",
    "@^node ",
    "priority 300\n",
    "{",
    "}",
    "\"",
    "\\x",
    "\u{9b}2J",
    "\u{202e}",
    "include \u{1b}[31mred.conf\n",
];

/// Every file includes itself and others.
struct Loop<'t>(&'t str);

impl Machine for Loop<'_> {
    fn read(&mut self, path: &Path) -> io::Result<String> {
        match path.extension() {
            Some(extension) if extension == "toml" => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(self.0.to_owned()),
        }
    }

    fn list(&mut self, _: &Path) -> io::Result<Vec<String>> {
        Ok((0..32).map(|number| format!("a{number}.conf")).collect())
    }

    fn has_user(&mut self, name: &str) -> Option<bool> {
        Some(name.len().is_multiple_of(2))
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is inside the workspace");
    let files = fs::read_dir(folder.join("agent/crates/config/tests/keepalived")).expect("a folder");
    let paths = files.map(|file| file.expect("a file").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "conf"));
    texts.map(|path| fs::read(path).expect("it can be read")).collect()
}

#[test]
fn no_keepalived_conf_panics_takes_long_leaks_a_password_or_means_something_else_converted() {
    let seeds = seeds();
    assert!(seeds.len() >= 30, "the seeds were not found: {}", seeds.len());
    let fuzz = Fuzz::new("keepalived", seeds).words(&WORDS).largest(1 << 14);
    let verdict = fuzz.run(|octets| {
        let text = String::from_utf8_lossy(octets);
        judge(&text)
    });
    println!("{verdict:?}");
    assert!(verdict.answers > 50, "{verdict:?}");
}

/// Converts a text, and a hash of the sorts of findings and of what runs.
fn judge(text: &str) -> u64 {
    let mut read_file = |_: &Path| -> io::Result<String> { Err(io::ErrorKind::NotFound.into()) };
    let source = Source { path: Path::new("keepalived.conf"), text };
    let mut files = Loop(text);
    let mut context = Context { host_name: "node.example", read_file: &mut read_file, machine: &mut files };
    let Some(conversion) = convert(&source, &mut context) else { return 0 };
    let outcome = conversion.outcome;
    assert_eq!(outcome.model.is_some(), outcome.errors() == 0);
    assert!(outcome.findings.len() <= 500);
    let mut hasher = DefaultHasher::new();
    // Only a keyword at the beginning of a line makes a password of a word; within quotes it may be anything.
    let is_said = |line: &str| line.trim_start().starts_with(&format!("auth_pass {SECRET}"));
    let is_password =
        !text.contains(['"', '\\']) && text.lines().filter(|line| line.contains(SECRET)).all(is_said);
    for finding in &outcome.findings {
        assert!(finding.span.start <= finding.span.end && finding.span.end <= text.len(), "{finding:?}");
        assert!(finding.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "{finding}");
        let shown = finding.to_string();
        assert!(!is_password || !shown.contains(SECRET), "{finding}");
        assert!(!shown.chars().any(|c| c == '\u{202e}' || (c.is_control() && c != '\n')), "{shown:?}");
        finding.message.split('"').next().hash(&mut hasher);
    }
    if let Some(loaded) = outcome.model {
        let mut context =
            Context { host_name: "node.example", read_file: &mut read_file, machine: &mut NoMachine };
        let text = &conversion.text;
        let again = parse(&Source { path: Path::new("x.toml"), text }, &mut context);
        let converted = again.model.unwrap_or_else(|| panic!("{:?}\n{text}", again.findings));
        let digest = converted.digest.clone();
        (loaded.instances.len(), loaded.checks.len(), loaded.notifiers.len()).hash(&mut hasher);
        assert_eq!(Configuration { digest, ..loaded }, converted, "{text}");
    }
    hasher.finish()
}
