//! `global_defs`: what all instances inherit, and who gets mail.

use std::time::Duration;

use super::super::files::Place;
use super::super::keywords;
use super::super::toml::list;
use super::super::tree::{Statement, Word};
use super::{Translator, is_on};
use crate::duration::human;
use crate::value::quoted;

/// An hour, the longest of our delays.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// When addresses are announced; `None` is our default, which is keepalived's.
#[derive(Clone, Copy, Default)]
pub(super) struct Announce {
    pub(super) repeat: Option<i64>,
    pub(super) delay: Option<Duration>,
    pub(super) refresh: Option<Duration>,
    pub(super) interval: Option<Duration>,
}

/// All of `global_defs`, whatever its order.
#[derive(Default)]
pub(super) struct Globals {
    /// The block, for what has no place of its own.
    pub(super) place: Place,
    pub(super) version_3: Option<Place>,
    pub(super) strict: bool,
    startup_delay: Option<(Duration, Place)>,
    announce: Announce,
    announce_place: Place,
    pub(super) script_user: Option<Word>,
    pub(super) script_security: bool,
    pub(super) mail: Mailing,
    pub(super) pipes: Vec<Word>,
    pub(super) priorities: bool,
}

/// Who gets mail, and how.
#[derive(Default)]
pub(super) struct Mailing {
    pub(super) to: Vec<Word>,
    pub(super) from: Option<Word>,
    /// Its host, and its port.
    server: Option<(Word, Option<(i64, Place)>)>,
    hello: Option<Word>,
    pub(super) timeout: Option<Duration>,
    /// Whether what does not say otherwise is told.
    pub(super) alert: bool,
    pub(super) no_faults: bool,
}

impl<'t> Translator<'t, '_, '_> {
    pub(super) fn globals(&mut self, block: &'t Statement) {
        self.globals.place = block.place();
        self.globals.script_security |= block.find("enable_script_security").is_some();
        for statement in block.inner() {
            if self.known(statement, keywords::GLOBAL, "global_defs").is_some() {
                self.global(statement);
            }
        }
    }

    fn global(&mut self, statement: &Statement) {
        match statement.word() {
            "vrrp_version" => {
                let version = self.loose_number(statement, 2..=3, 2..=3);
                self.globals.version_3 = (version == Some(3)).then(|| statement.place());
            }
            "vrrp_strict" => {
                self.globals.strict = is_on(statement);
                self.strict_is_noted(statement);
            }
            "vrrp_startup_delay" => {
                let delay = self.loose_seconds(statement, Duration::ZERO..=HOUR);
                self.globals.startup_delay = delay.map(|delay| (delay, statement.place()));
            }
            "script_user" => {
                self.value_of(statement);
                self.globals.script_user = self.user_of(statement.rest());
            }
            "notify_fifo" | "vrrp_notify_fifo" => self.pipe(statement),
            "vrrp_notify_priority_changes" => self.globals.priorities = is_on(statement),
            "vrrp_mcast_group4" => self.multicast_group(statement, "224.0.0.18"),
            "vrrp_mcast_group6" => self.multicast_group(statement, "ff02::12"),
            "notification_email" => {
                let receivers = statement.inner().iter().flat_map(|line| line.words.iter());
                self.globals.mail.to.extend(receivers.cloned());
            }
            "notification_email_from" => self.globals.mail.from = self.value_of(statement),
            "smtp_server" => {
                let port = statement.rest().get(1);
                let number =
                    port.and_then(|port| self.number_of("the port of smtp_server", port, 1..=65_535));
                let port = number.zip(port.map(|port| port.place));
                self.globals.mail.server = self.value_of(statement).map(|host| (host, port));
            }
            "smtp_helo_name" => self.globals.mail.hello = self.value_of(statement),
            "smtp_connect_timeout" => {
                let timeout =
                    self.loose_seconds(statement, Duration::from_millis(100)..=Duration::from_secs(300));
                self.globals.mail.timeout = timeout;
            }
            "smtp_alert" | "smtp_alert_vrrp" => self.globals.mail.alert = is_on(statement),
            "no_email_faults" => self.globals.mail.no_faults = true,
            word => match word.strip_prefix("vrrp_") {
                Some(of_instance) if self.announce_of(of_instance, statement).is_some() => {}
                _ => self.forgotten(statement),
            },
        }
    }

    fn announce_of(&mut self, word: &str, statement: &Statement) -> Option<()> {
        let mut announce = self.globals.announce;
        match word {
            "garp_interval" | "gna_interval" => {
                let interval = self.loose_seconds(statement, Duration::ZERO..=Duration::from_secs(10));
                let interval = interval.filter(|time| !time.is_zero());
                let interval = interval.map(|time| time.max(Duration::from_millis(1)));
                announce.interval = announce.interval.max(interval);
            }
            word => self.announce(word, statement, &mut announce)?,
        }
        self.globals.announce = announce;
        self.globals.announce_place = statement.place();
        Some(())
    }

