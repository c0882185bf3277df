//! A control plane under load: how soon a thousand watchers have an event, how long a local call takes, what that does to the
//! adverts of a fast virtual router of the same agent, and to its memory.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant, SystemTime},
};

use ha_tests::{Advert, Agent, AgentInstance, Capture, Lab, Process, Wanted, wait_for};

use crate::{
    busy::gaps,
    host::Watch,
    load::{Load, Outcome, Plan},
    options::WatchOptions,
    statistics::{Distribution, milliseconds},
    table::{Cell, Report, Table, progress},
    threads,
};

/// The fast router, and the time between two of its adverts.
const FAST: u8 = 51;
const ADVERTS: Duration = Duration::from_millis(10);
/// Routers beside it, each with an address.
const OTHERS: u8 = 10;
/// Until connections, buffers and caches are what they will be.
const WARM_UP: Duration = Duration::from_secs(5);
/// Routers that come and go before anything is measured, and how often: more history than memory keeps of it, in the agent's
/// rings and in what it caches of the disk.
const PASSING: u8 = 200;
const PASSAGES: usize = 12;
/// Between two figures of memory that are told while it runs.
const TOLD: Duration = Duration::from_secs(10);

/// What was seen in a while.
struct Seen {
    adverts: Vec<(SystemTime, Advert)>,
    /// Resident memory in MiB, each second.
    memory: Vec<f64>,
    shares: String,
    cpu: f64,
    steal: Duration,
    pause: Duration,
}

pub(crate) fn run(options: &WatchOptions, report: &mut Report) {
    let time = Duration::from_secs(options.seconds);
    let lab = Lab::new(2, 2);
    let capture = Capture::start(&lab.node(1).space, "eth0", Wanted::Vrrp);
    let agent = start(&lab, options.watchers);
    progress("history fills");
    fill_history(&agent, &lab, &body(&lab, options.watchers));
    thread::sleep(WARM_UP);

    progress("nobody asks");
    let idle = look(&agent.process, &capture, time);
    progress(&format!("{} watchers, {} calls a second", options.watchers, options.calls));
    let load = Load::start(&Plan {
        socket: agent.socket().to_owned(),
        watchers: options.watchers,
        calls: options.calls,
        changes: options.changes,
        instance: "router-60".to_owned(),
    });
    thread::sleep(WARM_UP);
    load.record();
    let begun = Instant::now();
    let loaded = look(&agent.process, &capture, time);
    let passed = begun.elapsed();
    let outcome = load.end();

    add_clients(report, options, &outcome, passed);
    let source = lab.node(0).address4(0).into();
    let mut table = Table::new(
        format!("The agent meanwhile, over {} s each; ms", options.seconds),
        &[
            "clients",
            "adverts",
            "late median",
            "p99",
            "p99.9",
            "max",
            "CPU %",
            "memory MiB first",
            "last",
            "max",
            "steal",
            "longest pause of a core",
        ],
    );
    table.note(
        "late: gap between two adverts of the router with 10 ms on the next node's link, less the interval",
    );
    for (name, seen) in [("none", &idle), ("all", &loaded)] {
        let late = gaps(&seen.adverts, source).into_iter().map(|gap| gap - milliseconds(ADVERTS));
        let late = Distribution::new(late.collect());
        let mut cells = vec![name.into(), seen.adverts.len().into()];
        let numbers = [late.median(), late.percentile(99.0), late.percentile(99.9), late.max()];
        cells.extend(numbers.map(|number| Cell::Number(number, 3)));
        cells.push(Cell::Number(seen.cpu, 1));
        let memory = Distribution::new(seen.memory.clone());
        let [first, last] =
            [seen.memory.first(), seen.memory.last()].map(|one| one.copied().unwrap_or(f64::NAN));
        cells.extend([first, last, memory.max()].map(|number| Cell::Number(number, 1)));
        cells.extend([seen.steal, seen.pause].map(|time| Cell::Number(milliseconds(time), 1)));
        table.row(cells);
        table.note(format!("{name}: {}", seen.shares));
        table.samples(format!("{name}, memory"), &memory);
    }
    report.add(&table);
    judge(report, options, &outcome);
}

fn start(lab: &Lab, watchers: usize) -> Agent {
    let mut agent = Agent::start_with(lab.node(0), lab.scratch(), &body(lab, watchers));
    agent.wait_until_ready(Duration::from_secs(30));
    agent
}

