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

/// Frames that wait for another core before the kernel drops them (net.core.netdev_max_backlog).
const BACKLOG: usize = 1000;

/// What one contender showed.
struct Outcome {
    contender: Contender,
    /// Milliseconds until one holder for each address.
    starts: Distribution,
    /// Addresses that exactly one MAC answered for, the worst of all starts.
    answered: usize,
    /// On the Active and on the Backup, as it is.
    used: Vec<Used>,
    /// The same while the Active node's frames are received on another core.
    used_apart: Vec<Used>,
    /// For each death the milliseconds from the first announcement to the last.
    announcements: Distribution,
}

pub(crate) fn run(options: &ScaleOptions, report: &mut Report) {
    let outcomes: Vec<Outcome> =
        options.contenders.iter().map(|contender| measure(*contender, options, report)).collect();
    report.add(&starts(options, &outcomes));
    report.add(&costs(options, &outcomes, false));
    if outcomes.iter().any(|outcome| !outcome.used_apart.is_empty()) {
        report.add(&costs(options, &outcomes, true));
    }
    report.add(&announcements(options, &outcomes));
}

fn measure(contender: Contender, options: &ScaleOptions, report: &mut Report) -> Outcome {
    let mut crowd = Crowd::new(contender, interval_of(options.interval), options.routers);
    let mut outcome = Outcome {
        contender,
        starts: Distribution::default(),
        answered: options.routers,
        used: Vec::new(),
        used_apart: Vec::new(),
        announcements: Distribution::default(),
    };
    let (mut starts, mut deaths) = (Vec::new(), Vec::new());
    for number in 1..=options.starts.max(1) {
        progress(&format!("{}, cold start {number}", contender.name()));
        match crowd.start() {
            Ok(took) => starts.push(took),
            Err(error) => {
                report.fail(format!("cold start {number} did not converge: {error}"));
                break;
            }
        }
        outcome.answered = outcome.answered.min(crowd.answered_by_one());
        if number == 1 {
            watch(&mut crowd, options, &mut outcome);
        }
        match crowd.kill_active() {
            Ok(took) => deaths.push(took),
            Err(error) => report.fail(format!("{}: {error}", contender.name())),
        }
        crowd.stop();
    }
    outcome.starts = Distribution::of_durations(starts);
    outcome.announcements = Distribution::of_durations(deaths);
    outcome
}

fn watch(crowd: &mut Crowd, options: &ScaleOptions, outcome: &mut Outcome) {
    let time = Duration::from_secs(options.seconds);
    thread::sleep(QUIET);
    progress(&format!("{}, watching for {} s", outcome.contender.name(), options.seconds));
    outcome.used = crowd.watch(time);
    if options.routers > BACKLOG {
        return progress("too many adverts at once for the queue between two cores: not measured apart");
    }
    match crowd.receive_elsewhere() {
        Ok(()) => outcome.used_apart = crowd.watch(time),
        Err(error) => progress(&format!("no second core for the receivers: {error}")),
    }
    // Else the queue between the cores would lose adverts in what follows.
    if let Err(error) = crowd.receive_here() {
        progress(&format!("frames are still received on another core: {error}"));
    }
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

fn costs(options: &ScaleOptions, outcomes: &[Outcome], is_apart: bool) -> Table {
    let of = |outcome: &Outcome| if is_apart { &outcome.used_apart } else { &outcome.used }.clone();
    let (routers, interval, seconds) = (options.routers, options.interval, options.seconds);
    let how = if is_apart { ", frames of the Active received on another core" } else { "" };
    let mut table = Table::new(
        format!("{routers} routers, {interval} ms adverts: cost over {seconds} s{how}"),
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
    for outcome in outcomes {
        let used = of(outcome);
        let mut cells = vec![outcome.contender.name().into()];
        cells.extend(used.iter().map(|used| Cell::Number(used.processor, 1)));
        cells.extend(used.iter().map(|used| Cell::Number(used.memory, 1)));
        cells.extend(used.iter().map(|used| used.threads.clone().into()));
        table.row(cells);
    }
    table.note("CPU in percent of one core, all processes of the daemon");
    if !is_apart {
        table.note("between namespaces the sender's time contains bridge and receivers; the next table is without them");
    }
    ratios(outcomes, of, &mut table);
    table
}

fn ratios(outcomes: &[Outcome], of: impl Fn(&Outcome) -> Vec<Used>, table: &mut Table) {
    let Some(other) = outcomes.iter().find(|one| one.contender == Contender::Keepalived) else { return };
    for one in outcomes.iter().filter(|one| one.contender != Contender::Keepalived) {
        let (ours, theirs) = (of(one), of(other));
        if let ([active, backup], [their_active, their_backup]) = (&ours[..], &theirs[..]) {
            let (active, backup) =
                (active.processor / their_active.processor, backup.processor / their_backup.processor);
            table.note(format!(
                "{} to keepalived: Active {active:.2}, Backup {backup:.2}",
                one.contender.name()
            ));
        }
    }
}

fn announcements(options: &ScaleOptions, outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(
        format!(
            "The Active node of {} routers dies: from the first announcement of an address to the last; ms",
            options.routers
        ),
        &["contender", "deaths", "min", "median", "max"],
    );
    for Outcome { contender, announcements, .. } in outcomes {
        let mut cells = vec![contender.name().into(), announcements.samples().len().into()];
        let numbers = [announcements.min(), announcements.median(), announcements.max()];
        cells.extend(numbers.map(|number| Cell::Number(number, 1)));
        table.row(cells);
        table.samples(contender.name(), announcements);
    }
    table.note(
        "adverts of the dead node are spread over one interval, and so are the ends of Active_Down_Interval",
    );
    table
}
