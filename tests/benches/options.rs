//! The command line. Each benchmark has its own options with defaults that end within minutes.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::contender::Contender;

/// Measures ha-agent beside keepalived, in network namespaces. Needs root.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// One JSON document on standard output instead of tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Benchmark {
    /// Outage seen by a 1 ms pinger and time to takeover, for each fault and advert interval.
    Outage(OutageOptions),
    /// Restarts of the Active daemon: how long nobody speaks, whether the peer takes over, pings lost.
    Restart(RestartOptions),
    /// Planned moves of the virtual address, beside keepalived's orderly stop: what a client loses.
    Moves(MovesOptions),
    /// Node death: takeover time less Active_Down_Interval.
    Formula(FormulaOptions),
    /// 10 ms adverts while every core is kept busy: transitions and lateness.
    Busy(BusyOptions),
    /// Many routers: cold start, CPU and memory, announcements when the Active node dies.
    Scale(ScaleOptions),
    /// Daemon killed, daemon hung and resumed: who answers ARP when, with and without the address lease.
    Fencing(FencingOptions),
    /// What renewing the address leases costs.
    Lease(LeaseOptions),
    /// Many checks beside HAProxy's of the same targets: CPU, memory, evenness, and the adverts beside them.
    Checks(ChecksOptions),
    /// A pool behind nginx under load: what each layer's checks see and miss of a broken server, and what clients notice.
    Pool(PoolOptions),
    /// The control plane under load: watchers, one of them stalled, calls and changes; and the adverts beside them.
    Watch(WatchOptions),
    /// The engine alone: time for each advert sent and received, each run of a check, each change of a pool.
    Engine(EngineOptions),
}

#[derive(Debug, Args)]
pub(crate) struct OutageOptions {
    /// Repetitions of each cell.
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: usize,
    /// Advert intervals, in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "1000,100,10")]
    pub(crate) intervals: Vec<u64>,
    /// What happens to the Active node.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "node-death,daemon-killed,daemon-hung,orderly-stop,priority-lowered"
    )]
    pub(crate) faults: Vec<Fault>,
    #[arg(long, value_delimiter = ',', default_value = "agent,keepalived")]
    pub(crate) contenders: Vec<Contender>,
}

/// What happens to the Active node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// The cable is pulled and the daemon killed.
    NodeDeath,
    /// The daemon is killed, the node stays.
    DaemonKilled,
    /// The daemon hangs (SIGSTOP), the node stays.
    DaemonHung,
    /// SIGTERM.
    OrderlyStop,
    /// Its priority goes below the peer's: by hactl; for keepalived by a changed file and SIGHUP.
    PriorityLowered,
}

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NodeDeath => "node death",
            Self::DaemonKilled => "daemon killed",
            Self::DaemonHung => "daemon hung",
            Self::OrderlyStop => "orderly stop",
            Self::PriorityLowered => "priority lowered",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RestartOptions {
    /// Restarts of each kind.
    #[arg(long, default_value_t = 50)]
    pub(crate) runs: usize,
    /// Advert intervals, in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "1000,100,10")]
    pub(crate) intervals: Vec<u64>,
    /// How it is restarted.
    #[arg(long, value_delimiter = ',', default_value = "leave,replace")]
    pub(crate) how: Vec<Restart>,
}

/// How the daemon of the Active node is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Restart {
    /// SIGUSR2, and the next process when the old one has ended.
    Leave,
    /// The next process is started first and asks the old one to leave.
    Replace,
    /// keepalived: SIGTERM, and the next process when the old one has ended.
    Keepalived,
}

impl Restart {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Leave => "agent, leaves",
            Self::Replace => "agent, next first",
            Self::Keepalived => "keepalived",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct MovesOptions {
    /// Moves of each kind. Between agents a move takes a second or two, to keepalived and back five.
    #[arg(long, default_value_t = 50)]
    pub(crate) runs: usize,
    /// Advert interval, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    pub(crate) interval: u64,
    /// These kinds only; keepalived's orderly stop is measured beside each.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "drain,transfer,stop,undrain,drain-to-keepalived,stop-to-keepalived"
    )]
    pub(crate) only: Vec<Move>,
}

/// How the Active node gives the address away, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Move {
    /// `hactl drain`; the successor is an agent that it knows as its peer.
    Drain,
    /// `hactl instance transfer`, to the same.
    Transfer,
    /// SIGTERM; the successor is the same.
    Stop,
    /// `hactl undrain`: the better node preempts.
    Undrain,
    /// `hactl drain`; the successor is keepalived.
    DrainToKeepalived,
    /// SIGTERM; the successor is keepalived.
    StopToKeepalived,
}

