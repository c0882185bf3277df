//! keepalived's lines as they are after comments, conditions (`@name`), parameters (`$NAME`) and sequences (`~SEQ`, `~LST`). Each
//! octet of them knows where it comes from. Bounded: what a hostile file multiplies ends with an error.

mod repeat;
mod values;

use std::collections::BTreeMap;

use super::files::{Files, Place, Reports};
use crate::value::shown;
use repeat::{Repeat, repeat};

/// The most lines and octets that come of all files.
const MOST_LINES: usize = 1 << 16;
const MOST_OCTETS: usize = 4 << 20;
/// How often a line may be replaced by what its parameters stand for.
const MOST_ROUNDS: u32 = 64;
/// The longest line, after parameters.
const LONGEST_LINE: usize = 1 << 14;
/// keepalived reads no more of a line.
const LONGEST_OF_KEEPALIVED: usize = 1023;

/// A text whose octets know where they come from, all in one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    pub(crate) text: String,
    file: u32,
    /// For each octet.
    origins: Vec<u32>,
    rounds: u32,
}

impl Piece {
    fn of(files: &Files, place: Place) -> Self {
        let text = files.text(place).to_owned();
        let origins = (place.start..).take(text.len()).collect();
        Self { text, file: place.file, origins, rounds: 0 }
    }

    /// A part of it.
    pub(crate) fn cut(&self, from: usize, to: usize) -> Self {
        let text = self.text.get(from..to).unwrap_or_default().to_owned();
        let origins = self.origins.get(from..to).unwrap_or_default().to_vec();
        Self { text, origins, ..Self { file: self.file, rounds: self.rounds, ..Self::default() } }
    }

    fn trimmed(&self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        let end = self.text.trim_end().len().max(start);
        self.cut(start, end)
    }

    /// Where a part of it stands in its file.
    pub(crate) fn place(&self, from: usize, to: usize) -> Place {
        let first = self.origins.get(from).or(self.origins.last()).copied().unwrap_or_default();
        let last = to.checked_sub(1).filter(|last| *last >= from);
        let last = last.and_then(|last| self.origins.get(last)).map_or(first, |last| last + 1);
        Place { file: self.file, start: first, end: last.max(first) }
    }

    fn whole(&self) -> Place {
        self.place(0, self.text.len())
    }
}

/// What a parameter stands for.
enum Parameter {
    Text(String),
    Lines(Vec<Piece>),
}

/// What is still to be read before the next line of the files.
enum Pending {
    Line(Piece),
    Repeat(Box<Repeat>),
}

/// Turns files into lines.
pub(crate) struct Expander<'f, 'r, 't> {
    files: &'f Files,
    /// Which of the lines of `@name` are for this node.
    id: &'f str,
    parameters: BTreeMap<String, Parameter>,
    pending: Vec<Pending>,
    next: usize,
    lines: usize,
    octets: usize,
    stopped: bool,
    reports: &'r mut Reports<'t>,
}

impl<'f, 'r, 't> Expander<'f, 'r, 't> {
    pub(crate) fn new(files: &'f Files, id: &'f str, reports: &'r mut Reports<'t>) -> Self {
        Self {
            files,
            id,
            parameters: BTreeMap::new(),
            pending: Vec::new(),
            next: 0,
            lines: 0,
            octets: 0,
            stopped: false,
            reports,
        }
    }

    /// All lines that say something.
    pub(crate) fn all(mut self) -> Vec<Piece> {
        let mut lines = Vec::new();
        while let Some(piece) = self.take() {
            if let Some(line) = self.read(piece.trimmed()) {
                lines.push(line);
            }
        }
        lines
    }

