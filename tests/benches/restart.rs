//! The Active daemon is restarted: what peers hear, whether one of them takes over, and what a client loses.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use ha_tests::Pinger;

use crate::{
    contender::{Contender, Daemon},
    options::{Restart, RestartOptions, interval_of},
    pair::{LONG, Pair},
    statistics::{Distribution, milliseconds},
    table::{Cell, Report, Table, progress},
};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Restarts of one kind.
#[derive(Default)]
struct Measured {
    /// From the last advert of the old process to the first of the new one, in milliseconds.
    silent: Vec<f64>,
    /// The longest pause between two adverts on the peer's link, in milliseconds.
    longest: f64,
    /// Adverts of priority 0, and of the peer.
    releases: usize,
    takeovers: usize,
    /// State changes that the agents themselves tell.
    changes: usize,
    pings: usize,
    lost: usize,
    /// The longest run of lost pings, in milliseconds.
    outage: f64,
    pace: f64,
}

pub(crate) fn run(options: &RestartOptions, report: &mut Report) {
    for &interval in &options.intervals {
        let limit = interval_of(interval).as_secs_f64() * 1e3 * 2.875;
        let mut table = Table::new(
            format!("Restart of the Active daemon, {interval} ms adverts, {} times each; ms", options.runs),
            &[
                "how",
                "silent min",
                "median",
                "p95",
                "max",
                "longest between adverts",
                "priority 0",
                "takeovers",
                "state changes",
                "pings",
                "lost",
                "outage max",
                "pinger's own pause max",
            ],
        );
        for &how in &options.how {
            progress(&format!("{}, {interval} ms", how.name()));
            let measured = measure(how, interval_of(interval), options.runs);
            add(&mut table, how, measured);
        }
        table.note(format!(
            "silent: last advert of the old process to the first of the new; it must be below {limit:.1} ms"
        ));
        table.note(
            "takeovers: restarts during which the peer sent an advert; pings each 1 ms, lost after 20 ms",
        );
        report.add(&table);
    }
}

fn measure(how: Restart, interval: Duration, runs: usize) -> Measured {
    let contender = if how == Restart::Keepalived { Contender::Keepalived } else { Contender::Agent };
    let mut pair = Pair::new(contender, interval);
    pair.settle();
    let mut measured = Measured::default();
    let pinger = Pinger::start(&pair.lab.client, pair.address(), MILLISECOND);
    pinger.wait_for_answers(100, LONG);
    let before = [0, 1].map(|node| changes_of(pair.daemon(node)));
    for _ in 0..runs {
        pair.forget_adverts();
        pair.restart(how);
        wait_until_it_speaks(&pair);
        thread::sleep(interval + interval / 4);
        note_adverts(&pair, &mut measured);
        if how == Restart::Keepalived {
            // It comes back by preemption; the next restart is to find it Active.
            pair.settle();
        } else if let Daemon::Agent(agent) = pair.daemon(0) {
            measured.silent.extend(silence(agent));
        }
    }
    let pings = pinger.stop();
    for (node, before) in before.into_iter().enumerate() {
        measured.changes += changes_of(pair.daemon(node)).saturating_sub(before);
    }
    (measured.pings, measured.lost) = (pings.sent(), pings.lost());
    measured.outage = milliseconds(pings.longest_outage().duration);
    measured.pace = milliseconds(pings.worst_pace());
    measured
}

fn wait_until_it_speaks(pair: &Pair) {
    let deadline = Instant::now() + LONG;
    let speaks =
        || pair.adverts().iter().any(|(_, advert)| advert.source == pair.source(0) && advert.priority > 0);
    while !speaks() {
        assert!(Instant::now() < deadline, "node 0 does not speak after its restart");
        thread::sleep(MILLISECOND);
    }
}

fn note_adverts(pair: &Pair, measured: &mut Measured) {
    let adverts = pair.adverts();
    measured.releases += adverts.iter().filter(|(_, advert)| advert.priority == 0).count();
    measured.takeovers += usize::from(adverts.iter().any(|(_, advert)| advert.source == pair.source(1)));
    let own: Vec<SystemTime> =
        adverts.iter().filter(|(_, advert)| advert.source == pair.source(0)).map(|(at, _)| *at).collect();
    let pauses = own.windows(2).map(|two| milliseconds(two[1].duration_since(two[0]).unwrap_or_default()));
    measured.longest = pauses.fold(measured.longest, f64::max);
}

/// What the new process says; nothing when it did not go on.
fn silence(agent: &ha_tests::Agent) -> Option<f64> {
    let told = agent.events(&["instance.adopted"]);
    let age = told.last()?.0["evidence"]["last_advertisement_age"].clone();
    let text = age.as_str()?;
    text.trim_end_matches('s').parse::<f64>().ok().map(|seconds| seconds * 1e3)
}

/// State changes in an agent's history, of all its lives.
fn changes_of(daemon: &Daemon) -> usize {
    match daemon {
        Daemon::Agent(agent) => agent.events(&["instance.state_changed"]).len(),
        Daemon::Keepalived(_) => 0,
    }
}

fn add(table: &mut Table, how: Restart, measured: Measured) {
    let silent = Distribution::new(measured.silent);
    let mut cells = vec![how.name().into()];
    let numbers = [silent.min(), silent.median(), silent.percentile(95.0), silent.max()];
    cells.extend(numbers.map(|number| Cell::Number(number, 1)));
    cells.push(Cell::Number(measured.longest, 1));
    cells.extend(
        [measured.releases, measured.takeovers, measured.changes, measured.pings, measured.lost]
            .map(Cell::from),
    );
    cells.push(Cell::Number(measured.outage, 1));
    cells.push(Cell::Number(measured.pace, 1));
    table.row(cells);
    table.samples(format!("{} silent", how.name()), &silent);
}
