//! `[mail]`: the server that takes our mail.

use crate::check::hello;
use crate::files::Files;
use crate::keys;
use crate::model::{Host, Mail, MailLogin, MailSecurity, TlsOptions};
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot, Spot};
use crate::tls;
use crate::value::Value;

/// Reads `[mail]`.
pub(crate) fn read(root: &Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Slot<Mail> {
    if root.get("mail").is_none() {
        return Slot::Absent;
    }
    let section = root.table(report, "mail", "[mail]");
    section.map_or(Slot::Broken, |section| match read_section(&section, files, report) {
        Some(value) => Slot::Given(Spot { value, span: section.span, inherited: false }),
        None => Slot::Broken,
    })
}

fn read_section(section: &Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Option<Mail> {
    section.reject_unknown(report, keys::MAIL, keys::foreign_notify_remedy);
    let words = [
        ("starttls", MailSecurity::Starttls),
        ("opportunistic", MailSecurity::Opportunistic),
        ("tls", MailSecurity::Tls),
        ("none", MailSecurity::None),
    ];
    let security = section.read(report, "security", |v, r| v.word(r, &words)).value_or_default();
    let tls = section.read(report, "tls", |v, r| tls::options(v, files, r));
    if let Some(tls) = tls.spot().filter(|_| security == MailSecurity::None) {
        report.error(&tls.span, "tls has no effect with security = \"none\"", "remove one of the two");
    }
    let port = section.read(report, "port", reader::port).value_or(usual_port(security));
    let hello = section.read(report, "hello", hello).value().cloned();
    let source = section.read(report, "source", reader::connect_address).value().copied();
    let login = read_login(section, security, files, report);
    let host = section.required(report, "host", "add host = \"mail.example.org\"", reader::host);
    let remedy = "add from = \"ha-agent@example.org\"";
    let from = section.required(report, "from", remedy, super::read::mail_address);
    let host: Host = host?.value;
    Some(Mail {
        host,
        port,
        security,
        tls: tls.value_or(TlsOptions::default()),
        login,
        from: from?.value,
        hello,
        source,
    })
}

/// RFC 6409 and RFC 8314: submission is on 587, or 465 with TLS from the first octet; 25 is between servers.
const fn usual_port(security: MailSecurity) -> u16 {
    match security {
        MailSecurity::Starttls => 587,
        MailSecurity::Tls => 465,
        MailSecurity::Opportunistic | MailSecurity::None => 25,
    }
}

/// `user` and `password_file`: both or neither, and never in clear.
fn read_login(
    section: &Section<'_>,
    security: MailSecurity,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<MailLogin> {
    let user = section.read(report, "user", |v: &Value<'_>, r| v.text(r).map(str::to_owned));
    let password = section.read(report, "password_file", |v, r| files.secret(v, r));
    if user.is_absent() != password.is_absent() {
        let message = "of user and password_file only one is there";
        report.error(&section.span, message, "write both, or neither");
    }
    if let Some(password) = password.spot().filter(|_| security == MailSecurity::None) {
        let message = "the password would travel in clear with security = \"none\"";
        report.error(
            &password.span,
            message,
            "write security = \"starttls\" or \"tls\", or remove the login",
        );
    }
    Some(MailLogin { user: user.value()?.clone(), password: password.value()?.clone() })
}
