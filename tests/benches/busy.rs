//! Fast adverts on a machine whose cores are all busy: does a working Active router stay Active?

use std::{
    io,
    net::IpAddr,
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use ha_tests::{Advert, Process};

use crate::{
    contender::Contender,
    host::{self, Watch},
    metrics,
    options::{BusyOptions, interval_of},
    pair::Pair,
    statistics::{Distribution, milliseconds},
    table::{Cell, Report, Table, progress},
};

pub(crate) fn run(options: &BusyOptions, report: &mut Report) {
    let cores = host::cores();
    let programs = cores * options.programs;
    let standstill = match options.standstill {
        0 => String::new(),
        time => format!(", the machine standing still for {time} ms three times a second"),
    };
    let mut table = Table::new(
        format!(
            "{} ms adverts for {} s beside {programs} endless loops at normal priority on {cores} cores{standstill}; ms",
            options.interval, options.seconds
        ),
        &[
            "contender",
            "changes of the Active router",
            "adverts",
            "late median",
            "p99",
            "p99.9",
            "max",
            "gap max",
            "loops' CPU %",
            "steal",
            "longest pause of a core",
        ],
    );
    for &contender in &options.contenders {
        progress(contender.name());
        if let Err(error) = measure(contender, options, programs, &mut table) {
            report.fail(format!("{}: the machine cannot be made to stand still: {error}", contender.name()));
        }
    }
    table.note("late: gap between two adverts of node 0 on node 1's link, less the interval");
    table.note("steal: what the host took of all cores; pause: nothing ran, not even at the highest real-time priority");
    report.add(&table);
}

fn measure(
    contender: Contender,
    options: &BusyOptions,
    programs: usize,
    table: &mut Table,
) -> io::Result<()> {
    let interval = interval_of(options.interval);
    let mut pair = Pair::new(contender, interval);
    pair.settle();
    let loops: Vec<Process> = (0..programs).map(|number| endless_loop(&pair, number)).collect();
    thread::sleep(Duration::from_millis(200));
    let used = || loops.iter().map(|busy| busy.usage().cpu).sum::<Duration>();
    pair.forget_adverts();
    let before = used();
    let time = Duration::from_secs(options.seconds);
    let watch = Watch::start();
    pass(time, Duration::from_millis(options.standstill))?;
    let seen = watch.end();
    let share = (used() - before).as_secs_f64() / time.as_secs_f64() * 100.0;
    let adverts = pair.adverts();
    drop(loops);

    let gaps = gaps(&adverts, pair.source(0));
    let late = Distribution::new(gaps.iter().map(|gap| gap - milliseconds(interval)).collect());
    let longest = gaps.iter().copied().fold(f64::NAN, f64::max);
    let mut cells = vec![contender.name().into(), changes(&adverts).into(), adverts.len().into()];
    let numbers = [late.median(), late.percentile(99.0), late.percentile(99.9), late.max(), longest];
    cells.extend(numbers.map(|number| Cell::Number(number, 3)));
    cells.push(Cell::Number(share, 0));
    cells.extend([seen.steal, seen.pause].map(|time| Cell::Number(milliseconds(time), 1)));
    table.row(cells);
    if contender != Contender::Keepalived {
        for node in [0, 1] {
            let delay = metrics::histogram(&pair.lab.node(node).space, "ha_agent_loop_delay_seconds");
            table.note(format!(
                "{} {}, ha_agent.loop.delay: {delay}",
                contender.name(),
                ["Active", "Backup"][node]
            ));
        }
    }
    Ok(())
}

/// Lets time pass, with standstills at ever other places of the advertisement interval.
fn pass(time: Duration, standstill: Duration) -> io::Result<()> {
    let (start, mut number) = (Instant::now(), 0);
    while start.elapsed() < time {
        if standstill.is_zero() {
            thread::sleep(time.saturating_sub(start.elapsed()));
        } else {
            thread::sleep(Duration::from_micros(300_000 + 7_300 * (number % 10)));
            host::stand_still(standstill)?;
            number += 1;
        }
    }
    Ok(())
}

/// A program of somebody else that never waits.
fn endless_loop(pair: &Pair, number: usize) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do :; done"]);
    let log = pair.lab.scratch().file("loops.log");
    Process::start(&pair.lab.client, &format!("loop-{number}"), command, &log)
}

/// How often the speaker changed.
fn changes(adverts: &[(SystemTime, Advert)]) -> usize {
    adverts.windows(2).filter(|pair| pair[0].1.source != pair[1].1.source).count()
}

/// Milliseconds between the adverts of a source.
pub(crate) fn gaps(adverts: &[(SystemTime, Advert)], source: IpAddr) -> Vec<f64> {
    let times: Vec<SystemTime> =
        adverts.iter().filter(|(_, advert)| advert.source == source).map(|(at, _)| *at).collect();
    times.windows(2).map(|pair| milliseconds(pair[1].duration_since(pair[0]).unwrap_or_default())).collect()
}
