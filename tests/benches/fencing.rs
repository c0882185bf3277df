//! Who answers ARP when the Active daemon is killed, and when it hangs and comes back.

use std::{
    thread,
    time::{Duration, SystemTime},
};

use ha_tests::{Prober, Timeline};

use crate::{
    contender::Contender,
    options::{Fault, FencingOptions, interval_of},
    pair::Pair,
    statistics::milliseconds,
    table::{Cell, Report, Table, progress},
};

const EVERY: Duration = Duration::from_millis(50);
/// Longer than the longest lease and the slowest takeover of the intervals measured.
const WATCH: Duration = Duration::from_secs(8);
/// Questions in a row with exactly one answer before it counts as settled.
const STEADY: usize = 20;

pub(crate) fn run(options: &FencingOptions, report: &mut Report) {
    for &interval in &options.intervals {
        let mut table = Table::new(
            format!("Who answers ARP, asked every 50 ms, {interval} ms adverts; ms"),
            &["fault", "contender", "nobody, longest", "two, longest", "two, in all", "resume to one answer"],
        );
        for &contender in &options.contenders {
            progress(&format!("{}, {interval} ms, daemon killed", contender.name()));
            killed(contender, interval_of(interval), &mut table);
            progress(&format!("{}, {interval} ms, daemon hung", contender.name()));
            hung(contender, interval_of(interval), options, &mut table);
        }
        table.note("two: from the first to the last answer of the second MAC while the first answers too");
        report.add(&table);
    }
}

fn killed(contender: Contender, interval: Duration, table: &mut Table) {
    let mut pair = Pair::new(contender, interval);
    let prober = begin(&mut pair);
    let at = pair.inflict(Fault::DaemonKilled);
    thread::sleep(WATCH.max(interval * 8));
    let timeline = prober.stop();
    add(table, &pair, "daemon killed", contender, &timeline, at, None);
}

fn hung(contender: Contender, interval: Duration, options: &FencingOptions, table: &mut Table) {
    let mut pair = Pair::new(contender, interval);
    let prober = begin(&mut pair);
    let at = pair.inflict(Fault::DaemonHung);
    thread::sleep(WATCH.max(interval * options.hang as u32));
    let resumed = SystemTime::now();
    pair.daemon(0).process().thaw();
    thread::sleep(WATCH.max(interval * 8));
    let timeline = prober.stop();
    add(table, &pair, "daemon hung, resumed", contender, &timeline, at, Some(resumed));
}

fn begin(pair: &mut Pair) -> Prober {
    pair.settle();
    let prober = Prober::start(&pair.lab.client, "eth0", pair.address(), EVERY);
    thread::sleep(Duration::from_secs(1));
    prober
}

fn add(
    table: &mut Table,
    pair: &Pair,
    fault: &str,
    contender: Contender,
    timeline: &Timeline,
    at: SystemTime,
    resumed: Option<SystemTime>,
) {
    let all: Duration = timeline.overlaps().iter().map(|overlap| overlap.duration).sum();
    let settled = resumed.and_then(|resumed| one_answer_since(timeline, resumed));
    table.row(vec![
        fault.into(),
        contender.name().into(),
        Cell::Number(milliseconds(timeline.longest_gap()), 0),
        Cell::Number(milliseconds(timeline.longest_overlap()), 0),
        Cell::Number(milliseconds(all), 0),
        match (resumed, settled) {
            (None, _) => "".into(),
            (Some(_), Some(settled)) => Cell::Number(milliseconds(settled), 0),
            (Some(_), None) => "never".into(),
        },
    ]);
    table.note(format!("{}, {fault}:", contender.name()));
    story(table, pair, timeline, at, resumed);
}

/// How long after `resumed` the questions began to be answered by exactly one MAC, and went on so to the end.
fn one_answer_since(timeline: &Timeline, resumed: SystemTime) -> Option<Duration> {
    let probes = timeline.since(resumed);
    let is_one = |place: &usize| {
        let answers = &probes.probes()[*place].answers;
        !answers.is_empty() && answers.iter().all(|(_, mac)| *mac == answers[0].1)
    };
    // The last question may still be open.
    let count = probes.probes().len().saturating_sub(1);
    let steady = (0..count).rev().take_while(is_one).count();
    let first = probes.probes().get(count - steady)?;
    (steady >= STEADY).then(|| first.sent.duration_since(resumed).unwrap_or_default())
}

/// The timeline in words, in milliseconds since the fault.
fn story(table: &mut Table, pair: &Pair, timeline: &Timeline, at: SystemTime, resumed: Option<SystemTime>) {
    let since = |time: SystemTime| match time.duration_since(at) {
        Ok(after) => milliseconds(after),
        Err(before) => -milliseconds(before.duration()),
    };
    if let Some(resumed) = resumed {
        table.note(format!("    {:>6.0}            resumed", since(resumed)));
    }
    for segment in timeline.segments() {
        let node =
            pair.lab.node_of(segment.mac).map_or("a stranger".to_owned(), |node| format!("node {node}"));
        let (from, to) = (since(segment.from), since(segment.to));
        table.note(format!(
            "    {from:>6.0} .. {to:>6.0}  {} ({node}), {} answers",
            segment.mac, segment.answers
        ));
    }
}
