//! Scripts, processes, files and links that are tracked, as checks.

use std::time::Duration;

use super::super::files::Place;
use super::super::keywords;
use super::super::toml::list;
use super::super::tree::{Statement, split};
use super::command::shell_target;
use super::global::HOUR;
use super::{Translator, allowed_name};
use crate::duration::human;
use crate::value::{quoted, shown};

/// What can be tracked; each sort has names of its own in keepalived.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Looked {
    Script,
    Process,
    File,
    Link,
}

impl Looked {
    /// What it weighs when nothing is said.
    pub(super) fn usual_weight(self) -> i64 {
        i64::from(self == Self::File)
    }

    /// What is no check without it, and an example.
    fn needs(self) -> (&'static str, &'static str) {
        match self {
            Self::Script => ("script", "\"/path/of/program\""),
            Self::Process => ("process", "haproxy"),
            Self::File | Self::Link => ("file", "/path/of/file"),
        }
    }

    /// The word of ours.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Process => "process",
            Self::File => "file",
            Self::Link => "interface",
        }
    }
}

/// What can be tracked, as it is defined.
pub(crate) struct Defined<'t> {
    /// Its place among the statements of the file.
    pub(super) index: usize,
    pub(super) block: &'t Statement,
    /// What it weighs where it is tracked without a weight.
    pub(super) weight: i64,
    pub(super) is_reversed: bool,
}

/// Which block defines what.
const DEFINED: [(&str, Looked); 4] = [
    ("vrrp_script", Looked::Script),
    ("vrrp_track_process", Looked::Process),
    ("vrrp_track_file", Looked::File),
    ("track_file", Looked::File),
];

impl<'t> Translator<'t, '_, '_> {
    /// Finds what can be tracked.
    pub(super) fn collect(&mut self, statements: &'t [Statement]) {
        for (index, block) in statements.iter().enumerate() {
            let Some((_, looked)) = DEFINED.iter().find(|(word, _)| *word == block.word()) else { continue };
            let Some(name) = block.text() else {
                self.name_of(block);
                continue;
            };
            let (needed, example) = looked.needs();
            if block.find(needed).is_none() {
                let message = format!(
                    "{} {} has no {needed}: it is left out, as keepalived does",
                    block.word(),
                    shown(name)
                );
                self.warn(block.place(), &message, &format!("write {needed} {example}"));
                continue;
            }
            if self.looked.contains_key(&(*looked, name)) {
                self.warn(
                    block.place(),
                    &format!("{} {} is there twice; the first counts", block.word(), shown(name)),
                    "give each its own name",
                );
                continue;
            }
            let (weight, is_reversed) = self.defined_weight(block, *looked);
            self.looked.insert((*looked, name), Defined { index, block, weight, is_reversed });
        }
    }

    /// The name of the check of something that is tracked.
    pub(super) fn check_name(&mut self, looked: Looked, name: &str) -> String {
        if let Some(known) = self.tracked.get(&(looked, name.to_owned())) {
            return known.clone();
        }
        let mut wanted = allowed_name(name);
        if self.check_names.is_taken(&wanted) {
            wanted.truncate(45);
            wanted = format!("{wanted}-{}", looked.kind());
        }
        let made = self.check_names.take(&wanted);
        self.tracked.insert((looked, name.to_owned()), made.clone());
        made
    }

    /// All that is tracked; what is not is left out, as keepalived does.
    pub(super) fn checks(&mut self) {
        let unused = self
            .looked
            .iter()
            .filter(|((looked, name), _)| !self.tracked.contains_key(&(*looked, (*name).to_owned())));
        let unused: Vec<&Statement> = unused.map(|(_, defined)| defined.block).collect();
        for block in unused {
            if self.said.contains(&below(block)) {
                continue;
            }
            let message =
                format!("nothing tracks {}, so it is not looked at", shown(block.text().unwrap_or_default()));
            self.warn(
                block.place(),
                &message,
                "name it in track_script, track_process or track_file of a vrrp_instance, or remove it",
            );
        }
        self.end_table();
        for ((looked, name), check) in self.tracked.clone() {
            let block = self.looked.get(&(looked, name.as_str())).map(|defined| defined.block);
            match (looked, block) {
                (Looked::Script, Some(block)) => self.script(&check, block),
                (Looked::Process, Some(block)) => self.process(&check, block),
                (Looked::File, Some(block)) => self.file(&check, block),
                _ => self.link(&check, &name),
            }
        }
    }

    fn begin_check(&mut self, check: &str, kind: &str, place: Place) {
        self.table("[[check]]", place);
        self.toml.key("name", &quoted(check), place);
        self.toml.key("kind", &quoted(kind), place);
    }

