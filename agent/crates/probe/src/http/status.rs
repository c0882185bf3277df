//! A set of HTTP statuses, as `200-299,301`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::spec::Invalid;

/// Statuses that pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusSet(Vec<RangeInclusive<u16>>);

impl StatusSet {
    /// # Errors
    /// No range at all, one that ends before it begins, or one outside 100..=599.
    pub fn new(ranges: Vec<RangeInclusive<u16>>) -> Result<Self, Invalid> {
        if ranges.is_empty() {
            return Err(Invalid::new("status", "no status would pass; name some, such as `200-299,301`"));
        }
        let is_bad =
            |range: &&RangeInclusive<u16>| range.is_empty() || *range.start() < 100 || *range.end() > 599;
        match ranges.iter().find(is_bad) {
            Some(range) => {
                let text =
                    format!("{}-{} is not a range of statuses within 100-599", range.start(), range.end());
                Err(Invalid::new("status", text))
            }
            None => Ok(Self(ranges)),
        }
    }

    pub(crate) fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for StatusSet {
    /// Success: 200-299.
    fn default() -> Self {
        Self(vec![200..=299])
    }
}

impl FromStr for StatusSet {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        let complain =
            || Invalid::new("status", format!("`{}` is not like `200-299,301`", text.escape_debug()));
        Self::new(ranges.ok_or_else(complain)?)
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_and_told_in_the_same_words() {
        let set: StatusSet = "200-299, 301".parse().expect("a set");
        assert_eq!(set.to_string(), "200-299,301");
        for (status, is_in) in
            [(199, false), (200, true), (299, true), (300, false), (301, true), (302, false)]
        {
            assert_eq!(set.contains(status), is_in, "{status}");
        }
        for text in ["", "2xx", "299-200", "99", "200-600", "200,"] {
            assert!(text.parse::<StatusSet>().is_err(), "{text}");
        }
    }
}
