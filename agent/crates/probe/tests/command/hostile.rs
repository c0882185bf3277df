//! Commands that want to stay, to fill memory, or to be somebody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use ha_probe::command::{Ending, OUTPUT_LIMIT};

use crate::fixture::{Folder, command, commands, launcher, marker, run, running};

#[tokio::test]
async fn nothing_is_left_of_a_script_that_forks_and_ignores_sigterm() {
    let folder = Folder::new();
    let marker = marker();
    let escape = format!(
        "trap '' TERM
         sleep {marker} &
         setsid sleep {marker} &
         setsid sh -c 'trap \"\" TERM; (setsid sleep {marker} & ) ; (sleep {marker} &) ; sleep {marker}' &
         for i in 1 2 3 4 5 6 7 8; do (setsid sh -c 'sleep {marker} & sleep {marker}' &) ; done
         echo started; while :; do sleep {marker}; done"
    );
    let script = folder.script("fork", &escape);
    let begun = Instant::now();
    let ended = commands().run(&command([&script], Duration::from_millis(700))).await;
    assert_eq!(ended.ending, Ending::TimedOut);
    assert_eq!(running(&marker), [], "{ended}");
    assert!(ended.killed >= 1, "{ended}");
    println!("{ended}; gone after {:.3?}", begun.elapsed());
}

#[tokio::test]
async fn a_gigabyte_of_output_neither_blocks_nor_grows() {
    let begun = Instant::now();
    let run = tokio::spawn(run(["/usr/bin/head", "-c", "1073741824", "/dev/zero"]));
    let mut most = 0;
    while !run.is_finished() {
        most = most.max(memory_of_launchers());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ended = run.await.unwrap();
    assert_eq!(ended.ending, Ending::Exited(0));
    assert_eq!((ended.output.total, ended.output.beginning.len()), (1 << 30, OUTPUT_LIMIT));
    assert!((1..20_000).contains(&most), "{most} KiB");
    println!("1 GiB read in {:.3?}; the launcher had at most {most} KiB", begun.elapsed());
}

/// The largest resident set, in KiB, of the launchers of this test's binary.
fn memory_of_launchers() -> u64 {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let sizes = entries.filter_map(|entry| {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        let is_ours =
            parent.trim().parse() == Ok(std::process::id()) && status.starts_with("Name:\tha-command");
        let size =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB");
        size.parse().ok().filter(|_| is_ours)
    });
    sizes.max().unwrap_or_default()
}

#[tokio::test]
async fn a_program_that_others_can_change_is_never_run() {
    let folder = Folder::new();
    let proof = folder.path().join("proof");
    let script = folder.script("program", &format!("touch {}", proof.display()));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o777)).unwrap();
    let ended = run([&script]).await;
    let why = format!(
        "{script}: its group and others may write it (mode 0777); chmod go-w it, or move the program elsewhere"
    );
    assert_eq!(ended.ending, Ending::Refused(why));
    assert!(!proof.exists());
    // It is judged at each run.
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(run([&script]).await.is_success());
    assert!(proof.exists());
}

#[tokio::test]
async fn a_launcher_that_cannot_be_started_is_said_and_not_fatal() {
    let commands = ha_probe::command::Commands::launched_by("/no/such/launcher", 1);
    let ended = commands.run(&command(["/bin/true"], Duration::from_secs(1))).await;
    let why = "cannot start a launcher: no such file or directory".to_owned();
    assert_eq!(ended.ending, Ending::NotStarted(why));
}

#[tokio::test]
async fn the_cost_of_a_command_is_printed() {
    const RUNS: u32 = 100;
    let commands = commands();
    let command = command(["/bin/true"], Duration::from_secs(5));
    let (begun, spent) = (Instant::now(), cpu());
    for _ in 0..RUNS {
        assert!(commands.run(&command).await.is_success());
    }
    let size = fs::metadata(launcher()).unwrap().len() >> 20;
    println!(
        "a command takes {:.3?} and {:.3?} of CPU (launcher of {size} MiB, {RUNS} runs)",
        begun.elapsed() / RUNS,
        (cpu() - spent) / RUNS
    );
}

/// CPU time of this process and its children that were waited for.
fn cpu() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let of = |who| {
        let usage = getrusage(who).unwrap();
        u64::try_from((usage.user_time() + usage.system_time()).num_microseconds()).unwrap()
    };
    Duration::from_micros(of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN))
}
