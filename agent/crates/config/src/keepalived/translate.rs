//! From keepalived's statements to our TOML: each is taken over, or there is a finding at its place.

mod address;
mod check;
mod command;
mod global;
mod group;
mod instance;
mod names;
mod notify;
mod number;
mod track;
mod unicast;

use std::collections::{BTreeMap, BTreeSet};

use super::beside::LeftOut;
use super::files::{Place, Reports};
use super::keywords::{self, Fate, Keyword};
use super::machine::Machine;
use super::toml::Toml;
use super::tree::{Statement, Word};
use crate::nearest::nearest;
use crate::settings::name_problem;
use crate::value::{quoted, shown};

use check::{Defined, Looked};
use global::Globals;
use names::Names;
use notify::Notices;

/// The node that a file is for.
#[derive(Clone, Copy)]
pub(crate) struct Node<'n> {
    pub(crate) host_name: &'n str,
    /// What somebody else does on it.
    pub(crate) left_out: &'n LeftOut,
}

/// What is translated, and what came of it so far.
pub(crate) struct Translator<'t, 'r, 's> {
    reports: &'r mut Reports<'s>,
    machine: &'r mut dyn Machine,
    node: Node<'r>,
    globals: Globals,
    /// Scripts, processes, files and links that can be tracked.
    looked: BTreeMap<(Looked, &'t str), Defined<'t>>,
    /// Links that are tracked, with the place where each is said first.
    links: BTreeMap<String, Place>,
    /// Those that are, with the names of their checks.
    tracked: BTreeMap<(Looked, String), String>,
    check_names: Names,
    /// The group of each instance.
    groups: BTreeMap<&'t str, &'t Statement>,
    notices: Notices,
    /// What is said of the table that is being made, for a comment in it.
    notes: Vec<String>,
    toml: Toml,
    /// Whether the file has virtual servers.
    balances: bool,
    /// What is said once however often it is so.
    said: BTreeSet<String>,
    /// How often the nearest known name was asked for.
    asked: u32,
}

/// Adds to `toml` what a whole file becomes.
pub(crate) fn translate(
    toml: Toml,
    statements: &[Statement],
    node: Node<'_>,
    machine: &mut dyn Machine,
    reports: &mut Reports<'_>,
) -> Toml {
    let mut translator = Translator {
        reports,
        machine,
        node,
        globals: Globals::default(),
        looked: BTreeMap::new(),
        links: BTreeMap::new(),
        tracked: BTreeMap::new(),
        check_names: Names::default(),
        groups: BTreeMap::new(),
        notices: Notices::default(),
        notes: Vec::new(),
        toml,
        balances: statements.iter().any(|statement| statement.word() == "virtual_server"),
        said: BTreeSet::new(),
        asked: 0,
    };
    translator.all(statements);
    translator.toml
}

impl<'t> Translator<'t, '_, '_> {
    fn all(&mut self, statements: &'t [Statement]) {
        let of = |word: &'static str| statements.iter().filter(move |statement| statement.word() == word);
        self.outside(statements);
        of("global_defs").for_each(|block| self.globals(block));
        self.collect(statements);
        let instances = self.firsts(statements, "vrrp_instance");
        let groups = self.firsts(statements, "vrrp_sync_group");
        let names = instances.iter().filter_map(|(_, block)| block.text()).collect();
        groups.iter().for_each(|(_, group)| self.members(group, &names));
        self.write_globals();
        instances.into_iter().for_each(|(index, block)| self.instance(index, block));
        groups.into_iter().for_each(|(index, block)| self.group(index, block));
        self.checks();
        self.write_notices();
    }

