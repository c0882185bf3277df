//! The command line as clap reads it: the command tree. The global flags and the values have files of their own.

mod check;
mod config;
mod contexts;
mod debug;
mod global;
mod pki;
mod simulate;
mod value;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::check::{
    CheckCommand, CheckTarget, PoolCommand, PoolTarget, ServerCommand, ServerTarget,
};
pub(crate) use self::config::ConfigCommand;
pub(crate) use self::contexts::ContextCommand;
pub(crate) use self::debug::{DebugCommand, LogLevelCommand};
pub(crate) use self::global::{ColorWhen, Format, Global, Require};
pub(crate) use self::pki::{CertificateRole, Common, Folder, IssueCommand, PkiCommand};
pub(crate) use self::simulate::SimulateCommand;
pub(crate) use self::value::{ExplainTarget, Target, Ttl, When};
use crate::span::Span;

/// The client of ha-agent: is it OK, who holds the address, since when and why.
#[derive(Debug, Parser)]
#[command(
    name = "hactl",
    version,
    about,
    max_term_width = 100,
    subcommand_required = true,
    after_help = "\
Exit codes:
  0  done, or the condition is true and all required nodes answered
  1  internal
  2  usage: the command line is wrong, or names something that is not there
  3  the verdict is not OK, something is wrong or differs, an address would be lost
  4  an answer, but nodes are missing from it
  5  no node reachable
  6  not authorised
  7  refused by the state of the node
  8  timeout, also when the effect of a change was not seen
  9  a stream ended or data was lost without being asked for"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub global: Global,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Command,
}

