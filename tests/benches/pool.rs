//! A pool behind nginx while clients ask: what checks of layers 3, 4 and 5 see and miss of a server that is killed, hangs, is
//! unplugged or answers wrongly, when it leaves and returns, and what clients notice.

use std::{
    fs,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use ha_tests::{Agent, AgentInstance, Lab, Nginx, Program, Told, require, wait_for, wait_until};

use crate::{
    clients::{Clients, Outcome, Request},
    options::PoolOptions,
    statistics::milliseconds,
    table::{Cell, Report, Table, progress},
};

const SERVERS: [usize; 3] = [1, 2, 3];
/// The one that is broken.
const VICTIM: usize = 2;
const RIGHT: &str = "hello";
const WRONG: &str = "oops";
const SORRY: &str = "sorry";
const SORRY_PORT: u16 = 8090;
const LONG: Duration = Duration::from_secs(20);
/// How long a check may take to see a fault before it counts as missed: five of its intervals.
const MISSED: Duration = Duration::from_millis(2500);
const CHECK: &str = "interval = \"500ms\"\ntimeout = \"400ms\"\nfall = 2\nrise = 2\n";

/// What the servers are checked by.
#[derive(Debug, Clone, Copy)]
enum Layer {
    Echo,
    Connect,
    Page,
}

impl Layer {
    const ALL: [Self; 3] = [Self::Echo, Self::Connect, Self::Page];

    fn name(self) -> &'static str {
        match self {
            Self::Echo => "3: icmp",
            Self::Connect => "4: tcp",
            Self::Page => "5: http",
        }
    }

    fn keys(self) -> String {
        match self {
            Self::Echo => "kind = \"icmp\"".to_owned(),
            Self::Connect => "kind = \"tcp\"".to_owned(),
            Self::Page => format!("kind = \"http\"\npath = \"/\"\nbody_matches = \"{RIGHT}\""),
        }
    }
}

/// What happens to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breakage {
    Killed,
    Hung,
    Unplugged,
    WrongAnswer,
}

impl Breakage {
    const ALL: [Self; 4] = [Self::Killed, Self::Hung, Self::Unplugged, Self::WrongAnswer];

    fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Hung => "hung (SIGSTOP)",
            Self::Unplugged => "unplugged",
            Self::WrongAnswer => "wrong answer",
        }
    }
}

/// A balancer on node 0 and web servers on the others.
struct Bed {
    // First, so that the programs end before their network goes.
    servers: Vec<Nginx>,
    agent: Option<Agent>,
    _balancer: Nginx,
    lab: Lab,
}

pub(crate) fn run(options: &PoolOptions, report: &mut Report) {
    require(&[Program::Nginx]);
    let mut bed = Bed::new();
    let mut table = Table::new(
        format!("One of three servers behind nginx breaks, {} requests a second", options.rate),
        &[
            "check",
            "server",
            "left after ms",
            "back after ms",
            "requests",
            "failed",
            "wrong",
            "slowest ms",
            "the check said",
        ],
    );
    table.note("left, back: until nginx' list of servers says so; failed: no answer within 1.4 s or a status other than 200");
    table.note("checks every 500 ms, timeout 400 ms, fall 2, rise 2; nginx tries another server after 300 ms without a connection and 500 ms without an answer");
    for layer in Layer::ALL {
        bed.configure(&format!("[[check]]\nname = \"seen\"\n{}\n{CHECK}", layer.keys()), "");
        for breakage in Breakage::ALL {
            progress(&format!("{}, {}", layer.name(), breakage.name()));
            let mut cells = vec![layer.name().into(), breakage.name().into()];
            cells.extend(bed.show(breakage, options.rate));
            table.row(cells);
        }
    }
    report.add(&table);
    report.add(&all_broken(&mut bed, options));
}

