//! Which checks are run: those that instances, groups and pools name, each once, or once for each server of a pool; and the
//! names of their facts.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use ha_engine::Expr;

use super::timing::policy_of_rule;
use super::{Body, Draft, ExprDraft};
use crate::check::expr::Wanted;
use crate::model::{Check, CheckKind, Remedy, Target};
use crate::nearest::nearest;
use crate::report::Report;

/// The most checks that run on a node, those of pools' servers included. Each costs a timer, a window and its attempts.
pub(crate) const MOST_CHECKS: usize = 16_384;

/// The most names in all expressions that run.
const MOST_MEMBERS: usize = 262_144;

/// How a check can be run.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// It is no part of a circle of expressions, nor too deep.
    is_sound: bool,
    /// A pool runs it once for each of its servers.
    per_server: bool,
    /// It can be run without a server of a pool.
    alone: bool,
}

/// A server of a pool, for which a check is aimed.
#[derive(Clone, Copy)]
pub(crate) struct Server<'s> {
    pub(crate) pool: &'s str,
    pub(crate) name: &'s str,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

/// The checks that are run, as they are found to be needed.
pub(crate) struct Plan<'d> {
    drafts: &'d [Draft],
    by_name: BTreeMap<&'d str, usize>,
    /// How it can be run; by draft.
    manners: Vec<Manner>,
    /// The drafts that somebody named.
    used: Vec<bool>,
    /// The checks that run once, by draft.
    single: BTreeMap<usize, Check>,
    /// Those of servers, in the order in which they were asked for, and their names.
    of_servers: Vec<Check>,
    names_of_servers: BTreeSet<Arc<str>>,
    /// The drafts of which something was said that would only be repeated for each server.
    told: BTreeSet<usize>,
    /// Names in expressions, over all checks that run.
    members: usize,
    is_full: bool,
}

impl<'d> Plan<'d> {
    /// Reports what the checks of a file cannot mean together: names, expressions.
    pub(crate) fn new(drafts: &'d [Draft], report: &mut Report<'_>) -> Self {
        let mut by_name = BTreeMap::new();
        for (index, draft) in drafts.iter().enumerate() {
            let Some(name) = draft.name.spot() else {
                continue;
            };
            if let Some(first) = by_name.get(name.value.as_str()).and_then(|first: &usize| drafts.get(*first))
            {
                let line = report.line(first.span.start);
                let message = format!("name \"{}\" is taken by the check on line {line}", name.value);
                report.error(&name.span, message, "give each check its own name");
            } else {
                by_name.insert(name.value.as_str(), index);
            }
        }
        let manners = rules::manners(drafts, &by_name, report);
        Self {
            drafts,
            by_name,
            manners,
            used: vec![false; drafts.len()],
            single: BTreeMap::new(),
            of_servers: Vec::new(),
            names_of_servers: BTreeSet::new(),
            told: BTreeSet::new(),
            members: 0,
            is_full: false,
        }
    }

