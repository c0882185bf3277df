//! The example with real nginx: killed and started again by its remedy, broken and moved, mended and back; and a server of
//! its pool that leaves and returns.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ha_tests::outside_of_cargo;

fn leftovers() -> Vec<String> {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> = names.filter(|name| name.starts_with("ha-nginx-")).collect();
    found.extend(Path::new("/run/ha-agent-nginx").exists().then(|| "/run/ha-agent-nginx".to_owned()));
    found
}

/// What was said from a heading on, up to the next one.
fn section<'a>(said: &'a str, heading: &str) -> &'a str {
    let (_, rest) = said.split_once(heading).unwrap_or_else(|| panic!("no {heading:?} in it"));
    rest.split_once("\n\u{1b}[1m").map_or(rest, |(section, _)| section)
}

#[test]
fn nginx_is_started_again_by_its_remedy_and_the_address_moves_only_when_that_fails() {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/nginx/run");
    let mut command = outside_of_cargo(Command::new(script));
    let output = command.arg("--no-wait").stdin(Stdio::null()).output().expect("bash starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let remedied = section(&said, "the remedy starts it again, the address stays");
    assert!(remedied.contains("the remedy helped: it passes again"));
    assert!(!remedied.contains("BACKUP → ACTIVE"), "the address moved although the remedy helped");

    let moved = section(&said, "the address moves to lb2");
    assert!(moved.contains("PASSING → FAILING"));
    assert!(moved.contains("PEER_PRIORITY_ZERO"), "lb1 did not release");
    assert!(moved.contains("lb2: lb1 cannot take part: checks/nginx fails"), "explain does not say who wins");

    let back = section(&said, "the address comes back");
    assert!(back.contains("LOCAL_PREEMPT"));

    let left = section(&said, "it leaves the pool");
    assert!(left.contains("pool.server_left") && left.contains("2 of 3 servers are in"));
    let returned = section(&said, "web server w2 is back");
    assert!(returned.contains("pool.server_returned") && returned.contains("3 of 3 servers are in"));
    assert_eq!(leftovers(), Vec::<String>::new());
}
