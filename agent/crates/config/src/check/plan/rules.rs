//! What checks mean together: expressions without circles, placeholders for a server, and what is left unused.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Manner, Server};
use crate::check::{Body, Draft};
use crate::model::{Check, CheckKind, Command, Remedy, Target};
use crate::report::Report;

/// How deep expressions may name expressions.
const DEEPEST: usize = 8;
/// What stands for a server in the arguments of a command.
const PLACEHOLDERS: [&str; 4] = ["{pool}", "{server}", "{address}", "{port}"];

/// How each check can be run. Reports expressions that depend on themselves, and those that are too deep.
pub(super) fn manners(
    drafts: &[Draft],
    by_name: &BTreeMap<&str, usize>,
    report: &mut Report<'_>,
) -> Vec<Manner> {
    let mut manners = vec![Manner::default(); drafts.len()];
    let (order, depth) = in_order(drafts, by_name, report);
    for index in order.into_iter().filter(|index| depth[*index] <= DEEPEST) {
        let members = || members_of(drafts, by_name, index).map(|member| manners[member]);
        let (per_server, alone) = match drafts[index].body.as_ref() {
            Some(Body::Server(_, aim)) => (!aim.is_fixed(), aim.has_host()),
            Some(Body::Here(CheckKind::Script(script))) => {
                (has_placeholder(&script.command), !has_placeholder(&script.command))
            }
            Some(Body::Expr(_)) => (members().any(|m| m.per_server), members().all(|m| m.alone)),
            Some(Body::Here(_)) | None => (false, true),
        };
        let is_sound = drafts[index].body.is_some() && members().all(|member| member.is_sound);
        manners[index] = Manner { is_sound, per_server, alone };
    }
    manners
}

/// The drafts such that each expression comes after the checks that it names, those in circles left out; and how deep each
/// is.
fn in_order(
    drafts: &[Draft],
    by_name: &BTreeMap<&str, usize>,
    report: &mut Report<'_>,
) -> (Vec<usize>, Vec<usize>) {
    let members = |index: usize| members_of(drafts, by_name, index);
    let mut waits_for: Vec<usize> = (0..drafts.len()).map(|index| members(index).count()).collect();
    let mut named_by: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    for index in 0..drafts.len() {
        members(index).for_each(|member| named_by[member].push(index));
    }
    let mut depth = vec![0_usize; drafts.len()];
    let mut order: Vec<usize> = (0..drafts.len()).filter(|index| waits_for[*index] == 0).collect();
    let mut next = 0;
    while let Some(done) = order.get(next).copied() {
        next += 1;
        for &expr in &named_by[done] {
            waits_for[expr] -= 1;
            depth[expr] = depth[expr].max(depth[done] + 1);
            if waits_for[expr] == 0 {
                order.push(expr);
            }
        }
    }
    report_deep(drafts, &depth, report);
    report_circles(drafts, by_name, &waits_for, report);
    (order, depth)
}

/// The checks that an expression names, as far as they exist.
fn members_of<'d>(
    drafts: &'d [Draft],
    by_name: &'d BTreeMap<&str, usize>,
    index: usize,
) -> impl Iterator<Item = usize> + 'd {
    let members = match drafts.get(index).and_then(|draft| draft.body.as_ref()) {
        Some(Body::Expr(expr)) => &expr.members[..],
        _ => &[],
    };
    members.iter().filter_map(|(name, _)| by_name.get(name.as_str()).copied())
}

fn report_deep(drafts: &[Draft], depth: &[usize], report: &mut Report<'_>) {
    for (draft, depth) in drafts.iter().zip(depth) {
        if *depth == DEEPEST + 1 {
            let message = format!("{} is an expression of expressions, {depth} deep", draft.title);
            report.error(&draft.span, message, format!("{DEEPEST} is the most; name the checks themselves"));
        }
    }
}

/// Follows the first unfinished member from each unfinished expression; each circle is reported once.
fn report_circles(
    drafts: &[Draft],
    by_name: &BTreeMap<&str, usize>,
    waits_for: &[usize],
    report: &mut Report<'_>,
) {
    const MOST_SHOWN: usize = 6;
    let mut walk_of = vec![usize::MAX; drafts.len()];
    for start in (0..drafts.len()).filter(|index| waits_for[*index] > 0) {
        let (mut at, mut path) = (start, Vec::new());
        while walk_of[at] == usize::MAX {
            walk_of[at] = start;
            path.push(at);
            let unfinished = members_of(drafts, by_name, at).find(|member| waits_for[*member] > 0);
            let Some(next) = unfinished else { break };
            at = next;
        }
        let circle = path.iter().position(|index| *index == at && walk_of[at] == start);
        let Some(circle) = circle.map(|begin| &path[begin..]) else {
            continue;
        };
        let names: Vec<&str> = circle
            .iter()
            .take(MOST_SHOWN)
            .chain(circle.first())
            .filter_map(|index| drafts[*index].name.value().map(String::as_str))
            .collect();
        let first = &drafts[circle[0]];
        let message = format!("{} depends on itself: {}", first.title, names.join(" → "));
        report.error(&first.span, message, "remove one of these names");
    }
}

