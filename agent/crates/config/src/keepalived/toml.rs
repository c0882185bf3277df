//! Our TOML as it is made of a keepalived.conf, line by line with what each comes from.

use std::fmt::Write;
use std::ops::Range;

use super::files::Place;
use crate::value::quoted;

/// How what our reader finds in a line is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At the place that the line comes from.
    Told,
    /// The same, but no warning: nobody needs to hear it.
    Quiet,
    /// The line stands in a file as it is.
    Verbatim,
}

/// A text in the making.
#[derive(Default)]
pub(crate) struct Toml {
    pub(crate) text: String,
    /// Where in it something begins that comes from a place; sorted.
    origins: Vec<(usize, Place, Manner)>,
}

impl Toml {
    /// A table such as `[[instance]]`, after an empty line.
    pub(crate) fn table(&mut self, header: &str, place: Place) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            let is_after_comment = self.text.lines().next_back().is_some_and(|line| line.starts_with('#'));
            self.text.push_str(if is_after_comment { "" } else { "\n" });
        }
        self.line(place, Manner::Told, header);
    }

    /// A key with its value, written as TOML.
    pub(crate) fn key(&mut self, key: &str, value: &str, place: Place) {
        self.line(place, Manner::Told, &format!("{key} = {value}"));
    }

    /// The same, for what our reader warns of and nobody needs to hear.
    pub(crate) fn quiet_key(&mut self, key: &str, value: &str, place: Place) {
        self.line(place, Manner::Quiet, &format!("{key} = {value}"));
    }

    /// A list, an entry a line when there are several, each with its own place.
    pub(crate) fn list_key(&mut self, key: &str, entries: &[(String, Place)], place: Place) {
        match entries {
            [] => self.key(key, "[]", place),
            [(entry, place)] => self.key(key, &format!("[{entry}]"), *place),
            entries => {
                self.line(place, Manner::Told, &format!("{key} = ["));
                entries
                    .iter()
                    .for_each(|(entry, place)| self.line(*place, Manner::Told, &format!("    {entry},")));
                self.line(place, Manner::Told, "]");
            }
        }
    }

    /// A comment, each of its lines.
    pub(crate) fn comment(&mut self, comment: &str) {
        for line in comment.lines() {
            let shown: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = writeln!(self.text, "# {shown}");
        }
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A whole file of ours.
    pub(crate) fn verbatim(&mut self, text: &str, place: Place) {
        self.origins.push((self.text.len(), place, Manner::Verbatim));
        self.text.push_str(text);
        self.text.push_str(if text.ends_with('\n') { "" } else { "\n" });
    }

    fn line(&mut self, place: Place, manner: Manner, line: &str) {
        self.origins.push((self.text.len(), place, manner));
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Where a piece of this text comes from, and how what is found there is told.
    pub(crate) fn origin(&self, piece: &Range<usize>) -> (Place, Manner) {
        let index = self.origins.partition_point(|(start, ..)| *start <= piece.start);
        match index.checked_sub(1).and_then(|index| self.origins.get(index)) {
            Some((start, place, Manner::Verbatim)) => {
                let shift = |at: usize| (place.start as usize + at - start).min(place.end as usize);
                let end = shift(piece.end.max(piece.start));
                (Place::new(place.file as usize, shift(piece.start), end), Manner::Verbatim)
            }
            Some((_, place, manner)) => (*place, *manner),
            None => (Place::default(), Manner::Told),
        }
    }
}

/// A list of texts.
pub(crate) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}
