//! Which events a caller wants. All conditions hold together; an empty one holds always.

use ha_proto::v1;
use tonic::Status;

use super::convert;
use super::error::{Reason, refuse};
use super::names::{Names, shorten};
use crate::journal::{Record, subject_name};

/// A checked `EventFilter`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    node: String,
    subjects: Vec<Vec<String>>,
    types: Vec<String>,
    minimum: i32,
    request_id: String,
    causes: Vec<i32>,
}

/// The longest list in a filter.
const MOST_ENTRIES: usize = 64;

/// The longest text in a filter.
const LONGEST_TEXT: usize = 256;

impl Filter {
    /// Checks a filter; none matches everything.
    pub(crate) fn new(filter: Option<v1::EventFilter>, names: &Names, node: &str) -> Result<Self, Status> {
        let filter = filter.unwrap_or_default();
        check_size(&filter)?;
        if let Some(cause) = filter.causes.iter().find(|cause| v1::Cause::try_from(**cause).is_err()) {
            return Err(invalid(&format!("there is no cause {cause}")));
        }
        if v1::Severity::try_from(filter.min_severity).is_err() {
            return Err(invalid(&format!("there is no severity {}", filter.min_severity)));
        }
        Ok(Self {
            node: node.to_owned(),
            subjects: filter.subjects.iter().map(|subject| pattern(subject, names, node)).collect(),
            types: filter.types,
            minimum: filter.min_severity,
            request_id: filter.request_id,
            causes: filter.causes,
        })
    }

    /// Whether the caller wants this record.
    pub(crate) fn matches(&self, record: &Record) -> bool {
        let severity: i32 = convert::severity(record.severity()).into();
        let cause: i32 = convert::cause(record.cause()).into();
        severity >= self.minimum
            && (self.causes.is_empty() || self.causes.contains(&cause))
            && (self.request_id.is_empty() || record.request.as_deref() == Some(self.request_id.as_str()))
            && (self.types.is_empty()
                || self.types.iter().any(|wanted| type_matches(wanted, record.type_name())))
            && self.matches_name(|node| subject_name(node, record.subject()))
    }

    /// Whether the caller wants an event from the disk.
    pub(crate) fn matches_kept(&self, event: &v1::Event) -> bool {
        event.severity >= self.minimum
            && (self.causes.is_empty() || self.causes.contains(&event.cause))
            && (self.request_id.is_empty() || event.request_id == self.request_id)
            && (self.types.is_empty() || self.types.iter().any(|wanted| type_matches(wanted, &event.r#type)))
            && self.matches_subject(&event.subject)
    }

    /// Whether the caller wants the resource of that name.
    pub(crate) fn matches_subject(&self, name: &str) -> bool {
        self.matches_name(|_| name.to_owned())
    }

    fn matches_name(&self, name: impl FnOnce(&str) -> String) -> bool {
        if self.subjects.is_empty() {
            return true;
        }
        let name = name(&self.node);
        let segments: Vec<&str> = name.split('/').collect();
        self.subjects.iter().any(|pattern| {
            pattern.len() == segments.len()
                && pattern.iter().zip(&segments).all(|(wanted, segment)| wanted == "-" || wanted == segment)
        })
    }
}

/// The segments of a subject, with `nodes/self` as this node.
fn pattern(subject: &str, names: &Names, node: &str) -> Vec<String> {
    let mut segments: Vec<String> = subject.split('/').map(str::to_owned).collect();
    if segments.len() >= 2 && segments[0] == "nodes" && names.is_this(&segments[1]) {
        segments[1] = node.to_owned();
    }
    segments
}

/// "vip.*" matches every type that begins with "vip."; everything else is exact.
fn type_matches(wanted: &str, name: &str) -> bool {
    wanted.strip_suffix('*').map_or(wanted == name, |prefix| name.starts_with(prefix))
}

fn check_size(filter: &v1::EventFilter) -> Result<(), Status> {
    let lists = [filter.subjects.len(), filter.types.len(), filter.causes.len()];
    let texts = filter.subjects.iter().chain(&filter.types).chain([&filter.request_id]);
    if lists.iter().any(|entries| *entries > MOST_ENTRIES) {
        return Err(invalid(&format!("a list in the filter has more than {MOST_ENTRIES} entries")));
    }
    match texts.into_iter().find(|text| text.len() > LONGEST_TEXT) {
        Some(text) => Err(invalid(&format!("{:?} is longer than {LONGEST_TEXT} octets", shorten(text)))),
        None => Ok(()),
    }
}

fn invalid(what: &str) -> Status {
    refuse(Reason::FilterInvalid, what, "correct the filter")
}
