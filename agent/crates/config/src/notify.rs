//! One `[[notify]]` table as it stands in the file, and what notifiers name. The mail server is in [`mail`].

pub(crate) mod mail;
mod read;

pub(crate) use read::is_mail_address;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::de::DeValue;

use crate::check::{Plan, report_unknown};
use crate::drafts::Names;
use crate::files::Files;
use crate::keys;
use crate::model::{
    Fifo, Mail, Notifier, NotifyChannel, NotifyCommand, NotifyScope, NotifyState, TlsOptions, Webhook,
};
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::settings::resource_name;
use crate::tls;
use crate::value::{Value, shown};

/// The most notifiers of a node. Each has a queue and a task.
const MOST_NOTIFIERS: usize = 64;
/// The keys of which each notifier has exactly one.
const CHANNELS: [&str; 4] = ["command", "fifo", "webhook", "mail"];

/// A notifier as it stands in the file.
pub(crate) struct Draft {
    title: String,
    span: Range<usize>,
    name: Slot<String>,
    on: Slot<Vec<(NotifyScope, Range<usize>)>>,
    states: Slot<Vec<(NotifyState, Range<usize>)>>,
    types: Slot<Vec<(String, Range<usize>)>>,
    channel: Option<NotifyChannel>,
    timeout: Slot<Duration>,
    retry_for: Slot<Duration>,
    queue: Slot<u32>,
}