/// What hactl is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Is it OK right now? The verdict, each virtual address, and the nodes with problems.
    Status {
        /// As this node sees it: itself and what its peers tell it over the control plane; and where hactl sees it otherwise. The
        /// verdict and the exit status are those of that view. Kernels are not asked.
        #[arg(long, value_name = "NODE")]
        from: Option<String>,
    },
    /// Is each address where it should be: what the elections want, what the kernels have and, with --probe, who answers on the
    /// wire. Exit status 3 when two nodes, nobody or the wrong one holds or answers.
    Verify {
        /// Ask the wire, too: each node sends an ARP probe or a neighbour solicitation for each address.
        #[arg(long)]
        probe: bool,
        /// How long answers are waited for, 100ms..3s.
        #[arg(long, value_name = "TIME", default_value = "500ms", requires = "probe", value_parser = value::probe_wait)]
        wait: Span,
    },
    /// Takes a node out of service: what it holds goes to others without loss, and it takes over only what nobody else can.
    Drain {
        /// The node's name.
        node: String,
        /// How long it lasts: 1s..365d, or never (= until undrained).
        #[arg(long, default_value = "1h")]
        ttl: Ttl,
        /// Why, for those who find it later.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Also over a stop, a kill and a reboot of the node's agent: it is on disk there, with what is left of --ttl.
        #[arg(long)]
        survive_restart: bool,
        /// Also when nobody takes something over: it stays there until somebody does.
        #[arg(long)]
        allow_no_successor: bool,
        /// Waits until the effect is seen, for at most --timeout. This is always so; the flag is there for scripts that say it.
        #[arg(long)]
        wait: bool,
    },
    /// Puts a drained node back into service.
    Undrain {
        /// The node's name.
        node: String,
        /// Waits until the effect is seen, for at most --timeout. This is always so; the flag is there for scripts that say it.
        #[arg(long)]
        wait: bool,
    },
    /// The nodes of the cluster.
    #[command(subcommand)]
    Node(NodeCommand),
    /// The virtual routers, as each node sees them.
    #[command(subcommand)]
    Instance(InstanceCommand),
    /// The virtual addresses: who holds each one, since when and why.
    #[command(subcommand)]
    Vip(VipCommand),
    /// The health checks: what they see, and what they endanger.
    #[command(subcommand)]
    Check(CheckCommand),
    /// The server pools: who is in, who is out, and why.
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Why a node is Active or not, and how its priority came about: each check with what it adds, and who wins.
    Explain {
        /// `node/instance`, `instance` for all its nodes, or an address.
        target: ExplainTarget,
    },
    /// Can the answers be trusted, and will the next failover work? Who reaches whom, clocks, versions, configurations,
    /// certificates, conditions. All nodes are compared; with -n what concerns those nodes is shown.
    Doctor,
    /// What would happen: the agents' own election code, run in virtual time over what the nodes report. Exit status 3 when an
    /// address would be lost.
    #[command(subcommand)]
    Simulate(SimulateCommand),
    /// Who changed what, on which node, and what of it is still in force: overrides, mutes, drains. Refused changes, too.
    Changes {
        /// From this time on: 2026-11-23T02:14:07Z, 02:14 (today), or 90m (ago).
        #[arg(long, value_name = "T", default_value = "24h")]
        since: When,
    },
    /// What happened, in order, with causes; or what happens now (-f).
    Events(EventsArgs),
    /// The nodes' configurations: what is in force, what differs, what a file is worth; and a reload.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The cluster on one screen, asked again and again: verdict, nodes, addresses, newest events. q ends it.
    Top {
        /// How long to wait between two looks: 200ms, 5s, 1m.
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = global::positive)]
        interval: crate::span::Span,
    },
    /// Writes all that is needed to understand the cluster into one file, without secrets, for whoever helps. With -n the details are
    /// of those nodes alone.
    Support {
        /// Where to [default: hactl-support-TIME.tar.gz in the current folder]. It must not be there yet.
        #[arg(long, value_name = "FILE")]
        file: Option<std::path::PathBuf>,
        /// Nothing of the machine on which hactl runs.
        #[arg(long)]
        no_local: bool,
    },
    /// Certificates for the control plane over TCP: an authority, nodes, clients.
    #[command(subcommand)]
    Pki(PkiCommand),
    /// Named clusters: their nodes, and the certificates to talk to them with.
    #[command(subcommand)]
    Context(ContextCommand),
    /// For whoever looks for a fault in an agent itself.
    #[command(subcommand)]
    Debug(DebugCommand),
    /// Prints a completion script for a shell.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: CompletionShell,
    },
    /// Writes the contract of the API as a FileDescriptorSet, for clients in any language.
    Descriptors {
        /// Where to [default: standard output].
        #[arg(long, value_name = "FILE")]
        file: Option<std::path::PathBuf>,
    },
    /// Prints the manual page of a command: hactl man vip get | man -l -; or writes all pages to a folder.
    Man {
        /// The command; none for hactl itself.
        #[arg(value_name = "COMMAND", conflicts_with = "folder")]
        words: Vec<String>,
        /// Writes the pages of all commands here.
        #[arg(long, value_name = "DIR")]
        folder: Option<std::path::PathBuf>,
    },
    /// The version of this hactl and of the API that it speaks.
    Version,
}

/// Shells with a completion script.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum CompletionShell {
    /// GNU bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

/// `hactl node …`
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// All nodes.
    List,
    /// One node, whole.
    Get {
        /// The node's name.
        node: String,
    },
}

/// `hactl instance …`
#[derive(Debug, Subcommand)]
pub(crate) enum InstanceCommand {
    /// All virtual routers of all nodes.
    List,
    /// One virtual router, whole, as each of its nodes sees it.
    Get {
        /// `instance`, or `node/instance` for one node's view only.
        target: Target,
    },
    /// Gives a virtual router, with its sync group, to another node without loss; its holder does not preempt it back.
    Transfer {
        /// `instance`, or `node/instance` for a node that must be the holder.
        target: Target,
        /// The node that shall have it; without, the best.
        #[arg(long, value_name = "NODE", conflicts_with = "end")]
        to: Option<String>,
        /// How long the former holder does not preempt: 1s..365d, or never (= until it is Active again, or --end).
        #[arg(long, default_value = "1h", conflicts_with = "end")]
        ttl: Ttl,
        /// Why, for those who find it later.
        #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "end")]
        reason: String,
        /// Lets the former holder preempt again.
        #[arg(long)]
        end: bool,
    },
    /// Overrides the priority of a virtual router on one node.
    #[command(subcommand)]
    Priority(PriorityCommand),
}

