//! From a draft to a pool: its servers with the facts of their checks, and what its numbers mean together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ha_engine::{Floor, PoolConfig, PoolScope, ServerConfig, SorryServer};

use super::{Checks, Draft, Server, place};
use crate::check::{Plan, report_unknown};
use crate::drafts::Names;
use crate::model::{Balancer, Pool};
use crate::report::Report;
use crate::section::Slot;

/// The most pools of a node.
const MOST_POOLS: usize = 1024;
/// The most servers of a node's pools.
const MOST_SERVERS: usize = 16_384;

/// The pools, except those that lack what they cannot do without. Reports all that does not fit.
pub(crate) fn build(
    drafts: &[Draft],
    names: &Names<'_>,
    plan: &mut Plan<'_>,
    report: &mut Report<'_>,
) -> Vec<Pool> {
    check_names(drafts, report);
    check_limits(drafts, report);
    check_files(drafts, report);
    drafts.iter().filter_map(|draft| draft.build(names, plan, report)).collect()
}

fn check_names(drafts: &[Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<&str, &Range<usize>> = BTreeMap::new();
    for (draft, name) in drafts.iter().filter_map(|draft| Some((draft, draft.name.spot()?))) {
        if let Some(first) = seen.get(name.value.as_str()) {
            let line = report.line(first.start);
            let message = format!("name \"{}\" is taken by the pool on line {line}", name.value);
            report.error(&name.span, message, "give each pool its own name");
        } else {
            seen.insert(&name.value, &draft.span);
        }
    }
}

fn check_limits(drafts: &[Draft], report: &mut Report<'_>) {
    if let Some(draft) = drafts.get(MOST_POOLS) {
        let message = format!("there are {} pools", drafts.len());
        report.error(&draft.span, message, format!("a node has at most {MOST_POOLS}"));
    }
    let mut servers = 0;
    for draft in drafts {
        servers += draft.servers.len();
        if servers > MOST_SERVERS {
            let message = format!("there are more than {MOST_SERVERS} servers in pools");
            report.error(&draft.span, message, "that is the most of a node; move some to other nodes");
            return;
        }
    }
}

/// Reports two pools that would write the same file.
fn check_files(drafts: &[Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<&Path, &Draft> = BTreeMap::new();
    for draft in drafts {
        let Some(nginx) = draft.nginx.spot() else {
            continue;
        };
        let file = nginx.value.file.as_path();
        if let Some(first) = seen.get(file) {
            let line = report.line(first.span.start);
            let message =
                format!("{} and the pool on line {line} both write {}", draft.title, file.display());
            report.error(&nginx.span, message, "give each its own file");
        } else {
            seen.insert(file, draft);
        }
    }
}

impl Draft {
    fn build(&self, names: &Names<'_>, plan: &mut Plan<'_>, report: &mut Report<'_>) -> Option<Pool> {
        self.check_servers(names, report);
        self.check_numbers(report);
        self.check_checks(plan, report);
        self.check_weight_from(plan, report);
        let scope = self.scope(names, report);
        let name = self.name.value()?;
        let servers =
            self.servers.iter().filter_map(|server| self.server(server, name, plan, report)).collect();
        let sorry =
            self.sorry_server.value().map(|(address, port)| SorryServer { address: *address, port: *port });
        Some(Pool {
            config: PoolConfig {
                name: name.as_str().into(),
                servers,
                quorum: self.quorum.value_or(1),
                hysteresis: self.hysteresis.value_or(0),
                sorry,
                floor: self.floor.value_or(Floor::Servers(0)),
                slow_start: self.slow_start.value().copied().filter(|time| !time.is_zero()),
                scope,
            },
            balancer: self.nginx.value().cloned().map(Balancer::Nginx),
        })
    }

    fn check_servers(&self, names: &Names<'_>, report: &mut Report<'_>) {
        if self.servers.is_empty() && (!self.has_servers || report.is_usable()) {
            let remedy = "add [[pool.server]] with address and port below it";
            report.error(&self.span, format!("{} has no server", self.title), remedy);
        }
        let mut taken: BTreeMap<String, &Server> = BTreeMap::new();
        let mut sockets: BTreeMap<(IpAddr, u16), &Server> = BTreeMap::new();
        for server in &self.servers {
            if let Some(address) = server.address.spot() {
                check_virtual_address(address.value, &address.span, names, report);
            }
            let socket = server.address.value().copied().zip(server.port.value().copied());
            if let Some(first) = socket.and_then(|socket| sockets.insert(socket, server)) {
                let line = report.line(first.span.start);
                let message = format!("{} has this server twice, first on line {line}", self.title);
                report.error(place(&server.address, &server.span), message, "keep one of the two");
            } else if let Some(first) = server.name().and_then(|name| taken.insert(name, server)) {
                let line = report.line(first.span.start);
                let message = format!("the name is taken by the server on line {line}");
                report.error(
                    place(&server.name, &server.span),
                    message,
                    "give each server of a pool its own name",
                );
            }
        }
        if let Some(sorry) = self.sorry_server.spot() {
            check_virtual_address(sorry.value.0, &sorry.span, names, report);
            if let Some(server) = sockets.get(&sorry.value) {
                let line = report.line(server.span.start);
                let message = format!("the sorry server is also the server on line {line}");
                report.error(&sorry.span, message, "name one that is no server of the pool");
            }
        }
    }

    /// What quorum, hysteresis and floor mean for these servers.
    fn check_numbers(&self, report: &mut Report<'_>) {
        let count = self.servers.len();
        let kept = match self.floor.value() {
            Some(Floor::Servers(servers)) => usize::try_from(*servers).unwrap_or(usize::MAX),
            Some(Floor::Percent(percent)) => (count * usize::from(*percent)).div_ceil(100),
            None => 0,
        };
        if kept > 0 && kept >= count && count > 0 {
            let message =
                format!("floor keeps all {count} servers of {} in, whatever their checks say", self.title);
            let remedy = "lower it, so that a server that fails can leave";
            report.error(place(&self.floor, &self.span), message, remedy);
        }
        if let Some(sorry) = self.sorry_server.spot().filter(|_| kept > 0) {
            let message = "the sorry server is never used, because floor keeps servers in";
            report.warning(&sorry.span, message, "remove one of the two");
        }
        if self.weight_from.is_absent() {
            self.check_quorum(report);
        }
    }

    fn check_quorum(&self, report: &mut Report<'_>) {
        let total: u64 = self.servers.iter().map(|server| u64::from(server.weight.value_or(1))).sum();
        let quorum = self.quorum.value_or(1);
        let hysteresis = self.hysteresis.value_or(0);
        if let Some(spot) = self.quorum.spot().filter(|quorum| u64::from(quorum.value) > total && total > 0) {
            let message = format!(
                "quorum {quorum} is more than the weight of all servers, {total}, which is taken instead"
            );
            report.warning(&spot.span, message, format!("use 1 to {total}"));
        }
        let Some(spot) = self.hysteresis.spot().filter(|hysteresis| hysteresis.value > 0) else {
            return;
        };
        let effective = u64::from(quorum).min(total);
        if u64::from(hysteresis) >= effective {
            let message = format!(
                "hysteresis {hysteresis} is not less than the quorum of {effective}, which could not be lost"
            );
            report.error(&spot.span, message, "lower it, or raise quorum");
        } else if effective + u64::from(hysteresis) > total {
            let message = format!(
                "the quorum is won at {effective} + {hysteresis}, more than the weight of all servers, {total}"
            );
            report.error(&spot.span, message, "lower hysteresis or quorum");
        }
    }

    /// A check that says the same of every server, and a pool that nothing checks.
    fn check_checks(&self, plan: &mut Plan<'_>, report: &mut Report<'_>) {
        for (name, span) in self.checks.value().into_iter().flatten() {
            let Some(draft) = plan.find(name, span, report) else {
                continue;
            };
            if draft.is_of_one_server() && self.servers.len() > 1 {
                let message = format!(
                    "check \"{name}\" connects to one server, and says the same of all servers of {}",
                    self.title
                );
                let remedy = "remove host and connect_address from it, and each server is asked by itself";
                report.warning(span, message, remedy);
            }
        }
        let names = |server: &'_ Server| match (&server.checks, &self.checks) {
            (Slot::Broken, _) | (Slot::Absent, Slot::Broken) => true,
            (own, pools) => own.value().or(pools.value()).is_some_and(|names| !names.is_empty()),
        };
        if !self.servers.is_empty() && !self.servers.iter().any(names) {
            let message = format!("{} has no checks, so all its servers are always up", self.title);
            report.warning(&self.span, message, "add checks = [\"NAME\"], the name of a [[check]]");
        }
    }

    /// The check that gives the weights must find a number, and must be one of each server's.
    fn check_weight_from(&self, plan: &mut Plan<'_>, report: &mut Report<'_>) {
        let Some(weight_from) = self.weight_from.spot() else {
            return;
        };
        let Some(draft) = plan.find(&weight_from.value, &weight_from.span, report) else {
            return;
        };
        let everywhere = self.servers.iter().all(|server| {
            let names = server.checks.value().or(self.checks.value());
            names.is_some_and(|names| names.iter().any(|(name, _)| *name == weight_from.value))
        });
        if !draft.finds_a_number() {
            let message = format!("check \"{}\" finds no number that could be a weight", weight_from.value);
            let remedy = "name a check of kind \"script\" with value_from_exit, or of kind \"file\"";
            report.error(&weight_from.span, message, remedy);
        } else if !everywhere {
            let message = format!(
                "check \"{}\" is not among the checks of every server of {}",
                weight_from.value, self.title
            );
            report.error(&weight_from.span, message, "add it to checks");
        }
    }

    fn scope(&self, names: &Names<'_>, report: &mut Report<'_>) -> PoolScope {
        let Some(instance) = self.only_while_active.spot() else {
            return PoolScope::Always;
        };
        if !names.instances.contains(instance.value.as_str()) {
            let known = names.instances.iter().copied();
            report_unknown("instance", &instance.value, &instance.span, known, report);
        }
        PoolScope::WhenActive(instance.value.as_str().into())
    }

    fn server(
        &self,
        server: &Server,
        pool: &str,
        plan: &mut Plan<'_>,
        report: &mut Report<'_>,
    ) -> Option<ServerConfig> {
        let name = server.name()?;
        let (address, port) = (*server.address.value()?, *server.port.value()?);
        let empty = Checks::new();
        let names = server.checks.value().or(self.checks.value()).unwrap_or(&empty);
        let aimed = crate::check::Server { pool, name: &name, address, port };
        let mut checks: Vec<Arc<str>> = Vec::with_capacity(names.len());
        let mut weight_from = None;
        for (check, span) in names {
            if server.checks.value().is_some() {
                plan.find(check, span, report);
            }
            if let Some(fact) = plan.run_for(check, aimed, report) {
                let gives_weight = self.weight_from.value() == Some(check);
                weight_from = weight_from.or(gives_weight.then(|| fact.clone()));
                checks.push(fact);
            }
        }
        let weight = server.weight.value_or(1);
        Some(ServerConfig { name: name.as_str().into(), address, port, weight, checks, weight_from })
    }
}

/// A server at an address that moves with us would be this node itself as long as it is Active.
fn check_virtual_address(address: IpAddr, span: &Range<usize>, names: &Names<'_>, report: &mut Report<'_>) {
    if let Some(owner) = names.virtual_addresses.get(&address) {
        let message = format!(
            "{address} is a virtual address of {owner}: while it is held here, the server is this node"
        );
        report.warning(span, message, "write the server's own address");
    }
}
