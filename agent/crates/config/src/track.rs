//! What instances and groups track: the `track` list as it stands in the file. What it means over all instances is left to
//! [`resolve()`].

mod resolve;

use std::ops::Range;

use ha_engine::TrackEffect;
use toml::de::DeValue;

use crate::keys;
use crate::report::Report;
use crate::section::Section;
use crate::settings::name_problem;
use crate::value::{Value, shown};

pub(crate) use resolve::resolve;

/// The most that one instance may track.
pub(crate) const MOST_TRACKS: usize = 256;
/// A weight beyond this would be the same as Fault, or as owning the address.
const LARGEST_WEIGHT: i16 = 253;

/// One entry of a `track` list.
#[derive(Clone, Debug)]
pub(crate) struct TrackDraft {
    pub(crate) subject: Subject,
    pub(crate) effect: TrackEffect,
}

/// What is tracked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Subject {
    Check(String),
    Pool(String),
}

/// A whole `track` list, each entry with its place.
pub(crate) type Tracks = Vec<(TrackDraft, Range<usize>)>;

/// Reads `track`.
pub(crate) fn read(value: &Value<'_>, report: &mut Report<'_>) -> Option<Tracks> {
    let tracks = value.list(report, entry)?;
    if let Some((_, span)) = tracks.get(MOST_TRACKS) {
        let message = format!("track has {} entries", tracks.len());
        report.error(span, message, format!("{MOST_TRACKS} are the most; combine checks by kind \"expr\""));
        return None;
    }
    let mut seen = std::collections::BTreeMap::new();
    for (track, span) in &tracks {
        if let Some(first) = seen.insert(track.subject.clone(), span) {
            let message =
                format!("{} is tracked twice, first on line {}", track.subject, report.line(first.start));
            report.error(span, message, "keep one of the two");
        }
    }
    Some(tracks)
}

/// `"nginx"`, `"pools/web"`, or a table.
fn entry(value: &Value<'_>, report: &mut Report<'_>) -> Option<TrackDraft> {
    if value.inner.as_str().is_some() {
        let subject = subject(value, report)?;
        return Some(TrackDraft { subject, effect: TrackEffect::Fault { reverse: false } });
    }
    let DeValue::Table(table) = value.inner else {
        value.wrong_type(report, "the name of a check, or { check = \"nginx\", weight = -30 }");
        return None;
    };
    let section = Section::new("track", value.span.clone(), table);
    section.reject_unknown(report, keys::TRACK, |key| match key {
        "name" | "script" => Some("write check".to_owned()),
        "inverse" | "invert" => Some("write reverse = true".to_owned()),
        _ => None,
    });
    let effect = effect(&section, report);
    let check = section.read(report, "check", |v, r| name(v, r).map(Subject::Check));
    let pool = section.read(report, "pool", |v, r| name(v, r).map(Subject::Pool));
    if check.is_absent() == pool.is_absent() {
        let message = "an entry of track names neither a check nor a pool, or both";
        report.error(&value.span, message, "write { check = \"nginx\", weight = -30 }");
        return None;
    }
    let subject = check.value().or(pool.value()).cloned()?;
    Some(TrackDraft { subject, effect: effect? })
}

/// The name of a check, or `checks/NAME` and `pools/NAME` as they are shown.
fn subject(value: &Value<'_>, report: &mut Report<'_>) -> Option<Subject> {
    let text = value.text(report)?;
    if let Some(pool) = text.strip_prefix("pools/") {
        return checked(pool, value, report).map(Subject::Pool);
    }
    checked(text.strip_prefix("checks/").unwrap_or(text), value, report).map(Subject::Check)
}

fn name(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    checked(value.text(report)?, value, report)
}

fn checked(name: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    if let Some(problem) = name_problem(name) {
        let message = format!("{} {} is no name: it {problem}", value.key, shown(name));
        report.error(&value.span, message, "write the name of a [[check]], or \"pools/NAME\" for a pool");
        return None;
    }
    Some(name.to_owned())
}

/// What the entry is worth: at most one of weight, factor and fault_on_value.
fn effect(section: &Section<'_>, report: &mut Report<'_>) -> Option<TrackEffect> {
    let weight = section.read(report, "weight", weight);
    let factor = section.read(report, "factor", factor);
    let on_value = section.read(report, "fault_on_value", Value::boolean);
    let reverse = section.read(report, "reverse", Value::boolean);
    let given: Vec<&str> =
        ["weight", "factor", "fault_on_value"].into_iter().filter(|key| section.get(key).is_some()).collect();
    if given.len() > 1 {
        let message = format!("track has {}, which exclude each other", given.join(" and "));
        report.error(&section.span, message, "keep one of them");
        return None;
    }
    let by_value = factor.value().is_some() || on_value.value() == Some(&true);
    if let Some(reverse) = reverse.spot().filter(|reverse| by_value && reverse.value) {
        let message = "reverse turns a verdict around, and this is about a number";
        report.error(&reverse.span, message, "remove reverse, or turn the sign of factor around");
    }
    if section.get("weight").is_some() {
        let reverse = reverse.value_or_default();
        return weight.value().map(|weight| TrackEffect::Weight { weight: *weight, reverse });
    }
    if section.get("factor").is_some() {
        return factor.value().map(|factor| TrackEffect::Value { factor: *factor });
    }
    match on_value.value() {
        Some(true) => Some(TrackEffect::ValueFault),
        _ => Some(TrackEffect::Fault { reverse: reverse.value_or_default() }),
    }
}

fn weight(value: &Value<'_>, report: &mut Report<'_>) -> Option<i16> {
    let weight = value.integer(report, -LARGEST_WEIGHT..=LARGEST_WEIGHT)?;
    if weight == 0 {
        let message = "weight 0 changes nothing";
        report.error(&value.span, message, "remove weight, if failing is to mean Fault");
        return None;
    }
    Some(weight)
}

fn factor(value: &Value<'_>, report: &mut Report<'_>) -> Option<i32> {
    let factor = value.integer(report, -i32::MAX..=i32::MAX)?;
    if factor == 0 {
        let message = "factor 0 makes nothing of every number";
        report.error(
            &value.span,
            message,
            "write fault_on_value = true, if a number other than 0 is to mean Fault",
        );
        return None;
    }
    Some(factor)
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Check(name) => write!(f, "check \"{name}\""),
            Self::Pool(name) => write!(f, "pool \"{name}\""),
        }
    }
}
