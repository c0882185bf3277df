//! Every keyword of keepalived's that people write, by where it stands, with what is made of it. `KEEPALIVED.md` is these tables; a
//! test compares the two.

mod global;
mod instance;
mod rest;

pub(crate) use global::GLOBAL;
pub(crate) use instance::{ADDRESS, AUTHENTICATION, GROUP, INSTANCE};
pub(crate) use rest::{FILE, PROCESS, SCRIPT, TOP};

/// What becomes of a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is taken over.
    Taken,
    /// It asks for what is so anyway, or for what only keepalived itself needs: accepted in silence.
    Native,
    /// The file runs without it, and something is different: a warning.
    Differs,
    /// Without it the wrong node might have an address, or an address would be of no use: an error.
    Refused,
}

/// One keyword.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyword {
    pub(crate) word: &'static str,
    pub(crate) fate: Fate,
    /// What is made of it, or what is different without it.
    pub(crate) what: &'static str,
    /// What to do about it.
    pub(crate) remedy: &'static str,
}

/// All tables with their titles in `KEEPALIVED.md`.
#[cfg(test)]
const TABLES: &[(&str, &[Keyword])] = &[
    ("Outside of blocks", TOP),
    ("`global_defs`", GLOBAL),
    ("`vrrp_instance`", INSTANCE),
    ("`authentication`", AUTHENTICATION),
    ("`virtual_ipaddress`", ADDRESS),
    ("`vrrp_sync_group`", GROUP),
    ("`vrrp_script`", SCRIPT),
    ("`vrrp_track_process`", PROCESS),
    ("`vrrp_track_file` and `track_file`", FILE),
];

const fn taken(word: &'static str, what: &'static str) -> Keyword {
    Keyword { word, fate: Fate::Taken, what, remedy: "" }
}

const fn native(word: &'static str, what: &'static str) -> Keyword {
    Keyword { word, fate: Fate::Native, what, remedy: "" }
}

const fn differs(word: &'static str, what: &'static str, remedy: &'static str) -> Keyword {
    Keyword { word, fate: Fate::Differs, what, remedy }
}

const fn refused(word: &'static str, what: &'static str, remedy: &'static str) -> Keyword {
    Keyword { word, fate: Fate::Refused, what, remedy }
}

/// The keyword of that name.
pub(crate) fn find(table: &[Keyword], word: &str) -> Option<Keyword> {
    table.iter().copied().find(|keyword| keyword.word == word)
}

#[cfg(test)]
mod tests;
