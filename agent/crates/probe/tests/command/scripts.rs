//! Script checks: each way a script can end, as an attempt.

use std::time::Duration;

use ha_probe::command::{Command, Commands};
use ha_probe::{Attempt, Outcome, Probe, Reason, Script, Spec, Trouble};
use tokio::time::Instant;

use crate::fixture::{Folder, commands, marker, running, wait_until};

fn probe(program: &str, value_from_exit: bool, commands: &Commands) -> Probe {
    let command = Command { allow_root: true, ..Command::new([program], Duration::ZERO) };
    Probe::new(Spec::Script(Script { command, value_from_exit, commands: commands.clone() })).unwrap()
}

async fn attempt(probe: &Probe, within: Duration) -> Attempt {
    probe.attempt(Instant::now() + within, true).await
}

#[tokio::test]
async fn the_exit_status_is_the_result() {
    let folder = Folder::new();
    let missing = folder.path().join("missing").display().to_string();
    let script = |name: &str, lines: &str| folder.script(name, lines);
    let wide = script("wide", "exit 0");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o757);
    std::fs::set_permissions(&wide, permissions).unwrap();
    let failed = Outcome::Failed;
    let cases = [
        (script("a", "echo fine"), false, Outcome::Passed, None, ": fine"),
        (script("b", "echo no upstream; exit 1"), false, failed(Reason::ExitCode(1)), None, "exit status 1 "),
        (script("c", "exit 5"), false, failed(Reason::ExitCode(5)), None, "exit status 5 "),
        (script("d", "exit 0"), true, Outcome::Passed, None, "exit status 0 "),
        (script("e", "exit 1"), true, failed(Reason::ExitCode(1)), None, "exit status 1 "),
        (script("f", "exit 2"), true, Outcome::Passed, Some(0), "exit status 2 "),
        (script("g", "exit 255"), true, Outcome::Passed, Some(253), "exit status 255 "),
        (script("h", "kill -SEGV $$"), true, failed(Reason::Signal(11)), None, "ended by SIGSEGV"),
        (script("i", "nothing-of-this-name"), false, failed(Reason::ExitCode(127)), None, "was not found"),
        (wide, false, Outcome::Inconclusive(Trouble::Permission), None, "others may write it"),
        (missing, false, Outcome::Inconclusive(Trouble::Kernel), None, "no such file"),
    ];
    for (program, dynamic, outcome, value, evidence) in cases {
        let attempt = attempt(&probe(&program, dynamic, &commands()), Duration::from_secs(10)).await;
        println!("{:30} {:?} {}", attempt.evidence, attempt.outcome, attempt.latency.as_millis());
        assert_eq!((attempt.outcome, attempt.value), (outcome, value), "{program}");
        assert!(attempt.evidence.contains(evidence), "{program}: {}", attempt.evidence);
    }
}

#[tokio::test]
async fn a_script_that_hangs_fails_by_the_deadline_and_its_next_run_waits_for_its_end() {
    let folder = Folder::new();
    let marker = marker();
    let lines = format!("echo stuck; trap '' TERM; sleep {marker} & wait; sleep {marker}");
    let probe = probe(&folder.script("hang", &lines), false, &commands());
    let begun = Instant::now();
    let first = attempt(&probe, Duration::from_millis(400)).await;
    assert!(begun.elapsed() <= Duration::from_millis(450), "{:?}", begun.elapsed());
    assert_eq!(first.outcome, Outcome::Failed(Reason::Timeout));
    assert!(
        first.evidence.starts_with("its time was up") && first.evidence.ends_with(": stuck"),
        "{}",
        first.evidence
    );
    let names: Vec<_> = first.steps.iter().map(|step| (step.name, &*step.detail)).collect();
    assert_eq!(names, [("wait", ""), ("run", "stuck")]);
    let second = attempt(&probe, Duration::from_millis(200)).await;
    assert_eq!(second.outcome, Outcome::Inconclusive(Trouble::Late), "{}", second.evidence);
    let third = attempt(&probe, Duration::from_millis(2500)).await;
    assert_eq!(third.outcome, Outcome::Failed(Reason::Timeout), "{}", third.evidence);
    wait_until("nothing is left", || running(&marker).is_empty());
}

#[tokio::test]
async fn a_dropped_attempt_ends_its_script() {
    let folder = Folder::new();
    let marker = marker();
    let probe = probe(&folder.script("long", &format!("sleep {marker}")), false, &commands());
    let attempt =
        tokio::time::timeout(Duration::from_millis(300), attempt(&probe, Duration::from_secs(60))).await;
    assert!(attempt.is_err());
    tokio::task::spawn_blocking(move || wait_until("nothing is left", || running(&marker).is_empty()))
        .await
        .unwrap();
}

#[tokio::test]
async fn scripts_that_find_all_places_taken_are_nobodys_failure() {
    let folder = Folder::new();
    let commands = Commands::launched_by(crate::fixture::launcher(), 1);
    let slow = probe(&folder.script("slow", "sleep 1"), false, &commands);
    let quick = probe(&folder.script("quick", "exit 0"), false, &commands);
    let (slow, quick) = tokio::join!(attempt(&slow, Duration::from_secs(5)), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        attempt(&quick, Duration::from_millis(300)).await
    });
    assert_eq!(slow.outcome, Outcome::Passed);
    assert_eq!(quick.outcome, Outcome::Inconclusive(Trouble::Late), "{}", quick.evidence);
    assert!(quick.evidence.contains("1 commands run already"), "{}", quick.evidence);
}

#[test]
fn a_program_without_its_path_is_no_script_check() {
    let command = Command::new(["nginx"], Duration::ZERO);
    let spec = Spec::Script(Script { command, value_from_exit: false, commands: commands() });
    let text = Probe::new(spec).unwrap_err().to_string();
    assert_eq!(text, "command: `nginx` is not the absolute path of a program; no shell and no PATH is used");
}
