//! Two nodes with the same virtual routers, node 0 preferred: started, watched from node 1, broken and put right.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use ha_tests::{Advert, Capture, Lab, Wanted};

use crate::{
    contender::{Contender, Daemon, Plan, Router, name_of},
    options::{Fault, Restart},
};

/// Of node 0 and of node 1.
pub(crate) const PRIORITIES: [u8; 2] = [200, 100];
/// Longer than anything here may take on a loaded machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Two nodes with one virtual router.
#[derive(Debug)]
pub(crate) struct Pair {
    // First, so that the daemons end before their network goes.
    daemons: [Option<Daemon>; 2],
    capture: Capture,
    /// Of each node.
    plans: [Plan; 2],
    priorities: [u8; 2],
    pub(crate) lab: Lab,
}

/// When the last advert of node 0 and the first one of node 1 behind it passed the link of node 1, by the kernel's
/// stamps there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takeover {
    pub(crate) last_old: SystemTime,
    pub(crate) first_new: SystemTime,
}

impl Takeover {
    pub(crate) fn duration(self) -> Duration {
        self.first_new.duration_since(self.last_old).unwrap_or_default()
    }
}

impl Pair {
    /// Builds the network; nothing runs yet.
    pub(crate) fn new(contender: Contender, interval: Duration) -> Self {
        Self::of([contender; 2], PRIORITIES, interval, false)
    }

    /// The same of two contenders, whose agents may know each other.
    pub(crate) fn of(
        contenders: [Contender; 2],
        priorities: [u8; 2],
        interval: Duration,
        are_peers: bool,
    ) -> Self {
        let lab = Lab::new(2, 1);
        let router = Router { link: 0, vrid: 51, address: lab.vip4(0, 1).into() };
        let capture = Capture::start(&lab.node(1).space, "eth0", Wanted::Vrrp);
        let plans =
            contenders.map(|contender| Plan { contender, interval, routers: vec![router], are_peers });
        Self { daemons: [None, None], capture, plans, priorities, lab }
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.plans[0].routers[0].address
    }

    /// The name that agents have for the virtual router.
    pub(crate) fn router_name(&self) -> String {
        name_of(&self.plans[0].routers[0])
    }

    pub(crate) fn daemon(&mut self, node: usize) -> &mut Daemon {
        self.daemons[node].as_mut().expect("settled pairs have both daemons")
    }

    /// Starts what does not run and waits until node 0 alone speaks and holds the address, for a while.
    pub(crate) fn settle(&mut self) {
        self.lab.reconnect(self.lab.node(0));
        self.start_missing();
        let deadline = Instant::now() + LONG;
        while !self.is_settled() {
            assert!(
                Instant::now() < deadline,
                "node 0 did not become the only Active router; {}",
                self.logs()
            );
        }
    }

    /// Starts what does not run.
    pub(crate) fn start_missing(&mut self) {
        for (node, priority) in self.priorities.into_iter().enumerate() {
            let runs = self.daemons[node].as_mut().is_some_and(|daemon| daemon.process().is_running());
            if !runs {
                self.daemons[node] = None;
                self.daemons[node] = Some(self.plans[node].start(&self.lab, node, priority));
            }
        }
    }

