//! What is run: the command of a script and its user.

use super::super::files::Place;
use super::super::tree::{Statement, Word, split};
use super::Translator;
use crate::value::{quoted, shown};

impl Translator<'_, '_, '_> {
    /// The words of a script: of its one value, or all that stand in the line.
    pub(super) fn command_of_script(&mut self, statement: &Statement) -> Option<(Vec<String>, Place)> {
        let rest = statement.rest();
        let place = match rest {
            [] => {
                self.without_value(statement);
                return None;
            }
            [first, .., last] if first.place.file == last.place.file => {
                Place { end: last.place.end, ..first.place }
            }
            [first, ..] => first.place,
        };
        let is_cut = rest.iter().any(|word| word.text.contains(CURLY));
        let words: Vec<&str> = rest.iter().map(|word| word.text.as_str()).collect();
        if words.len() == 1 || is_cut {
            return Some((self.command_line(&words.join(" "), place), place));
        }
        let message = "keepalived takes the first word only; here all of them count";
        self.warn(place, message, "write the whole command in quotes");
        let mut all = self.words_of(words[0], place);
        all.extend(words[1..].iter().map(|&word| word.to_owned()));
        Some((self.command(all, place), place))
    }

    /// A command in one text, taken apart as keepalived does it: no shell takes part.
    pub(super) fn command_line(&mut self, text: &str, place: Place) -> Vec<String> {
        let bare = text.trim_matches(CURLY);
        if bare.len() != text.len() {
            let message = format!(
                "{} stands in typographic quotes, which keepalived takes for a part of the name; here they are left out",
                shown(bare)
            );
            self.warn(place, &message, &format!("write it in straight quotes: {}", quoted(bare)));
        }
        let words = self.words_of(bare, place);
        self.command(words, place)
    }

    fn words_of(&mut self, text: &str, place: Place) -> Vec<String> {
        let (words, is_closed) = split(text);
        if !is_closed {
            let message = "a quote within the script is not closed: keepalived leaves the script out, here it ends with it";
            self.warn(place, message, "close it, or write a backslash before it");
        }
        words
    }

    fn command(&mut self, words: Vec<String>, place: Place) -> Vec<String> {
        const SHELL: [&str; 8] = ["|", "||", "&&", ";", ">", "<", "&", ">>"];
        if let Some(word) = words.iter().find(|word| SHELL.contains(&word.as_str())) {
            let message =
                format!("{} is an argument like others: there is no shell, as in keepalived", shown(word));
            self.warn(place, &message, "write a script, and name it here");
        }
        match words.first() {
            Some(program) if !program.contains('/') => {
                self.look_for(program, place);
                let message = format!("{} is looked for along PATH each time", shown(program));
                self.note(place, &message);
                std::iter::once("/usr/bin/env".to_owned()).chain(words).collect()
            }
            Some(program) => {
                self.look_for(program, place);
                words
            }
            None => words,
        }
    }

    /// keepalived runs without a script that is not there, so that people do not know that they have one; a check of it fails here.
    fn look_for(&mut self, program: &str, place: Place) {
        if self.machine.has_program(program) == Some(false) && self.is_new(&format!("program {program}")) {
            let message = format!(
                "{} is not on this machine, or may not be run: here a router that tracks it takes no part, and keepalived goes on without it",
                shown(program)
            );
            self.warn(place, &message, "install it before the agent starts, or remove it here");
        }
    }

    /// A user, without the group that may stand behind.
    pub(super) fn user_of(&mut self, words: &[Word]) -> Option<Word> {
        if let Some(group) =
            words.get(1).filter(|group| words.first().is_some_and(|user| user.text != group.text))
        {
            self.warn(
                group.place,
                "commands run with the groups of their user",
                "nothing to do if the user has that group",
            );
        }
        words.first().cloned()
    }

    /// What stands behind a script without quotes is its user, and often meant to be an argument.
    fn look_for_user(&mut self, user: &Word) {
        if self.machine.has_user(&user.text) == Some(false) && self.is_new(&format!("user {}", user.text)) {
            let message = format!(
                "there is no user {} on this machine: here what is to run as it fails each time, and keepalived goes on without it",
                shown(&user.text)
            );
            let remedy =
                "make the user; if it is an argument of the script, write both in one pair of quotes";
            self.warn(user.place, &message, remedy);
        }
    }

    /// That user, or the one that keepalived takes when none is said.
    pub(super) fn user_or_usual(&mut self, user: Option<Word>, place: Place) -> (String, Place) {
        const OWN: &str = "keepalived_script";
        if let Some(user) = user.or_else(|| self.globals.script_user.clone()) {
            self.look_for_user(&user);
            return (user.text, user.place);
        }
        if self.machine.has_user(OWN) == Some(true) {
            return (OWN.to_owned(), place);
        }
        if self.is_new("root") {
            let message = if self.globals.script_security {
                "scripts run as root; with enable_script_security and no user keepalived_script keepalived runs none of them"
            } else {
                "scripts run as root, as keepalived has it without script_user when there is no user keepalived_script"
            };
            let remedy = "let the agent run them so (KEEPALIVED.md, Rights), or write script_user NAME into global_defs";
            self.warn(place, message, remedy);
        }
        ("root".to_owned(), place)
    }
}

/// What a script asks in the way of a shell, `< /dev/tcp/HOST/PORT`, which pages of old tell people to write.
pub(super) fn shell_target(script: &Statement) -> Option<(String, u16)> {
    let words: Vec<&str> = script.rest().iter().map(|word| word.text.as_str()).collect();
    let words = words.join(" ");
    let file = words.trim_matches(CURLY).trim().strip_prefix('<')?.trim();
    let (host, port) = file.strip_prefix("/dev/tcp/")?.split_once('/')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty() && !host.contains(' ')).then(|| (host.to_owned(), port))
}

/// Quotes that came with a copied page.
const CURLY: [char; 4] = ['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
