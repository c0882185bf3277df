//! `kind = "http"`: where the page is, and what it must be.

use toml::de::DeValue;

use super::aim::{self, Url, reject_beside_url};
use super::server::{read_tls, unaimed};
use super::{Aim, Body, Kind};
use crate::files::Files;
use crate::model::{CheckKind, HttpCheck, HttpVersion, Secret, TlsOptions};
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Spot};
use crate::value::{Value, shown};

/// The longest path, header value and method that are sent.
const LONGEST_TEXT: usize = 4096;
/// The most headers besides our own.
const MOST_HEADERS: usize = 32;
/// The most octets of a body that are read.
const LARGEST_BODY: u32 = 1 << 20;

pub(super) fn read(section: &Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Option<Body> {
    let url = section.read(report, "url", aim::url);
    let tls = read_tls_with_url(section, url.spot(), files, report);
    let aim = Aim::read(Kind::Http, section, &url, tls.is_some(), report);
    let mut path = section.read(report, "path", path).value_or("/".to_owned());
    if let Some(url) = url.spot() {
        reject_beside_url(section, &["path"], report);
        path.clone_from(&url.value.path);
    }
    let versions = [("1.1", HttpVersion::Http1), ("2", HttpVersion::Http2)];
    let status = section.read(report, "status", |v, r| reader::one_or_many(v, r, status_range));
    let check = HttpCheck {
        target: unaimed(),
        tls,
        version: section.read(report, "http_version", |v, r| v.word(r, &versions)).value_or_default(),
        method: section.read(report, "method", method).value_or("GET".to_owned()),
        path,
        headers: section.read(report, "headers", |v, r| headers(v, files, r)).value_or_default(),
        status: status
            .value()
            .map_or(vec![(200, 299)], |ranges| ranges.iter().map(|(range, _)| *range).collect()),
        body_matches: section.read(report, "body_matches", reader::pattern).value().cloned(),
        body_lacks: section.read(report, "body_lacks", reader::pattern).value().cloned(),
        body_sha256: section.read(report, "body_sha256", digest).value().copied(),
        body_md5: section.read(report, "body_md5", digest).value().copied(),
        body_limit: section
            .read(report, "body_limit", |v, r| v.integer(r, 1..=LARGEST_BODY))
            .value_or(65_536),
    };
    check_body(&check, section, report);
    Some(Body::Server(CheckKind::Http(check), Box::new(aim)))
}

/// The scheme of the URL says whether there is TLS; `tls` says how.
fn read_tls_with_url(
    section: &Section<'_>,
    url: Option<&Spot<Url>>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<TlsOptions> {
    let tls = read_tls("tls", section, files, report);
    let (Some(url), Some(value)) = (url, section.get("tls")) else {
        return tls.or(url.filter(|url| url.value.is_https).map(|_| TlsOptions::default()));
    };
    let wanted = value.get_ref().as_bool() != Some(false);
    if wanted != url.value.is_https {
        let (scheme, other) = if wanted { ("http", "https") } else { ("https", "http") };
        let message = format!("tls contradicts the {scheme}:// of url");
        report.error(&value.span(), message, format!("remove tls, or write {other}:// in url"));
    }
    tls
}

fn path(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    let is_unwritten = |c: char| !c.is_ascii_graphic() || c == '#';
    let problem = if !text.starts_with('/') {
        "does not begin with '/'"
    } else if text.contains(is_unwritten) {
        "has a blank, a '#' or a letter that a URL cannot have"
    } else if text.len() > LONGEST_TEXT {
        "is too long"
    } else {
        return Some(text.to_owned());
    };
    report.error(&value.span, format!("path {} {problem}", shown(text)), "write a path such as \"/health\"");
    None
}

/// A token (RFC 9110 §5.6.2) in capitals.
fn method(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    if text.len() > 32 || !text.bytes().all(|octet| octet.is_ascii_uppercase() || octet == b'-') {
        let message = format!("method {} is no method", shown(text));
        report.error(&value.span, message, "write it in capitals: \"GET\", \"HEAD\", \"OPTIONS\"");
        return None;
    }
    if text == "CONNECT" {
        report.error(&value.span, "method CONNECT asks for a tunnel and not for a page", "write \"GET\"");
        return None;
    }
    Some(text.to_owned())
}

/// `{ Name = "value", Other = { file = "path" } }`.
fn headers(
    value: &Value<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<(String, Secret)>> {
    let table = value.inner.as_table();
    let Some(table) = table else {
        value.wrong_type(report, "a table such as { Accept = \"text/plain\" }");
        return None;
    };
    let mut headers = Vec::new();
    for (name, content) in table {
        let content = Value { key: "headers", span: content.span(), inner: content.get_ref() };
        let name_is_good = check_header_name(name.get_ref(), &name.span(), report);
        if let (true, Some(secret)) = (name_is_good, header(name.get_ref(), &content, files, report)) {
            headers.push((name.get_ref().to_string(), secret));
        }
    }
    if headers.len() > MOST_HEADERS {
        let message = format!("headers has {} entries", headers.len());
        report.error(&value.span, message, format!("{MOST_HEADERS} are the most"));
    }
    Some(headers)
}

fn check_header_name(name: &str, span: &std::ops::Range<usize>, report: &mut Report<'_>) -> bool {
    // RFC 9110 §5.6.2: what a token may have besides letters and digits.
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    if name.is_empty() || name.len() > 256 || !name.bytes().all(is_token) {
        report.error(span, format!("{} is no name of a header", shown(name)), "write a name such as Accept");
        return false;
    }
    let ours = ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade"];
    if ours.contains(&name.to_ascii_lowercase().as_str()) {
        let message = format!("header {} is set by the agent", shown(name));
        let remedy =
            if name.eq_ignore_ascii_case("host") { "write host = \"…\" in the check" } else { "remove it" };
        report.error(span, message, remedy);
        return false;
    }
    true
}

fn header(name: &str, value: &Value<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Option<Secret> {
    if let DeValue::Table(table) = value.inner {
        let section = Section::new(format!("header {}", shown(name)), value.span.clone(), table);
        section.reject_unknown(report, &["file"], |_| None);
        let remedy = "write { file = \"path\" }";
        return section.required(report, "file", remedy, |v, r| files.secret(v, r)).map(|spot| spot.value);
    }
    let text = value.string(report)?;
    if text.len() > LONGEST_TEXT || text.contains(|c: char| c.is_control()) {
        let message =
            format!("header {} has control characters, or more than {LONGEST_TEXT} octets", shown(name));
        report.error(&value.span, message, "shorten it, or remove them");
        return None;
    }
    let is_secret = ["authorization", "proxy-authorization", "cookie", "x-api-key"]
        .contains(&name.to_ascii_lowercase().as_str());
    if is_secret {
        let message =
            format!("header {} stands in the configuration, where backups and copies show it", shown(name));
        let remedy = "put it into a file of mode 0600 and write { file = \"path\" }";
        report.warning(&value.span, message, remedy);
    }
    Some(Secret::new(text))
}

/// `200`, or `"200-299"`.
fn status_range(value: &Value<'_>, report: &mut Report<'_>) -> Option<(u16, u16)> {
    if let DeValue::Integer(_) = value.inner {
        return value.integer(report, 100_u16..=599).map(|code| (code, code));
    }
    let Some(text) = value.inner.as_str() else {
        value.wrong_type(report, "codes and ranges such as [200, \"300-399\"]");
        return None;
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    let range = code(first).zip(code(last)).filter(|(first, last)| first <= last);
    if range.is_none() {
        let message = format!("status {} is no range of status codes", shown(text));
        report.error(&value.span, message, "write a code such as 200, or a range such as \"200-299\"");
    }
    range
}

fn digest<const N: usize>(value: &Value<'_>, report: &mut Report<'_>) -> Option<[u8; N]> {
    let octets = reader::hex(value, report, N, false)?;
    let digest = octets.into_iter().flatten().collect::<Vec<u8>>().try_into().ok();
    if digest.is_none() {
        let message = format!("{} has fewer than {} hexadecimal digits", value.key, 2 * N);
        let program = if N == 16 { "md5sum" } else { "sha256sum" };
        report.error(&value.span, message, format!("`curl -s URL | {program}` tells it"));
    }
    digest
}

/// A HEAD has no body to look at.
fn check_body(check: &HttpCheck, section: &Section<'_>, report: &mut Report<'_>) {
    for key in ["body_matches", "body_lacks", "body_sha256", "body_md5"] {
        if let Some(value) = section.get(key).filter(|_| check.method == "HEAD") {
            let message = format!("{key} looks at a body, which the answer to HEAD does not have");
            report.error(&value.span(), message, "remove it, or write method = \"GET\"");
        }
    }
}
