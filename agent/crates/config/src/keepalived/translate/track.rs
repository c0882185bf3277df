//! What instances and groups track, and what it weighs.

use std::collections::BTreeSet;

use super::super::files::Place;
use super::super::tree::{Statement, Word};
use super::check::{Looked, below};
use super::{Translator, near};
use crate::value::{quoted, shown};

/// The most that a weight can be.
const MOST: i64 = 253;

/// What one tracks.
#[derive(Default)]
pub(super) struct Entries {
    /// The entries of a `track` list, each with its place.
    pub(super) list: Vec<(String, Place)>,
    named: BTreeSet<(Looked, String)>,
}

/// Who tracks.
#[derive(Clone, Copy)]
pub(super) struct Tracker<'w> {
    /// Its own link, which it follows anyway.
    pub(super) link: Option<&'w str>,
    /// It is the member of a sync group whose members' weights do not count.
    pub(super) is_weightless: bool,
    /// Its place among the statements of the file.
    pub(super) index: usize,
}

/// Of `track_script` and so on; `None` for other keywords.
pub(super) fn looked_of(word: &str) -> Option<Looked> {
    match word {
        "track_script" => Some(Looked::Script),
        "track_process" => Some(Looked::Process),
        "track_file" => Some(Looked::File),
        "track_interface" => Some(Looked::Link),
        _ => None,
    }
}

