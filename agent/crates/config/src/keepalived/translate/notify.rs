//! Who is told: scripts of instances and groups, pipes, and mail. What is told the same is written once.

use std::collections::{BTreeMap, BTreeSet};

use super::super::files::Place;
use super::super::toml::list;
use super::super::tree::{Statement, Word};
use super::Translator;
use super::names::Names;
use crate::duration::human;
use crate::notify::is_mail_address;
use crate::value::{quoted, shown};

/// Keywords with what they are told of.
const SCRIPTS: [(&str, &str); 6] = [
    ("notify", ""),
    ("notify_master", "ACTIVE"),
    ("notify_backup", "BACKUP"),
    ("notify_fault", "FAULT"),
    ("notify_stop", "STOPPED"),
    ("notify_master_rx_lower_pri", ""),
];

/// A script, and for what it runs.
struct Notice {
    name: String,
    on: Vec<String>,
    command: Vec<String>,
    user: String,
    keyword: &'static str,
    state: &'static str,
    place: Place,
}

/// Everybody who is told.
#[derive(Default)]
pub(super) struct Notices {
    scripts: Vec<Notice>,
    /// Which of the scripts runs a command of a keyword as a user.
    same: BTreeMap<(&'static str, Vec<String>, String), usize>,
    /// What has a script of a keyword already.
    told: BTreeSet<(&'static str, String)>,
    mail: Vec<(String, Place)>,
    names: Names,
}

impl Notices {
    pub(super) fn mail(&mut self, on: String, place: Place) {
        self.mail.push((on, place));
    }
}

impl Translator<'_, '_, '_> {
    /// A `notify…` statement of an instance or a group.
    pub(super) fn notify(&mut self, statement: &Statement, class: &str, name: &str, owner: Place) {
        let Some((keyword, state)) = SCRIPTS.iter().copied().find(|(word, _)| *word == statement.word())
        else {
            return self.forgotten(statement);
        };
        let [script, user @ ..] = statement.rest() else { return self.without_value(statement) };
        let on = format!("{class}/{name}");
        let is_known = !self.notices.told.insert((keyword, on.clone()));
        if self.is_repeated(statement, is_known) {
            return;
        }
        let user: Option<Word> = self.user_of(user);
        let command = self.command_line(&script.text, script.place);
        let (user, _) = self.user_or_usual(user, statement.place());
        let next = self.notices.scripts.len();
        let same = self.notices.same.entry((keyword, command.clone(), user.clone())).or_insert(next);
        if let Some(notice) = self.notices.scripts.get_mut(*same) {
            return notice.on.push(on);
        }
        let wanted = keyword.strip_prefix("notify_").unwrap_or(keyword);
        let mut wanted = format!("{}-{wanted}", name.chars().take(40).collect::<String>());
        wanted.truncate(56);
        let name = self.notices.names.take(&wanted);
        let place = if script.place.file == owner.file { script.place } else { statement.place() };
        self.notices.scripts.push(Notice { name, on: vec![on], command, user, keyword, state, place });
    }

    /// `[[notify]]` for all of them, and `[mail]` when it is needed.
    pub(super) fn write_notices(&mut self) {
        for notice in std::mem::take(&mut self.notices.scripts) {
            let place = notice.place;
            self.begin_notice(&notice.name, &notice.on, place);
            if !notice.state.is_empty() {
                self.toml.key("states", &list([notice.state]), place);
            }
            if notice.keyword == "notify_master_rx_lower_pri" {
                self.toml.key("types", "[\"instance.duplicate_active_began\"]", place);
            }
            self.toml.key("command", &list(&notice.command), place);
            self.toml.key("user", &quoted(&notice.user), place);
            if notice.keyword != "notify" {
                self.toml.key("arguments", "false", place);
            }
            self.toml.key("leave_running", "true", place);
            self.toml.key("timeout", "\"5m\"", place);
        }
        for pipe in std::mem::take(&mut self.globals.pipes) {
            let name = self.notices.names.take("pipe");
            self.begin_notice(&name, &["instances".to_owned(), "groups".to_owned()], pipe.place);
            self.text_key("fifo", &pipe);
            if self.globals.priorities {
                self.toml.key("priorities", "true", pipe.place);
            }
        }
        self.write_mail();
    }

    fn begin_notice(&mut self, name: &str, on: &[String], place: Place) {
        self.table("[[notify]]", place);
        self.toml.key("name", &quoted(name), place);
        self.toml.key("on", &list(on), place);
    }

    fn write_mail(&mut self) {
        let told = std::mem::take(&mut self.notices.mail);
        let is_without = self.globals.mail.to.is_empty();
        if !told.is_empty() {
            self.readable_mail();
        }
        let to = self.globals.mail.to.first().cloned();
        match (told.first(), to) {
            (Some(_), None) if !is_without => {}
            (Some((_, place)), None) => {
                self.warn(
                    *place,
                    "smtp_alert is on and there is no notification_email, so nobody gets mail",
                    "write notification_email into global_defs",
                );
            }
            (None, Some(to)) => {
                self.note(to.place, "nothing has smtp_alert, so nobody gets mail, as in keepalived");
            }
            (Some((_, place)), Some(to)) => {
                let name = self.notices.names.take("mail");
                let on: Vec<String> = told.iter().map(|(on, _)| on.clone()).collect();
                self.begin_notice(&name, &on, *place);
                if self.globals.mail.no_faults {
                    self.toml.key("states", "[\"ACTIVE\", \"BACKUP\", \"STOPPED\"]", *place);
                }
                let receivers = self.receivers();
                self.toml.key("mail", &receivers, to.place);
                if let Some(timeout) = self.globals.mail.timeout {
                    self.toml.key("timeout", &quoted(&human(timeout)), to.place);
                }
                self.write_mail_server();
            }
            (None, None) => {}
        }
        self.end_table();
    }

    /// Leaves out what no mail server would take: an address does not wait for that.
    fn readable_mail(&mut self) {
        let (to, bad): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.globals.mail.to).into_iter().partition(|to| is_mail_address(&to.text));
        self.globals.mail.to = to;
        let from = self.globals.mail.from.take_if(|from| !is_mail_address(&from.text));
        for word in bad.iter().chain(&from) {
            let message = format!("{} is no mail address, and is left out", shown(&word.text));
            self.warn(word.place, &message, "write an address such as admin@example.org");
        }
    }
}
