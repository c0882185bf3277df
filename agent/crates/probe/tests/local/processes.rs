//! Process checks against real processes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ha_probe::{Extent, Field, Matching, Outcome, Probe, Process, Reason, Spec};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixture::{Running, Sleeper, attempt, enter_own_network, is_root, next, silence};

fn probe(matching: Matching, minimum: u32, maximum: Option<u32>) -> Probe {
    Probe::new(Spec::Process(Process { matching, minimum, maximum })).unwrap()
}

fn named(name: &str) -> Matching {
    Matching { field: Field::Name, text: name.to_owned(), extent: Extent::Whole }
}

#[tokio::test]
async fn processes_are_counted_by_name_or_by_command_line() {
    let sleeper = Sleeper::new();
    let _running = [sleeper.start("60"), sleeper.start("61"), sleeper.start("62")];
    let line = |text: String, extent| Matching { field: Field::CommandLine, text, extent };
    let missing = Outcome::Failed(Reason::Missing);
    let count = Outcome::Failed(Reason::Count);
    let name = &sleeper.name;
    let cases = [
        (named(name), 1, None, Outcome::Passed),
        (named(name), 3, Some(3), Outcome::Passed),
        (named(name), 4, None, count),
        (named(name), 1, Some(2), count),
        (named(name), 0, Some(0), count),
        (named("hat-nobody"), 1, None, missing),
        (named("hat-nobody"), 0, Some(0), Outcome::Passed),
        (Matching { extent: Extent::Beginning, ..named(&name[..name.len() - 1]) }, 3, None, Outcome::Passed),
        (Matching { extent: Extent::Part, ..named(&name[1..]) }, 3, None, Outcome::Passed),
        (line(format!("{} 61", sleeper.path()), Extent::Whole), 1, Some(1), Outcome::Passed),
        (line(format!("{} 6", sleeper.path()), Extent::Whole), 1, None, missing),
        (line(format!("{} 6", sleeper.path()), Extent::Beginning), 3, Some(3), Outcome::Passed),
        (line(format!("/{name} 60"), Extent::Part), 1, Some(1), Outcome::Passed),
    ];
    for (matching, minimum, maximum, outcome) in cases {
        let attempt = attempt(&probe(matching.clone(), minimum, maximum)).await;
        println!("{:?} {}", attempt.outcome, attempt.evidence);
        assert_eq!(attempt.outcome, outcome, "{matching:?} {minimum} {maximum:?}: {}", attempt.evidence);
    }
}

#[tokio::test]
async fn a_zombie_is_no_process() {
    let sleeper = Sleeper::new();
    let mut running = sleeper.start("60");
    let probe = probe(named(&sleeper.name), 1, None);
    assert_eq!(attempt(&probe).await.outcome, Outcome::Passed);
    running.0.kill().unwrap();
    // Not waited for: its entry stays in the table.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(attempt(&probe).await.outcome, Outcome::Failed(Reason::Missing));
    assert!(std::fs::exists(format!("/proc/{}", running.0.id())).unwrap());
}

#[tokio::test]
async fn ends_and_starts_are_told_by_the_kernel() {
    let sleeper = Sleeper::new();
    let probe = probe(named(&sleeper.name), 2, None);
    let first = sleeper.start("60");
    let second = sleeper.start("60");
    let mut watch = probe.watch().unwrap();
    let (_, evidence) = next(&mut watch, Outcome::Passed).await;
    println!("{evidence}");
    silence(&mut watch).await;
    let number = first.0.id();
    let begun = Instant::now();
    kill(Pid::from_raw(number.cast_signed()), Signal::SIGKILL).unwrap();
    let (_, evidence) = next(&mut watch, Outcome::Failed(Reason::Count)).await;
    println!("end told after {:?}: {evidence}", begun.elapsed());
    assert!(evidence.contains(&format!("{number} ended")), "{evidence}");
    first.kill();
    silence(&mut watch).await;
    let begun = Instant::now();
    let third = sleeper.start("60");
    let (_, evidence) = next(&mut watch, Outcome::Passed).await;
    println!("start told after {:?}: {evidence}", begun.elapsed());
    second.kill();
    next(&mut watch, Outcome::Failed(Reason::Count)).await;
    third.kill();
    silence(&mut watch).await;
}

