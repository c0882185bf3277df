//! Numbers and times of keepalived's. What is out of range is left at its default, as keepalived does, and said.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::tree::{Statement, Word};
use super::Translator;
use crate::duration::human;
use crate::value::shown;

/// The longest time that keepalived reads.
const LONGEST: Duration = Duration::from_secs(4294);

impl Translator<'_, '_, '_> {
    /// A whole number within a range.
    pub(super) fn number(&mut self, statement: &Statement, range: RangeInclusive<i64>) -> Option<i64> {
        let word = self.value_of(statement)?;
        self.number_of(statement.word(), &word, range)
    }

    pub(super) fn number_of(&mut self, what: &str, word: &Word, range: RangeInclusive<i64>) -> Option<i64> {
        let number = word.text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            let message = format!(
                "{what} {} is not between {least} and {most}, and counts as not said",
                shown(&word.text)
            );
            self.warn(word.place, &message, &format!("write a number from {least} to {most}"));
        }
        number
    }

    /// The same where keepalived also reads what begins with a number; what it has and we have not is cut.
    pub(super) fn loose_number(
        &mut self,
        statement: &Statement,
        theirs: RangeInclusive<i64>,
        ours: RangeInclusive<i64>,
    ) -> Option<i64> {
        let word = self.value_of(statement)?;
        let word = self.without_tail(statement.word(), word);
        let number = self.number_of(statement.word(), &word, theirs)?;
        Some(self.cut(statement.word(), &word, number, ours))
    }

    /// What can be had of a number.
    pub(super) fn cut(&mut self, what: &str, word: &Word, number: i64, ours: RangeInclusive<i64>) -> i64 {
        let cut = number.clamp(*ours.start(), *ours.end());
        if cut != number {
            self.is_cut(what, word, &cut.to_string());
        }
        cut
    }

    /// Seconds with a fraction of at most six digits.
    pub(super) fn seconds(
        &mut self,
        statement: &Statement,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let word = self.value_of(statement)?;
        self.seconds_of(statement, &word, range)
    }

    /// The same where keepalived also reads what begins with a number; what is longer than ours is cut.
    pub(super) fn loose_seconds(
        &mut self,
        statement: &Statement,
        ours: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let word = self.value_of(statement)?;
        let word = self.without_tail(statement.word(), word);
        let (least, most) = ours.into_inner();
        let time = self.seconds_of(statement, &word, least..=LONGEST)?;
        if time > most {
            self.is_cut(statement.word(), &word, &human(most));
        }
        Some(time.min(most))
    }

    fn seconds_of(
        &mut self,
        statement: &Statement,
        word: &Word,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let time = parse_seconds(&word.text).filter(|time| range.contains(time));
        if time.is_none() {
            let (least, most) = (human(*range.start()), human(*range.end()));
            let message = format!(
                "{} {} is no time from {least} to {most}, and counts as not said",
                statement.word(),
                shown(&word.text)
            );
            self.warn(word.place, &message, "write seconds, such as 1 or 0.5");
        }
        time
    }

    /// The number that a word begins with, if it begins with one.
    fn without_tail(&mut self, what: &str, word: Word) -> Word {
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
        let number = word.text.trim_end_matches(|c| !is_number(c));
        if number.len() == word.text.len() || parse_seconds(number.trim_start_matches(['-', '+'])).is_none() {
            return word;
        }
        let message = format!("{what} {} counts as {number}, as in keepalived", shown(&word.text));
        self.warn(word.place, &message, "write the number alone");
        Word { text: number.to_owned(), ..word }
    }

    fn is_cut(&mut self, what: &str, word: &Word, cut: &str) {
        let message = format!("{what} {} cannot be had here, and is cut to {cut}", shown(&word.text));
        self.warn(word.place, &message, &format!("write {cut}"));
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
