//! What a client notices of each fault, and how long the other node takes to become Active.

use std::time::{Duration, SystemTime};

use ha_tests::Pinger;

use crate::{
    contender::Contender,
    options::{Fault, OutageOptions, interval_of},
    pair::{LONG, Pair},
    statistics::{Distribution, milliseconds},
    table::{Cell, Report, Table, progress},
};

const MILLISECOND: Duration = Duration::from_millis(1);
/// After the takeover the pinger goes on so long: longer than the shortest lease, whose end may cost pings too.
const AFTERMATH: Duration = Duration::from_millis(1500);

/// One fault, measured, in milliseconds.
struct Measurement {
    /// The longest run of pings without an answer.
    outage: f64,
    /// From the last advert of node 0 to the first of node 1.
    takeover: f64,
    /// From the fault to the first advert of node 1.
    since_fault: f64,
    /// The longest pause of the pinger itself.
    pace: f64,
}

pub(crate) fn run(options: &OutageOptions, report: &mut Report) {
    for &interval in &options.intervals {
        let mut table = Table::new(
            format!("Outage and takeover, {interval} ms adverts, {} runs of each; ms", options.runs),
            &[
                "fault",
                "contender",
                "outage min",
                "median",
                "p95",
                "max",
                "advert to advert min",
                "median ",
                "p95 ",
                "max ",
                "fault to advert median",
                "pinger's own pause max",
            ],
        );
        for &fault in &options.faults {
            for &contender in &options.contenders {
                let measured = measure(contender, interval_of(interval), fault, options.runs);
                add(&mut table, fault, contender, &measured);
            }
        }
        table.note("outage: from the last answered ping to the next, pings each 1 ms");
        table.note("advert to advert: last advert of the old Active router to the first of the new, on node 1's link");
        report.add(&table);
    }
}

fn measure(contender: Contender, interval: Duration, fault: Fault, runs: usize) -> Vec<Measurement> {
    progress(&format!("{}, {} ms, {}", contender.name(), interval.as_millis(), fault.name()));
    let mut pair = Pair::new(contender, interval);
    (0..runs).map(|_| measure_one(&mut pair, fault)).collect()
}

fn measure_one(pair: &mut Pair, fault: Fault) -> Measurement {
    pair.settle();
    let pinger = Pinger::start(&pair.lab.client, pair.address(), MILLISECOND);
    pinger.wait_for_answers(100, LONG);
    let at = pair.inflict(fault);
    let takeover = pair.wait_for_takeover();
    pinger.wait_for_answers(AFTERMATH.as_millis() as u64, LONG);
    let pings = pinger.stop();
    pair.clear_away();
    Measurement {
        outage: milliseconds(pings.longest_outage().duration),
        takeover: milliseconds(takeover.duration()),
        since_fault: since(at, takeover.first_new),
        pace: milliseconds(pings.worst_pace()),
    }
}

fn since(earlier: SystemTime, later: SystemTime) -> f64 {
    milliseconds(later.duration_since(earlier).unwrap_or_default())
}

fn add(table: &mut Table, fault: Fault, contender: Contender, measured: &[Measurement]) {
    let of = |value: fn(&Measurement) -> f64| Distribution::new(measured.iter().map(value).collect());
    let (outage, takeover) = (of(|one| one.outage), of(|one| one.takeover));
    let mut cells = vec![fault.name().into(), contender.name().into()];
    for distribution in [&outage, &takeover] {
        let numbers =
            [distribution.min(), distribution.median(), distribution.percentile(95.0), distribution.max()];
        cells.extend(numbers.map(|number| Cell::Number(number, 1)));
    }
    cells.push(Cell::Number(of(|one| one.since_fault).median(), 1));
    cells.push(Cell::Number(of(|one| one.pace).max(), 1));
    table.row(cells);
    table.samples(format!("{} {} outage", fault.name(), contender.name()), &outage);
    table.samples(format!("{} {} advert to advert", fault.name(), contender.name()), &takeover);
}
