//! One module for each noun. Here: what all commands share.

mod blocks;
mod change;
mod changes;
mod check;
mod completion;
mod config;
mod context;
mod debug;
mod descriptors;
mod doctor;
mod events;
mod explain;
mod instance;
mod lacks;
mod man;
mod moves;
mod node;
mod pki;
mod pool;
mod priority;
mod simulate;
mod status;
mod support;
mod top;
mod unknown;
mod vantage;
mod verify;
mod version;
mod vip;

use jiff::tz::TimeZone;

use self::node::clock_label;

use crate::args::{Command, Format, Global, InstanceCommand, NodeCommand, VipCommand};
use crate::cluster::{Cluster, NodeFilter};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{More, Scope, Snapshot};
use crate::model::NodeStatus;
use crate::output::{Output, Stop};
use crate::render::{Cell, Item, Layout, Report, Times, report};
use crate::session::Session;

/// What every command needs.
pub(crate) struct Context {
    /// The global flags.
    pub global: Global,
    /// The way out.
    pub out: Output,
    /// How times are written.
    pub times: Times,
}

impl Context {
    /// From the global flags.
    pub(crate) fn new(global: Global) -> Self {
        let out = Output::new(global.color, global.quiet, global.verbose);
        let zone = if global.local { TimeZone::system() } else { TimeZone::UTC };
        Context { global, out, times: Times { zone } }
    }

    /// Prints an answer; `text` replaces the plain table for readers. An empty list is said to be one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn print<T: Item>(&self, answer: &Report<T>, text: Option<&str>) -> Result<(), Stop> {
        self.out.data(&report(answer, self.global.output, self.layout(), &self.times, text)?)?;
        if text.is_none() && !T::NONE.is_empty() {
            self.say_none(answer, T::NONE);
        }
        Ok(())
    }

    /// How tables are laid out: within the terminal, unless the reader wants them wide.
    pub(crate) fn layout(&self) -> Layout {
        let width = self.out.width().filter(|_| self.global.output != Format::Wide);
        Layout { headers: !self.global.no_headers, width }
    }

    /// Tells a reader that a list is empty: a lonely header looks like half an answer.
    pub(crate) fn say_none<T>(&self, answer: &Report<T>, none: &str) {
        if answer.items.is_empty() && matches!(self.global.output, Format::Table | Format::Wide) {
            let where_to = if answer.complete { "" } else { ", as far as the nodes that answered tell" };
            self.out.note(&format!("{none}{where_to}"));
        }
    }

    /// Says a failure to reader and program, and gives its exit code.
    pub(crate) fn fail(&self, kind: &'static str, failure: Failure, nodes: Vec<NodeStatus>) -> Exit {
        let exit = failure.exit;
        self.out.error(&error_text(&failure));
        print_failure_with(&self.out, kind, self.global.output, failure, nodes);
        exit
    }

    /// The nodes the user wants to see.
    pub(crate) fn filter(&self) -> NodeFilter<'_> {
        NodeFilter(&self.global.node)
    }

    /// Asks all nodes; stops when none has answered.
    ///
    /// # Errors
    /// When none has answered, or -n names none that has.
    pub(crate) async fn ask(&self, scope: Scope) -> Result<Cluster, Stop> {
        Ok(self.ask_with(scope, nothing_more).await?.0)
    }

    /// The same, and `more` of each node within the same bound.
    ///
    /// # Errors
    /// When none has answered.
    pub(crate) async fn ask_with<T>(
        &self,
        scope: Scope,
        more: impl AsyncFn(&Session, &Snapshot) -> Result<T, Failure>,
    ) -> Result<(Cluster, Vec<More<T>>), Stop> {
        let (cluster, more) = self.ask_all(scope, more).await;
        if let Some(failure) = cluster.nobody() {
            if cluster.counts().0 > 1 {
                self.tell(&cluster);
            }
            return Err(Stop::Failure(Box::new(failure), cluster.statuses()));
        }
        unknown::check_filter(&cluster, &self.global.node)?;
        Ok((cluster, more))
    }

    /// Asks all nodes, whether or not any answers.
    pub(crate) async fn ask_quietly(&self, scope: Scope) -> Cluster {
        self.ask_all(scope, nothing_more).await.0
    }

    async fn ask_all<T>(
        &self,
        scope: Scope,
        more: impl AsyncFn(&Session, &Snapshot) -> Result<T, Failure>,
    ) -> (Cluster, Vec<More<T>>) {
        let (cluster, more) = Cluster::ask_with(&self.global, scope, more).await;
        for note in &cluster.notes {
            self.out.note(&format!("note: {note}"));
        }
        for node in cluster.nodes() {
            self.out.detail(&format!(
                "{}: {} answered within {}, clock offset {} ± {}",
                node.endpoint, node.node, node.clock_uncertainty, node.clock_offset, node.clock_uncertainty
            ));
        }
        (cluster, more)
    }

    /// Says on standard error who is missing from an answer; programs find it in the answer itself.
    pub(crate) fn tell_missing(&self, cluster: &Cluster) {
        if !self.global.output.is_for_programs() {
            self.tell(cluster);
        }
    }

    fn tell(&self, cluster: &Cluster) {
        for failure in cluster.failures() {
            self.out.note(&format!("missing: {failure}"));
        }
    }

    /// The exit code of a change that was meant for each node that has the thing: who did not answer was left out.
    pub(crate) fn everywhere(&self, cluster: &Cluster, done: Exit) -> Exit {
        let names: Vec<String> = cluster.nodes().into_iter().map(|node| node.node).collect();
        let is_whole = done != Exit::Done || self.filter().is_satisfied_by(&names);
        if is_whole { done } else { cluster.exit(self.global.require) }
    }

    /// The answer of a list: the wanted items, and whether all nodes that matter have answered.
    pub(crate) fn answer_list<T: Item>(
        &self,
        cluster: &Cluster,
        kind: &'static str,
        items: Vec<T>,
    ) -> (Report<T>, Exit) {
        let names: Vec<String> = cluster.nodes().into_iter().map(|node| node.node).collect();
        self.answer(cluster, kind, items, self.filter().is_satisfied_by(&names))
    }

    /// The same; `irrelevant` says that the nodes that did not answer could not have added anything.
    pub(crate) fn answer<T: Item>(
        &self,
        cluster: &Cluster,
        kind: &'static str,
        items: Vec<T>,
        irrelevant: bool,
    ) -> (Report<T>, Exit) {
        let mut answer = Report::new(kind);
        answer.complete = cluster.is_complete() || irrelevant;
        if !answer.complete {
            self.tell_missing(cluster);
        }
        answer.nodes = cluster.statuses();
        answer.items = items;
        let exit = if irrelevant { Exit::Done } else { cluster.exit(self.global.require) };
        (answer, exit)
    }
}