    /// The next line, which may itself be what another one stands for.
    fn take(&mut self) -> Option<Piece> {
        loop {
            let piece = match self.pending.pop() {
                Some(Pending::Line(piece)) => piece,
                Some(Pending::Repeat(mut repeat)) => {
                    let Some(values) = repeat.next() else { continue };
                    for (name, value) in values {
                        self.parameters.insert(name, Parameter::Text(value));
                    }
                    let rest = repeat.rest.clone();
                    self.pending.push(Pending::Repeat(repeat));
                    rest
                }
                None => {
                    let place = *self.files.lines.get(self.next)?;
                    self.next += 1;
                    self.without_comment(Piece::of(self.files, place))
                }
            };
            self.lines += 1;
            self.octets += piece.text.len();
            if self.stopped {
                return None;
            }
            if self.lines > MOST_LINES || self.octets > MOST_OCTETS {
                self.stop(&piece, "the file makes more lines than any real one");
                return None;
            }
            return Some(piece);
        }
    }

    fn stop(&mut self, piece: &Piece, what: &str) {
        self.stopped = true;
        self.reports.error(piece.whole(), what, "shorten its sequences and parameters");
    }

    fn without_comment(&mut self, piece: Piece) -> Piece {
        let line = piece.cut(0, comment(&piece.text));
        if line.text.trim().len() > LONGEST_OF_KEEPALIVED {
            let message = format!(
                "the line has {} octets, and keepalived reads none of more than {LONGEST_OF_KEEPALIVED}",
                line.text.trim().len()
            );
            self.reports.warning(line.whole(), message, "split it; it is read here");
        }
        line
    }

    /// What a line is, or what has to be read instead of it.
    fn read(&mut self, line: Piece) -> Option<Piece> {
        if line.text.is_empty() {
            return None;
        }
        if line.text.len() > LONGEST_LINE || line.rounds > MOST_ROUNDS {
            let message = if line.rounds > MOST_ROUNDS {
                "a parameter stands for itself"
            } else {
                "the line becomes too long"
            };
            self.reports.error(line.whole(), message, "write the value itself");
            return None;
        }
        if let Some(rest) = line.text.strip_prefix('@') {
            return self.condition(&line, rest);
        }
        if let Some((name, at)) = definition(&line.text) {
            self.define(name.to_owned(), line.cut(at, line.text.len()));
            return None;
        }
        if line.text.starts_with("~SEQ") || line.text.starts_with("~LST") {
            // What the names stand for is found out when the rest is read, not before.
            let end = line.text.find(')').map_or(line.text.len(), |close| close + 1);
            let head = line.cut(0, end);
            let head = self.replaced(&head).unwrap_or(head);
            match repeat(&head.text, line.cut(end, line.text.len())) {
                Ok(repeat) => self.pending.push(Pending::Repeat(Box::new(repeat))),
                Err(problem) => {
                    let remedy = "write ~SEQ(NAME, first, step, last) or ~LST(NAME, one, two)";
                    self.reports.error(line.whole(), format!("{} {problem}", shown(&line.text)), remedy);
                }
            }
            return None;
        }
        if let Some(body) = self.lines_of(&line.text) {
            let rounds = line.rounds + 1;
            let body = body.into_iter().rev().map(|piece| Pending::Line(Piece { rounds, ..piece }));
            self.pending.extend(body);
            return None;
        }
        match self.replaced(&line) {
            Some(replaced) => {
                // What a parameter stands for may begin a comment.
                self.pending.push(Pending::Line(replaced.cut(0, comment(&replaced.text))));
                None
            }
            None => Some(line),
        }
    }

    /// `@name rest` counts on the node of that name, `@^name rest` on all others.
    fn condition(&mut self, line: &Piece, rest: &str) -> Option<Piece> {
        let end = rest.find([' ', '\t']).unwrap_or(rest.len());
        let word = &rest[..end];
        let (name, wanted) = word.strip_prefix('^').map_or((word, true), |name| (name, false));
        if (name == self.id) == wanted {
            self.pending.push(Pending::Line(line.cut(1 + end, line.text.len())));
        }
        None
    }

