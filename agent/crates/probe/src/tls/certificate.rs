//! The dates of a certificate (RFC 5280 §4.1.2.5), which rustls checks but does not tell.

use std::time::Duration;

use rustls::pki_types::UnixTime;

const DAY: u64 = 86_400;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT Version`.
const VERSION: u8 = 0xa0;

/// When a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Validity {
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
}

impl Validity {
    /// For how long it still is.
    pub(crate) fn left(self, now: UnixTime) -> Duration {
        Duration::from_secs(self.not_after.saturating_sub(now.as_secs()))
    }
}

/// Reads the dates of a DER certificate; `None` when it is not one.
pub(crate) fn validity(certificate: &[u8]) -> Option<Validity> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        (_, fields) = element(fields, VERSION)?;
    }
    // Serial number, signature algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, fields) = element(fields, tag)?;
    }
    let (dates, _) = element(fields, SEQUENCE)?;
    let (not_before, rest) = time(dates)?;
    let (not_after, _) = time(rest)?;
    Some(Validity { not_before, not_after })
}

/// The content of the element at the beginning of `der`, which must have this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        // A certificate of 4 GiB or more is none.
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| *found == tag)
}

/// `YYMMDDHHMMSSZ` for the years 1950 to 2049 or `YYYYMMDDHHMMSSZ`; dates before 1970 count as 1970.
fn time(der: &[u8]) -> Option<(u64, &[u8])> {
    let tag = *der.first().filter(|tag| [UTC_TIME, GENERALIZED_TIME].contains(tag))?;
    let (text, rest) = element(der, tag)?;
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let (year, digits) = digits.split_at_checked(digits.len().checked_sub(10)?)?;
    let year = match (tag, year.len()) {
        (UTC_TIME, 2) => number(year) + if number(year) < 50 { 2000 } else { 1900 },
        (GENERALIZED_TIME, 4) => number(year),
        _ => return None,
    };
    let mut parts = digits.chunks_exact(2).map(number);
    let (month, day) = (parts.next()?, parts.next()?);
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let is_sound =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    is_sound.then(|| (days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second, rest))
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// Days from the beginning of 1970 in the Gregorian calendar; 0 before.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March, so that the day that may be missing is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days.saturating_sub(719_468)
}

/// `YYYY-MM-DD` in UTC.
pub(super) fn date(seconds: u64) -> String {
    let mut year = 1970 + seconds / DAY / 366;
    while days_since_1970(year + 1, 1, 1) <= seconds / DAY {
        year += 1;
    }
    let days = seconds / DAY;
    let month = (1..=12).rev().find(|month| days_since_1970(year, *month, 1) <= days).unwrap_or(1);
    let day = days - days_since_1970(year, month, 1) + 1;
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_with_the_calendar() {
        let cases = [
            (1970, 1, 1, 0),
            (1970, 3, 1, 59),
            (2000, 2, 29, 11_016),
            (2000, 3, 1, 11_017),
            (2026, 11, 26, 20_783),
            (2038, 1, 19, 24_855),
            (2100, 3, 1, 47_541),
            (9999, 12, 31, 2_932_896),
        ];
        for (year, month, day, days) in cases {
            assert_eq!(days_since_1970(year, month, day), days, "{year}-{month}-{day}");
            assert_eq!(date(days * DAY + DAY - 1), format!("{year:04}-{month:02}-{day:02}"));
        }
        assert_eq!(days_since_1970(1950, 1, 1), 0);
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let utc = |text: &str| [&[UTC_TIME, 13], text.as_bytes()].concat();
        let generalized = |text: &str| [&[GENERALIZED_TIME, 15], text.as_bytes()].concat();
        let cases = [
            (utc("700101000001Z"), Some(1)),
            (utc("260101000000Z"), Some(1_767_225_600)),
            (utc("491231235959Z"), Some(2_524_607_999)),
            (utc("500101000000Z"), Some(0)),
            (generalized("20500101000000Z"), Some(2_524_608_000)),
            (generalized("99991231235959Z"), Some(253_402_300_799)),
            (utc("261301000000Z"), None),
            (utc("26010100000aZ"), None),
            (utc("2601010000000"), None),
            (vec![UTC_TIME, 1, b'Z'], None),
            (vec![UTC_TIME], None),
            (vec![], None),
        ];
        for (der, seconds) in cases {
            assert_eq!(time(&der).map(|(seconds, _)| seconds), seconds, "{}", String::from_utf8_lossy(&der));
        }
    }

    #[test]
    fn lengths_that_lie_are_no_certificate() {
        for der in [
            &[0x30][..],
            &[0x30, 0x80],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x31, 0],
        ] {
            assert_eq!(validity(der), None, "{der:x?}");
        }
    }
}