    /// All blocks of a keyword with their places among the statements, each name once.
    fn firsts(&mut self, statements: &'t [Statement], word: &str) -> Vec<(usize, &'t Statement)> {
        let mut blocks: BTreeMap<String, Place> = BTreeMap::new();
        let mut firsts = Vec::new();
        for (index, block) in statements.iter().enumerate().filter(|(_, block)| block.word() == word) {
            let name = block.text().map(allowed_name);
            if let Some(first) = name.as_ref().and_then(|name| blocks.get(name)) {
                let at = self.at(*first);
                let message = format!(
                    "the name {} is that of the {word} at {at}",
                    shown(block.text().unwrap_or_default())
                );
                let remedy = format!(
                    "give each {word} a name of its own; keepalived leaves out those that come later"
                );
                self.refuse(block.place(), &message, &remedy);
                continue;
            }
            blocks.extend(name.map(|name| (name, block.place())));
            firsts.push((index, block));
        }
        firsts
    }

    /// What stands outside of blocks and is not translated.
    fn outside(&mut self, statements: &'t [Statement]) {
        for statement in statements {
            // Hundreds of virtual servers are one thing to decide.
            let is_refused = keywords::find(keywords::TOP, statement.word())
                .is_some_and(|keyword| keyword.fate == Fate::Refused);
            if !is_refused || self.is_new(statement.word()) {
                self.known(statement, keywords::TOP, "a keepalived.conf");
            }
        }
        let notes = std::mem::take(&mut self.notes);
        notes.iter().for_each(|note| self.toml.comment(note));
    }

    /// The keyword of a statement if it is to be taken over; says what is to be said of all others.
    fn known(&mut self, statement: &Statement, table: &[Keyword], inside: &str) -> Option<Keyword> {
        let (word, place) = (statement.word(), statement.place());
        let Some(keyword) = keywords::find(table, word) else {
            self.unknown(statement, table, inside);
            return None;
        };
        let Keyword { what, remedy, .. } = keyword;
        match keyword.fate {
            Fate::Taken => return Some(keyword),
            Fate::Native => {}
            Fate::Differs if is_off(statement) => {}
            Fate::Differs => self.warn(place, &format!("keepalived's {word}: {what}"), remedy),
            Fate::Refused if self.node.left_out.has(word) => self.leave_out(statement, what),
            Fate::Refused if word.starts_with("lvs_sync_daemon") && !self.balances => {
                let message = format!(
                    "keepalived's {word}: this file has no virtual servers, so that there is nothing to tell"
                );
                self.warn(place, &message, "nothing to do, or remove it");
            }
            Fate::Refused => {
                let message = format!("keepalived's {word} cannot be taken over: {what}");
                let remedy = format!(
                    "{remedy}; for what something else sees to, write leave_out = [\"{word}\"] below [keepalived] in the .toml beside this file"
                );
                self.refuse(place, &message, &remedy);
            }
        }
        None
    }

    /// What somebody else does, as the file of ours says.
    fn leave_out(&mut self, statement: &Statement, what: &str) {
        let word = statement.word();
        if self.is_new(&format!("leave_out {word}")) {
            let message = format!("keepalived's {word} is left out here, as leave_out says: {what}");
            self.warn(statement.place(), &message, "nothing to do while something else does it");
        }
    }

    /// Whether something that is said once has not been said yet.
    fn is_new(&mut self, what: &str) -> bool {
        self.said.insert(what.to_owned())
    }

    /// keepalived logs a keyword that it does not know and goes on; one that belongs outside tells of a brace that is missing.
    fn unknown(&mut self, statement: &Statement, table: &[Keyword], inside: &str) {
        let (word, place) = (statement.word(), statement.place());
        if keywords::find(keywords::TOP, word).is_some() && statement.block.is_some() {
            let message = format!("{word} stands within {inside}");
            return self.refuse(place, &message, "close the block above it with '}'");
        }
        self.asked += 1;
        let near = near(self.asked, word, keywords::words(table));
        let remedy = near.map_or("remove it".to_owned(), |near| format!("did you mean {near}?"));
        let more = if statement.block.is_some() {
            ", and its '}' would end the block around it for keepalived"
        } else {
            ""
        };
        let message = format!("{inside} has no {}: it is left out, as keepalived does{more}", shown(word));
        self.warn(place, &message, &remedy);
    }