    /// The draft of a check that is named somewhere; reports a name that no check has.
    pub(crate) fn find(
        &mut self,
        name: &str,
        span: &Range<usize>,
        report: &mut Report<'_>,
    ) -> Option<&'d Draft> {
        let Some(index) = self.by_name.get(name) else {
            report_unknown("check", name, span, self.by_name.keys().copied(), report);
            return None;
        };
        if let Some(used) = self.used.get_mut(*index) {
            *used = true;
        }
        self.drafts.get(*index)
    }

    /// Runs a check by itself, and those that it names; the name of its fact.
    pub(crate) fn run(&mut self, name: &str, report: &mut Report<'_>) -> Option<Arc<str>> {
        let index = *self.by_name.get(name)?;
        let draft = self.drafts.get(index)?;
        let fact: Arc<str> = format!("checks/{name}").into();
        if self.single.contains_key(&index) || !self.manner(index).is_sound {
            return Some(fact);
        }
        rules::reject_placeholders(draft, report);
        let remedy = draft.timing.remedy().cloned();
        let check = match draft.body.as_ref()? {
            Body::Here(kind) => check_of(draft, fact.clone(), kind.clone(), remedy),
            Body::Server(kind, aim) => {
                let target = aim.target(&draft.title, &draft.span, report)?;
                check_of(draft, fact.clone(), aimed(kind, target), remedy)
            }
            Body::Expr(expr) => self.rule(expr, fact.clone(), None, report)?,
        };
        self.add(draft, report);
        self.single.insert(index, check);
        Some(fact)
    }

    /// Runs a check for a server of a pool, or by itself when it says the same of every server; the name of its fact.
    pub(crate) fn run_for(
        &mut self,
        name: &str,
        server: Server<'_>,
        report: &mut Report<'_>,
    ) -> Option<Arc<str>> {
        let index = *self.by_name.get(name)?;
        let draft = self.drafts.get(index)?;
        if self.is_per_server(name) != Some(true) {
            return self.run(name, report);
        }
        let fact: Arc<str> = format!("pools/{}/servers/{}/checks/{name}", server.pool, server.name).into();
        if self.is_full || self.names_of_servers.contains(&fact) || !self.manner(index).is_sound {
            return Some(fact);
        }
        let remedy = rules::remedy_for(draft, server);
        if self.told.insert(index) {
            rules::check_remedy_of_servers(draft, report);
        }
        let check = match draft.body.as_ref()? {
            Body::Here(kind) => check_of(draft, fact.clone(), rules::filled(kind, server), remedy),
            Body::Server(kind, aim) => {
                let target = aim.target_of_server(server.address, server.port);
                check_of(draft, fact.clone(), aimed(kind, target), remedy)
            }
            Body::Expr(expr) => self.rule(expr, fact.clone(), Some(server), report)?,
        };
        self.add(draft, report);
        self.names_of_servers.insert(fact.clone());
        self.of_servers.push(check);
        Some(fact)
    }

    /// Whether a pool runs the check once for each of its servers; `None` when there is no such check.
    pub(crate) fn is_per_server(&self, name: &str) -> Option<bool> {
        self.by_name.get(name).map(|index| self.manner(*index).per_server)
    }

    /// Whether only a pool could run the check: it does not say which server it asks, or a placeholder stands for it.
    pub(crate) fn is_only_for_servers(&self, name: &str) -> bool {
        let manner = self.by_name.get(name).map(|index| self.manner(*index));
        manner.is_some_and(|manner| manner.is_sound && !manner.alone)
    }

    fn manner(&self, index: usize) -> Manner {
        self.manners.get(index).copied().unwrap_or_default()
    }

    /// All checks to run: those that run once in the order of the file, then those of servers. Checks that nobody named run,
    /// too, when they can.
    pub(crate) fn finish(
        mut self,
        all_are_told: bool,
        virtual_addresses: &BTreeMap<IpAddr, &str>,
        report: &mut Report<'_>,
    ) -> Vec<Check> {
        // What seems to be unused may be named in what is wrong.
        let unused = if report.is_usable() { self.drafts } else { &[] };
        let mut nowhere = Vec::new();
        for (index, draft) in unused.iter().enumerate() {
            let Some(name) = draft.name.value().filter(|_| self.used.get(index) == Some(&false)) else {
                continue;
            };
            let runs = self.manner(index).alone;
            if runs {
                self.run(name, report);
            }
            if !runs || !all_are_told {
                nowhere.push((draft, runs));
            }
        }
        rules::report_unused(&nowhere, report);
        for (index, check) in &self.single {
            rules::report_own_address(&self.drafts[*index], check, virtual_addresses, report);
        }
        self.single.into_values().chain(self.of_servers).collect()
    }

    fn rule(
        &mut self,
        expr: &ExprDraft,
        fact: Arc<str>,
        server: Option<Server<'_>>,
        report: &mut Report<'_>,
    ) -> Option<Check> {
        let mut members = Vec::with_capacity(expr.members.len());
        for (name, span) in &expr.members {
            self.find(name, span, report)?;
            members.push(match server {
                Some(server) => self.run_for(name, server, report)?,
                None => self.run(name, report)?,
            });
        }
        self.members += members.len();
        let rule = match expr.wanted {
            Wanted::All => Expr::AllOf(members),
            Wanted::Any => Expr::AnyOf(members),
            Wanted::AtLeast(count) => Expr::AtLeast(count, members),
        };
        Some(Check { policy: policy_of_rule(fact, rule), kind: CheckKind::Expr, remedy: None })
    }

    fn add(&mut self, draft: &Draft, report: &mut Report<'_>) {
        if self.is_full {
            return;
        }
        if self.single.len() + self.of_servers.len() >= MOST_CHECKS {
            self.is_full = true;
            let message =
                format!("there are more than {MOST_CHECKS} checks, those of pools' servers included");
            report.error(
                &draft.span,
                message,
                "that is the most of a node; a server rarely needs more than one",
            );
        } else if self.members > MOST_MEMBERS {
            self.is_full = true;
            let message = format!("expressions name more than {MOST_MEMBERS} checks, once for each server");
            report.error(&draft.span, message, "that is the most of a node; name fewer");
        }
    }
}

/// Reports a name that nothing of that sort has.
pub(crate) fn report_unknown<'n>(
    sort: &str,
    name: &str,
    span: &Range<usize>,
    known: impl Iterator<Item = &'n str> + Clone,
    report: &mut Report<'_>,
) {
    let mut known = known;
    let remedy = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if known.next().is_none() => format!("there is no [[{sort}]] at all; add one with that name"),
        None => format!("add a [[{sort}]] with that name"),
    };
    report.error(span, format!("there is no {sort} \"{name}\""), remedy);
}

fn check_of(draft: &Draft, fact: Arc<str>, kind: CheckKind, remedy: Option<Remedy>) -> Check {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    Check { policy: draft.timing.policy(fact, hasher.finish()), kind, remedy }
}

/// The kind with its real target.
fn aimed(kind: &CheckKind, target: Target) -> CheckKind {
    let mut kind = kind.clone();
    if let Some(slot) = kind.target_mut() {
        *slot = target;
    }
    kind
}
