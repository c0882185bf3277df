//! Readers of single values of a notifier.

use toml::de::DeValue;

use crate::check::{UrlProblem, parse_url};
use crate::files::Files;
use crate::model::{NotifyScope, NotifyState, Secret};
use crate::report::Report;
use crate::section::Section;
use crate::settings::name_problem;
use crate::value::{Value, shown};

/// The most receivers of one mail.
const MOST_RECEIVERS: usize = 32;

/// `"instances"`, `"instances/web"`, `"pools/web/servers"` and so on.
pub(super) fn scope(value: &Value<'_>, report: &mut Report<'_>) -> Option<NotifyScope> {
    let text = value.text(report)?;
    let (class, name) = match text.split_once('/') {
        Some((class, name)) => (class, Some(name)),
        None => (text, None),
    };
    let (name, of_servers) = match name.and_then(|name| name.strip_suffix("/servers")) {
        Some(pool) if class == "pools" => (Some(pool), true),
        _ => (name, false),
    };
    let is_name = name.is_none_or(|name| name_problem(name).is_none());
    let name = name.map(str::to_owned);
    match class {
        "node" if name.is_none() => Some(NotifyScope::Node),
        "servers" if name.is_none() => Some(NotifyScope::Servers(None)),
        "pools" if is_name && of_servers => Some(NotifyScope::Servers(name)),
        "pools" if is_name => Some(NotifyScope::Pools(name)),
        "instances" if is_name => Some(NotifyScope::Instances(name)),
        "groups" if is_name => Some(NotifyScope::Groups(name)),
        "checks" if is_name => Some(NotifyScope::Checks(name)),
        _ => {
            let message = format!("on {} is nothing that can be told of", shown(text));
            let remedy = "write \"instances\", \"groups\", \"checks\", \"pools\", \"servers\" or \"node\", or one by its name: \
                          \"checks/nginx\", \"pools/web/servers\"";
            report.error(&value.span, message, remedy);
            None
        }
    }
}

const STATES: &[(&str, NotifyState)] = &[
    ("ACTIVE", NotifyState::Active),
    ("BACKUP", NotifyState::Backup),
    ("FAULT", NotifyState::Fault),
    ("STOPPED", NotifyState::Stopped),
    ("PASSING", NotifyState::Passing),
    ("FAILING", NotifyState::Failing),
];

/// Other programs' words, and our own in small letters, in capitals.
const FOREIGN_STATES: &[(&str, &str)] =
    &[("MASTER", "ACTIVE"), ("STOP", "STOPPED"), ("UP", "PASSING"), ("DOWN", "FAILING")];

pub(super) fn state(value: &Value<'_>, report: &mut Report<'_>) -> Option<NotifyState> {
    let capitals = value.inner.as_str().map(str::to_ascii_uppercase);
    let foreign = FOREIGN_STATES.iter().find(|(word, _)| capitals.as_deref() == Some(word));
    let small = STATES
        .iter()
        .find(|(word, _)| capitals.as_deref() == Some(word) && value.inner.as_str() != Some(word));
    let meant = foreign.map(|(_, word)| *word).or(small.map(|(word, _)| *word));
    if let (Some(meant), Some(text)) = (meant, value.inner.as_str()) {
        let message = format!("states does not know {}", shown(text));
        report.error(&value.span, message, format!("write \"{meant}\""));
        return None;
    }
    value.word(report, STATES)
}

/// `"instance.state_changed"`, `"check.*"`: small letters and dots, maybe a star at the end.
pub(super) fn event_type(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    let bare = text.strip_suffix('*').unwrap_or(text);
    let is_type =
        bare.len() <= 64 && bare.bytes().all(|octet| octet.is_ascii_lowercase() || b"._".contains(&octet));
    if !is_type || !bare.contains('.') {
        let message = format!("types {} is no type of an event", shown(text));
        let remedy =
            "write a type as `hactl events` shows it, such as \"instance.state_changed\", or \"check.*\"";
        report.error(&value.span, message, remedy);
        return None;
    }
    Some(text.to_owned())
}

/// A URL, or `{ file = "path" }` for one that is a secret itself.
pub(super) fn webhook_url(
    value: &Value<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<Secret> {
    let url = match value.inner {
        DeValue::Table(table) => {
            let section = Section::new("webhook", value.span.clone(), table);
            section.reject_unknown(report, &["file"], |_| None);
            let remedy = "write { file = \"path\" }, or a URL";
            section.required(report, "file", remedy, |v, r| files.secret(v, r))?.value
        }
        _ => Secret::new(value.text(report)?),
    };
    // Whoever has the URL may be able to post, so that no message shows it.
    let problem = match parse_url(url.expose()) {
        Ok(_) => return Some(url),
        Err(UrlProblem::Credentials) => "contains credentials",
        Err(UrlProblem::Malformed(what)) => what,
    };
    let remedy = "write a URL such as \"https://hooks.example.org/ha-agent\"";
    report.error(&value.span, format!("the URL of webhook {problem}"), remedy);
    None
}

pub(super) fn mail_address(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    if !is_mail_address(text) {
        let message = format!("{} {} is no mail address", value.key, shown(text));
        report.error(&value.span, message, "write an address such as \"admin@example.org\", without a name");
        return None;
    }
    Some(text.to_owned())
}

/// Whether it is `local@domain` (RFC 5321 §4.1.2), without quotes, comments and a name before it.
pub(crate) fn is_mail_address(text: &str) -> bool {
    let is_atom = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet);
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        let is_domain = crate::reader::parse_host(domain).is_some();
        (1..=64).contains(&local.len()) && local.bytes().all(is_atom) && is_domain && text.len() <= 254
    })
}

pub(super) fn check_receivers(to: &[String], section: &Section<'_>, report: &mut Report<'_>) {
    if to.is_empty() {
        report.error(
            &section.span,
            format!("{} has no receiver", section.title),
            "add mail = [\"admin@example.org\"]",
        );
    } else if to.len() > MOST_RECEIVERS {
        let message = format!("{} has {} receivers", section.title, to.len());
        report.error(&section.span, message, format!("{MOST_RECEIVERS} are the most; use a mailing list"));
    }
}
