//! Two nodes with many virtual routers, 250 on each link, node 0 preferred.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use ha_tests::{Capture, Lab, Mac, Usage, Wanted, sweep};

use crate::{
    contender::{Contender, Daemon, Plan, Router},
    pair::{LONG, PRIORITIES},
    threads,
};

/// VRIDs on one link.
const PER_LINK: usize = 250;
const POLL: Duration = Duration::from_millis(20);

/// The network and the daemons of both nodes.
#[derive(Debug)]
pub(crate) struct Crowd {
    daemons: Vec<Daemon>,
    plan: Plan,
    links: u8,
    lab: Lab,
}

/// What a daemon used, with its threads by name.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    /// Percent of one core.
    pub(crate) processor: f64,
    /// Mebibytes.
    pub(crate) memory: f64,
    /// Each thread's share.
    pub(crate) threads: String,
}

impl Crowd {
    /// Builds the network for so many routers; nothing runs yet.
    pub(crate) fn new(contender: Contender, interval: Duration, routers: usize) -> Self {
        let links = u8::try_from(routers.div_ceil(PER_LINK)).expect("at most 99 links of 250 routers");
        let lab = Lab::new(2, links);
        let router = |number: usize| {
            let (link, place) = ((number / PER_LINK) as u8, number % PER_LINK + 1);
            Router { link, vrid: place as u8, address: lab.vip4(link, place as u16).into() }
        };
        let routers = (0..routers).map(router).collect();
        Self {
            daemons: Vec::new(),
            plan: Plan { contender, interval, routers, are_peers: false },
            links,
            lab,
        }
    }

    /// Starts both daemons at once and waits until each address has exactly one holder, and still has it two seconds
    /// later. Returns when that was first so, or what is wrong after [`LONG`].
    pub(crate) fn start(&mut self) -> Result<Duration, String> {
        self.daemons.clear();
        let start = Instant::now();
        for (node, priority) in PRIORITIES.into_iter().enumerate() {
            self.daemons.push(self.plan.start(&self.lab, node, priority));
        }
        let mut good_since = None;
        while start.elapsed() < LONG {
            match (self.doubts(), good_since) {
                (Some(_), _) => good_since = None,
                (None, None) => good_since = Some(start.elapsed()),
                (None, Some(took)) if start.elapsed() >= took + Duration::from_secs(2) => return Ok(took),
                (None, Some(_)) => {}
            }
            thread::sleep(POLL);
        }
        let doubts = self.doubts().unwrap_or_else(|| "addresses change hands again and again".to_owned());
        Err(format!("{}: {doubts}; {}", self.plan.contender.name(), self.logs()))
    }

    /// What is wrong with the holders; `None` when each address is in the kernel of exactly one node.
    fn doubts(&self) -> Option<String> {
        let mut holders: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for node in self.lab.nodes() {
            for found in node.space.addresses() {
                *holders.entry(found.address).or_default() += 1;
            }
        }
        let count = |wanted: fn(usize) -> bool| {
            let counts =
                self.plan.routers.iter().map(|router| holders.get(&router.address).copied().unwrap_or(0));
            counts.filter(|count| wanted(*count)).count()
        };
        let (none, many) = (count(|holders| holders == 0), count(|holders| holders > 1));
        (none + many > 0).then(|| format!("{none} without a holder, {many} with more than one"))
    }

    /// Asks for every address by ARP: how many exactly one MAC answered for.
    pub(crate) fn answered_by_one(&self) -> usize {
        let on_link = |link: u8| -> usize {
            let ours = self.plan.routers.iter().filter(|router| router.link == link);
            let addresses: Vec<IpAddr> = ours.map(|router| router.address).collect();
            let answers: BTreeMap<IpAddr, BTreeSet<Mac>> =
                sweep(&self.lab.client, &format!("eth{link}"), &addresses, Duration::from_millis(300));
            answers.values().filter(|macs| macs.len() == 1).count()
        };
        (0..self.links).map(on_link).sum()
    }

    /// From now on the frames of node 0 are received on the second core, while its daemon runs on the first. Between
    /// namespaces the sender's own time pays for bridge and receivers, which on a wire others pay.
    pub(crate) fn receive_elsewhere(&mut self) -> Result<(), String> {
        let process = self.daemons[0].process();
        for member in process.tree() {
            let member = member.to_string();
            self.lab.switch.output("taskset", &["-a", "-c", "-p", "0", &member])?;
        }
        self.steer("2")
    }

