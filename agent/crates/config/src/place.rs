//! Findings that only a machine can make, such as about a file that is named: the text says where they belong.

use toml::de::{DeTable, DeValue};

use crate::document::Source;
use crate::finding::{Finding, Severity};
use crate::report::Report;

/// What is wrong with what `key` of `[section]` names, at its place; `None` when that is not in the text, or it is no TOML.
pub fn finding_at(
    source: &Source<'_>,
    section: &str,
    key: &str,
    (severity, message, remedy): (Severity, String, String),
) -> Option<Finding> {
    let (table, _) = DeTable::parse_recoverable(source.text);
    let DeValue::Table(section) = table.get_ref().get(section)?.get_ref() else { return None };
    let span = section.get(key)?.span();
    let mut report = Report::new(source.path.display().to_string(), source.text);
    match severity {
        Severity::Error => report.error(&span, message, remedy),
        Severity::Warning => report.warning(&span, message, remedy),
    }
    report.finish().pop()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_finding_stands_where_the_text_names_what_it_is_about() {
        let text = "[node]\nname = 'a'\n[api]\nlisten = ['192.0.2.1:7443']\n  key = '/etc/pki/a.key'\n";
        let of = |text: &str, section, key| {
            let source = Source { path: Path::new("a.toml"), text };
            let said = (Severity::Error, "the key is gone".to_owned(), "make one".to_owned());
            finding_at(&source, section, key, said).map(|finding| finding.to_string())
        };
        assert_eq!(
            of(text, "api", "key").unwrap(),
            "a.toml:5:9: error: the key is gone; make one\n  5 |   key = '/etc/pki/a.key'\n    |         ^^^^^^^^^^^^^^^^"
        );
        assert_eq!(of(text, "api", "certificate"), None);
        assert_eq!(of(text, "peer", "key"), None);
        assert_eq!(of("vrrp_instance web {\n}\n", "api", "key"), None);
    }
}
