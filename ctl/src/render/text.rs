//! Words with colours, times, and text of others made harmless.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::NodeState;
use crate::span::Span;
use crate::verdict::Verdict;

/// How a word is painted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As it is.
    #[default]
    Plain,
    /// Stands back: headers, hints.
    Dim,
    /// Stands out.
    Bold,
    /// All is well.
    Good,
    /// Something to look at.
    Warn,
    /// Not known.
    Unknown,
    /// Wrong.
    Bad,
}

impl Paint {
    /// The paint of a verdict.
    pub(crate) fn verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ok => Paint::Good,
            Verdict::Degraded => Paint::Warn,
            Verdict::Unknown => Paint::Unknown,
            Verdict::NoActive | Verdict::SplitBrain => Paint::Bad,
        }
    }

    /// The paint of a virtual router's or an address's state.
    pub(crate) fn state(state: &str) -> Self {
        match state {
            "ACTIVE" | "PRESENT" => Paint::Good,
            "FAULT" | "FAILED" => Paint::Bad,
            "INITIALIZE" | "CONFIGURING" => Paint::Warn,
            "UNKNOWN" | "UNSPECIFIED" => Paint::Unknown,
            _ => Paint::Plain,
        }
    }

    /// The paint of a node's state.
    pub(crate) fn node(state: NodeState) -> Self {
        match state {
            NodeState::Answered => Paint::Good,
            _ => Paint::Bad,
        }
    }

    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().bold().fg_color(Some(color.into()));
        match self {
            Paint::Plain => Style::new(),
            Paint::Dim => Style::new().dimmed(),
            Paint::Bold => Style::new().bold(),
            Paint::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
            Paint::Warn => color(AnsiColor::Yellow),
            Paint::Unknown => color(AnsiColor::Magenta),
            Paint::Bad => color(AnsiColor::Red),
        }
    }
}

/// `text` in its paint, made harmless.
pub(crate) fn paint(paint: Paint, text: &str) -> String {
    let (text, style) = (clean(text), paint.style());
    if text.is_empty() || paint == Paint::Plain {
        return text.into_owned();
    }
    format!("{style}{text}{style:#}")
}

/// Text that others wrote, fit for a terminal: control characters, which could move the cursor or change colours, and
/// characters that turn the direction of writing are shown as `\u{…}`.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(' '),
            c if harmful(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// How times are written.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    /// The zone.
    pub zone: TimeZone,
}

impl Times {
    /// RFC 3339 with milliseconds: `2026-11-23T02:14:07.318Z`.
    pub(crate) fn full(&self, time: Timestamp) -> String {
        let format =
            if self.zone == TimeZone::UTC { "%Y-%m-%dT%H:%M:%S%.3fZ" } else { "%Y-%m-%dT%H:%M:%S%.3f%:z" };
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    /// The same; `-` for no time.
    pub(crate) fn maybe(&self, time: Option<Timestamp>) -> String {
        time.map_or_else(|| "-".to_owned(), |time| self.full(time))
    }

    /// A time and how long ago it was: `2026-11-23T02:14:07.318Z (41m)`.
    pub(crate) fn with_age(&self, time: Option<Timestamp>, age: Option<Span>) -> String {
        match (time, age) {
            (Some(time), Some(age)) => format!("{} ({age})", self.full(time)),
            (time, _) => self.maybe(time),
        }
    }
}

/// A time in UTC to the second, for sentences.
pub(crate) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        assert_eq!(clean("plain → ünïcode"), "plain → ünïcode");
        assert_eq!(clean("a\x1b[31mred\nb"), "a\\u{1b}[31mred b");
        assert_eq!(clean("\u{202e}abc"), "\\u{202e}abc");
    }

    #[test]
    fn times_are_rfc_3339_in_the_chosen_zone() {
        let time: Timestamp = "2026-11-23T02:14:07.3181Z".parse().unwrap();
        let utc = Times { zone: TimeZone::UTC };
        assert_eq!(utc.full(time), "2026-11-23T02:14:07.318Z");
        let east = Times { zone: TimeZone::fixed(jiff::tz::offset(2)) };
        assert_eq!(east.full(time), "2026-11-23T04:14:07.318+02:00");
        assert_eq!(utc.with_age(Some(time), "41m".parse().ok()), "2026-11-23T02:14:07.318Z (41m)");
        assert_eq!(utc.maybe(None), "-");
    }
}
