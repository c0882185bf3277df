//! Lengths of time as hactl shows and reads them: `1h30m`, `3.61s`, `12ms`. Points in time are jiff's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A signed length of time in nanoseconds (292 years at most).
///
/// It displays for a reader (`1h30m`), and serialises exactly, in seconds with a suffix (`"5400s"`), as protobuf's JSON
/// mapping does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(i64);

impl Span {
    /// No time at all.
    pub(crate) const ZERO: Span = Span(0);

    /// From nanoseconds.
    pub(crate) fn from_nanos(nanos: i64) -> Self {
        Span(nanos)
    }

    /// From nanoseconds of any width; what does not fit is cut to the nearest that does.
    pub(crate) fn from_wide(nanos: i128) -> Self {
        Span(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// In nanoseconds.
    pub(crate) fn nanos(self) -> i64 {
        self.0
    }

    /// Without its sign.
    pub(crate) fn abs(self) -> Self {
        Span(self.0.saturating_abs())
    }

    /// As the standard library's type; a negative span is zero.
    pub(crate) fn to_duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// As protobuf's type.
    pub(crate) fn to_proto(self) -> prost_types::Duration {
        prost_types::Duration { seconds: self.0 / SECOND, nanos: (self.0 % SECOND) as i32 }
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl From<&prost_types::Duration> for Span {
    fn from(duration: &prost_types::Duration) -> Self {
        Span::from_wide(i128::from(duration.seconds) * i128::from(SECOND) + i128::from(duration.nanos))
    }
}

impl fmt::Display for Span {
    /// Two units at most, so that a reader sees the size first: `12d4h`, `41m`, `3.61s`, `250µs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.saturating_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = match nanos {
            0 => "0s".to_owned(),
            n if n >= DAY => pair(n, (DAY, "d"), (HOUR, "h")),
            n if n >= HOUR => pair(n, (HOUR, "h"), (MINUTE, "m")),
            n if n >= MINUTE => pair(n, (MINUTE, "m"), (SECOND, "s")),
            n if n >= SECOND => decimal(n, SECOND, "s"),
            n if n >= MILLISECOND => decimal(n, MILLISECOND, "ms"),
            n if n >= MICROSECOND => decimal(n, MICROSECOND, "µs"),
            n => format!("{n}ns"),
        };
        f.pad(&format!("{sign}{text}"))
    }
}

fn pair(nanos: i64, large: (i64, &str), small: (i64, &str)) -> String {
    let rest = nanos % large.0 / small.0;
    let head = format!("{}{}", nanos / large.0, large.1);
    if rest == 0 { head } else { format!("{head}{rest}{}", small.1) }
}

/// Two decimals below ten of a unit, one below a hundred, cut rather than rounded: 3.609 must never read 3.61 beside a
/// limit of 3.61.
fn decimal(nanos: i64, unit: i64, suffix: &str) -> String {
    let (whole, fraction) = (nanos / unit, nanos % unit);
    let text = match whole {
        0..10 => format!("{whole}.{:02}", fraction / (unit / 100)),
        10..100 => format!("{whole}.{}", fraction / (unit / 10)),
        _ => return format!("{whole}{suffix}"),
    };
    format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (seconds, nanos) = ((self.0 / SECOND).abs(), (self.0 % SECOND).abs());
        let text = if nanos == 0 {
            format!("{sign}{seconds}s")
        } else {
            format!("{sign}{seconds}.{}s", format!("{nanos:09}").trim_end_matches('0'))
        };
        serializer.serialize_str(&text)
    }
}

impl FromStr for Span {
    type Err = String;

    /// Reads `1h30m`, `90s`, `1.5h`, `250ms`, `12d`.
    ///
    /// # Errors
    /// When there is no number, no unit (only `0` may go without), an unknown unit, or more than 292 years.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "0" {
            return Ok(Span::ZERO);
        }
        if text.is_empty() {
            return Err("a duration such as 90s or 1h30m is needed".to_owned());
        }
        let mut total = 0i128;
        let mut rest = text;
        while !rest.is_empty() {
            let (nanos, tail) = read_part(rest)?;
            total += nanos;
            rest = tail;
        }
        i64::try_from(total).map(Span).map_err(|_| format!("{text} is longer than 292 years"))
    }
}

/// One number with its unit, in nanoseconds, and what follows it.
fn read_part(text: &str) -> Result<(i128, &str), String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, tail) = text.split_at(digits);
    let letters = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
    let (unit, tail) = tail.split_at(letters);
    let unit = match unit {
        "d" => DAY,
        "h" => HOUR,
        "m" => MINUTE,
        "s" => SECOND,
        "ms" => MILLISECOND,
        "us" | "µs" => MICROSECOND,
        "ns" => 1,
        "" => return Err(format!("{number} needs a unit: {number}s, {number}m, {number}h or {number}d")),
        other => return Err(format!("{other} is not a unit of time: d, h, m, s, ms, us and ns are")),
    };
    Ok((scale(number, unit).ok_or_else(|| format!("{text} is not a duration such as 90s or 1h30m"))?, tail))
}

/// `number` in decimal notation times `unit`, exact to the nanosecond.
fn scale(number: &str, unit: i64) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 18 || whole.len() > 18 {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let parts: i128 = fraction.parse().ok()?;
    let power = 10i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole * i128::from(unit) + parts * i128::from(unit) / power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_as_it_is_written() {
        for (text, nanos) in [
            ("0", 0),
            ("90s", 90 * SECOND),
            ("1h30m", 90 * MINUTE),
            ("1.5h", 90 * MINUTE),
            ("250ms", 250 * MILLISECOND),
            ("12d", 12 * DAY),
            ("3.61s", 3_610 * MILLISECOND),
        ] {
            assert_eq!(text.parse(), Ok(Span(nanos)), "{text}");
        }
    }

    #[test]
    fn a_wrong_span_says_what_is_wrong() {
        for (text, part) in [
            ("", "is needed"),
            ("10", "needs a unit"),
            ("10 s", "needs a unit"),
            ("5parsecs", "not a unit"),
            ("s", "not a duration"),
            ("1.2.3s", "not a duration"),
            ("-1s", "needs a unit"),
            ("99999999999d", "292 years"),
            ("1.s", "not a duration"),
        ] {
            let error = text.parse::<Span>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_span_displays_its_size_first() {
        for (nanos, text) in [
            (0, "0s"),
            (12 * DAY + 4 * HOUR + 59 * MINUTE, "12d4h"),
            (90 * MINUTE, "1h30m"),
            (41 * MINUTE, "41m"),
            (41 * MINUTE + 5 * SECOND, "41m5s"),
            (3_610 * MILLISECOND, "3.61s"),
            (3_609_999_999, "3.6s"),
            (10 * SECOND, "10s"),
            (12_500_000, "12.5ms"),
            (250_000, "250µs"),
            (-1_500 * MILLISECOND, "-1.5s"),
            (7, "7ns"),
        ] {
            assert_eq!(Span(nanos).to_string(), text);
        }
    }

    #[test]
    fn a_span_serialises_exactly() {
        for (nanos, text) in
            [(0, "0s"), (5_400 * SECOND, "5400s"), (3_609_000_001, "3.609000001s"), (-500_000_000, "-0.5s")]
        {
            assert_eq!(serde_json::to_value(Span(nanos)).unwrap(), text);
        }
    }
}
