//! The configuration: whatever the text, findings lie inside it and show no secret; and what counts as valid, the engine
//! takes over, a summary can be printed of, and a reload of the same changes nothing.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::Path,
};

use ha_config::{Configuration, Context, NoMachine, Outcome, Summary, changes, parse_bytes};
use ha_engine::{Engine, Input, Instant};
use ha_tests::Fuzz;

/// What stands in every file that holds a secret; it must never be seen.
const SECRET: &str = "s3kr1t!";

/// Words that configurations are made of.
const WORDS: [&str; 25] = [
    "[[instance]]\n",
    "[[check]]\nname = \"a\"\nkind = \"tcp\"\n",
    "[[pool]]\nname = \"web\"\nchecks = [\"a\"]\n",
    "[[pool.server]]\naddress = \"10.0.1.1\"\nport = 80\n",
    "[[group]]\nname = \"edge\"\n",
    "[[notify]]\nname = \"a\"\non = [\"checks/a\"]\n",
    "[check.remedy]\n",
    "[pool.nginx]\n",
    "addresses = [\"10.0.0.1\", { address = \"fe80::1\", interface = \"eth1\", advertised = false }]\n",
    "track = [\"a\", { check = \"b\", weight = -30 }]\n",
    "group = \"edge\"\n",
    "kind = \"expr\"\nany_of = [\"a\", \"b\"]\n",
    "command = [\"/bin/x\", \"{address}\"]\n",
    "weight = ",
    "password = \"canary\"\n",
    "\"",
    "'''",
    "= \"99999999h\"\n",
    "= \"10%\"\n",
    "= -2147483648\n",
    "url = \"https://[::1]:0/?x#\"\n",
    "{ ",
    " }",
    "[",
    "]",
];

fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is inside the workspace");
    let folders = ["deploy/examples", "agent/crates/config/tests/broken"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).expect("a folder"));
    let paths = files.map(|file| file.expect("a file").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    texts.map(|path| fs::read(path).expect("it can be read")).collect()
}

fn read(text: &[u8]) -> Outcome {
    let mut read_file = |_: &Path| -> io::Result<String> { Ok(SECRET.to_owned()) };
    let mut context = Context { host_name: "node", read_file: &mut read_file, machine: &mut NoMachine };
    parse_bytes(Path::new("x.toml"), text, &mut context)
}

#[test]
fn no_configuration_panics_leaks_a_secret_or_becomes_what_the_engine_cannot_take() {
    let seeds = seeds();
    assert!(seeds.len() > 100, "the seeds were not found: {}", seeds.len());
    let fuzz = Fuzz::new("config", seeds).words(&WORDS).largest(1 << 14);
    let verdict = fuzz.run(|text| {
        let outcome = read(text);
        judge(text, &outcome);
        kind_of(&outcome)
    });
    println!("{verdict:?}");
    assert!(verdict.answers > 50, "{verdict:?}");
}

fn judge(text: &[u8], outcome: &Outcome) {
    assert_eq!(outcome.model.is_some(), outcome.errors() == 0);
    for finding in &outcome.findings {
        assert!(finding.span.start <= finding.span.end && finding.span.end <= text.len(), "{finding:?}");
        assert!(finding.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "{finding}");
        let shown = finding.to_string();
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
    assert!(
        text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
            || !format!("{outcome:?}").contains(SECRET)
    );
    if let Some(configuration) = &outcome.model {
        judge_model(configuration);
    }
}

fn judge_model(configuration: &Configuration) {
    assert_eq!(changes(configuration, configuration), []);
    assert!(!Summary(configuration).to_string().is_empty());
    let checks: std::collections::BTreeSet<&str> =
        configuration.checks.iter().map(|check| &*check.policy.name).collect();
    assert_eq!(checks.len(), configuration.checks.len(), "two checks have the same fact");
    let pools = || configuration.pools.iter();
    let exists = |fact: &str| {
        checks.contains(fact) || pools().any(|pool| fact == format!("pools/{}", pool.config.name))
    };
    for instance in &configuration.instances {
        for track in &*instance.tracks {
            assert!(exists(&track.fact), "{} tracks {}, which there is not", instance.name, track.fact);
        }
    }
    for server in pools().flat_map(|pool| &pool.config.servers) {
        assert!(server.checks.iter().all(|fact| checks.contains(&**fact)), "{server:?}");
    }
    for check in &configuration.checks {
        let members = check.policy.rule.as_ref().map(|rule| rule.members()).unwrap_or_default();
        assert!(members.iter().all(|fact| checks.contains(&**fact)), "{check:?}");
        assert_eq!(check.remedy.is_some(), check.policy.remedy.is_some());
    }
    let mut engine = Engine::new();
    for _ in engine.handle(Instant::from_nanos(1 << 40), Input::Reconfigure(&configuration.instances)) {}
}

/// Stands for what was found: the messages without what they quote, and how much there is of everything.
fn kind_of(outcome: &Outcome) -> u64 {
    let mut hasher = DefaultHasher::new();
    for finding in &outcome.findings {
        let words = finding.message.split('"').step_by(2);
        let letters = words.flat_map(str::chars).filter(|c| c.is_ascii_alphabetic());
        letters.collect::<String>().hash(&mut hasher);
    }
    if let Some(model) = &outcome.model {
        let counts = [model.instances.len(), model.checks.len(), model.pools.len(), model.notifiers.len()];
        counts.hash(&mut hasher);
    }
    hasher.finish()
}