/// For a question that a snapshot answers.
async fn nothing_more(_: &Session, _: &Snapshot) -> Result<(), Failure> {
    Ok(())
}

/// Does what the user asked for.
///
/// # Errors
/// What stopped it.
pub(crate) async fn run(context: &Context, command: Command) -> Result<Exit, Stop> {
    match command {
        Command::Status { from: None } => status::run(context).await,
        Command::Status { from: Some(node) } => vantage::run(context, &node).await,
        Command::Verify { probe, wait } => verify::run(context, probe, wait).await,
        Command::Vip(VipCommand::Probe { address, wait }) => verify::probe(context, address, wait).await,
        Command::Vip(VipCommand::Announce { address, reason }) => {
            vip::announce(context, address, reason).await
        }
        Command::Drain { node, ttl, reason, survive_restart, allow_no_successor, .. } => {
            let wish = moves::Wish::Drain { ttl, reason, survive_restart, allow_no_successor };
            moves::node(context, &node, wish).await
        }
        Command::Undrain { node, .. } => moves::node(context, &node, moves::Wish::Undrain).await,
        Command::Node(NodeCommand::List) => node::list(context).await,
        Command::Node(NodeCommand::Get { node }) => node::get(context, &node).await,
        Command::Instance(InstanceCommand::List) => instance::list(context).await,
        Command::Instance(InstanceCommand::Get { target }) => instance::get(context, &target).await,
        Command::Instance(InstanceCommand::Transfer { target, to, ttl, reason, end }) => {
            let wish = if end { moves::Wish::EndTransfer } else { moves::Wish::Transfer { to, ttl, reason } };
            moves::instance(context, &target, wish).await
        }
        Command::Instance(InstanceCommand::Priority(change)) => priority::run(context, change).await,
        Command::Vip(VipCommand::List) => vip::list(context).await,
        Command::Vip(VipCommand::Get { address }) => vip::get(context, address).await,
        Command::Vip(VipCommand::Outages { address, since }) => vip::outages(context, address, &since).await,
        Command::Check(command) => check::run(context, command).await,
        Command::Pool(command) => pool::run(context, command).await,
        Command::Simulate(command) => simulate::run(context, command).await,
        Command::Explain { target } => explain::run(context, &target).await,
        Command::Doctor => doctor::run(context).await,
        Command::Changes { since } => changes::run(context, &since).await,
        Command::Events(arguments) => events::run(context, arguments).await,
        Command::Config(command) => config::run(context, command).await,
        Command::Pki(command) => pki::run(context, command),
        Command::Context(command) => context::run(context, command),
        Command::Completion { shell } => completion::run(context, shell),
        Command::Descriptors { file } => descriptors::run(context, file.as_deref()),
        Command::Man { words, folder } => man::run(context, &words, folder.as_deref()),
        Command::Support { file, no_local } => support::run(context, file, !no_local).await,
        Command::Top { interval } => top::run(context, interval).await,
        Command::Debug(command) => debug::run(context, command).await,
        Command::Version => version::run(context),
    }
}

pub(crate) fn error_text(failure: &Failure) -> String {
    let text = failure.to_string();
    let mut lines = text.lines().map(|line| crate::render::clean(line).into_owned());
    let first = lines.next().unwrap_or_default();
    let head = format!("{} {first}", crate::render::paint(crate::render::Paint::Bad, "error:"));
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

/// Prints the envelope of a failure, for programs only.
pub(crate) fn print_failure(out: &Output, kind: &'static str, format: Format, failure: Failure) {
    print_failure_with(out, kind, format, failure, Vec::new());
}

fn print_failure_with(
    out: &Output,
    kind: &'static str,
    format: Format,
    failure: Failure,
    nodes: Vec<NodeStatus>,
) {
    if !format.is_for_programs() {
        return;
    }
    let mut answer: Report<Nothing> = Report::new(kind);
    answer.complete = false;
    answer.nodes = nodes;
    answer.error = Some(failure);
    let times = Times { zone: TimeZone::UTC };
    // The failure is on standard error and in the exit code already; if it cannot be written here too, so be it.
    let layout = Layout { headers: true, width: None };
    if let Ok(text) = report(&answer, format, layout, &times, None) {
        let _ = out.data(&text);
    }
}

/// The item of an answer that has none.
#[derive(serde::Serialize)]
struct Nothing {}

impl Item for Nothing {
    const KIND: &'static str = "Nothing";

    fn name(&self) -> String {
        String::new()
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        Vec::new()
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        Vec::new()
    }
}
