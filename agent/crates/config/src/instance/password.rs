//! The VRRPv2 password: from the file itself or from a file of its own. Its value appears in no finding.

use ha_engine::Password;

use crate::files::Files;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::value::{Value, shown};

/// RFC 2338 §5.3.10: the authentication data has eight octets.
const LONGEST: usize = 8;

/// `password` or `password_file`.
pub(super) fn read(section: &Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Slot<Password> {
    let inline = section.read(report, "password", inline);
    let from_file = section.read(report, "password_file", |value, report| from_file(value, files, report));
    if inline.is_absent() {
        return from_file;
    }
    if let Some(file) = section.get("password_file") {
        let message = format!("{} has both password and password_file", section.title);
        report.error(&file.span(), message, "remove password");
    }
    inline
}

fn inline(value: &Value<'_>, report: &mut Report<'_>) -> Option<Password> {
    let text = value.string(report)?;
    if let Some(problem) = problem(text) {
        report.error(&value.span, format!("password {problem}"), "write 1 to 8 printable ASCII characters");
        return None;
    }
    let message = "the password stands in the configuration, where backups and copies show it";
    report.warning(&value.span, message, "put it into a file of mode 0600 and name that in password_file");
    Password::new(text)
}

fn from_file(value: &Value<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Option<Password> {
    let (text, path) = files.line(value, report)?;
    if let Some(problem) = problem(&text) {
        let message = format!("the password in {} {problem}", shown(&path.to_string_lossy()));
        report.error(&value.span, message, "write 1 to 8 printable ASCII characters on one line");
        return None;
    }
    Password::new(&text)
}

fn problem(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("is empty".to_owned());
    }
    if text.len() > LONGEST {
        return Some(format!("has {} octets, more than the {LONGEST} of an advert", text.len()));
    }
    let is_printable = |octet: u8| octet.is_ascii_graphic() || octet == b' ';
    (!text.bytes().all(is_printable)).then(|| "contains something else than printable ASCII".to_owned())
}
