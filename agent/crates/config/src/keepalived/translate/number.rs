//! Numbers and times of keepalived's. What is out of range is left at its default, as keepalived does, and said.

use std::time::Duration;

use super::super::tree::{Statement, Word};
use super::Translator;
use crate::duration::human;
use crate::value::shown;

impl Translator<'_, '_, '_> {
    /// A whole number within a range.
    pub(super) fn number(&mut self, statement: &Statement, least: i64, most: i64) -> Option<i64> {
        let word = self.value_of(statement)?;
        self.number_of(statement.word(), &word, least, most)
    }

    pub(super) fn number_of(&mut self, what: &str, word: &Word, least: i64, most: i64) -> Option<i64> {
        let number = word.text.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let message = format!(
                "{what} {} is not between {least} and {most}, and counts as not said",
                shown(&word.text)
            );
            self.warn(word.place, &message, &format!("write a number from {least} to {most}"));
        }
        number
    }

    /// Seconds with a fraction of at most six digits.
    pub(super) fn seconds(
        &mut self,
        statement: &Statement,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let word = self.value_of(statement)?;
        let time = parse_seconds(&word.text).filter(|time| (least..=most).contains(time));
        if time.is_none() {
            let (least, most) = (human(least), human(most));
            let message = format!(
                "{} {} is no time from {least} to {most}, and counts as not said",
                statement.word(),
                shown(&word.text)
            );
            self.warn(word.place, &message, "write seconds, such as 1 or 0.5");
        }
        time
    }

    /// The value of a keyword that does not stand without one.
    pub(super) fn value_of(&mut self, statement: &Statement) -> Option<Word> {
        if statement.value().is_none() {
            self.without_value(statement);
        }
        statement.value().cloned()
    }

    /// keepalived ends itself at a keyword without its value.
    pub(super) fn without_value(&mut self, statement: &Statement) {
        let message = format!("{} says nothing: its value is missing", statement.word());
        self.refuse(
            statement.place(),
            &message,
            "write the value behind it, or remove the line; keepalived does not run with it",
        );
    }
}

fn parse_seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|octet| octet.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let micros: String = fraction.chars().chain(std::iter::repeat('0')).take(6).collect();
    Some(Duration::new(seconds, micros.parse::<u32>().ok()? * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_to_the_microsecond() {
        let table = [
            ("1", Some(Duration::from_secs(1))),
            ("0.5", Some(Duration::from_millis(500))),
            (".25", Some(Duration::from_millis(250))),
            ("0.0000019", Some(Duration::from_micros(1))),
            ("", None),
            ("-1", None),
            ("1s", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_seconds(text), expected, "{text}");
        }
    }
}
