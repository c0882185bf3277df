//! Who is measured: the agent, the agent without address leases, and keepalived, each told the same.

use std::{net::IpAddr, process::Output, time::Duration};

use clap::ValueEnum;
use ha_tests::{
    Agent, AgentInstance, Keepalived, KeepalivedInstance, Lab, Process, hactl, peers_over_sockets,
};
use nix::sys::signal::Signal;

/// Whose daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    /// ha-agent as it is by default.
    Agent,
    /// ha-agent with `address_lease = "off"`.
    AgentWithoutLease,
    /// keepalived with real-time priority, which the agent has too.
    Keepalived,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::AgentWithoutLease => "agent, no lease",
            Self::Keepalived => "keepalived",
        }
    }
}

/// A virtual router.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Router {
    pub(crate) link: u8,
    pub(crate) vrid: u8,
    pub(crate) address: IpAddr,
}

/// What a contender's daemons are configured to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) contender: Contender,
    pub(crate) interval: Duration,
    pub(crate) routers: Vec<Router>,
    /// Whether the agents of the nodes know each other.
    pub(crate) are_peers: bool,
}

/// Prometheus' port of an agent, in the namespace of its node.
pub(crate) const METRICS_PORT: u16 = 9650;

/// A running daemon of a contender.
#[derive(Debug)]
pub(crate) enum Daemon {
    Agent(Agent),
    Keepalived(Keepalived),
}

impl Plan {
    /// Starts the daemon of a node; it is not ready yet.
    pub(crate) fn start(&self, lab: &Lab, node: usize, priority: u8) -> Daemon {
        let node = lab.node(node);
        if self.contender == Contender::Keepalived {
            // Its default limit of 10 ms in one go is deadly with hundreds of routers.
            let globals = "vrrp_rt_priority 50\nvrrp_no_swap\nvrrp_rlimit_rttime 5000000";
            let instances = self.keepalived(priority);
            return Daemon::Keepalived(Keepalived::start_with(
                &node.space,
                lab.scratch(),
                globals,
                &instances,
            ));
        }
        let instances: String = self.agent(priority).iter().map(AgentInstance::toml).collect();
        let peers = if self.are_peers { peers_over_sockets(lab) } else { String::new() };
        let body = format!("[metrics]\nlisten = \"127.0.0.1:{METRICS_PORT}\"\n{instances}{peers}");
        Daemon::Agent(Agent::start_with(node, lab.scratch(), &body))
    }

    fn keepalived(&self, priority: u8) -> Vec<KeepalivedInstance> {
        let instance = |router: &Router| KeepalivedInstance {
            link: format!("eth{}", router.link),
            interval: self.interval.as_secs_f64(),
            ..KeepalivedInstance::new(router.vrid, priority, &[router.address])
        };
        self.routers.iter().map(instance).collect()
    }

    fn agent(&self, priority: u8) -> Vec<AgentInstance> {
        let without_lease = self.contender == Contender::AgentWithoutLease;
        let instance = |router: &Router| AgentInstance {
            name: name_of(router),
            interface: format!("eth{}", router.link),
            interval: format!("{}ms", self.interval.as_millis()),
            extra: if without_lease { "address_lease = \"off\"".to_owned() } else { String::new() },
            ..AgentInstance::new(router.vrid, priority, &[router.address])
        };
        self.routers.iter().map(instance).collect()
    }

    /// Changes the priority of all routers while the daemon runs, by the means an operator has: hactl, or keepalived's
    /// file and a SIGHUP.
    pub(crate) fn change_priority(&self, daemon: &Daemon, priority: u8) {
        match daemon {
            Daemon::Keepalived(keepalived) => {
                keepalived.rewrite(&self.keepalived(priority));
                keepalived.process.signal(Signal::SIGHUP);
            }
            Daemon::Agent(agent) => {
                for router in &self.routers {
                    let (name, priority) = (name_of(router), priority.to_string());
                    let output = hactl(&[agent], &["--yes", "instance", "priority", "set", &name, &priority]);
                    assert!(output.status.success(), "hactl did not set the priority: {}", said(&output));
                }
            }
        }
    }
}

impl Daemon {
    pub(crate) fn process(&mut self) -> &mut Process {
        match self {
            Self::Agent(agent) => &mut agent.process,
            Self::Keepalived(keepalived) => &mut keepalived.process,
        }
    }
}

pub(crate) fn name_of(router: &Router) -> String {
    format!("link-{}-router-{}", router.link, router.vrid)
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