    /// A keyword about announcements; `None` when it is none.
    pub(super) fn announce(
        &mut self,
        word: &str,
        statement: &Statement,
        announce: &mut Announce,
    ) -> Option<()> {
        match word {
            "garp_master_repeat" => {
                announce.repeat = self.loose_number(statement, 0..=i64::from(u32::MAX), 1..=100)
            }
            "garp_master_delay" => announce.delay = self.loose_seconds(statement, Duration::ZERO..=HOUR),
            "garp_master_refresh" => {
                let refresh = self.loose_seconds(statement, Duration::ZERO..=HOUR * 24);
                announce.refresh =
                    refresh.map(|time| if time.is_zero() { time } else { time.max(Duration::from_secs(1)) });
            }
            _ => return None,
        }
        Some(())
    }

    /// Adverts to another group would not be heard.
    pub(super) fn multicast_group(&mut self, statement: &Statement, ours: &str) {
        let Some(word) = self.value_of(statement) else { return };
        if word.text != ours {
            let message = format!("{} {} is not {ours}, where adverts go", statement.word(), word.text);
            self.refuse(
                word.place,
                &message,
                "remove it on all nodes of the virtual router at the same time",
            );
        }
    }

    /// `[defaults]` and `[mail]`.
    pub(super) fn write_globals(&mut self) {
        let place = self.globals.version_3.unwrap_or(self.globals.place);
        self.toml.table("[defaults]", place);
        if self.globals.version_3.is_none() {
            self.toml.key("version", "2", place);
        }
        if let Some((delay, place)) = self.globals.startup_delay.filter(|(delay, _)| !delay.is_zero()) {
            self.toml.key("startup_delay", &quoted(&human(delay)), place);
        }
        let (announce, place) = (self.globals.announce, self.globals.announce_place);
        self.write_announce(announce, place);
        self.end_table();
    }

    pub(super) fn write_announce(&mut self, announce: Announce, place: Place) {
        let time =
            |key: &str, time: Option<Duration>| time.map(|time| format!("{key} = {}", quoted(&human(time))));
        let parts: Vec<String> = [
            announce.repeat.map(|repeat| format!("repeat = {repeat}")),
            time("interval", announce.interval),
            time("delay", announce.delay),
            time("refresh", announce.refresh),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !parts.is_empty() {
            self.toml.key("announce", &format!("{{ {} }}", parts.join(", ")), place);
        }
    }

    /// `[mail]`: without TLS and login, as keepalived sends.
    pub(super) fn write_mail_server(&mut self) {
        let from = self.globals.mail.from.clone();
        let server = self.globals.mail.server.clone();
        let place = server.as_ref().map_or(self.globals.place, |(host, _)| host.place);
        self.table("[mail]", place);
        let host = server.as_ref().map_or("127.0.0.1", |(host, _)| host.text.as_str());
        self.toml.key("host", &quoted(host), place);
        if let Some((_, Some((port, place)))) = &server {
            self.toml.key("port", &port.to_string(), *place);
        }
        self.toml.key("security", "\"none\"", place);
        match &from {
            Some(from) => self.text_key("from", from),
            None => {
                let usual = quoted(&format!("keepalived@{}", self.node.host_name));
                self.toml.key("from", &usual, place);
            }
        }
        if let Some(hello) = self.globals.mail.hello.clone() {
            self.text_key("hello", &hello);
        }
        self.end_table();
    }

    /// The addresses of receivers.
    pub(super) fn receivers(&self) -> String {
        list(self.globals.mail.to.iter().map(|word| word.text.as_str()))
    }

    fn pipe(&mut self, statement: &Statement) {
        let Some(word) = self.value_of(statement) else { return };
        if let Some(user) = statement.rest().get(1) {
            let message = "a pipe that the agent makes belongs to the agent's user";
            self.warn(user.place, message, "make it before the agent starts, with tmpfiles.d");
        }
        if !self.globals.pipes.iter().any(|pipe| pipe.text == word.text) {
            self.globals.pipes.push(word);
        }
    }

    pub(super) fn strict_is_noted(&mut self, statement: &Statement) {
        if is_on(statement) {
            let message = "strict mode: keepalived drops packets to the addresses of a router that is not their owner; here they are answered";
            self.warn(statement.place(), message, "nothing to do, or drop them in the node's firewall");
        }
    }
}
