//! Checks and pools in the engine alone, in this process, under a virtual clock: what it costs to say that a run is due and to
//! take its result, and to work out a pool anew when one of its servers changes.

use std::{
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use ha_engine::{
    CheckId, CheckInput, CheckOutput, CheckPolicy, Fact, Floor, Instant, Monitor, Outcome, PoolConfig,
    PoolInput, PoolOutput, PoolScope, Pools, ServerConfig, Verdict,
};

use crate::{
    options::EngineOptions,
    table::{Cell, Report, Table, progress},
};

const INTERVAL: Duration = Duration::from_secs(1);
const SERVERS: [u32; 3] = [10, 100, 1000];
const CHANGES: u32 = 10_000;

pub(crate) fn run(options: &EngineOptions, report: &mut Report) {
    report.add(&checks(options));
    report.add(&pools());
}

fn checks(options: &EngineOptions) -> Table {
    let columns = ["checks", "due", "result", "share of a core at this rate %", "wake-ups a second"];
    let title = "Checks in the engine alone, each every second, all passing: ns for each run";
    let mut table = Table::new(title, &columns);
    for &count in &options.instances {
        progress(&format!("{count} checks"));
        let (due, result, wakes) = measure(count, (options.adverts / 2).max(count * 5));
        table.row(vec![
            count.into(),
            Cell::Number(due, 0),
            Cell::Number(result, 0),
            Cell::Number((due + result) * count as f64 * 1e-7, 3),
            Cell::Number(wakes, 0),
        ]);
    }
    table.note(
        "due: from the wake-up to the order to run; result: from the end of a run to the moved deadline",
    );
    table
}

/// Nanoseconds for each run that is due and for each result, and wake-ups a second.
fn measure(count: usize, runs: usize) -> (f64, f64, f64) {
    let mut monitor = Monitor::new();
    let start = Instant::from_nanos(1_000_000_000);
    let policies: Vec<CheckPolicy> = (0..count).map(policy).collect();
    monitor.handle(start, CheckInput::Reconfigure(&policies)).for_each(drop);
    let (mut now, mut began) = (start, start);
    let (mut due, mut result) = (Duration::ZERO, Duration::ZERO);
    let (mut done, mut wakes, mut warm) = (0, 0_u32, false);
    let mut under_way: Vec<(CheckId, u64)> = Vec::new();
    while done < runs {
        now = monitor.next_deadline().expect("checks go on for ever");
        if !warm && now.since(start) > INTERVAL * 3 {
            (warm, began, due, result, done, wakes) = (true, now, Duration::ZERO, Duration::ZERO, 0, 0);
        }
        let clock = Clock::now();
        let outputs = monitor.handle(now, CheckInput::Deadline);
        under_way.extend(outputs.filter_map(|output| match output {
            CheckOutput::Run { check, run, .. } => Some((check, run)),
            _ => None,
        }));
        due += clock.elapsed();
        wakes += 1;
        done += under_way.len();
        let outcome = passed();
        let clock = Clock::now();
        for (check, run) in under_way.drain(..) {
            let ended = CheckInput::Ended { check, run, at: now, outcome: outcome.clone() };
            monitor.handle(now, ended).for_each(drop);
        }
        result += clock.elapsed();
    }
    let each = |time: Duration| time.as_nanos() as f64 / done as f64;
    (each(due), each(result), f64::from(wakes) / now.since(began).as_secs_f64())
}

fn pools() -> Table {
    let columns = ["servers", "change", "sets"];
    let mut table =
        Table::new("A pool in the engine alone, floor 30 %: ns for each change of a server", &columns);
    for servers in SERVERS {
        progress(&format!("a pool of {servers} servers"));
        let mut pools = Pools::new();
        let mut now = Instant::from_nanos(1_000_000_000);
        pools.handle(now, PoolInput::Reconfigure(&[pool(servers)])).for_each(drop);
        for number in 0..servers {
            pools.handle(now, fact(now, number, Verdict::Passing)).for_each(drop);
        }
        let (mut sets, mut taken) = (0, Duration::ZERO);
        for change in 0..CHANGES {
            now = now.after(Duration::from_millis(1));
            let verdict = if change / servers % 2 == 0 { Verdict::Failing } else { Verdict::Passing };
            let told = fact(now, change % servers, verdict);
            let clock = Clock::now();
            let outputs = pools.handle(now, told);
            sets += outputs.filter(|output| matches!(output, PoolOutput::Desired(_))).count();
            taken += clock.elapsed();
        }
        let each = taken.as_nanos() as f64 / f64::from(CHANGES);
        table.row(vec![(servers as usize).into(), Cell::Number(each, 0), sets.into()]);
    }
    table.note("change: from the verdict of a server's check to the events and the whole new set");
    table
}

fn passed() -> Outcome {
    Outcome::Passed { latency: Duration::from_millis(1), value: None, detail: "200 OK".into() }
}

fn policy(number: usize) -> CheckPolicy {
    CheckPolicy {
        name: format!("checks/{number}").into(),
        target: 1,
        interval: INTERVAL,
        timeout: Duration::from_millis(500),
        rise: 2,
        fall: 3,
        jitter_percent: 10,
        initial: Verdict::Unknown,
        grace: Duration::ZERO,
        backoff: None,
        damping: None,
        remedy: None,
        rule: None,
        watched: false,
    }
}

fn check_of(number: u32) -> Arc<str> {
    format!("pools/web/servers/{number}/checks/http").into()
}

fn fact(now: Instant, number: u32, verdict: Verdict) -> PoolInput<'static> {
    let (name, detail) = (check_of(number), "200 OK".into());
    PoolInput::Fact(Fact { name, verdict, value: None, detail, since: now, damped: false })
}

fn pool(servers: u32) -> PoolConfig {
    let server = |number: u32| ServerConfig {
        name: number.to_string().into(),
        address: [10, 0, (number >> 8) as u8, number as u8].into(),
        port: 80,
        weight: 1,
        checks: vec![check_of(number)],
        weight_from: None,
    };
    PoolConfig {
        name: "web".into(),
        servers: (0..servers).map(server).collect(),
        quorum: servers / 2,
        hysteresis: 1,
        sorry: None,
        floor: Floor::Percent(30),
        slow_start: None,
        scope: PoolScope::Always,
    }
}