    /// A value goes on in the next line while this one ends with a backslash. A backslash at the
    /// end of a comment counts, and a line that has only a comment does not end it; an empty line does.
    fn define(&mut self, name: String, value: Piece) {
        let Some(first) = continued(&value) else {
            self.parameters.insert(name, Parameter::Text(value.text.trim().to_owned()));
            return;
        };
        let mut lines = vec![first];
        loop {
            let whole = self.next_whole().trim().to_owned();
            let Some(piece) = self.take() else { break };
            let trimmed = piece.trimmed();
            match continued(&trimmed) {
                Some(line) => lines.push(line),
                None if whole.ends_with('\\') => lines.push(trimmed),
                None if trimmed.text.is_empty() && !whole.is_empty() => {}
                None => {
                    lines.push(trimmed);
                    break;
                }
            }
        }
        lines.retain(|line| !line.text.trim().is_empty());
        self.parameters.insert(name, Parameter::Lines(lines));
    }

    /// The next line of a file with its comment; empty when it does not come from a file.
    fn next_whole(&self) -> &str {
        let next = self.files.lines.get(self.next).filter(|_| self.pending.is_empty());
        next.map_or("", |place| self.files.text(*place))
    }

    /// The lines that a parameter of several stands for: nothing else may be in the line.
    fn lines_of(&self, line: &str) -> Option<Vec<Piece>> {
        let name = line.strip_prefix('$')?;
        let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
        match self.parameters.get(name) {
            Some(Parameter::Lines(lines)) => Some(lines.clone()),
            _ => None,
        }
    }

    /// The line with the values of its parameters, once; `None` when it has none that is defined.
    fn replaced(&mut self, line: &Piece) -> Option<Piece> {
        let mut made = Piece { file: line.file, rounds: line.rounds + 1, ..Piece::default() };
        let (mut at, mut is_changed) = (0, false);
        while let Some(found) = line.text[at..].find('$').map(|found| at + found) {
            push(&mut made, line, at, found);
            let (end, value) = match values::named(&line.text[found..]) {
                Some((name, length)) => (found + length, self.value(name, line)),
                None => (found + 1, None),
            };
            match value {
                Some(value) => {
                    is_changed = true;
                    let origin = line.origins.get(found).copied().unwrap_or_default();
                    made.origins.extend(std::iter::repeat_n(origin, value.len()));
                    made.text.push_str(&value);
                }
                None => push(&mut made, line, found, end),
            }
            at = end;
            if made.text.len() > LONGEST_LINE {
                break;
            }
        }
        push(&mut made, line, at, line.text.len());
        is_changed.then_some(made)
    }

    fn value(&mut self, name: &str, line: &Piece) -> Option<String> {
        match self.parameters.get(name) {
            Some(Parameter::Text(value)) => return Some(value.clone()),
            Some(Parameter::Lines(_)) => {
                let message =
                    format!("${name} stands for several lines, and there is something else in this one");
                self.reports.error(line.whole(), message, "write it in a line of its own");
                return None;
            }
            None => {}
        }
        match values::predefined(name, self.files.folder(line.file), self.id) {
            Ok(value) => value,
            Err(problem) => {
                self.reports.error(line.whole(), problem, "write the value itself");
                None
            }
        }
    }
}

/// Where the comment of a line begins: at `#` or `!` outside of `"`. A backslash before it does not help: keepalived takes it away and
/// reads the line once more.
fn comment(line: &str) -> usize {
    let (mut is_quoted, mut escape) = (false, None);
    for (at, character) in line.char_indices() {
        match character {
            '#' | '!' if !is_quoted => return escape.unwrap_or(at),
            _ if escape.take().is_some() => {}
            '\\' => escape = Some(at),
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
    }
    line.len()
}

fn push(made: &mut Piece, from: &Piece, start: usize, end: usize) {
    made.text.push_str(from.text.get(start..end).unwrap_or_default());
    made.origins.extend_from_slice(from.origins.get(start..end).unwrap_or_default());
}

/// `$NAME=`: the name, and where its value begins.
fn definition(line: &str) -> Option<(&str, usize)> {
    let (name, _) = line.strip_prefix('$')?.split_once('=')?;
    values::is_name(name).then_some((name, name.len() + 2))
}

/// The line without the backslash at its end.
fn continued(line: &Piece) -> Option<Piece> {
    let text = line.text.trim_end();
    text.ends_with('\\').then(|| line.cut(0, text.len() - 1).trimmed())
}