impl Draft {
    /// Reads one table; reports what is wrong with its keys taken by themselves.
    pub(crate) fn read(mut section: Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Self {
        if let Some(DeValue::String(name)) = section.get("name").map(|name| name.get_ref()) {
            section.title = format!("notify {}", shown(name));
        }
        section.reject_unknown(report, keys::NOTIFY, keys::foreign_notify_remedy);
        let name = section.read(report, "name", resource_name);
        if name.is_absent() {
            report.error(&section.span, "a notify has no name", "add name = \"on-call\"");
        }
        let shortest = Duration::from_millis(100);
        let day = Duration::from_secs(86_400);
        Self {
            name,
            on: section.read(report, "on", |v, r| reader::one_or_many(v, r, read::scope)),
            states: section.read(report, "states", |v, r| reader::one_or_many(v, r, read::state)),
            types: section.read(report, "types", |v, r| reader::one_or_many(v, r, read::event_type)),
            channel: read_channel(&section, files, report),
            timeout: section
                .read(report, "timeout", |v, r| v.duration(r, shortest..=Duration::from_secs(300))),
            retry_for: section.read(report, "retry_for", |v, r| v.duration(r, Duration::ZERO..=day)),
            queue: section.read(report, "queue", |v, r| v.integer(r, 1..=65_536)),
            title: section.title,
            span: section.span,
        }
    }

    /// Whether it is told of every check.
    pub(crate) fn is_told_of_all_checks(&self) -> bool {
        self.scopes().any(|scope| *scope == NotifyScope::Checks(None))
    }

    fn sends_mail(&self) -> bool {
        matches!(self.channel, Some(NotifyChannel::Mail { .. }))
    }

    fn scopes(&self) -> impl Iterator<Item = &NotifyScope> {
        self.on.value().into_iter().flatten().map(|(scope, _)| scope)
    }

    fn build(&self, report: &mut Report<'_>) -> Option<Notifier> {
        let is_sent = matches!(self.channel, Some(NotifyChannel::Webhook(_) | NotifyChannel::Mail { .. }));
        if let Some(retry_for) = self.retry_for.spot().filter(|_| self.channel.is_some() && !is_sent) {
            let message = "retry_for has no effect: a command or a pipe is told once";
            report.error(&retry_for.span, message, "remove it");
        }
        let usual_timeout = Duration::from_secs(if self.sends_mail() { 30 } else { 10 });
        let on: Vec<NotifyScope> = self.scopes().cloned().collect();
        let classes = [
            NotifyScope::Instances(None),
            NotifyScope::Groups(None),
            NotifyScope::Checks(None),
            NotifyScope::Pools(None),
        ];
        Some(Notifier {
            name: self.name.value()?.clone(),
            on: if on.is_empty() { classes.to_vec() } else { on },
            states: self.states.value().into_iter().flatten().map(|(state, _)| *state).collect(),
            types: self.types.value().into_iter().flatten().map(|(name, _)| name.clone()).collect(),
            channel: self.channel.clone()?,
            timeout: self.timeout.value_or(usual_timeout),
            retry_for: self.retry_for.value_or(Duration::from_secs(3600)),
            queue: self.queue.value_or(1024),
        })
    }
}

/// Exactly one of command, fifo, webhook and mail.
fn read_channel(
    section: &Section<'_>,
    files: &mut Files<'_>,
    report: &mut Report<'_>,
) -> Option<NotifyChannel> {
    let given: Vec<&str> = CHANNELS.into_iter().filter(|channel| section.get(channel).is_some()).collect();
    let [channel] = given[..] else {
        let what = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        let message = format!("{} has {what} of command, fifo, webhook and mail", section.title);
        report.error(&section.span, message, "write exactly one of them");
        return None;
    };
    for (key, of) in [
        ("user", "command"),
        ("arguments", "command"),
        ("leave_running", "command"),
        ("priorities", "fifo"),
        ("secret_file", "webhook"),
        ("tls", "webhook"),
    ] {
        if let Some(value) = section.get(key).filter(|_| of != channel) {
            let message = format!("{key} belongs to {of}, and {} has {channel}", section.title);
            report.error(&value.span(), message, "remove it");
        }
    }
    match channel {
        "command" => read_command(section, report).map(NotifyChannel::Command),
        "fifo" => {
            let priorities = section.read(report, "priorities", Value::boolean).value_or_default();
            let path = section.read(report, "fifo", reader::absolute_path).value().cloned()?;
            Some(NotifyChannel::Fifo(Fifo { path, priorities }))
        }
        "webhook" => read_webhook(section, files, report).map(NotifyChannel::Webhook),
        _ => {
            let to = section.read(report, "mail", |v, r| reader::one_or_many(v, r, read::mail_address));
            let to: Vec<String> = to.value()?.iter().map(|(address, _)| address.clone()).collect();
            read::check_receivers(&to, section, report);
            Some(NotifyChannel::Mail { to })
        }
    }
}

fn read_command(section: &Section<'_>, report: &mut Report<'_>) -> Option<NotifyCommand> {
    let arguments = section.read(report, "arguments", Value::boolean).value_or(true);
    let leave_running = section.read(report, "leave_running", Value::boolean).value_or_default();
    Some(NotifyCommand { command: reader::command(section, report)?, arguments, leave_running })
}

fn read_webhook(section: &Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Option<Webhook> {
    let secret = section.read(report, "secret_file", |v, r| files.secret(v, r));
    let tls = section.read(report, "tls", |v, r| tls::options(v, files, r));
    let url = section.read(report, "webhook", |v, r| read::webhook_url(v, files, r));
    let url = url.value()?.clone();
    if let Some(tls) = tls.spot().filter(|_| !url.expose().starts_with("https://")) {
        report.error(&tls.span, "tls has no effect on http://", "remove it, or write https:// in webhook");
    }
    Some(Webhook { url, secret: secret.value().cloned(), tls: tls.value_or(TlsOptions::default()) })
}

/// The notifiers; reports names that there are not.
pub(crate) fn build(
    drafts: &[Draft],
    names: &Names<'_>,
    mail: &Slot<Mail>,
    plan: &mut Plan<'_>,
    report: &mut Report<'_>,
) -> Vec<Notifier> {
    if let Some(draft) = drafts.get(MOST_NOTIFIERS) {
        let message = format!("there are {} notifiers", drafts.len());
        report.error(&draft.span, message, format!("a node has at most {MOST_NOTIFIERS}"));
    }
    let mut seen: BTreeMap<&str, &Draft> = BTreeMap::new();
    for draft in drafts {
        if let Some(name) = draft.name.spot()
            && let Some(first) = seen.insert(&name.value, draft)
        {
            let line = report.line(first.span.start);
            let message = format!("name \"{}\" is taken by the notify on line {line}", name.value);
            report.error(&name.span, message, "give each notify its own name");
        }
        for (scope, span) in draft.on.value().into_iter().flatten() {
            check_scope(scope, span, names, plan, report);
        }
        if draft.sends_mail() && mail.is_absent() {
            let message = format!("{} sends mail, and there is no [mail]", draft.title);
            report.error(&draft.span, message, "add [mail] with host and from");
        }
    }
    if let Some(mail) = mail.spot().filter(|_| report.is_usable() && !drafts.iter().any(Draft::sends_mail)) {
        let remedy = "add mail = [\"admin@example.org\"] in a [[notify]], or remove [mail]";
        report.warning(&mail.span, "no [[notify]] sends mail", remedy);
    }
    drafts.iter().filter_map(|draft| draft.build(report)).collect()
}

fn check_scope(
    scope: &NotifyScope,
    span: &Range<usize>,
    names: &Names<'_>,
    plan: &mut Plan<'_>,
    report: &mut Report<'_>,
) {
    let (sort, name, known) = match scope {
        NotifyScope::Checks(Some(name)) => {
            if plan.find(name, span, report).is_none() {
                return;
            }
            if plan.is_only_for_servers(name) {
                let message = format!("check \"{name}\" runs for servers of pools only");
                report.error(span, message, "write \"servers\" or \"pools/NAME/servers\"");
            } else {
                plan.run(name, report);
            }
            return;
        }
        NotifyScope::Instances(Some(name)) => ("instance", name, &names.instances),
        NotifyScope::Groups(Some(name)) => ("group", name, &names.groups),
        NotifyScope::Pools(Some(name)) | NotifyScope::Servers(Some(name)) => ("pool", name, &names.pools),
        _ => return,
    };
    if !known.contains(name.as_str()) {
        report_unknown(sort, name, span, known.iter().copied(), report);
    }
}