/// `hactl instance priority …`
#[derive(Debug, Subcommand)]
pub(crate) enum PriorityCommand {
    /// Replaces the configured priority until it is cleared, expires, or the agent stops.
    Set {
        /// `node/instance`, or `instance` when only one of the nodes asked has it.
        target: Target,
        /// The priority in place of the configured one, 1..254.
        #[arg(value_parser = value::priority::<i32>)]
        priority: i32,
        /// How long it lasts: 1s..365d, or never (= until cleared).
        #[arg(long, default_value = "1h")]
        ttl: Ttl,
        /// Why, for those who find it later.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Also over a stop, a kill and a reboot of the node's agent: it is on disk there, with what is left of --ttl.
        #[arg(long)]
        survive_restart: bool,
    },
    /// Goes back to the configured priority.
    Clear {
        /// `node/instance`, or `instance` when only one of the nodes asked has it.
        target: Target,
    },
}

/// `hactl vip …`
#[derive(Debug, Subcommand)]
pub(crate) enum VipCommand {
    /// All virtual addresses of the cluster.
    List,
    /// One virtual address: who holds it, since when, why, what was before, who is next.
    Get {
        /// The address, with or without its prefix length.
        #[arg(value_parser = value::address)]
        address: std::net::IpAddr,
    },
    /// Asks the wire, from every node, who answers for a virtual address. Exit status 3 when two do, nobody or the wrong one.
    Probe {
        /// The address, with or without its prefix length.
        #[arg(value_parser = value::address)]
        address: std::net::IpAddr,
        /// How long answers are waited for, 100ms..3s.
        #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = value::probe_wait)]
        wait: Span,
    },
    /// Has the holder tell its neighbours again where a virtual address is: gratuitous ARP, or unsolicited neighbour advertisements.
    Announce {
        /// The address, with or without its prefix length.
        #[arg(value_parser = value::address)]
        address: std::net::IpAddr,
        /// Why, for those who find it later.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// How long nobody held a virtual address: each time, between whom, and why, from the events of all nodes.
    Outages {
        /// The address, with or without its prefix length.
        #[arg(value_parser = value::address)]
        address: std::net::IpAddr,
        /// From this time on: 2026-11-23T02:14:07Z, 02:14 (today), or 90m (ago).
        #[arg(long, value_name = "T", default_value = "24h")]
        since: When,
    },
}

/// `hactl events …`
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EventsArgs {
    /// The newest N events of the cluster, 1..1000000 [default: 50, without --since, --until, --resume or -f].
    #[arg(long, value_name = "N", value_parser = value::event_count)]
    pub last: Option<u32>,
    /// From this time on: 2026-11-23T02:14:07Z, 02:14 (today), or 90m (ago).
    #[arg(long, value_name = "T", conflicts_with = "resume")]
    pub since: Option<When>,
    /// Up to this time, written as for --since [default: now].
    #[arg(long, value_name = "T", conflicts_with_all = ["follow", "resume"])]
    pub until: Option<When>,
    /// What happened after the answer that gave this token.
    #[arg(long, value_name = "TOKEN", conflicts_with = "last")]
    pub resume: Option<String>,
    /// Go on with what happens now, until interrupted.
    #[arg(short, long)]
    pub follow: bool,
    /// Only this type: instance.state_changed, vip.* (repeat for more).
    #[arg(long = "type", value_name = "T")]
    pub types: Vec<String>,
    /// Only this virtual address and the virtual routers that own it (repeat for more).
    #[arg(long, value_name = "X", value_parser = value::address)]
    pub vip: Vec<std::net::IpAddr>,
    /// Only this virtual router: instance or node/instance (repeat for more).
    #[arg(long, value_name = "I")]
    pub instance: Vec<Target>,
    /// Only this cause: CHECK_CHANGED, active-down-timer (repeat for more).
    #[arg(long, value_name = "C", value_parser = value::cause)]
    pub cause: Vec<ha_proto::v1::Cause>,
    /// Only what this change, named by its request id, has caused.
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// Runs this shell command for each event: HACTL_EVENT_* in its environment, the event as JSON on its standard input.
    #[arg(long, value_name = "CMD")]
    pub exec: Option<String>,
}

impl Command {
    /// Whether it needs to know where the nodes are.
    pub(crate) fn asks_nodes(&self) -> bool {
        !matches!(
            self,
            Command::Pki(_)
                | Command::Config(ConfigCommand::Convert { .. })
                | Command::Context(_)
                | Command::Completion { .. }
                | Command::Descriptors { .. }
                | Command::Man { .. }
                | Command::Version
        )
    }