/// Reloads with more routers and without them, again and again, until memory keeps only the newest of what happened.
fn fill_history(agent: &Agent, lab: &Lab, body: &str) {
    const SOON: Duration = Duration::from_secs(30);
    let passing = |number: u8| AgentInstance {
        name: format!("passing-{number}"),
        interface: "eth1".to_owned(),
        ..AgentInstance::new(number, 100, &[lab.vip4(1, number.into()).into()])
    };
    let more: String = (1..=PASSING).map(|number| passing(number).toml()).collect();
    let last = passing(PASSING).name;
    for _ in 0..PASSAGES {
        for (text, comes) in [(format!("{body}{more}"), true), (body.to_owned(), false)] {
            agent.rewrite(&text);
            agent.reload();
            wait_for("the reload", SOON, || agent.instance(&last).is_some() == comes);
        }
    }
}

fn body(lab: &Lab, watchers: usize) -> String {
    let fast = AgentInstance {
        interval: "10ms".to_owned(),
        ..AgentInstance::new(FAST, 200, &[lab.vip4(0, 1).into()])
    };
    // The keys go on in [api].
    // So little history that it is full before anything is measured: what grows then grows for ever.
    let mut body = format!("watches = {}\nhistory = 512\n{}", watchers + 100, fast.toml());
    for number in 0..OTHERS {
        let address = lab.vip4(0, u16::from(number) + 2).into();
        let _ = write!(body, "{}", AgentInstance::new(60 + number, 100, &[address]).toml());
    }
    body
}

/// Looks on for a while.
fn look(process: &Process, capture: &Capture, time: Duration) -> Seen {
    let (before, parts, start) = (process.usage(), threads::processor_times(process.id()), Instant::now());
    let (watch, mut memory) = (Watch::start(), Vec::new());
    capture.clear();
    let mut told = start;
    while start.elapsed() < time {
        let resident = process.usage().resident as f64 / f64::from(1 << 20);
        memory.push(resident);
        if told.elapsed() >= TOLD || memory.len() == 1 {
            told = Instant::now();
            progress(&format!("{:4} s: {resident:.1} MiB", start.elapsed().as_secs()));
        }
        thread::sleep(Duration::from_secs(1).min(time.saturating_sub(start.elapsed())));
    }
    let (mut adverts, passed, seen) = (capture.adverts(), start.elapsed(), watch.end());
    adverts.retain(|(_, advert)| advert.vrid == FAST);
    Seen {
        adverts,
        memory,
        shares: threads::shares(&parts, &threads::processor_times(process.id()), passed),
        cpu: (process.usage().cpu - before.cpu).as_secs_f64() / passed.as_secs_f64() * 100.0,
        steal: seen.steal,
        pause: seen.pause,
    }
}

fn add_clients(report: &mut Report, options: &WatchOptions, outcome: &Outcome, passed: Duration) {
    let mut table = Table::new(
        format!(
            "{} watchers, one more that reads nothing, {} calls and {} changes a second wanted; ms",
            options.watchers, options.calls, options.changes
        ),
        &["what", "done a second", "median", "p99", "p99.9", "max"],
    );
    for (name, times) in [("event to client", &outcome.events), ("local call", &outcome.calls)] {
        let times = Distribution::new(times.clone());
        let a_second = times.samples().len() as f64 / passed.as_secs_f64();
        let mut cells = vec![name.into(), Cell::Number(a_second, 0)];
        let numbers = [times.median(), times.percentile(99.0), times.percentile(99.9), times.max()];
        cells.extend(numbers.map(|number| Cell::Number(number, 2)));
        table.row(cells);
    }
    table.note("event to client: from the event's own time until a watcher has decoded it, each event at each watcher");
    table.note("local call: GetNode, ListInstances and ListVips in turn, from when it was due until its answer was whole");
    table.note(format!(
        "{} changes made; {} calls failed; {} events missed",
        outcome.changes, outcome.failed, outcome.missed
    ));
    report.add(&table);
}

fn judge(report: &mut Report, options: &WatchOptions, outcome: &Outcome) {
    if outcome.failed > 0 {
        report.fail(format!("{} calls failed, the first: {:?}", outcome.failed, outcome.first_error));
    }
    if outcome.missed > 0 {
        report.fail(format!("watchers missed {} events", outcome.missed));
    }
    if options.watchers > 0 && outcome.events.is_empty() {
        report.fail("no watcher was told anything".to_owned());
    }
}
