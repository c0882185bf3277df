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

/// Keywords of which the same is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyword {
    /// Blanks stand between them.
    words: &'static str,
    pub(crate) fate: Fate,
    /// What is made of it, or what is different without it.
    pub(crate) what: &'static str,
    /// What to do about it.
    pub(crate) remedy: &'static str,
}

impl Keyword {
    fn each(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.words.split(' ')
    }
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

const fn taken(words: &'static str, what: &'static str) -> Keyword {
    Keyword { words, fate: Fate::Taken, what, remedy: "" }
}

const fn native(words: &'static str, what: &'static str) -> Keyword {
    Keyword { words, fate: Fate::Native, what, remedy: "" }
}

const fn differs(words: &'static str, what: &'static str, remedy: &'static str) -> Keyword {
    Keyword { words, fate: Fate::Differs, what, remedy }
}

const fn refused(words: &'static str, what: &'static str, remedy: &'static str) -> Keyword {
    Keyword { words, fate: Fate::Refused, what, remedy }
}

// What more than one table says.
const OWN: &str = "of keepalived's own process; the agent has its own";
const IPVS: &str = "of IPVS, which is not driven";
const LINKBEAT: &str = "the kernel tells of links";
const RIVAL: &str = "addresses are announced again as soon as a rival appears and when it goes";
const ONE_ROUND: &str = "a refresh is one round of announcements";
const OWN_LINK: &str = "addresses are announced on their own link only";
const SWITCH: &str = "leave it out if no switch depends on it";
const THREE: &str = "a takeover comes after three adverts that are missing";
const ALL_NODES: &str = "leave it out on all nodes, or change advert_int";
const ANSWERED: &str = "a router of lower priority is answered at once, at most ten times an interval";
const LAST_ADVERT: &str = "a router that yields sends one last advert";
const PEERS_ONLY: &str = "unicast listens to its peers only";
const OTHER_ADDRESSES: &str = "an advert with other addresses is accepted, and told";
const OWNER: &str = "an owner holds its addresses";
const PACED: &str = "announcements keep the interval of announce";
const DIRECTOR: &str = "connections of its virtual servers would not be known to the other director";
const BESIDE: &str =
    "start it in scripts of notify_master and notify_backup (ipvsadm --start-daemon), and remove it here";
const PRIORITIES: &str = "`priorities = true` of the pipes";
const NET_NAMESPACE: Keyword = refused(
    "net_namespace",
    "the agent would work in the namespace in which it is started",
    "write NetworkNamespacePath= in the unit of the agent, and remove this line",
);
const BFD: Keyword = refused(
    "track_bfd",
    "the node would not notice what BFD notices",
    "write track_script with a program that asks, and remove it",
);
const NOTIFY: Keyword =
    taken("notify", "a `[[notify]]` with `command`; keepalived's four arguments are appended");
const NOTIFY_STATE: Keyword = taken(
    "notify_master notify_backup notify_fault notify_stop",
    "a `[[notify]]` with `command`, the arguments as they stand",
);
const MAIL: Keyword = taken("smtp_alert", "a `[[notify]]` with `mail`");

/// What a table says of a word.
pub(crate) fn find(table: &[Keyword], word: &str) -> Option<Keyword> {
    table.iter().copied().find(|keyword| keyword.each().any(|known| known == word))
}

/// All words of a table.
pub(crate) fn words(table: &[Keyword]) -> impl Iterator<Item = &'static str> {
    table.iter().flat_map(|keyword| keyword.each())
}

/// Where a whole keyword may stand that is refused.
const WITH_REFUSED: [&[Keyword]; 4] = [TOP, GLOBAL, INSTANCE, GROUP];

/// All words without which a file does not run, and which somebody else may see to.
pub(crate) fn refused_words() -> impl Iterator<Item = &'static str> {
    let keywords = WITH_REFUSED.into_iter().flatten();
    keywords.filter(|keyword| keyword.fate == Fate::Refused).flat_map(|keyword| keyword.each())
}

/// Whether it is a word of one of these tables.
pub(crate) fn is_known(word: &str) -> bool {
    WITH_REFUSED.into_iter().any(|table| find(table, word).is_some())
}

#[cfg(test)]
mod tests;
