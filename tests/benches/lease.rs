//! What it costs to renew the leases of many addresses: the same node with and without, one after the other.

use std::{thread, time::Duration};

use crate::{
    contender::Contender,
    crowd::{Crowd, Used},
    options::{LeaseOptions, interval_of},
    table::{Cell, Report, Table, progress},
};

/// Until the announcements of the takeover are over.
const QUIET: Duration = Duration::from_secs(8);

pub(crate) fn run(options: &LeaseOptions, report: &mut Report) {
    let mut table = Table::new(
        format!(
            "{} addresses held, {} ms adverts, over {} s",
            options.addresses, options.interval, options.seconds
        ),
        &["contender", "Active CPU %", "Backup CPU %", "Active's threads"],
    );
    let measured = [Contender::Agent, Contender::AgentWithoutLease].map(|contender| {
        let used = measure(contender, options);
        let mut cells = vec![contender.name().into()];
        cells.extend(used.iter().map(|used| Cell::Number(used.processor, 2)));
        cells.push(used[0].threads.clone().into());
        table.row(cells);
        used
    });
    let difference = measured[0][0].processor - measured[1][0].processor;
    table.note(format!(
        "renewing costs {difference:.2} % of one core, {:.1} us a second for each address",
        difference * 1e4 / options.addresses as f64
    ));
    report.add(&table);
}

fn measure(contender: Contender, options: &LeaseOptions) -> Vec<Used> {
    let mut crowd = Crowd::new(contender, interval_of(options.interval), options.addresses);
    progress(&format!("{}, starting", contender.name()));
    crowd.start().unwrap_or_else(|error| panic!("no start: {error}"));
    thread::sleep(QUIET);
    progress(&format!("{}, watching for {} s", contender.name(), options.seconds));
    crowd.watch(Duration::from_secs(options.seconds))
}
