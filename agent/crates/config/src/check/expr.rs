//! `kind = "expr"`: which other checks, and how many of them.

use std::ops::Range;

use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot};

/// The most checks that one expression names.
const MOST_MEMBERS: usize = 1024;

/// The rule as it stands: names of checks.
pub(crate) struct ExprDraft {
    pub(crate) wanted: Wanted,
    /// At least one.
    pub(crate) members: Vec<(String, Range<usize>)>,
}

/// How many of them must pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    All,
    Any,
    AtLeast(u32),
}

type Members = Slot<Vec<(String, Range<usize>)>>;

pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Option<ExprDraft> {
    let list = |key, report: &mut Report<'_>| -> Members {
        section.read(report, key, |v, r| reader::one_or_many(v, r, reader::check_name))
    };
    let (all_of, any_of, of) = (list("all_of", report), list("any_of", report), list("of", report));
    let at_least = section.read(report, "at_least", |v, r| v.integer(r, 1..=1024_u32));
    check_form(section, report)?;
    let (wanted, members) = if let Some(count) = at_least.spot() {
        check_count(count.value, &count.span, &of, report);
        (Wanted::AtLeast(count.value), of)
    } else if all_of.is_absent() {
        (Wanted::Any, any_of)
    } else {
        (Wanted::All, all_of)
    };
    let members = members.spot()?;
    if members.value.is_empty() {
        report.error(&members.span, format!("{} names no check", section.title), "name at least one");
        return None;
    }
    if let Some((_, span)) = members.value.get(MOST_MEMBERS) {
        let message = format!("{} names {} checks", section.title, members.value.len());
        report.error(span, message, format!("{MOST_MEMBERS} are the most; make expressions of expressions"));
        return None;
    }
    report_repeated(&members.value, report);
    Some(ExprDraft { wanted, members: members.value.clone() })
}

/// Exactly one of the three forms.
fn check_form(section: &Section<'_>, report: &mut Report<'_>) -> Option<()> {
    const FORMS: &str = "write one of all_of = [\"a\", \"b\"], any_of = [\"a\", \"b\"], or at_least = 2 with of = [\"a\", \"b\", \"c\"]";
    let given: Vec<&str> =
        ["all_of", "any_of", "at_least", "of"].into_iter().filter(|key| section.get(key).is_some()).collect();
    match given[..] {
        ["all_of" | "any_of"] | ["at_least", "of"] => Some(()),
        [] => {
            report.error(&section.span, format!("{} has no rule", section.title), FORMS);
            None
        }
        _ => {
            let place =
                given.last().and_then(|key| section.get(key)).map_or(section.span.clone(), |v| v.span());
            let message = format!("{} has {}, which is no rule", section.title, given.join(" and "));
            report.error(&place, message, FORMS);
            None
        }
    }
}

fn check_count(count: u32, span: &Range<usize>, of: &Members, report: &mut Report<'_>) {
    let Some(members) = of.value() else {
        return;
    };
    if usize::try_from(count).is_ok_and(|count| count > members.len()) {
        let message = format!("at_least {count} of {} checks can never pass", members.len());
        report.error(span, message, format!("use 1 to {}", members.len()));
    }
}

fn report_repeated(members: &[(String, Range<usize>)], report: &mut Report<'_>) {
    let mut seen = std::collections::BTreeSet::new();
    for (name, span) in members.iter().filter(|(name, _)| !seen.insert(name.as_str())) {
        report.error(span, format!("check \"{name}\" is named twice"), "name it once");
    }
}
