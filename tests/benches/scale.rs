//! Many routers on two nodes: how long a cold start takes, what it costs, and how fast all are announced after a death.

use std::{thread, time::Duration};

use crate::{
    contender::Contender,
    crowd::{Crowd, Used},
    options::{ScaleOptions, interval_of},
    statistics::Distribution,
    table::{Cell, Report, Table, progress},
};

/// Until the second burst of announcements after a takeover is over: 5 s, and what repeats it.
const QUIET: Duration = Duration::from_secs(8);

/// What one contender showed.
struct Outcome {
    contender: Contender,
    /// Milliseconds until one holder for each address.
    starts: Distribution,
    /// Addresses that exactly one MAC answered for, the worst of all starts.
    answered: usize,
    /// On the Active and on the Backup.
    used: Vec<Used>,
    /// Milliseconds from the first announcement to each.
    announcements: Distribution,
}

pub(crate) fn run(options: &ScaleOptions, report: &mut Report) {
    let outcomes: Vec<Outcome> =
        options.contenders.iter().map(|contender| measure(*contender, options, report)).collect();
    report.add(&starts(options, &outcomes));
    report.add(&costs(options, &outcomes));
    report.add(&announcements(options, &outcomes));
}

fn measure(contender: Contender, options: &ScaleOptions, report: &mut Report) -> Outcome {
    let mut crowd = Crowd::new(contender, interval_of(options.interval), options.routers);
    let (starts, answered) = cold_starts(&mut crowd, options, report);
    let mut outcome = Outcome {
        contender,
        starts: Distribution::of_durations(starts),
        answered,
        used: Vec::new(),
        announcements: Distribution::default(),
    };
    if outcome.starts.samples().len() < options.starts {
        return outcome;
    }
    thread::sleep(QUIET);
    progress(&format!("{}, watching for {} s", contender.name(), options.seconds));
    outcome.used = crowd.watch(Duration::from_secs(options.seconds));
    progress(&format!("{}, the Active node dies", contender.name()));
    match crowd.kill_active() {
        Ok(times) => outcome.announcements = Distribution::of_durations(times),
        Err(error) => report.fail(format!("{}: {error}", contender.name())),
    }
    outcome
}

/// The times of the starts, up to one that did not converge, and the addresses that one MAC answered for at the worst.
fn cold_starts(crowd: &mut Crowd, options: &ScaleOptions, report: &mut Report) -> (Vec<Duration>, usize) {
    let mut starts = Vec::new();
    let mut answered = options.routers;
    for number in 1..=options.starts {
        if number > 1 {
            crowd.stop();
        }
        match crowd.start() {
            Ok(took) => starts.push(took),
            Err(error) => {
                report.fail(format!("cold start {number} did not converge: {error}"));
                break;
            }
        }
        answered = answered.min(crowd.answered_by_one());
        progress(&format!("cold start {number} of {}", options.starts));
    }
    (starts, answered)
}

fn starts(options: &ScaleOptions, outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(
        format!(
            "{} routers, {} ms adverts: cold start until one holder for each address; ms",
            options.routers, options.interval
        ),
        &[
            "contender",
            "converged",
            "of",
            "min",
            "median",
            "max",
            "addresses answered by one MAC, worst start",
        ],
    );
    for Outcome { contender, starts, answered, .. } in outcomes {
        let mut cells = vec![contender.name().into(), starts.samples().len().into(), options.starts.into()];
        cells.extend([starts.min(), starts.median(), starts.max()].map(|number| Cell::Number(number, 0)));
        cells.push((*answered).into());
        table.row(cells);
        table.samples(contender.name(), starts);
    }
    table
}

fn costs(options: &ScaleOptions, outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(
        format!(
            "{} routers, {} ms adverts: cost over {} s",
            options.routers, options.interval, options.seconds
        ),
        &[
            "contender",
            "Active CPU %",
            "Backup CPU %",
            "Active MiB",
            "Backup MiB",
            "Active's threads",
            "Backup's threads",
        ],
    );
    for Outcome { contender, used, .. } in outcomes {
        if used.is_empty() {
            continue;
        }
        let mut cells = vec![contender.name().into()];
        cells.extend(used.iter().map(|used| Cell::Number(used.processor, 1)));
        cells.extend(used.iter().map(|used| Cell::Number(used.memory, 1)));
        cells.extend(used.iter().map(|used| used.threads.clone().into()));
        table.row(cells);
    }
    table.note("CPU in percent of one core, all processes of the daemon");
    let measured = || outcomes.iter().filter(|one| !one.used.is_empty());
    if let Some(other) = measured().find(|one| one.contender == Contender::Keepalived) {
        for one in measured().filter(|one| one.contender != Contender::Keepalived) {
            let ratio = |node: usize| one.used[node].processor / other.used[node].processor;
            let (active, backup) = (ratio(0), ratio(1));
            table.note(format!(
                "{} to keepalived: Active {active:.2}, Backup {backup:.2}",
                one.contender.name()
            ));
        }
    }
    table
}

fn announcements(options: &ScaleOptions, outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(
        format!(
            "The Active node of {} routers dies: from the first announcement to that of each address; ms",
            options.routers
        ),
        &["contender", "addresses", "median", "p95", "last"],
    );
    for Outcome { contender, announcements, .. } in outcomes {
        let mut cells = vec![contender.name().into(), announcements.samples().len().into()];
        let numbers = [announcements.median(), announcements.percentile(95.0), announcements.max()];
        cells.extend(numbers.map(|number| Cell::Number(number, 1)));
        table.row(cells);
        table.samples(contender.name(), announcements);
    }
    table
}
