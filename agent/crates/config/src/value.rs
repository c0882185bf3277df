//! Typed readers of one value: text, numbers, switches, words, lists, durations. Each returns `None` after it has
//! reported what is wrong. Values of secrets are never put into a message.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::de::DeValue;

use crate::duration::{self, human};
use crate::nearest::nearest;
use crate::report::Report;
use crate::section::Section;

/// A value of the file with its key and its place.
pub(crate) struct Value<'t> {
    /// The key it belongs to, for messages.
    pub(crate) key: &'static str,
    /// Where in the text.
    pub(crate) span: Range<usize>,
    pub(crate) inner: &'t DeValue<'t>,
}

impl<'t> Value<'t> {
    /// A non-empty string without control characters.
    pub(crate) fn text(&self, report: &mut Report<'_>) -> Option<&'t str> {
        let text = self.string(report)?;
        if text.is_empty() {
            report.error(&self.span, format!("{} is empty", self.key), "write a value, or remove the key");
            return None;
        }
        if let Some(control) = text.chars().find(|character| character.is_control()) {
            let message = format!("{} contains the control character {}", self.key, control.escape_default());
            report.error(&self.span, message, "remove it");
            return None;
        }
        Some(text)
    }

    /// Any string.
    pub(crate) fn string(&self, report: &mut Report<'_>) -> Option<&'t str> {
        let text = self.inner.as_str();
        if text.is_none() {
            self.wrong_type(report, "a string in quotes");
        }
        text
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, report: &mut Report<'_>) -> Option<bool> {
        let boolean = self.inner.as_bool();
        if boolean.is_none() {
            self.wrong_type(report, "true or false, without quotes");
        }
        boolean
    }

    /// A whole number within a range; `unit` is shown with it and may be empty.
    pub(crate) fn integer<T>(&self, report: &mut Report<'_>, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let Some(integer) = self.inner.as_integer() else {
            self.wrong_type(report, &format!("a whole number from {} to {}", range.start(), range.end()));
            return None;
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let valid =
            number.and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number));
        if valid.is_none() {
            let message = format!("{} {} is out of range", self.key, clip(&integer.to_string()));
            report.error(&self.span, message, format!("use {} to {}", range.start(), range.end()));
        }
        valid
    }

    /// One of a few words.
    pub(crate) fn word<T: Clone>(&self, report: &mut Report<'_>, words: &[(&'static str, T)]) -> Option<T> {
        let known = || words.iter().map(|(word, _)| *word);
        let all = known().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let Some(text) = self.inner.as_str() else {
            self.wrong_type(report, &format!("one of {all}"));
            return None;
        };
        let found = words.iter().find_map(|(word, value)| (*word == text).then(|| value.clone()));
        if found.is_none() {
            let remedy = nearest(text, known())
                .map_or(format!("use one of {all}"), |near| format!("did you mean \"{near}\"? Known: {all}"));
            report.error(&self.span, format!("{} does not know {}", self.key, shown(text)), remedy);
        }
        found
    }

    /// A duration within a range.
    pub(crate) fn duration(
        &self,
        report: &mut Report<'_>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let parsed = self.any_duration(report)?;
        if !range.contains(&parsed) {
            let message = format!("{} {} is out of range", self.key, human(parsed));
            report.error(
                &self.span,
                message,
                format!("use \"{}\" to \"{}\"", human(*range.start()), human(*range.end())),
            );
            return None;
        }
        Some(parsed)
    }

    /// A duration of any length.
    pub(crate) fn any_duration(&self, report: &mut Report<'_>) -> Option<Duration> {
        if let Some(number) = self.bare_number() {
            let message = format!("{} {number} has no unit", self.key);
            report.error(&self.span, message, format!("write \"{number}s\" or \"{number}ms\", in quotes"));
            return None;
        }
        let Some(text) = self.inner.as_str() else {
            self.wrong_type(report, "a duration in quotes such as \"1s\" or \"100ms\"");
            return None;
        };
        duration::parse(text)
            .map_err(|problem| {
                let message = format!("{} {} is no duration: {}", self.key, shown(text), problem.what);
                report.error(&self.span, message, problem.remedy);
            })
            .ok()
    }

    /// An IPv4 or IPv6 address without a prefix length.
    pub(crate) fn address(&self, report: &mut Report<'_>) -> Option<IpAddr> {
        let text = self.text(report)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let remedy = match text.split_once('/') {
                Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
                    format!("write \"{address}\" without a prefix length")
                }
                _ => "write an address such as \"10.0.0.1\" or \"fe80::1\"; host names are not looked up"
                    .to_owned(),
            };
            report.error(&self.span, format!("{} {} is no IP address", self.key, shown(text)), remedy);
        }
        parsed
    }

    /// Every element of a list through a reader; elements that are wrong are reported and left out.
    pub(crate) fn list<T>(
        &self,
        report: &mut Report<'_>,
        mut reader: impl FnMut(&Value<'t>, &mut Report<'_>) -> Option<T>,
    ) -> Option<Vec<(T, Range<usize>)>> {
        let Some(array) = self.inner.as_array() else {
            let remedy = match self.inner.as_str() {
                Some(_) => "a list: put it in [ ]",
                None => "a list in [ ]",
            };
            self.wrong_type(report, remedy);
            return None;
        };
        let mut whole = true;
        let mut elements = Vec::with_capacity(array.len());
        for element in array {
            let value = Value { key: self.key, span: element.span(), inner: element.get_ref() };
            match reader(&value, report) {
                Some(read) => elements.push((read, value.span)),
                None => whole = false,
            }
        }
        whole.then_some(elements)
    }

    /// A table within the table; `example` shows how to write one.
    pub(crate) fn table(&self, report: &mut Report<'_>, example: &str) -> Option<Section<'t>> {
        let table = self.inner.as_table();
        if table.is_none() {
            self.wrong_type(report, &format!("a table such as {example}"));
        }
        table.map(|table| Section::new(self.key, self.span.clone(), table))
    }

    /// Reports that the value is of another kind than `wanted`.
    pub(crate) fn wrong_type(&self, report: &mut Report<'_>, wanted: &str) {
        let message = format!("{} is {}", self.key, kind(self.inner));
        report.error(&self.span, message, format!("write {wanted}"));
    }

    fn bare_number(&self) -> Option<String> {
        match self.inner {
            DeValue::Integer(integer) => Some(clip(&integer.to_string())),
            DeValue::Float(float) => Some(clip(float.as_str())),
            _ => None,
        }
    }
}

/// What a value is, with its article.
pub(crate) fn kind(value: &DeValue<'_>) -> String {
    let article = match value {
        DeValue::Integer(_) | DeValue::Array(_) => "an",
        _ => "a",
    };
    format!("{article} {}", value.type_str())
}

/// A text of the file for a message: quoted, control characters escaped, cut when long.
pub(crate) fn shown(text: &str) -> String {
    format!("\"{}\"", clip(text).escape_debug())
}

/// A text as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut made = String::with_capacity(text.len() + 2);
    made.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => made.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(made, "\\u{:04X}", u32::from(control));
            }
            other => made.push(other),
        }
    }
    made.push('"');
    made
}

fn clip(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