impl Translator<'_, '_, '_> {
    /// All entries of a block.
    pub(super) fn tracks(
        &mut self,
        block: &Statement,
        looked: Looked,
        tracker: Tracker<'_>,
        entries: &mut Entries,
    ) {
        for line in block.inner() {
            let name = (looked, line.word().to_owned());
            if self.is_repeated(line, entries.named.contains(&name)) {
                continue;
            }
            if let Some(entry) = self.track(line, looked, tracker) {
                entries.list.push((entry, line.place()));
                entries.named.insert(name);
            }
        }
    }

    fn track(&mut self, line: &Statement, looked: Looked, tracker: Tracker<'_>) -> Option<String> {
        let name = line.word().to_owned();
        if looked == Looked::Link {
            if tracker.link == Some(name.as_str()) {
                if let Some(option) = line.value() {
                    let message =
                        "an instance follows its own link anyway, without a weight, as in keepalived";
                    self.warn(option.place, message, "remove the line");
                }
                return None;
            }
            self.links.entry(name.clone()).or_insert(line.place());
        } else {
            self.find_tracked(line, looked, tracker)?;
        }
        let weight = self.weight(line, looked)?;
        let (weight, reverse) = self.weight_in_group(line, looked, weight, tracker)?;
        let check = quoted(&self.check_name(looked, &name));
        let reversed = if reverse { ", reverse = true" } else { "" };
        Some(match (looked, weight) {
            (Looked::File, 0) if reverse => {
                let message = format!("Fault while the number in {} is 0 cannot be taken over", shown(&name));
                self.refuse(
                    line.place(),
                    &message,
                    "track a vrrp_script that reads the file, and remove it here",
                );
                return None;
            }
            (Looked::File, 0) => format!("{{ check = {check}, fault_on_value = true }}"),
            (Looked::File, factor) if reverse => format!("{{ check = {check}, factor = {} }}", -factor),
            (Looked::File, factor) => format!("{{ check = {check}, factor = {factor} }}"),
            (_, 0) if !reverse => check,
            (_, 0) => format!("{{ check = {check}{reversed} }}"),
            (_, weight) => format!("{{ check = {check}, weight = {weight}{reversed} }}"),
        })
    }

    /// Says when what is tracked is not there, or is there only for us.
    fn find_tracked(&mut self, line: &Statement, looked: Looked, tracker: Tracker<'_>) -> Option<()> {
        let name = line.word();
        let found = self.looked.get(&(looked, name)).map(|defined| (defined.index, defined.block));
        let Some((index, block)) = found else {
            self.asked += 1;
            let known = self.looked.keys().filter(|(sort, _)| *sort == looked).map(|(_, name)| *name);
            let near = near(self.asked, name, known).map(|near| format!("did you mean {near}?"));
            let message = format!(
                "there is no {} {} to track: it is left out, as keepalived does",
                looked.kind(),
                shown(name)
            );
            self.warn(line.place(), &message, &near.unwrap_or("define it, or remove the line".to_owned()));
            return None;
        };
        if index > tracker.index {
            let message = format!("{} is defined below: it is left out, as keepalived does", shown(name));
            self.warn(line.place(), &message, "define it above, on all nodes, so that it counts");
            self.said.insert(below(block));
            return None;
        }
        Some(())
    }

    /// What is said of a weight where something is defined. keepalived cuts only what a sum of weights comes to.
    pub(super) fn defined_weight(&mut self, block: &Statement, looked: Looked) -> (i64, bool) {
        let Some(statement) = block.find("weight") else { return (looked.usual_weight(), false) };
        let all = i64::from(i32::MAX);
        let (theirs, ours) = match looked {
            Looked::File => (-all..=all, -all..=all),
            Looked::Process => (-254..=254, -MOST..=MOST),
            Looked::Script | Looked::Link => (-all..=all, -MOST..=MOST),
        };
        let weight = self.loose_number(statement, theirs, ours);
        let is_reversed = statement.rest().iter().any(|word| word.text == "reverse");
        (weight.unwrap_or(looked.usual_weight()), is_reversed)
    }

    /// The weight of an entry, or that of what it names. `None` when what stands there is no weight: keepalived leaves out the line.
    fn weight(&mut self, line: &Statement, looked: Looked) -> Option<(i64, bool)> {
        let defined = self.looked.get(&(looked, line.word()));
        // A weight here takes the place of that one, but not its reverse.
        let (mut weight, mut is_reversed) =
            defined.map_or((looked.usual_weight(), false), |defined| (defined.weight, defined.is_reversed));
        match line.rest() {
            [] => {}
            [option, value, rest @ ..] if option.text == "weight" => {
                weight = self.own_weight(value, looked).unwrap_or(weight);
                for (index, word) in rest.iter().enumerate() {
                    match (index, word.text.as_str()) {
                        (0, "reverse") => is_reversed = true,
                        (0, "noreverse") => is_reversed = false,
                        _ => self.left_over(word, "a weight"),
                    }
                }
            }
            [option, ..] => {
                let message = format!(
                    "{} is not tracked, as in keepalived: {} behind it is no weight with its number",
                    shown(line.word()),
                    shown(&option.text)
                );
                self.warn(
                    option.place,
                    &message,
                    "write weight and a number, or each name in a line of its own",
                );
                return None;
            }
        }
        Some((weight, is_reversed))
    }

    fn own_weight(&mut self, word: &Word, looked: Looked) -> Option<i64> {
        if looked == Looked::File {
            let all = i64::from(i32::MAX);
            return self.number_of("weight", word, -all..=all);
        }
        let weight = self.number_of("weight", word, -254..=254)?;
        Some(self.cut("weight", word, weight, -MOST..=MOST))
    }

    /// In a sync group the weights of members do not count, unless the group says so.
    fn weight_in_group(
        &mut self,
        line: &Statement,
        looked: Looked,
        (weight, reverse): (i64, bool),
        tracker: Tracker<'_>,
    ) -> Option<(i64, bool)> {
        // keepalived leaves out neither processes nor their weights.
        if !tracker.is_weightless || weight == 0 || looked == Looked::Process {
            return Some((weight, reverse));
        }
        let name = shown(line.word());
        let remedy = "track it in the vrrp_sync_group, or write sync_group_tracking_weight there";
        if looked == Looked::Link || (looked == Looked::File && weight == 1) {
            let message =
                format!("the weight of {name} counts as 0 in a member of a sync group, as in keepalived");
            self.warn(line.place(), &message, remedy);
            return Some((0, reverse));
        }
        let message = format!(
            "{name} has a weight, so that a member of a sync group does not track it, as in keepalived"
        );
        self.warn(line.place(), &message, remedy);
        None
    }
}
