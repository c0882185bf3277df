//! Planned moves of the virtual address: what a client loses while the holder gives it away, beside keepalived's orderly stop in
//! the same run.
//!
//! Between agents the address goes to and fro, so that the better and the worse of two give it away alike. keepalived gives nothing
//! back: there, and after `undrain`, the better node preempts, and that way back is measured as well. keepalived's own pair is
//! stopped whenever it has come back to where it was, while nothing else is measured.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use ha_tests::{Agent, PingReport, Pinger, hactl};
use nix::sys::signal::Signal;

use crate::{
    contender::{Contender, Daemon, said},
    options::{Move, MovesOptions, interval_of},
    pair::{LONG, Pair},
    statistics::{Distribution, milliseconds},
    table::{Cell, Report, Table, progress},
};

const MILLISECOND: Duration = Duration::from_millis(1);
/// The skew of the second is 414 ms at adverts each second: what an orderly stop of keepalived costs at least.
const PRIORITIES: [u8; 2] = [200, 150];
/// The pinger goes on so long after the move is over.
const AFTERMATH: Duration = Duration::from_millis(500);
/// Starting a daemon is over then.
const PAUSE: Duration = Duration::from_millis(200);

/// Moves of one kind, by one contender, in milliseconds.
#[derive(Default)]
struct Measured {
    /// The longest run of lost pings of each move.
    outages: Vec<f64>,
    /// The slowest answer of each move.
    slowest: Vec<f64>,
    /// How long hactl, or the daemon's end, took.
    took: Vec<f64>,
    pings: usize,
    lost: usize,
    pace: f64,
}

/// What is measured in one go.
struct Bench {
    kind: Move,
    ours: Pair,
    theirs: Pair,
    there: Measured,
    back: Measured,
    keepalived: Measured,
}

pub(crate) fn run(options: &MovesOptions, report: &mut Report) {
    for &kind in &options.only {
        let mut table = Table::new(
            format!("Planned moves, {} ms adverts; ms", options.interval),
            &[
                "move",
                "moves",
                "lost time median",
                "p99",
                "max",
                "slowest answer median",
                "p99 ",
                "max ",
                "command median",
                "max  ",
                "pings",
                "lost",
                "pinger's own pause max",
            ],
        );
        let mut bench = Bench::new(kind, interval_of(options.interval));
        bench.measure(options.runs);
        let Bench { there, back, keepalived, .. } = bench;
        add(&mut table, kind.name(), there);
        add(&mut table, "back by preemption", back);
        add(&mut table, "keepalived, orderly stop", keepalived);
        table.note(
            "lost time: from the last answered ping to the next, pings each 1 ms; an answer after 20 ms is none",
        );
        table.note("p99 by nearest rank: of fewer than 100 moves it is the max");
        report.add(&table);
    }
}

impl Bench {
    fn new(kind: Move, interval: Duration) -> Self {
        let successor = kind.successor();
        let pair = |contenders, are_peers| Pair::of(contenders, PRIORITIES, interval, are_peers);
        let mut ours = pair([Contender::Agent, successor], successor == Contender::Agent);
        let mut theirs = pair([Contender::Keepalived; 2], false);
        for pair in [&mut ours, &mut theirs] {
            pair.start_missing();
        }
        let [there, back, keepalived] = [(); 3].map(|()| Measured::default());
        Self { kind, ours, theirs, there, back, keepalived }
    }

    fn measure(&mut self, runs: usize) {
        self.theirs.wait_for_holder(0);
        self.ours.wait_for_holder(0);
        let mut holder = 0;
        for number in 0..runs {
            if number.is_multiple_of(10) {
                progress(&format!("{}, {number} of {runs}", self.kind.name()));
            }
            if self.theirs.is_held_by(0) {
                self.stop_theirs();
            }
            holder = match self.kind {
                Move::Drain | Move::Transfer | Move::Stop => self.move_on(holder),
                Move::Undrain | Move::DrainToKeepalived | Move::StopToKeepalived => self.move_and_return(),
            };
        }
    }

    fn stop_theirs(&mut self) {
        let pair = &mut self.theirs;
        let pinger = begin(pair);
        let began = Instant::now();
        pair.daemon(0).process().signal(Signal::SIGTERM);
        // Longer than the skew.
        thread::sleep(AFTERMATH);
        pair.wait_for_holder_by_kernel(1);
        pinger.wait_for_answers(100, LONG);
        let pings = pinger.stop();
        pair.daemon(0).process().wait(LONG);
        self.keepalived.note(pings, began.elapsed());
        pair.clear_away();
        pair.start_missing();
        thread::sleep(PAUSE);
    }

