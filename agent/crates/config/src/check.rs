//! One `[[check]]` table as it stands in the file: every key read by itself, with its place. Which checks are run, and for
//! which servers, follows from who names them and is left to [`plan`]; intervals and thresholds are in [`timing`].

mod aim;
mod expr;
mod http;
mod kind;
mod local;
mod plan;
mod server;
mod timing;

use std::ops::Range;

use toml::de::DeValue;

use crate::files::Files;
use crate::model::CheckKind;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::settings::resource_name;
use crate::value::shown;

pub(crate) use aim::{Aim, UrlProblem, parse_url};
pub(crate) use expr::ExprDraft;
pub(crate) use kind::Kind;
pub(crate) use plan::{Plan, Server, report_unknown};
pub(crate) use server::hello;
pub(crate) use timing::Timing;

/// A check as it stands in the file.
pub(crate) struct Draft {
    /// `check "nginx"`, or `check` when it has no usable name.
    pub(crate) title: String,
    /// Its `[[check]]` line.
    pub(crate) span: Range<usize>,
    pub(crate) name: Slot<String>,
    /// `None` when it is missing or wrong, which has been reported.
    pub(crate) body: Option<Body>,
    pub(crate) timing: Timing,
}

/// What the check looks at.
pub(crate) enum Body {
    /// This node: nothing to aim at.
    Here(CheckKind),
    /// A server, or each server of a pool. The kind's own target is only valid once it was aimed.
    Server(CheckKind, Box<Aim>),
    /// Other checks.
    Expr(ExprDraft),
}

impl Draft {
    /// Reads one table; reports what is wrong with its keys taken by themselves.
    pub(crate) fn read(mut section: Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Self {
        if let Some(DeValue::String(name)) = section.get("name").map(|name| name.get_ref()) {
            section.title = format!("check {}", shown(name));
        }
        let kind = kind::read(&section, report);
        let name = section.read(report, "name", resource_name);
        if name.is_absent() {
            report.error(&section.span, "a check has no name", "add name = \"web\"");
        }
        kind::reject_unknown(&section, kind, report);
        Self {
            name,
            body: kind.and_then(|kind| read_body(kind, &section, files, report)),
            timing: Timing::read(kind, &section, report),
            title: section.title,
            span: section.span,
        }
    }

    /// Why it cannot run without a server of a pool, if it cannot.
    pub(crate) fn lack(&self) -> &'static str {
        match &self.body {
            Some(Body::Server(..)) => "has no host",
            Some(Body::Expr(_)) => "names checks that only run for servers",
            Some(Body::Here(_)) | None => "has a placeholder in its command",
        }
    }

    /// Whether it connects to one server of its own, whichever server of a pool it is named for.
    pub(crate) fn is_of_one_server(&self) -> bool {
        matches!(&self.body, Some(Body::Server(_, aim)) if aim.is_fixed())
    }

    /// Whether its results carry a number that a track can count.
    pub(crate) fn finds_a_number(&self) -> bool {
        match &self.body {
            Some(Body::Here(CheckKind::File(_))) | None => true,
            Some(Body::Here(CheckKind::Script(script))) => script.value_from_exit,
            Some(_) => false,
        }
    }
}

fn read_body(
    kind: Kind,
    section: &Section<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<Body> {
    match kind {
        Kind::Script => local::script(section, report).map(Body::Here),
        Kind::Process => local::process(section, report).map(Body::Here),
        Kind::File => local::file(section, report).map(Body::Here),
        Kind::Interface => local::interface(section, report).map(Body::Here),
        Kind::Route => local::route(section, report).map(Body::Here),
        Kind::Expr => expr::read(section, report).map(Body::Expr),
        kind => server::read(kind, section, files, report),
    }
}
