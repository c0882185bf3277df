//! Mistakes against the grammar of TOML: the parser's words, with a remedy, and without those that only follow from
//! another one.

use std::ops::Range;

use toml::de::Error;

use crate::report::Report;

/// Reports what the parser found, except what follows from a list or table that was not closed.
pub(crate) fn report_all(errors: &[Error], text: &str, report: &mut Report<'_>) {
    let unclosed = errors.iter().any(|error| error.message().starts_with("unclosed"));
    for error in errors {
        report_one(error, text, report);
        // All that follows was read as if it belonged to the list.
        if unclosed && is_within_a_list(error.message()) {
            return;
        }
    }
}

fn report_one(error: &Error, text: &str, report: &mut Report<'_>) {
    let span: Range<usize> = error.span().unwrap_or(text.len()..text.len());
    let (what, remedy) = match error.message() {
        quoted if quoted.starts_with("string values must be quoted") && span.is_empty() => {
            ("a value is missing", "write one after the '=', or remove the line")
        }
        quoted if quoted.starts_with("string values must be quoted") => {
            ("a text without quotes", "put it in double quotes")
        }
        other => (other, remedy(other)),
    };
    report.syntax(&span, format!("not TOML: {what}"), remedy.to_owned());
}

fn is_within_a_list(message: &str) -> bool {
    message.starts_with("unclosed") || message.starts_with("missing comma")
}

fn remedy(message: &str) -> &'static str {
    const REMEDIES: &[(&str, &str)] = &[
        ("duplicate key", "keep one of the two"),
        ("key with no value", "write key = value"),
        (
            "invalid basic string",
            "close the text with a double quote on the same line; write two backslashes for one",
        ),
        ("invalid literal string", "close the text with a quote on the same line"),
        ("missing comma", "is a ',' missing here, or a ']' above?"),
        ("unclosed", "close it with ']' or '}'"),
        ("unexpected key or value", "begin a new line here, or comment it out with '#'"),
    ];
    let found = REMEDIES.iter().find_map(|(begin, remedy)| message.starts_with(begin).then_some(*remedy));
    found.unwrap_or("correct the line, or comment it out with '#'")
}
