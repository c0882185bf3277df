//! The README's first command.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use ha_tests::{outside_of_cargo, wait_for};

/// It builds first; that may take long on a machine that has not built yet.
const BUILD_AND_RUN: Duration = Duration::from_secs(600);

fn demo(arguments: &[&str]) -> Command {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/run");
    let mut command = outside_of_cargo(Command::new(script));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn leftovers() -> Vec<String> {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> = names.filter(|name| name.starts_with("ha-demo-")).collect();
    found.extend(Path::new("/run/ha-agent-demo").exists().then(|| "/run/ha-agent-demo".to_owned()));
    found
}

#[test]
fn the_demo_shows_a_failover_and_leaves_nothing_even_after_one_that_was_killed() {
    // One that is killed in the middle: its network and its agents stay.
    let mut first = demo(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("bash starts");
    wait_for("its agents", BUILD_AND_RUN, || {
        Path::new("/run/ha-agent-demo/c/agent.pid").exists()
            || first.try_wait().is_ok_and(|end| end.is_some())
    });
    first.kill().expect("it is ours");
    let status = first.wait().expect("it was started");
    assert_eq!(status.code(), None, "the first demo ended by itself");
    assert!(!leftovers().is_empty(), "there is nothing to clean up");

    let output = demo(&["--no-wait"]).output().expect("bash starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in ["hello from node-a", "node-a dies", "hello from node-b", "ACTIVE_DOWN_TIMER", "comes back"]
    {
        assert!(said.contains(words), "no {words:?} in it");
    }
    // The verdict of hactl: whole at first and at the end, one node short in between.
    assert!(said.matches("OK").count() >= 2, "never whole");
    assert_eq!(leftovers(), Vec::<String>::new());
}
