//! Regular expressions over octets: linear in time whatever the target sends, bounded in memory whatever the operator
//! writes.

use regex::bytes::{Regex, RegexBuilder};

use crate::spec::Invalid;

/// Octets that a compiled expression may need.
const LARGEST_EXPRESSION: usize = 1 << 20;
/// Octets that a search may keep to be faster.
const LARGEST_CACHE: usize = 1 << 18;

/// Compiles the expression of the parameter `parameter`.
pub(crate) fn compile(parameter: &'static str, text: &str) -> Result<Regex, Invalid> {
    let mut builder = RegexBuilder::new(text);
    let builder = builder.size_limit(LARGEST_EXPRESSION).dfa_size_limit(LARGEST_CACHE);
    builder.build().map_err(|error| {
        let error = error.to_string();
        // The crate draws the expression over several lines; the last one says what is wrong.
        let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Invalid::new(parameter, format!("`{}` is not a regular expression: {reason}", text.escape_debug()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_expression_is_refused_with_its_cause() {
        let cases = [
            ("(", "pattern: `(` is not a regular expression: unclosed group"),
            (
                "a{1000}{1000}{1000}",
                "pattern: `a{1000}{1000}{1000}` is not a regular expression: Compiled regex exceeds size limit of 1048576 bytes.",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(compile("pattern", text).expect_err(text).to_string(), message);
        }
    }
}