    /// The kind of the envelope that this command answers with.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Command::Status { .. } => "Status",
            Command::Verify { .. } | Command::Vip(VipCommand::Probe { .. }) => "TruthList",
            Command::Vip(VipCommand::Announce { .. }) => "VipAnnouncement",
            Command::Debug(command) => command.kind(),
            Command::Node(NodeCommand::List) => "NodeList",
            Command::Node(NodeCommand::Get { .. }) => "Node",
            Command::Instance(InstanceCommand::List) => "InstanceList",
            Command::Instance(InstanceCommand::Get { .. }) => "Instance",
            Command::Instance(InstanceCommand::Priority(_)) => "PriorityChange",
            Command::Drain { .. }
            | Command::Undrain { .. }
            | Command::Instance(InstanceCommand::Transfer { .. }) => "MoveChange",
            Command::Vip(VipCommand::List) => "VipList",
            Command::Vip(VipCommand::Get { .. }) => "Vip",
            Command::Vip(VipCommand::Outages { .. }) => "VipOutages",
            Command::Check(CheckCommand::List { .. }) => "CheckList",
            Command::Check(CheckCommand::Get { .. }) => "Check",
            Command::Check(CheckCommand::Run { .. }) => "CheckRun",
            Command::Check(CheckCommand::Mute { .. } | CheckCommand::Unmute { .. }) => "CheckChange",
            Command::Pool(PoolCommand::List) => "PoolList",
            Command::Pool(PoolCommand::Get { .. }) => "Pool",
            Command::Pool(PoolCommand::Server(_)) => "ServerChange",
            Command::Explain { .. } => "Explanation",
            Command::Simulate(_) => "Simulation",
            Command::Doctor => "Doctor",
            Command::Changes { .. } => "ChangeList",
            Command::Events(_) => "EventList",
            Command::Config(command) => command.kind(),
            Command::Pki(_) => "CertificateList",
            Command::Context(_) => "ContextList",
            Command::Completion { .. } => "Completion",
            Command::Descriptors { .. } => "Descriptors",
            Command::Man { .. } => "Man",
            Command::Support { .. } => "SupportBundle",
            Command::Top { .. } => "Top",
            Command::Version => "Version",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_may_stand_after_the_command() {
        let cli =
            Cli::try_parse_from(["hactl", "vip", "list", "-o", "json", "--endpoint", "unix:/a", "-n", "b*"])
                .unwrap();
        assert_eq!(cli.global.output, Format::Json);
        assert_eq!(cli.global.endpoint[0].to_string(), "unix:/a");
        assert_eq!(cli.global.node, ["b*"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "drain a --ttl soon",
            "instance transfer web --end --to b",
            "instance priority set a/web 255",
            "instance priority set a/web 0",
            "instance priority set a/b/c 10",
            "instance priority set a/web 10 --ttl soon",
            "check get a/b/c/d/e",
            "check mute nginx --ttl soon",
            "pool server drain web",
            "vip get not-an-address",
            "simulate priority a/web 255",
            "simulate partition a,a|b",
            "verify --wait 1s",
            "verify --probe --wait 4s",
            "vip probe 10.0.0.10 --wait 50ms",
            "events --cause NO_SUCH_CAUSE",
            "events --until 1h -f",
            "events --since yesterday",
            "status --endpoint http://a:1",
            "status --cert a.crt",
            "status --utc --local",
            "status --node-timeout 0",
        ] {
            let words = std::iter::once("hactl").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