    /// A finding that does not keep the file from being used.
    fn warn(&mut self, place: Place, message: &str, remedy: &str) {
        self.note(place, message);
        self.reports.warning(place, message, remedy);
    }

    /// A finding that does.
    fn refuse(&mut self, place: Place, message: &str, remedy: &str) {
        self.note(place, &format!("NOT TAKEN OVER: {message}"));
        self.reports.error(place, message, remedy);
    }

    fn note(&mut self, place: Place, message: &str) {
        const MOST: usize = 500;
        if self.notes.len() < MOST {
            self.notes.push(format!("{}: {message}", self.at(place)));
        }
    }

    /// `FILE:LINE`.
    fn at(&self, place: Place) -> String {
        self.reports.at(place)
    }

    /// Begins a table with a comment of where it comes from.
    fn table(&mut self, header: &str, place: Place) {
        self.toml.blank();
        let at = self.at(place);
        self.toml.comment(&at);
        self.toml.table(header, place);
    }

    /// Ends it with what could not be taken over.
    fn end_table(&mut self) {
        for note in std::mem::take(&mut self.notes) {
            self.toml.comment(&note);
        }
    }

    /// A name as names are here; says when it becomes another one.
    fn name(&mut self, word: &Word) -> String {
        let name = allowed_name(&word.text);
        if name != word.text {
            let message = format!("the name {} becomes {}", shown(&word.text), shown(&name));
            self.warn(
                word.place,
                &message,
                "use letters, digits, '_', '.' and '-', at most 63, beginning with a letter or digit",
            );
        }
        name
    }

    /// The name of a block; without one it cannot be used.
    fn name_of(&mut self, block: &Statement) -> Option<String> {
        let Some(word) = block.value() else {
            let message = format!("{} has no name", block.word());
            self.refuse(block.place(), &message, "write a name before the '{'");
            return None;
        };
        Some(self.name(word))
    }

    /// A statement that was not handled although the table says so: a mistake of this program's.
    fn forgotten(&mut self, statement: &Statement) {
        let message = format!("{} was not translated, which is a mistake of ha-agent's", statement.word());
        self.refuse(statement.place(), &message, "write TOML, and report it");
    }

    /// What means nothing behind something of which each stands in a line of its own.
    fn left_over(&mut self, word: &Word, behind: &str) {
        let message = format!("nothing like {} stands behind {behind}; it is left out", shown(&word.text));
        self.warn(word.place, &message, &format!("remove it, or write {behind} in a line of its own"));
    }

    /// Whether something stands there already, of which the first counts; says so.
    fn is_repeated(&mut self, statement: &Statement, is_known: bool) -> bool {
        if is_known {
            let message = format!(
                "{} stands here twice, and the first counts, as in keepalived",
                shown(statement.word())
            );
            self.warn(statement.place(), &message, "remove one of the two");
        }
        is_known
    }

    /// A key whose value is text.
    fn text_key(&mut self, key: &str, word: &Word) {
        self.toml.key(key, &quoted(&word.text), word.place);
    }
}

/// The nearest known name, the first hundred times and among a thousand: a hostile file has more of both.
fn near<'n>(asked: u32, word: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const OFTEN: u32 = 100;
    const MANY: usize = 1000;
    (asked <= OFTEN).then(|| nearest(word, known.take(MANY))).flatten()
}

/// Whether it turns something off: nothing is lost then.
fn is_off(statement: &Statement) -> bool {
    matches!(statement.text(), Some("off" | "no" | "false"))
}

/// Whether a switch is on: it is also when nothing stands behind it.
fn is_on(statement: &Statement) -> bool {
    !is_off(statement)
}

/// The nearest that names may be.
fn allowed_name(text: &str) -> String {
    if name_problem(text).is_none() && !text.is_empty() {
        return text.to_owned();
    }
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '-' };
    let name: String =
        text.chars().map(allowed).skip_while(|c| !c.is_ascii_alphanumeric()).take(63).collect();
    if name.is_empty() { "x".to_owned() } else { name }
}
