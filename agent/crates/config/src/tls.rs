//! The `tls` table of a check, a webhook or the mail server, and its short form `tls = true`.

use std::time::Duration;

use toml::de::DeValue;

use crate::files::Files;
use crate::keys;
use crate::model::{Host, TlsOptions};
use crate::reader;
use crate::report::Report;
use crate::section::Section;
use crate::value::Value;

/// The longest time before its end at which a certificate may be refused.
const LONGEST_NOTICE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// `true`, `false` or the table of options; `Some(None)` for `false`.
pub(crate) fn tls(
    value: &Value<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<Option<TlsOptions>> {
    if let DeValue::Boolean(wanted) = value.inner {
        return Some(wanted.then(TlsOptions::default));
    }
    let section = value.table(report, "{ verify = true }, or true")?;
    Some(Some(read_options(&section, files, report)))
}

/// The table of options, where TLS itself is not in question.
pub(crate) fn options(
    value: &Value<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<TlsOptions> {
    let section = value.table(report, "{ ca_file = \"ca.pem\" }")?;
    Some(read_options(&section, files, report))
}

fn read_options(section: &Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> TlsOptions {
    section.reject_unknown(report, keys::TLS, |key| match key {
        "insecure" | "skip_verify" | "insecure_skip_verify" => Some("write verify = false".to_owned()),
        "sni" | "sni_name" | "enable_sni" => Some("write server_name".to_owned()),
        "ca" => Some("write ca_file".to_owned()),
        "certificate" | "cert" | "cert_file" => Some("write certificate_file".to_owned()),
        "key" => Some("write key_file".to_owned()),
        _ => None,
    });
    let path = |value: &Value<'_>, report: &mut Report<'_>| value.text(report).map(|name| files.path(name));
    let ca_file = section.read(report, "ca_file", path);
    let certificate_file = section.read(report, "certificate_file", path);
    let key_file = section.read(report, "key_file", |v, r| files.line(v, r).map(|(_, path)| path));
    if certificate_file.is_absent() != key_file.is_absent() {
        let remedy = "write both, or neither";
        report.error(&section.span, "of certificate_file and key_file only one is there", remedy);
    }
    let verify = section.read(report, "verify", Value::boolean);
    if let (Some(false), Some(ca_file)) = (verify.value(), ca_file.spot()) {
        let message = "ca_file has no effect with verify = false";
        report.warning(&ca_file.span, message, "remove one of the two");
    }
    TlsOptions {
        verify: verify.value_or(true),
        server_name: section.read(report, "server_name", server_name).value().cloned(),
        ca_file: ca_file.value().cloned(),
        certificate_file: certificate_file.value().cloned(),
        key_file: key_file.value().cloned(),
        expires_within: section
            .read(report, "expires_within", |v, r| v.duration(r, Duration::ZERO..=LONGEST_NOTICE))
            .value_or_default(),
    }
}

fn server_name(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    reader::host(value, report).map(|host: Host| host.to_string())
}