    fn script(&mut self, check: &str, block: &Statement) {
        let target = block.find("script").and_then(shell_target);
        self.begin_check(check, target.as_ref().map_or(Looked::Script.kind(), |_| "tcp"), block.place());
        let mut interval = Duration::from_secs(1);
        let (mut timeout, mut rise, mut fall) = (None, 1, 1);
        let (mut command, mut user, mut fails) = (None, None, None);
        for statement in block.inner() {
            if self.known(statement, keywords::SCRIPT, "vrrp_script").is_none() {
                continue;
            }
            match statement.word() {
                "script" if target.is_some() => {
                    let message = "keepalived does not find this program, and goes on without it; here it is a check of kind tcp";
                    self.warn(statement.place(), message, "remove it if it is not to count");
                }
                "script" => command = self.command_of_script(statement),
                "interval" => {
                    let range = Duration::from_millis(10)..=HOUR * 24;
                    interval = self.loose_seconds(statement, range).unwrap_or(interval);
                }
                "timeout" => timeout = self.loose_seconds(statement, Duration::from_millis(1)..=HOUR),
                "rise" => rise = self.runs(statement),
                "fall" => fall = self.runs(statement),
                "user" => {
                    self.value_of(statement);
                    user = self.user_of(statement.rest());
                }
                "init_fail" => fails = Some(statement.place()),
                // It is read already.
                "weight" => {}
                _ => self.forgotten(statement),
            }
        }
        if let Some((argv, place)) = command {
            self.toml.key("command", &list(argv), place);
            let (user, place) = self.user_or_usual(user, block.place());
            self.toml.key("user", &quoted(&user), place);
        }
        if let Some((host, port)) = target {
            self.toml.key("host", &quoted(&host), block.place());
            self.toml.key("port", &port.to_string(), block.place());
        }
        let place = block.find("interval").map_or(block.place(), Statement::place);
        self.toml.key("interval", &quoted(&human(interval)), place);
        let timeout = timeout.unwrap_or(interval.min(HOUR));
        if timeout != interval || interval > Duration::from_secs(5) {
            let place = block.find("timeout").map_or(place, Statement::place);
            self.toml.key("timeout", &quoted(&human(timeout)), place);
        }
        self.toml.key("rise", &rise.to_string(), block.place());
        self.toml.key("fall", &fall.to_string(), block.place());
        self.toml.key("jitter", "\"0%\"", block.place());
        if let Some(place) = fails {
            self.toml.key("initial", "\"failing\"", place);
        }
        self.end_table();
    }

    fn process(&mut self, check: &str, block: &Statement) {
        self.begin_check(check, Looked::Process.kind(), block.place());
        let (mut process, mut least, mut most, mut extent) = (None, None, None, None);
        for statement in block.inner() {
            if self.known(statement, keywords::PROCESS, "vrrp_track_process").is_none() {
                continue;
            }
            match statement.word() {
                "process" => process = self.first(statement, process),
                "quorum" => least = self.processes(statement, 1),
                "quorum_max" => most = self.processes(statement, 0),
                "param_match" => extent = self.extent(statement).or(extent),
                "full_command" | "weight" => {}
                _ => self.forgotten(statement),
            }
        }
        if let Some(process) = process {
            self.process_is(process, block.find("full_command").is_some() || extent.is_some());
        }
        if let Some((extent, place)) = extent {
            self.toml.key("match", &quoted(extent), place);
        }
        // None at all may run when that is the most, whatever is the least.
        if let Some((_, place)) = most.filter(|(most, _)| *most == 0) {
            least = Some((0, place));
        }
        for (key, number) in [("minimum", least), ("maximum", most)] {
            if let Some((number, place)) = number {
                self.toml.key(key, &number.to_string(), place);
            }
        }
        self.end_table();
    }

    /// The one above, or this one.
    fn first<'s>(&mut self, statement: &'s Statement, above: Option<&'s Statement>) -> Option<&'s Statement> {
        self.is_repeated(statement, above.is_some());
        above.or(Some(statement))
    }

    fn processes(&mut self, statement: &Statement, least: i64) -> Option<(i64, Place)> {
        let range = least..=65_535;
        self.loose_number(statement, range.clone(), range).map(|number| (number, statement.place()))
    }

    fn extent(&mut self, statement: &Statement) -> Option<(&'static str, Place)> {
        let extent = match self.value_of(statement)?.text.as_str() {
            "exact" => "whole",
            "initial" => "beginning",
            "partial" => "part",
            other => {
                let message = format!("param_match {} counts as not said, as in keepalived", shown(other));
                self.warn(statement.place(), &message, "write exact, initial or partial");
                return None;
            }
        };
        Some((extent, statement.place()))
    }

    fn process_is(&mut self, statement: &Statement, is_whole_line: bool) {
        let words: Vec<String> = match statement.rest() {
            [] => return self.without_value(statement),
            [one] => split(&one.text).0,
            many => many.iter().map(|word| word.text.clone()).collect(),
        };
        if is_whole_line || words.len() > 1 {
            return self.toml.key("command_line", &quoted(&words.join(" ")), statement.place());
        }
        // The kernel keeps the first 15 characters of the program's own name.
        let name = words.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
        let name: String = name.chars().take(15).collect();
        self.toml.key("process", &quoted(&name), statement.place());
    }

    fn file(&mut self, check: &str, block: &Statement) {
        self.begin_check(check, Looked::File.kind(), block.place());
        self.toml.key("missing", "0", block.place());
        let mut file = None;
        for statement in block.inner() {
            if self.known(statement, keywords::FILE, "track_file").is_none() {
                continue;
            }
            match statement.word() {
                "file" => file = self.first(statement, file),
                "weight" => {}
                _ => self.forgotten(statement),
            }
        }
        if let Some(path) = file.and_then(|file| self.value_of(file)) {
            self.text_key("path", &path);
        }
        self.end_table();
    }

    fn link(&mut self, check: &str, name: &str) {
        let place = self.links.get(name).copied().unwrap_or_default();
        self.begin_check(check, Looked::Link.kind(), place);
        self.toml.key("interface", &quoted(name), place);
        self.end_table();
    }

    /// How many runs in a row.
    fn runs(&mut self, statement: &Statement) -> i64 {
        self.loose_number(statement, 1..=i64::from(i32::MAX), 1..=1000).unwrap_or(1)
    }
}

/// What is said of something that is tracked above its definition.
pub(super) fn below(block: &Statement) -> String {
    format!("below {} {}", block.word(), block.text().unwrap_or_default())
}