    /// From now on each frame is received on the core that sent it, as at first.
    pub(crate) fn receive_here(&mut self) -> Result<(), String> {
        self.steer("0")
    }

    fn steer(&self, cores: &str) -> Result<(), String> {
        let steer =
            format!("for file in /sys/class/net/n0l*/queues/rx-0/rps_cpus; do echo {cores} >$file; done");
        self.lab.switch.output("ip", &["netns", "exec", self.lab.switch.name(), "sh", "-c", &steer])?;
        Ok(())
    }

    /// What each daemon uses for a while; nothing else of this program runs meanwhile.
    pub(crate) fn watch(&mut self, time: Duration) -> Vec<Used> {
        let mut read = || -> Vec<(Usage, BTreeMap<String, Duration>)> {
            let read = |daemon: &mut Daemon| {
                let process = daemon.process();
                (process.usage(), threads::processor_times(process.id()))
            };
            self.daemons.iter_mut().map(read).collect()
        };
        let (before, start) = (read(), Instant::now());
        thread::sleep(time);
        let (after, time) = (read(), start.elapsed());
        let used = |((usage, threads), (earlier, threads_earlier)): ((Usage, _), &(Usage, _))| Used {
            processor: (usage.cpu - earlier.cpu).as_secs_f64() / time.as_secs_f64() * 100.0,
            memory: usage.resident as f64 / f64::from(1 << 20),
            threads: threads::shares(threads_earlier, &threads, time),
        };
        after.into_iter().zip(&before).map(used).collect()
    }

    /// Node 0 dies; captures until every address was announced by node 1. Returns the time from the first
    /// announcement to that of the last address, or what is missing after [`LONG`].
    pub(crate) fn kill_active(&mut self) -> Result<Duration, String> {
        let capture =
            |link| Capture::start(&self.lab.switch, &format!("br{link}"), Wanted::VrrpAndAnnouncements);
        let captures: Vec<Capture> = (0..self.links).map(capture).collect();
        // In this order: the cables of several links cannot be pulled at one instant, but a daemon ends at one.
        self.daemons[0].process().kill();
        self.lab.cut_off(self.lab.node(0));
        let start = Instant::now();
        loop {
            thread::sleep(Duration::from_millis(600));
            let first = self.first_announcements(&captures);
            if let ([zero, .., last], true) = (&first[..], first.len() == self.plan.routers.len()) {
                return Ok(last.duration_since(*zero).unwrap_or_default());
            }
            if start.elapsed() > LONG {
                return Err(format!("only {} addresses were announced; {}", first.len(), self.logs()));
            }
        }
    }

    /// When node 1 first announced each address, in order.
    fn first_announcements(&self, captures: &[Capture]) -> Vec<SystemTime> {
        let mut first: BTreeMap<IpAddr, SystemTime> = BTreeMap::new();
        for (at, address, mac) in captures.iter().flat_map(Capture::announcements) {
            if self.lab.node_of(mac) == Some(1) {
                first.entry(address).and_modify(|known| *known = at.min(*known)).or_insert(at);
            }
        }
        let mut times: Vec<SystemTime> =
            self.plan.routers.iter().filter_map(|router| first.get(&router.address).copied()).collect();
        times.sort();
        times
    }

    /// Ends both daemons and removes what keepalived leaves when it is killed, as before the first start.
    pub(crate) fn stop(&mut self) {
        self.daemons.clear();
        self.lab.reconnect(self.lab.node(0));
        for node in self.lab.nodes() {
            for link in 0..self.links {
                let network = self.lab.vip4(link, 0);
                node.space.ip(&format!("address flush dev eth{link} to {network}/24"));
            }
        }
    }

    fn logs(&mut self) -> String {
        let tail = |daemon: &mut Daemon| {
            let log = daemon.process().log();
            let lines: Vec<&str> = log.lines().collect();
            lines[lines.len().saturating_sub(5)..].join("\n")
        };
        self.daemons.iter_mut().map(tail).collect::<Vec<_>>().join("\n---\n")
    }
}