    /// From one agent to the other. Says who has it now.
    fn move_on(&mut self, holder: usize) -> usize {
        let successor = 1 - holder;
        let router = self.ours.router_name();
        let pair = &mut self.ours;
        wait_until_known(pair, holder);
        let pinger = begin(pair);
        let began = Instant::now();
        give_away(pair, holder, self.kind, &router);
        let took = began.elapsed();
        thread::sleep(AFTERMATH);
        self.there.note(pinger.stop(), took);
        pair.wait_for_holder_by_kernel(successor);
        match self.kind {
            Move::Drain => ask(pair, holder, &["undrain", &node(holder), "--yes"]),
            Move::Stop => pair.start_missing(),
            _ => {}
        }
        successor
    }

    /// Away from node 0, and back by preemption. Says who has it now.
    fn move_and_return(&mut self) -> usize {
        let router = self.ours.router_name();
        let pair = &mut self.ours;
        let pinger = begin(pair);
        let began = Instant::now();
        give_away(pair, 0, self.kind, &router);
        let took = began.elapsed();
        thread::sleep(AFTERMATH);
        pair.wait_for_holder_by_kernel(1);
        let (turn, begun) = (SystemTime::now(), Instant::now());
        match self.kind {
            Move::StopToKeepalived => pair.start_missing(),
            _ => ask(pair, 0, &["undrain", &node(0), "--yes"]),
        }
        let took_back = begun.elapsed();
        pair.wait_for_holder(0);
        let pings = pinger.stop();
        let (before, after): (Vec<_>, Vec<_>) = pings.pings.into_iter().partition(|(sent, _)| *sent < turn);
        self.there.note(PingReport { pings: before }, took);
        self.back.note(PingReport { pings: after }, took_back);
        0
    }
}

/// A node that has just started must have heard its peer, which is what it chooses its successor by.
fn wait_until_known(pair: &mut Pair, holder: usize) {
    let successor = node(1 - holder);
    let Daemon::Agent(agent) = pair.daemon(holder) else { return };
    let deadline = Instant::now() + LONG;
    let is_known = |agent: &Agent| {
        let plan = hactl(&[agent], &["drain", &node(holder), "--dry-run"]);
        plan.status.success() && said(&plan).contains(&successor)
    };
    while !is_known(agent) {
        assert!(
            Instant::now() < deadline,
            "{} cannot take over, as its peer sees it; that said:\n{}",
            successor,
            agent.process.log()
        );
        thread::sleep(50 * MILLISECOND);
    }
    thread::sleep(PAUSE);
}

fn begin(pair: &Pair) -> Pinger {
    pair.forget_adverts();
    let pinger = Pinger::start(&pair.lab.client, pair.address(), MILLISECOND);
    pinger.wait_for_answers(100, LONG);
    pinger
}

fn give_away(pair: &mut Pair, holder: usize, kind: Move, router: &str) {
    match kind {
        Move::Drain | Move::Undrain | Move::DrainToKeepalived => {
            ask(pair, holder, &["drain", &node(holder), "--yes"]);
        }
        Move::Transfer => ask(pair, holder, &["instance", "transfer", router, "--yes"]),
        Move::Stop | Move::StopToKeepalived => {
            let process = pair.daemon(holder).process();
            process.signal(Signal::SIGTERM);
            let status = process.wait(LONG);
            assert!(status.success(), "{status}; it said:\n{}", process.log());
        }
    }
}

fn ask(pair: &mut Pair, of: usize, words: &[&str]) {
    let Daemon::Agent(agent) = pair.daemon(of) else { return };
    let output = hactl(&[agent], words);
    assert!(output.status.success(), "hactl {}: {}", words.join(" "), said(&output));
}

fn node(number: usize) -> String {
    format!("node-{number}")
}

impl Measured {
    fn note(&mut self, pings: PingReport, took: Duration) {
        self.outages.push(milliseconds(pings.longest_outage().duration));
        let answers =
            pings.pings.iter().filter_map(|(sent, answer)| answer.as_ref()?.duration_since(*sent).ok());
        self.slowest.push(answers.max().map_or(f64::NAN, milliseconds));
        self.pings += pings.sent();
        self.lost += pings.lost();
        self.pace = self.pace.max(milliseconds(pings.worst_pace()));
        self.took.push(milliseconds(took));
    }
}

/// Nothing for what was not measured.
fn add(table: &mut Table, name: &str, measured: Measured) {
    let Measured { outages, slowest, pings, lost, pace, took } = measured;
    if outages.is_empty() {
        return;
    }
    let [outages, slowest, took] = [outages, slowest, took].map(Distribution::new);
    let mut cells = vec![name.into(), outages.samples().len().into()];
    for distribution in [&outages, &slowest] {
        let numbers = [distribution.median(), distribution.percentile(99.0), distribution.max()];
        cells.extend(numbers.map(|number| Cell::Number(number, 1)));
    }
    cells.extend([took.median(), took.max()].map(|number| Cell::Number(number, 0)));
    cells.extend([pings, lost].map(Cell::from));
    cells.push(Cell::Number(pace, 1));
    table.row(cells);
    table.samples(format!("{name} lost time"), &outages);
    table.samples(format!("{name} slowest answer"), &slowest);
}
