//! Octets that may have wildcards, as they stand in configurations: `48 54 54 50`, `4x`, `XX`.

use std::str::FromStr;

use crate::spec::Invalid;

/// Octets of which some bits do not matter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern(Vec<Masked>);

/// One octet: its value where the bits of the mask are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Masked {
    value: u8,
    mask: u8,
}

impl Pattern {
    /// `octets` begin as the pattern says.
    pub(crate) fn begins(&self, octets: &[u8]) -> bool {
        let is_equal = |(wanted, octet): (&Masked, &u8)| octet & wanted.mask == wanted.value;
        octets.len() >= self.0.len() && self.0.iter().zip(octets).all(is_equal)
    }
}

impl From<Vec<Option<u8>>> for Pattern {
    /// `None` stands for any octet.
    fn from(octets: Vec<Option<u8>>) -> Self {
        let masked = |octet: Option<u8>| {
            octet.map_or(Masked { value: 0, mask: 0 }, |value| Masked { value, mask: 0xff })
        };
        Self(octets.into_iter().map(masked).collect())
    }
}

impl FromStr for Pattern {
    type Err = Invalid;

    /// Hexadecimal digits, two for each octet, with spaces where one likes; `X` stands for any digit, as in keepalived's
    /// `require_reply`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let complain = |why: &str| Invalid::new("reply", format!("`{}` {why}", text.escape_debug()));
        let digits: Vec<char> = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        if !digits.len().is_multiple_of(2) {
            return Err(complain("has an odd number of digits; an octet has two"));
        }
        let octet = |pair: &[char]| Some(Masked::of(pair[0])?.followed_by(Masked::of(pair[1])?));
        let octets: Option<Vec<Masked>> = digits.chunks_exact(2).map(octet).collect();
        octets.map(Self).ok_or_else(|| complain("is not hexadecimal; use 0-9, a-f and X for any digit"))
    }
}

impl Masked {
    /// One digit.
    fn of(digit: char) -> Option<Self> {
        if digit.eq_ignore_ascii_case(&'x') {
            return Some(Self { value: 0, mask: 0 });
        }
        let value = u8::try_from(digit.to_digit(16)?).ok()?;
        Some(Self { value, mask: 0xf })
    }

    fn followed_by(self, low: Self) -> Self {
        Self { value: self.value << 4 | low.value, mask: self.mask << 4 | low.mask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_any_digit() {
        let cases: [(&str, &[u8], bool); 7] = [
            ("", b"", true),
            ("48 54", b"HTTP", true),
            ("4X", b"Ox", true),
            ("x8", b"Hx", true),
            ("x8", b"Ix", false),
            ("XXXX", b"H", false),
            ("4854 XX 50", b"HT P", true),
        ];
        for (text, octets, is_match) in cases {
            assert_eq!(text.parse::<Pattern>().expect(text).begins(octets), is_match, "{text}");
        }
        let pattern = Pattern::from(vec![Some(b'a'), None]);
        assert!(pattern.begins(b"ax") && !pattern.begins(b"bx") && !pattern.begins(b"a"));
    }

    #[test]
    fn what_is_not_hexadecimal_is_refused() {
        for text in ["4", "4g", "0x4", "\u{e9}\u{e9}"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