    /// Waits until one node alone holds the address, and has spoken twice since the other spoke last.
    pub(crate) fn wait_for_holder(&mut self, node: usize) {
        let deadline = Instant::now() + LONG;
        while !self.is_held_by(node) {
            assert!(Instant::now() < deadline, "node {node} did not become the only holder; {}", self.logs());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn is_held_by(&self, node: usize) -> bool {
        self.is_last_word_of(node) && self.lab.holders(self.address()) == [node]
    }

    /// Waits until one node's kernel alone has the address.
    pub(crate) fn wait_for_holder_by_kernel(&mut self, node: usize) {
        let deadline = Instant::now() + LONG;
        while self.lab.holders(self.address()) != [node] {
            assert!(Instant::now() < deadline, "node {node} did not become the only holder; {}", self.logs());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_last_word_of(&self, node: usize) -> bool {
        let adverts = self.capture.adverts();
        let source = self.source(node);
        adverts.len() >= 2 && adverts.iter().rev().take(2).all(|(_, advert)| advert.source == source)
    }

    /// Looks for three intervals and a little more.
    fn is_settled(&self) -> bool {
        self.capture.clear();
        thread::sleep((self.plans[0].interval * 7 / 2).max(Duration::from_millis(250)));
        let adverts = self.capture.adverts();
        let sources: BTreeSet<IpAddr> = adverts.iter().map(|(_, advert)| advert.source).collect();
        let only_node_0 = sources == [self.source(0)].into() && adverts.len() >= 2;
        only_node_0 && self.lab.holders(self.address()) == [0]
    }

    fn logs(&mut self) -> String {
        let holders = self.lab.holders(self.address());
        let tail = |daemon: &mut Option<Daemon>| {
            let log = daemon.as_mut().map(|daemon| daemon.process().log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        };
        let [zero, one] = self.daemons.each_mut().map(tail);
        format!("holders: {holders:?}\n--- node 0:\n{zero}\n--- node 1:\n{one}")
    }

    /// Does it to node 0 and says when.
    pub(crate) fn inflict(&mut self, fault: Fault) -> SystemTime {
        let at = SystemTime::now();
        match fault {
            Fault::NodeDeath => {
                self.lab.cut_off(self.lab.node(0));
                self.daemon(0).process().kill();
            }
            Fault::DaemonKilled => self.daemon(0).process().kill(),
            Fault::DaemonHung => self.daemon(0).process().freeze(),
            Fault::OrderlyStop => self.daemon(0).process().signal(nix::sys::signal::Signal::SIGTERM),
            Fault::PriorityLowered => {
                let daemon = self.daemons[0].as_ref().expect("settled pairs have both daemons");
                self.plans[0].change_priority(daemon, self.priorities[1] / 2);
            }
        }
        at
    }

    /// Restarts the daemon of node 0, and returns when its next process answers, or has been started.
    pub(crate) fn restart(&mut self, how: Restart) {
        let node = self.lab.node(0);
        match (how, self.daemons[0].as_mut().expect("settled pairs have both daemons")) {
            (Restart::Leave, Daemon::Agent(agent)) => agent.hand_on(node),
            (Restart::Replace, Daemon::Agent(agent)) => agent.replace(node),
            (_, daemon) => {
                daemon.process().terminate(LONG);
                self.daemons[0] = Some(self.plans[0].start(&self.lab, 0, self.priorities[0]));
            }
        }
        if let Some(Daemon::Agent(agent)) = &mut self.daemons[0] {
            agent.wait_until_ready(LONG);
        }
    }

    /// Ends what is left of the daemon of node 0, so that [`Pair::settle`] starts a new one.
    pub(crate) fn clear_away(&mut self) {
        if let Some(mut daemon) = self.daemons[0].take() {
            daemon.process().kill();
        }
    }

    /// Ends both daemons, so that nothing of this pair loads the machine until the next [`Pair::settle`].
    pub(crate) fn clear_away_both(&mut self) {
        for daemon in &mut self.daemons {
            *daemon = None;
        }
        for node in self.lab.nodes() {
            node.space.ip(&format!("address flush dev eth0 to {}", self.address()));
        }
    }

    /// Waits until node 1 has spoken since the last look of [`Pair::settle`], and says when.
    pub(crate) fn wait_for_takeover(&mut self) -> Takeover {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(takeover) = self.takeover() {
                return takeover;
            }
            assert!(Instant::now() < deadline, "node 1 did not take over; {}", self.logs());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn takeover(&self) -> Option<Takeover> {
        let adverts = self.capture.adverts();
        let of = |node: usize| {
            let source = self.source(node);
            adverts.iter().filter(move |(_, advert)| advert.source == source).map(|(at, _)| *at)
        };
        let first_new = of(1).next()?;
        let last_old = of(0).rfind(|at| *at < first_new)?;
        Some(Takeover { last_old, first_new })
    }

    pub(crate) fn adverts(&self) -> Vec<(SystemTime, Advert)> {
        self.capture.adverts()
    }

    pub(crate) fn forget_adverts(&self) {
        self.capture.clear();
    }

    /// What a node's adverts come from.
    pub(crate) fn source(&self, node: usize) -> IpAddr {
        self.lab.node(node).address4(0).into()
    }
}