/// All servers killed: the pool with a floor, with a sorry server, and with neither.
fn all_broken(bed: &mut Bed, options: &PoolOptions) -> Table {
    let mut table = Table::new(
        format!("All three servers killed and started again, {} requests a second", options.rate),
        &[
            "pool",
            "requests",
            "pages",
            "sorry pages",
            "failed",
            "servers in nginx' list",
            "back after ms",
            "pool events",
        ],
    );
    let sorry = format!("sorry_server = \"127.0.0.1:{SORRY_PORT}\"\n");
    for (name, keys) in [("floor 1", "floor = 1\n"), ("sorry server", sorry.as_str()), ("neither", "")] {
        progress(&format!("all broken, {name}"));
        bed.configure(&format!("[[check]]\nname = \"seen\"\n{}\n{CHECK}", Layer::Page.keys()), keys);
        let told_before = bed.pool_events();
        let clients = Clients::start(&bed.lab.client, bed.address(), options.rate);
        thread::sleep(Duration::from_secs(1));
        SERVERS.iter().for_each(|server| bed.servers[server - 1].process.kill());
        thread::sleep(Duration::from_secs(4));
        let list = bed.list();
        let start = Instant::now();
        SERVERS.iter().for_each(|server| bed.servers[server - 1] = bed.web_server(*server));
        let back = wait_until(LONG, || SERVERS.iter().all(|server| bed.is_in(*server)));
        let took = start.elapsed();
        thread::sleep(Duration::from_secs(1));
        let requests = clients.end();
        let pages = |wanted: &str| {
            count(&requests, |outcome| matches!(outcome, Outcome::Page(page) if page == wanted))
        };
        let failed = count(&requests, |outcome| !matches!(outcome, Outcome::Page(_)));
        table.row(vec![
            name.into(),
            requests.len().into(),
            pages(RIGHT).into(),
            pages(SORRY).into(),
            failed.into(),
            list.into(),
            Cell::Number(if back { milliseconds(took) } else { f64::NAN }, 0),
            news(told_before, bed.pool_events()).into(),
        ]);
    }
    table
}

impl Bed {
    fn new() -> Self {
        let lab = Lab::new(4, 1);
        lab.node(0).space.ip("link set lo up");
        let sorry = format!("server {{ listen 127.0.0.1:{SORRY_PORT}; return 200 \"{SORRY}\\n\"; }}");
        let balancer = Nginx::balance(&lab, lab.node(0), &sorry);
        let mut bed = Self { servers: Vec::new(), agent: None, _balancer: balancer, lab };
        bed.servers = SERVERS.iter().map(|server| bed.web_server(*server)).collect();
        bed
    }

    fn web_server(&self, node: usize) -> Nginx {
        Nginx::serve(&self.lab, self.lab.node(node), RIGHT)
    }

    fn address(&self) -> IpAddr {
        self.lab.vip4(0, 1).into()
    }

