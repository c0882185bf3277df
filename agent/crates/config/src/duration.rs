//! Durations as text: `"1s"`, `"100ms"`, `"1.5s"`, `"1m30s"`. Exact: a fraction of a nanosecond is refused, not rounded.

use std::time::Duration;

/// Why a text is no duration.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    pub(crate) what: &'static str,
    pub(crate) remedy: String,
}

const UNITS: &[(&str, u64)] = &[
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// One or more numbers with units, the larger unit first.
pub(crate) fn parse(text: &str) -> Result<Duration, Problem> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut previous = u64::MAX;
    if rest.is_empty() {
        return Err(example("it is empty"));
    }
    while !rest.is_empty() {
        let number_length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_length);
        let unit_length = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_length);
        let nanos_per_unit = unit_of(unit, number, text)?;
        if nanos_per_unit >= previous {
            return Err(example("its units do not go from large to small"));
        }
        let nanos = nanos_of(number, nanos_per_unit)?;
        total = total.checked_add(nanos).ok_or_else(|| example("it is too long"))?;
        previous = nanos_per_unit;
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

fn unit_of(unit: &str, number: &str, text: &str) -> Result<u64, Problem> {
    if number.is_empty() {
        return Err(example(if text.starts_with('-') { "it is negative" } else { "a number is missing" }));
    }
    if let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) {
        return Ok(*nanos);
    }
    if unit.is_empty() {
        return Err(Problem {
            what: "it has no unit",
            remedy: format!("write \"{number}s\" or \"{number}ms\""),
        });
    }
    let meant = match unit.to_lowercase().as_str() {
        "msec" | "msecs" | "millisecond" | "milliseconds" => "ms",
        "sec" | "secs" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hour" | "hours" | "hr" => "h",
        "day" | "days" => "d",
        "µs" | "usec" | "microseconds" => "us",
        lower => UNITS.iter().find(|(name, _)| *name == lower).map_or("", |(name, _)| name),
    };
    let remedy = match meant {
        "" => "the units are us, ms, s, m, h and d".to_owned(),
        meant => format!("write \"{number}{meant}\""),
    };
    Err(Problem { what: "its unit is unknown", remedy })
}

/// `number` × unit, in whole nanoseconds.
fn nanos_of(number: &str, nanos_per_unit: u64) -> Result<u64, Problem> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || number.ends_with('.') || fraction.contains('.') {
        return Err(example("its number is malformed"));
    }
    let too_long = || example("it is too long");
    let too_fine = || example("it is finer than a nanosecond");
    let mut nanos =
        whole.parse::<u64>().ok().and_then(|w| w.checked_mul(nanos_per_unit)).ok_or_else(too_long)?;
    let mut digit_nanos = nanos_per_unit;
    for digit in fraction.trim_end_matches('0').bytes() {
        if !digit_nanos.is_multiple_of(10) {
            return Err(too_fine());
        }
        digit_nanos /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0') * digit_nanos).ok_or_else(too_long)?;
    }
    Ok(nanos)
}

fn example(what: &'static str) -> Problem {
    Problem { what, remedy: "write a number and a unit such as \"1s\", \"100ms\" or \"1m30s\"".to_owned() }
}

/// The shortest way to write a duration that [`parse`] reads back, as far as milliseconds go; finer ones in µs.
pub(crate) fn human(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, per_unit) = match nanos {
        0 => ("s", 1_000_000_000),
        n if n % 3_600_000_000_000 == 0 => ("h", 3_600_000_000_000),
        n if n % 60_000_000_000 == 0 => ("m", 60_000_000_000),
        n if n >= 1_000_000_000 => ("s", 1_000_000_000),
        n if n >= 1_000_000 => ("ms", 1_000_000),
        _ => ("us", 1_000),
    };
    let fraction = format!("{:09}", (nanos % per_unit) * 1_000_000_000 / per_unit);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}{unit}", nanos / per_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_to_the_nanosecond() {
        let table = [
            ("1s", 1_000_000_000),
            ("100ms", 100_000_000),
            ("10ms", 10_000_000),
            ("1.5s", 1_500_000_000),
            ("0s", 0),
            ("0.000000001s", 1),
            ("1m30s", 90_000_000_000),
            ("1h", 3_600_000_000_000),
            ("14d", 1_209_600_000_000_000),
            ("1.50s", 1_500_000_000),
            ("250us", 250_000),
        ];
        for (text, nanos) in table {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_a_reason() {
        let table = [
            ("", "it is empty"),
            ("1", "it has no unit"),
            ("s", "a number is missing"),
            ("-1s", "it is negative"),
            ("1 s", "it has no unit"),
            ("1sec", "its unit is unknown"),
            ("1S", "its unit is unknown"),
            ("1.s", "its number is malformed"),
            (".5s", "its number is malformed"),
            ("1.2.3s", "its number is malformed"),
            ("1s1m", "its units do not go from large to small"),
            ("1s1s", "its units do not go from large to small"),
            ("0.0000000001s", "it is finer than a nanosecond"),
            ("99999999999999999999s", "it is too long"),
            ("6000000h", "it is too long"),
            ("1s\u{e9}", "its unit is unknown"),
            ("1\u{e9}", "its unit is unknown"),
            ("1s!", "a number is missing"),
        ];
        for (text, what) in table {
            assert_eq!(parse(text).map_err(|problem| problem.what), Err(what), "{text}");
        }
        assert_eq!(parse("3sec").unwrap_err().remedy, "write \"3s\"");
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for nanos in [0, 10_000_000, 40_950_000_000, 1_500_000_000, 90_000_000_000, 3_007_812_500, 250_000] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse(&human(duration)), Ok(duration));
        }
        assert_eq!(human(Duration::from_millis(40_950)), "40.95s");
    }
}
