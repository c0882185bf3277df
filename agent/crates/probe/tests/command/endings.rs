//! How commands end, and what is said of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ha_probe::command::{Command, Commands, Ending, Leftovers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixture::{Folder, command, commands, launcher, marker, output, run, running, wait_until};

#[tokio::test]
async fn arguments_arrive_as_they_were_written_and_no_shell_sees_them() {
    let folder = Folder::new();
    let script = folder.script("arguments", r#"printf '%s\n' "$0" "$@""#);
    let text = output(&run([&script, "a b", "$(reboot)", "", "'; rm -rf /"]).await);
    assert_eq!(text, format!("{script}\na b\n$(reboot)\n\n'; rm -rf /\n"));
}

#[tokio::test]
async fn each_way_to_end_is_told_apart() {
    let folder = Folder::new();
    let missing = folder.path().join("missing").display().to_string();
    let cases = [
        ("exit 0", Ending::Exited(0)),
        ("exit 3", Ending::Exited(3)),
        ("exit 255", Ending::Exited(255)),
        ("/", Ending::Exited(126)),
        ("no-such-command-here", Ending::Exited(127)),
        ("kill -KILL $$", Ending::Signalled(9)),
        ("kill -35 $$", Ending::Signalled(35)),
        ("head -c 2000000 /dev/zero > $0.out; exit $?", Ending::Exited(153)),
    ];
    for (lines, ending) in cases {
        let ended = run([&folder.script("case", lines)]).await;
        assert_eq!(ended.ending, ending, "{lines}: {ended}");
    }
    let ended = run([&missing]).await;
    assert_eq!(ended.ending, Ending::NotStarted(format!("{missing}: no such file or directory")));
    let text = folder.script("no-format", "");
    std::fs::write(&text, "neither a script nor a binary").unwrap();
    let ended = run([&text]).await;
    assert_eq!(ended.ending, Ending::NotStarted(format!("cannot start {text}: exec format error")));
}

#[tokio::test]
async fn both_outputs_are_kept_in_their_order() {
    let folder = Folder::new();
    let script = folder.script("talk", "echo one; echo two >&2; echo three; exit 4");
    let ended = run([&script]).await;
    assert_eq!(ended.output.text(), "one\ntwo\nthree\n");
    let text = ended.to_string();
    assert!(text.starts_with("exit status 4 after ") && text.ends_with(": two / three"), "{text}");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_asked_to_end_first() {
    let folder = Folder::new();
    let script = folder.script("slow", "trap 'echo asked; exit 0' TERM; echo waiting; sleep 60 & wait");
    let ended = commands().run(&command([&script], Duration::from_millis(300))).await;
    assert_eq!(ended.ending, Ending::TimedOut);
    assert_eq!(ended.output.text(), "waiting\nasked\n");
    assert!(ended.took < Duration::from_millis(1300), "{ended}");
}

#[tokio::test]
async fn the_verdict_does_not_wait_for_the_killing() {
    let folder = Folder::new();
    let marker = marker();
    let script = folder.script("stubborn", &format!("trap '' TERM; while :; do sleep {marker}; done"));
    let commands = commands();
    let begun = Instant::now();
    let slot = commands.slot().await;
    let ended = commands.run_to_verdict(slot, &command([&script], Duration::from_millis(200)), ()).await;
    assert_eq!(ended.ending, Ending::TimedOut);
    assert!(begun.elapsed() < Duration::from_millis(1000), "{:?}", begun.elapsed());
    assert_eq!(commands.running(), 1, "the slot is held until nothing is left");
    while commands.running() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(running(&marker), []);
    println!("verdict and burial after {:.3?}", begun.elapsed());
}

#[tokio::test]
async fn what_a_check_leaves_behind_is_killed_and_what_a_remedy_starts_stays() {
    let folder = Folder::new();
    let marker = marker();
    let script = folder.script("leave", &format!("setsid sleep {marker} >/dev/null 2>&1 & exit 0"));
    let check = command([&script], Duration::from_secs(5));
    let ended = commands().run(&check).await;
    assert_eq!((&ended.ending, ended.killed), (&Ending::Exited(0), 1), "{ended}");
    assert_eq!(running(&marker), []);
    let ended = commands().run(&Command { leftovers: Leftovers::Stay, ..check }).await;
    assert_eq!((&ended.ending, ended.killed), (&Ending::Exited(0), 0), "{ended}");
    wait_until("the service runs", || running(&marker).len() == 1);
    running(&marker).into_iter().for_each(|process| kill(Pid::from_raw(process), Signal::SIGKILL).unwrap());
    wait_until("the service is gone", || running(&marker).is_empty());
}

#[tokio::test]
async fn a_command_that_is_given_up_is_ended() {
    let folder = Folder::new();
    let marker = marker();
    let script = folder.script("long", &format!("sleep {marker} & setsid sleep {marker} & wait"));
    let commands = commands();
    let command = command([&script], Duration::from_secs(60));
    let given_up = tokio::time::timeout(Duration::from_millis(500), commands.run(&command)).await;
    assert!(given_up.is_err());
    while commands.running() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(running(&marker), []);
}

#[test]
fn a_killed_agent_leaves_no_command_behind() {
    let folder = Folder::new();
    let marker = marker();
    let script = folder.script("orphan", &format!("sleep {marker} & setsid sleep {marker} & wait"));
    let mut agent = std::process::Command::new(launcher()).args(["--root", &script]).spawn().unwrap();
    wait_until("the command runs", || running(&marker).len() == 2);
    agent.kill().unwrap();
    agent.wait().unwrap();
    let took = wait_until("nothing is left", || running(&marker).is_empty());
    println!("nothing left {took:.3?} after the agent was killed");
}

#[tokio::test]
async fn a_killed_launcher_is_noticed_and_its_command_is_killed() {
    let folder = Folder::new();
    let marker = marker();
    let script = folder
        .script("orphan", &format!("echo $PPID > {}/launcher; sleep {marker}", folder.path().display()));
    let file = folder.path().join("launcher");
    let killer = tokio::task::spawn_blocking(move || {
        let read = || std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<i32>().ok());
        wait_until("the command runs", || read().is_some());
        kill(Pid::from_raw(read().unwrap()), Signal::SIGKILL).unwrap();
    });
    let ended = run([&script]).await;
    killer.await.unwrap();
    assert!(matches!(ended.ending, Ending::Lost(_)), "{ended}");
    wait_until("nothing is left", || running(&marker).is_empty());
}

#[tokio::test]
async fn never_more_commands_run_at_once_than_allowed() {
    let folder = Folder::new();
    let script = folder.script("short", "sleep 0.1");
    let commands = Commands::launched_by(launcher(), 2);
    let most = Arc::new(AtomicUsize::new(0));
    let runs = (0..6).map(|_| {
        let (commands, most) = (commands.clone(), Arc::clone(&most));
        let command = command([&script], Duration::from_secs(10));
        tokio::spawn(async move {
            let ended = commands.run(&command).await;
            most.fetch_max(commands.running(), Ordering::Relaxed);
            ended
        })
    });
    for run in runs.collect::<Vec<_>>() {
        assert!(run.await.unwrap().is_success());
    }
    assert!(most.load(Ordering::Relaxed) <= 2);
    assert_eq!(commands.running(), 0);
}