    /// A new agent with this check and these keys of the pool; waits until all servers are in.
    fn configure(&mut self, check: &str, pool: &str) {
        self.agent = None;
        let node = self.lab.node(0);
        let router =
            AgentInstance { interval: "100ms".to_owned(), ..AgentInstance::new(51, 150, &[self.address()]) };
        let mut body = format!(
            "{}{}{check}[[pool]]
name = \"app\"
checks = [\"seen\"]
port = {}
{pool}nginx = {{ file = \"{}\" }}
",
            Nginx::settings_on(&self.lab, node),
            router.toml(),
            Nginx::PORT,
            Nginx::list_on(&self.lab, node).display()
        );
        for server in SERVERS {
            let address = self.lab.node(server).address4(0);
            body.push_str(&format!("[[pool.server]]\nname = \"w{server}\"\naddress = \"{address}\"\n"));
        }
        let mut agent = Agent::start_with(node, self.lab.scratch(), &body);
        agent.wait_until_ready(LONG);
        self.agent = Some(agent);
        wait_for("the address", LONG, || self.lab.holders(self.address()) == [0]);
        wait_for("all servers in", LONG, || SERVERS.iter().all(|server| self.is_in(*server)));
        // nginx reads the list behind the file's back.
        thread::sleep(Duration::from_secs(1));
    }

    /// Breaks one server and mends it under load: the cells of its row behind the first two.
    fn show(&mut self, breakage: Breakage, rate: u32) -> Vec<Cell> {
        let seen_before = self.events("check.changed").len();
        let clients = Clients::start(&self.lab.client, self.address(), rate);
        thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        self.break_one(breakage);
        let left = wait_until(MISSED, || !self.is_in(VICTIM)).then(|| start.elapsed());
        thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        self.mend(breakage);
        let back = (left.is_some() && wait_until(LONG, || self.is_in(VICTIM))).then(|| start.elapsed());
        thread::sleep(Duration::from_secs(1));
        let requests = clients.end();
        let said = self.events("check.changed").into_iter().nth(seen_before);
        let number = |time: Option<Duration>| {
            time.map_or("missed".into(), |time| Cell::Text(format!("{:.0}", milliseconds(time))))
        };
        let slowest = requests.iter().map(|request| request.took).max().unwrap_or_default();
        vec![
            number(left),
            number(back),
            requests.len().into(),
            count(&requests, |outcome| !matches!(outcome, Outcome::Page(_))).into(),
            count(&requests, |outcome| matches!(outcome, Outcome::Page(page) if page != RIGHT)).into(),
            Cell::Number(milliseconds(slowest), 0),
            said.map_or("nothing".to_owned(), |event| event.text("message").to_owned()).into(),
        ]
    }

    fn break_one(&mut self, breakage: Breakage) {
        let server = &mut self.servers[VICTIM - 1];
        match breakage {
            Breakage::Killed => server.process.kill(),
            Breakage::Hung => server.process.freeze(),
            Breakage::Unplugged => self.lab.unplug(self.lab.node(VICTIM), 0),
            Breakage::WrongAnswer => self.answer(WRONG),
        }
    }

    fn mend(&mut self, breakage: Breakage) {
        match breakage {
            Breakage::Killed => self.servers[VICTIM - 1] = self.web_server(VICTIM),
            Breakage::Hung => self.servers[VICTIM - 1].process.thaw(),
            Breakage::Unplugged => self.lab.plug(self.lab.node(VICTIM), 0),
            Breakage::WrongAnswer => self.answer(RIGHT),
        }
    }

    fn answer(&self, page: &str) {
        self.servers[VICTIM - 1].reconfigure(&Nginx::page(page));
    }

    fn is_in(&self, server: usize) -> bool {
        let address = format!("{}:{}", self.lab.node(server).address4(0), Nginx::PORT);
        let list = fs::read_to_string(Nginx::list_on(&self.lab, self.lab.node(0))).unwrap_or_default();
        list.lines().any(|line| line.contains(&address) && !line.contains("down"))
    }

    /// The names of what nginx is told to use.
    fn list(&self) -> String {
        let list = fs::read_to_string(Nginx::list_on(&self.lab, self.lab.node(0))).unwrap_or_default();
        let used = |line: &&str| line.trim_start().starts_with("server ") && !line.contains("down");
        let mut names: Vec<String> =
            SERVERS.iter().filter(|server| self.is_in(**server)).map(|server| format!("w{server}")).collect();
        if list.lines().filter(used).any(|line| line.contains(&SORRY_PORT.to_string())) {
            names.push(SORRY.to_owned());
        }
        if names.is_empty() { "none".to_owned() } else { names.join(" ") }
    }

    fn events(&self, kind: &str) -> Vec<Told> {
        self.agent.as_ref().map(|agent| agent.events(&[kind])).unwrap_or_default()
    }

    /// How often each of [`POOL_EVENTS`] was told. The history goes through all runs of the agent.
    fn pool_events(&self) -> [usize; POOL_EVENTS.len()] {
        POOL_EVENTS.map(|kind| self.events(kind).len())
    }
}

const POOL_EVENTS: [&str; 4] = ["pool.floor_reached", "pool.floor_left", "pool.sorry_in", "pool.sorry_out"];

/// Which of [`POOL_EVENTS`] were told in between.
fn news(before: [usize; POOL_EVENTS.len()], after: [usize; POOL_EVENTS.len()]) -> String {
    let counts = before.into_iter().zip(after);
    let told = POOL_EVENTS.into_iter().zip(counts).filter(|(_, (before, after))| after > before);
    told.map(|(kind, _)| kind.trim_start_matches("pool.")).collect::<Vec<_>>().join(" ")
}

fn count(requests: &[Request], is_it: impl Fn(&Outcome) -> bool) -> usize {
    requests.iter().filter(|request| is_it(&request.outcome)).count()
}