fn has_placeholder(command: &Command) -> bool {
    command.argv.iter().any(|argument| PLACEHOLDERS.iter().any(|placeholder| argument.contains(placeholder)))
}

/// A command with a placeholder makes sense for a server only.
pub(super) fn reject_placeholders(draft: &Draft, report: &mut Report<'_>) {
    let script = match &draft.body {
        Some(Body::Here(CheckKind::Script(script))) => Some(&script.command),
        _ => None,
    };
    let remedy = draft.timing.remedy().map(|remedy| &remedy.command);
    for (what, _) in [("command", script), ("remedy", remedy)]
        .into_iter()
        .filter(|(_, command)| command.is_some_and(has_placeholder))
    {
        let message =
            format!("the {what} of {} has a placeholder, and there is no server to fill it in", draft.title);
        let remedy = "name the check in checks of a [[pool]] only, or write the value itself";
        report.error(&draft.span, message, remedy);
    }
}

/// The kind with the placeholders of its command filled in.
pub(super) fn filled(kind: &CheckKind, server: Server<'_>) -> CheckKind {
    let mut kind = kind.clone();
    if let CheckKind::Script(script) = &mut kind {
        fill(&mut script.command, server);
    }
    kind
}

/// The remedy with the placeholders of its command filled in.
pub(super) fn remedy_for(draft: &Draft, server: Server<'_>) -> Option<Remedy> {
    let mut remedy = draft.timing.remedy().cloned()?;
    fill(&mut remedy.command, server);
    Some(remedy)
}

/// A remedy that does not know for which server it runs is probably not meant.
pub(super) fn check_remedy_of_servers(draft: &Draft, report: &mut Report<'_>) {
    if draft.timing.remedy().is_some_and(|remedy| !has_placeholder(&remedy.command)) {
        let message = format!("the remedy of {} is the same command for every server of a pool", draft.title);
        let remedy = "write {server} or {address} into its command, or leave it to a check of one server";
        report.warning(&draft.span, message, remedy);
    }
}

/// What is filled in is never looked at again: names and addresses have no braces.
fn fill(command: &mut Command, server: Server<'_>) {
    let values =
        [server.pool.to_owned(), server.name.to_owned(), server.address.to_string(), server.port.to_string()];
    for argument in &mut command.argv {
        for (placeholder, value) in PLACEHOLDERS.iter().zip(&values) {
            if argument.contains(placeholder) {
                *argument = argument.replace(placeholder, value);
            }
        }
    }
}

/// Checks that nobody named, and whether they run; the first of them by name.
pub(super) fn report_unused(nowhere: &[(&Draft, bool)], report: &mut Report<'_>) {
    const MOST_NAMED: usize = 10;
    for (at, (draft, runs)) in nowhere.iter().take(MOST_NAMED).enumerate() {
        let more = nowhere.len() - MOST_NAMED.min(nowhere.len());
        let more = match more {
            more if more > 0 && at + 1 == MOST_NAMED => format!(", and so are {more} more"),
            _ => String::new(),
        };
        let what = match runs {
            true => "it runs, but nothing depends on it",
            false => "it does not run, because only a pool could fill in the server",
        };
        let message = format!("{} is used nowhere{more}: {what}", draft.title);
        let remedy = "name it in track of an [[instance]] or in checks of a [[pool]], or remove it";
        report.warning(&draft.span, message, remedy);
    }
}

/// A check that asks a virtual address of this node asks the node itself as long as that is Active, and a peer otherwise.
pub(super) fn report_own_address(
    draft: &Draft,
    check: &Check,
    virtual_addresses: &BTreeMap<IpAddr, &str>,
    report: &mut Report<'_>,
) {
    let address = check.kind.target().and_then(Target::fixed_address);
    let owner = address.and_then(|address| virtual_addresses.get(&address));
    if let (Some(address), Some(owner), Some(Body::Server(_, aim))) = (address, owner, &draft.body) {
        let message = format!(
            "{} asks {address}, a virtual address of {owner}: whoever is Active answers for all",
            draft.title
        );
        let remedy = "ask an address that stays on one node, such as 127.0.0.1";
        report.warning(aim.place().unwrap_or(&draft.span), message, remedy);
    }
}
