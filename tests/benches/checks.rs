//! Many checks of one node beside HAProxy's of the same targets: processor time, memory, how evenly they come, and what
//! they do to the adverts of a fast virtual router of the same agent.

use std::{
    fmt::Write as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ha_tests::{Agent, AgentInstance, Capture, Lab, Process, Program, Wanted, require};

use crate::{
    busy::gaps,
    contender::METRICS_PORT,
    metrics,
    options::{Checker, ChecksOptions},
    statistics::{Distribution, milliseconds},
    table::{Cell, Report, Table, progress},
    targets::{Asked, PORT, Service, Targets, address},
    threads,
};

/// Between two checks of a target.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two adverts of the router beside them.
const ADVERTS: Duration = Duration::from_millis(10);
/// Until start-up is over: three rounds of checks.
const WARM_UP: Duration = Duration::from_secs(4);

/// What is checked.
#[derive(Debug, Clone, Copy)]
struct Load {
    service: Service,
    count: usize,
}

impl Load {
    fn name(self) -> String {
        let kind = match self.service {
            Service::Tcp => "TCP",
            Service::Http => "HTTP",
        };
        format!("{} {kind}", self.count)
    }
}

pub(crate) fn run(options: &ChecksOptions, report: &mut Report) {
    require(&[Program::Haproxy]);
    let time = Duration::from_secs(options.seconds);
    let mut checks = Table::new(
        format!("Checks every second of targets in 127.0.0.0/8, over {} s", options.seconds),
        &["checks", "contender", "done a second", "CPU %", "memory MiB", "uneven median", "p99", "max"],
    );
    checks.note("uneven: time between two checks of a target, more or less than the second, ms");
    let mut adverts = Table::new(
        format!("Adverts every 10 ms of the same agent, over {} s; ms", options.seconds),
        &["beside", "adverts", "late median", "p99", "p99.9", "max"],
    );
    adverts.note("late: gap between two adverts on the next node's link, less the interval");
    let none = Load { service: Service::Tcp, count: 0 };
    let loads = [(Service::Tcp, options.tcp), (Service::Http, options.http)];
    let loads = loads.map(|(service, count)| Load { service, count });
    for load in std::iter::once(none).chain(loads) {
        for &checker in &options.contenders {
            if load.count > 0 || checker == Checker::Agent {
                progress(&format!("{}: {} checks", checker.name(), load.name()));
                measure(checker, load, time, &mut checks, &mut adverts);
            }
        }
    }
    report.add(&checks);
    report.add(&adverts);
}

fn measure(checker: Checker, load: Load, time: Duration, checks: &mut Table, adverts: &mut Table) {
    let lab = Lab::new(2, 1);
    let node = lab.node(0);
    node.space.ip("link set lo up");
    let targets = Targets::start(&node.space, load.service);
    let capture = Capture::start(&lab.node(1).space, "eth0", Wanted::Vrrp);
    let process = checker.start(&lab, load);
    thread::sleep(WARM_UP);
    let (before, parts, start) = (process.usage(), threads::processor_times(process.id()), Instant::now());
    targets.forget();
    capture.clear();
    thread::sleep(time);
    let (asked, sent) = (targets.asked(), capture.adverts());
    let (after, passed) = (process.usage(), start.elapsed());
    let shares = threads::shares(&parts, &threads::processor_times(process.id()), passed);

    if load.count > 0 {
        let count: usize = asked.values().map(Vec::len).sum();
        let uneven = uneven(&asked);
        checks.row(vec![
            load.name().into(),
            checker.name().into(),
            Cell::Number(count as f64 / passed.as_secs_f64(), 0),
            Cell::Number((after.cpu - before.cpu).as_secs_f64() / passed.as_secs_f64() * 100.0, 1),
            Cell::Number(after.resident as f64 / f64::from(1 << 20), 1),
            Cell::Number(uneven.median(), 1),
            Cell::Number(uneven.percentile(99.0), 1),
            Cell::Number(uneven.max(), 1),
        ]);
        checks.note(format!("{}, {}: {shares}", load.name(), checker.name()));
        checks.samples(format!("{}, {}", load.name(), checker.name()), &uneven);
    }
    if checker == Checker::Agent {
        if load.count > 0 {
            let delay = metrics::histogram(&node.space, "ha_agent_check_delay_seconds");
            checks.note(format!("{}, agent, ha_agent.check.delay: {delay}", load.name()));
        }
        let late = gaps(&sent, node.address4(0).into()).into_iter().map(|gap| gap - milliseconds(ADVERTS));
        let late = Distribution::new(late.collect());
        let mut cells = vec![load.name().into(), sent.len().into()];
        let numbers = [late.median(), late.percentile(99.0), late.percentile(99.9), late.max()];
        cells.extend(numbers.map(|number| Cell::Number(number, 3)));
        adverts.row(cells);
    }
}

/// How far the times between two checks of a target are from the interval.
fn uneven(asked: &Asked) -> Distribution {
    let pairs = asked.values().flat_map(|times| times.windows(2));
    Distribution::of_durations(
        pairs.map(|pair| pair[1].duration_since(pair[0]).unwrap_or_default().abs_diff(INTERVAL)),
    )
}

impl Checker {
    fn start(self, lab: &Lab, load: Load) -> Process {
        match self {
            Self::Agent => start_agent(lab, load),
            Self::Haproxy => start_haproxy(lab, load),
        }
    }
}

fn start_agent(lab: &Lab, load: Load) -> Process {
    let router = AgentInstance {
        interval: "10ms".to_owned(),
        ..AgentInstance::new(51, 200, &[lab.vip4(0, 1).into()])
    };
    let mut body = format!("[metrics]\nlisten = \"127.0.0.1:{METRICS_PORT}\"\n{}", router.toml());
    let kind = match load.service {
        Service::Tcp => "kind = \"tcp\"",
        Service::Http => "kind = \"http\"\npath = \"/\"",
    };
    for number in 0..load.count {
        let _ = writeln!(
            body,
            "[[check]]\nname = \"c{number}\"\n{kind}\nhost = \"{}\"\nport = {PORT}\n\
             interval = \"1s\"\ntimeout = \"1s\"\njitter = \"0%\"",
            address(number)
        );
    }
    let mut agent = Agent::start_with(lab.node(0), lab.scratch(), &body);
    agent.wait_until_ready(Duration::from_secs(30));
    agent.process
}

/// Without a front end HAProxy would end at once; nobody uses this one.
fn start_haproxy(lab: &Lab, load: Load) -> Process {
    let (mode, check) = match load.service {
        Service::Tcp => ("tcp", ""),
        Service::Http => ("http", "  option httpchk GET /\n"),
    };
    let mut text = format!(
        "defaults\n  mode {mode}\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n  timeout check 1s\n\
         frontend unused\n  bind 127.0.0.1:8081\n  default_backend targets\nbackend targets\n{check}"
    );
    for number in 0..load.count {
        let _ = writeln!(text, "  server s{number} {}:{PORT} check inter 1s", address(number));
    }
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-db", "-f"]).arg(lab.scratch().write("haproxy.cfg", &text));
    Process::start(&lab.node(0).space, "haproxy", command, &lab.scratch().file("haproxy.log"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn early_is_as_uneven_as_late() {
        let start = SystemTime::UNIX_EPOCH;
        let at = |millis: &[u64]| millis.iter().map(|time| start + Duration::from_millis(*time)).collect();
        let asked = Asked::from([(address(0).into(), at(&[0, 1010, 2000])), (address(1).into(), at(&[500]))]);
        assert_eq!(uneven(&asked).samples(), [10.0, 10.0]);
    }
}