impl Move {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Drain => "agent, drain",
            Self::Transfer => "agent, transfer",
            Self::Stop => "agent, SIGTERM",
            Self::Undrain => "agent, undrain: preempts",
            Self::DrainToKeepalived => "agent to keepalived, drain",
            Self::StopToKeepalived => "agent to keepalived, SIGTERM",
        }
    }

    /// Who takes over.
    pub(crate) fn successor(self) -> Contender {
        match self {
            Self::Drain | Self::Transfer | Self::Stop | Self::Undrain => Contender::Agent,
            Self::DrainToKeepalived | Self::StopToKeepalived => Contender::Keepalived,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct FormulaOptions {
    /// Node deaths for each interval.
    #[arg(long, default_value_t = 50)]
    pub(crate) runs: usize,
    /// Advert intervals, in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "10,100")]
    pub(crate) intervals: Vec<u64>,
    #[arg(long, value_delimiter = ',', default_value = "agent,keepalived")]
    pub(crate) contenders: Vec<Contender>,
}

#[derive(Debug, Args)]
pub(crate) struct BusyOptions {
    /// How long it lasts.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Advert interval, in milliseconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) interval: u64,
    /// Busy programs for each core.
    #[arg(long, default_value_t = 1)]
    pub(crate) programs: usize,
    /// Lets the whole machine stand still three times a second for this long, in milliseconds; 0 = never.
    #[arg(long, default_value_t = 0)]
    pub(crate) standstill: u64,
    #[arg(long, value_delimiter = ',', default_value = "agent,keepalived")]
    pub(crate) contenders: Vec<Contender>,
}

#[derive(Debug, Args)]
pub(crate) struct ScaleOptions {
    /// Virtual routers, 250 on each link.
    #[arg(long, default_value_t = 1000)]
    pub(crate) routers: usize,
    /// Advert interval, in milliseconds.
    #[arg(long, default_value_t = 100)]
    pub(crate) interval: u64,
    /// Cold starts of both nodes.
    #[arg(long, default_value_t = 10)]
    pub(crate) starts: usize,
    /// How long CPU and memory are watched.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u64,
    #[arg(long, value_delimiter = ',', default_value = "agent,keepalived")]
    pub(crate) contenders: Vec<Contender>,
}

#[derive(Debug, Args)]
pub(crate) struct FencingOptions {
    /// Advert intervals, in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "1000,100")]
    pub(crate) intervals: Vec<u64>,
    /// How long the daemon hangs, in advert intervals and at least 8 s.
    #[arg(long, default_value_t = 8)]
    pub(crate) hang: u64,
    #[arg(long, value_delimiter = ',', default_value = "agent,agent-without-lease,keepalived")]
    pub(crate) contenders: Vec<Contender>,
}

#[derive(Debug, Args)]
pub(crate) struct LeaseOptions {
    /// Virtual addresses held, one to a router, 250 on each link.
    #[arg(long, default_value_t = 1000)]
    pub(crate) addresses: usize,
    /// Advert interval, in milliseconds; it decides the lease.
    #[arg(long, default_value_t = 1000)]
    pub(crate) interval: u64,
    /// How long the CPU is watched.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ChecksOptions {
    /// TCP checks, one a second each.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) tcp: usize,
    /// HTTP checks, one a second each.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) http: usize,
    /// How long each contender is watched.
    #[arg(long, default_value_t = 30)]
    pub(crate) seconds: u64,
    #[arg(long, value_delimiter = ',', default_value = "agent,haproxy")]
    pub(crate) contenders: Vec<Checker>,
}

#[derive(Debug, Args)]
pub(crate) struct PoolOptions {
    /// Requests a second.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) rate: u32,
}

/// Whose checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Checker {
    Agent,
    Haproxy,
}

impl Checker {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Haproxy => "HAProxy",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct WatchOptions {
    /// Watchers of events; one more reads nothing.
    #[arg(long, default_value_t = 1000)]
    pub(crate) watchers: usize,
    /// Calls a second, in whole thousands.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) calls: usize,
    /// Priorities set a second, each of which is told to all watchers; the agent allows 20.
    #[arg(long, default_value_t = 10)]
    pub(crate) changes: usize,
    /// How long the agent is watched without and with them.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct EngineOptions {
    /// Numbers of instances, and of checks.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000,10000")]
    pub(crate) instances: Vec<usize>,
    /// Adverts to send and to receive for each number.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) adverts: usize,
}

/// Milliseconds as the options have them.
pub(crate) fn interval_of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
