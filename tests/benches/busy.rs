//! Fast adverts on a machine whose cores are all busy: does a working Active router stay Active?

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use ha_tests::{Advert, Namespace, Process};

use crate::{
    contender::{Contender, METRICS_PORT},
    host::{self, Watch},
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
            let delay = loop_delay(&pair.lab.node(node).space);
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

fn gaps(adverts: &[(SystemTime, Advert)], source: IpAddr) -> Vec<f64> {
    let times: Vec<SystemTime> =
        adverts.iter().filter(|(_, advert)| advert.source == source).map(|(at, _)| *at).collect();
    times.windows(2).map(|pair| milliseconds(pair[1].duration_since(pair[0]).unwrap_or_default())).collect()
}

/// The agent's own histogram, as Prometheus sees it.
fn loop_delay(space: &Namespace) -> String {
    let page = match space.run(scrape) {
        Ok(page) => page,
        Err(error) => return format!("no answer from the metrics endpoint: {error}"),
    };
    let lines = page.lines().filter(|line| line.starts_with("ha_agent_loop_delay_seconds_bucket"));
    let buckets: Vec<(f64, f64)> = lines.filter_map(bucket).collect();
    let Some(&(_, all)) = buckets.last() else { return "not among the metrics".to_owned() };
    let bound = |share: f64| {
        let found = buckets.iter().find(|(_, count)| *count >= all * share).map(|(bound, _)| bound * 1e3);
        found.map_or("-".to_owned(), |bound| format!("{bound} ms"))
    };
    format!(
        "{all} turns; half at most {}, 99 % {}, 99.9 % {}, all {}",
        bound(0.5),
        bound(0.99),
        bound(0.999),
        bound(1.0)
    )
}

/// `..._bucket{le="0.001"} 17`
fn bucket(line: &str) -> Option<(f64, f64)> {
    let bound = line.split("le=\"").nth(1)?.split('"').next()?;
    let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
    Some((bound, line.rsplit(' ').next()?.parse().ok()?))
}

fn scrape() -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, METRICS_PORT))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_read_with_its_bound() {
        assert_eq!(bucket("x_bucket{otel_scope=\"a\",le=\"0.001\"} 17"), Some((0.001, 17.0)));
        assert_eq!(bucket("x_bucket{le=\"+Inf\"} 20"), Some((f64::INFINITY, 20.0)));
        assert_eq!(bucket("x_sum 20"), None);
    }
}
