//! `ha-bench`: the agent measured beside keepalived, in network namespaces of its own. Run it as root.
//!
//! It prints tables and never fails because something was slow, only because something did not happen. Absolute
//! times belong to the machine and its load of the moment, which is printed with them; the ratio to keepalived in
//! the same run is what travels. What a crashed run left behind is removed by the next.

mod busy;
mod checks;
mod clients;
mod contender;
mod crowd;
mod engine;
mod fencing;
mod formula;
mod host;
mod judgement;
mod lease;
mod load;
mod metrics;
mod moves;
mod options;
mod outage;
mod pair;
mod pool;
mod restart;
mod rpc;
mod scale;
mod statistics;
mod table;
mod targets;
mod threads;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    options::{Benchmark, Options},
    table::Report,
};

fn main() -> ExitCode {
    let options = Options::parse();
    let mut report = Report::begin(options.json);
    match &options.benchmark {
        Benchmark::Outage(wanted) => outage::run(wanted, &mut report),
        Benchmark::Restart(wanted) => restart::run(wanted, &mut report),
        Benchmark::Moves(wanted) => moves::run(wanted, &mut report),
        Benchmark::Formula(wanted) => formula::run(wanted, &mut report),
        Benchmark::Busy(wanted) => busy::run(wanted, &mut report),
        Benchmark::Scale(wanted) => scale::run(wanted, &mut report),
        Benchmark::Fencing(wanted) => fencing::run(wanted, &mut report),
        Benchmark::Lease(wanted) => lease::run(wanted, &mut report),
        Benchmark::Checks(wanted) => checks::run(wanted, &mut report),
        Benchmark::Pool(wanted) => pool::run(wanted, &mut report),
        Benchmark::Watch(wanted) => watch::run(wanted, &mut report),
        Benchmark::Engine(wanted) => {
            engine::run(wanted, &mut report);
            judgement::run(wanted, &mut report);
        }
    }
    report.end()
}