/// A worker of a server is forked and never becomes another program.
#[tokio::test]
async fn a_forked_process_counts_like_its_parent() {
    let sleeper = Sleeper::new();
    let shell = format!(
        "exec -a {0} bash -c 'sleep 0.3; (while :; do sleep 0.05; done) & sleep 60; :'",
        sleeper.name
    );
    let line = Matching { field: Field::CommandLine, text: sleeper.name.clone(), extent: Extent::Beginning };
    let mut watch = probe(line, 2, None).watch().unwrap();
    next(&mut watch, Outcome::Failed(Reason::Missing)).await;
    let mut command = Command::new("setsid");
    let parent = Running(command.args(["bash", "-c", &shell]).stdin(Stdio::null()).spawn().unwrap());
    let (took, evidence) = next(&mut watch, Outcome::Passed).await;
    println!("told after {took:?}: {evidence}");
    let group = Pid::from_raw(parent.0.id().cast_signed());
    nix::sys::signal::killpg(group, Signal::SIGKILL).unwrap();
    next(&mut watch, Outcome::Failed(Reason::Count)).await;
}

#[test]
fn without_the_connector_ends_are_told_and_starts_are_looked_for() {
    if !is_root() {
        return eprintln!("skipped: a namespace needs root");
    }
    enter_own_network();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sleeper = Sleeper::new();
        let running = sleeper.start("60");
        let mut watch = probe(named(&sleeper.name), 1, None).watch().unwrap();
        let (_, evidence) = next(&mut watch, Outcome::Passed).await;
        let why = "starts looked for every 1s: the proc connector is in the first network namespace only";
        assert!(evidence.ends_with(why), "{evidence}");
        println!("{evidence}");
        let begun = Instant::now();
        running.kill();
        next(&mut watch, Outcome::Failed(Reason::Missing)).await;
        println!("end told after {:?}", begun.elapsed());
        let begun = Instant::now();
        let again = sleeper.start("60");
        next(&mut watch, Outcome::Passed).await;
        println!("a restart at once is found after {:?}", begun.elapsed());
        drop(again);
        next(&mut watch, Outcome::Failed(Reason::Missing)).await;
    });
}

#[tokio::test]
async fn the_latency_of_an_end_and_the_cost_of_a_look_are_printed() {
    const ROUNDS: usize = 40;
    let sleeper = Sleeper::new();
    let probe = probe(named(&sleeper.name), 1, None);
    let mut watch = probe.watch().unwrap();
    next(&mut watch, Outcome::Failed(Reason::Missing)).await;
    let mut ends = Vec::new();
    let mut starts = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let running = sleeper.start("60");
        next(&mut watch, Outcome::Passed).await;
        starts.push(begun.elapsed());
        let begun = Instant::now();
        kill(Pid::from_raw(running.0.id().cast_signed()), Signal::SIGKILL).unwrap();
        next(&mut watch, Outcome::Failed(Reason::Missing)).await;
        ends.push(begun.elapsed());
    }
    for (what, times) in [("end", &mut ends), ("start", &mut starts)] {
        times.sort_unstable();
        println!(
            "{what} told after {:?} (median), {:?} (worst of {ROUNDS})",
            times[ROUNDS / 2],
            times[ROUNDS - 1]
        );
    }
    let begun = Instant::now();
    for _ in 0..20 {
        attempt(&probe).await;
    }
    let count = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()));
    println!("a look at {} processes takes {:?}", count.count(), begun.elapsed() / 20);
}
