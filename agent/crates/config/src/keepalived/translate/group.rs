//! `vrrp_sync_group`: who moves together, and what all of them track.

use std::collections::BTreeSet;

use super::super::keywords;
use super::super::tree::{Statement, Word};
use super::track::{Entries, Tracker, looked_of};
use super::{Translator, is_on, near};
use crate::value::{quoted, shown};

/// Whether weights of its members count.
pub(super) fn weighs(group: &Statement) -> bool {
    ["sync_group_tracking_weight", "global_tracking"].iter().any(|word| group.find(word).is_some_and(is_on))
}

impl<'t> Translator<'t, '_, '_> {
    /// Finds the group of each instance.
    pub(super) fn members(&mut self, group: &'t Statement, instances: &BTreeSet<&'t str>) {
        let first = group.inner().iter().find(|statement| statement.word() == "group");
        let words: Vec<&'t Word> =
            first.into_iter().flat_map(Statement::inner).flat_map(|line| &line.words).collect();
        for word in words {
            let name = word.text.as_str();
            if !instances.contains(name) {
                self.asked += 1;
                let near = near(self.asked, name, instances.iter().copied());
                let near = near.map(|near| format!("did you mean {near}?"));
                let message = format!("the group names {}, and there is no such vrrp_instance", shown(name));
                self.warn(word.place, &message, &near.unwrap_or("remove it".to_owned()));
            } else if self.groups.get(name).is_some_and(|known| std::ptr::eq(*known, group)) {
                let message = format!("{} stands here twice", shown(name));
                self.warn(word.place, &message, "remove it once");
            } else if let Some(other) = self.groups.get(name) {
                let message = format!(
                    "{} is in the group {} already",
                    shown(name),
                    shown(other.text().unwrap_or_default())
                );
                self.refuse(word.place, &message, "an instance is in one group only");
            } else {
                self.groups.insert(name, group);
            }
        }
    }

    pub(super) fn group(&mut self, index: usize, block: &'t Statement) {
        let Some(name) = self.name_of(block) else { return };
        let is_empty = !self.groups.values().any(|group| std::ptr::eq(*group, block));
        if is_empty {
            let remedy = "write group { and the names of instances in it";
            return self.warn(block.place(), "the group has no member, and is left out", remedy);
        }
        let mut tracks = Entries::default();
        let mut alert = None;
        let mut has_members = false;
        let tracker = Tracker { link: None, is_weightless: false, index };
        for statement in block.inner() {
            if self.known(statement, keywords::GROUP, "vrrp_sync_group").is_none() {
                continue;
            }
            match (statement.word(), looked_of(statement.word())) {
                (_, Some(looked)) => self.tracks(statement, looked, tracker, &mut tracks),
                ("notify_priority_changes", _) => self.globals.priorities |= is_on(statement),
                ("smtp_alert", _) => alert = Some(is_on(statement)),
                ("group", _) => {
                    self.is_repeated(statement, has_members);
                    has_members = true;
                }
                ("sync_group_tracking_weight" | "global_tracking", _) => {}
                (word, _) if word.starts_with("notify") => {
                    self.notify(statement, "groups", &name, block.place())
                }
                _ => self.forgotten(statement),
            }
        }
        if alert.unwrap_or(self.globals.mail.alert) {
            self.notices.mail(format!("groups/{name}"), block.place());
        }
        self.table("[[group]]", block.place());
        self.toml.key("name", &quoted(&name), block.place());
        if !tracks.list.is_empty() {
            self.toml.list_key("track", &tracks.list, block.place());
        }
        self.end_table();
    }
}
