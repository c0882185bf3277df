//! keepalived's language: words, comments from `#` or `!` to the end of the line, and blocks in braces, which may open on the
//! next line. What is nested deeper than any real file is read as if it were not.

use std::ops::Range;

/// No block of keepalived's is nested deeper.
const DEEPEST: usize = 8;

/// A line and, when it opens a block, the lines in it.
pub(super) struct Line<'t> {
    words: Vec<(Range<usize>, &'t str)>,
    pub(super) lines: Vec<Line<'t>>,
}

impl<'t> Line<'t> {
    /// Its first word.
    pub(super) fn word(&self) -> &'t str {
        self.words.first().map_or("", |(_, word)| word)
    }

    /// Its second word.
    pub(super) fn value(&self) -> Option<&'t str> {
        self.words.get(1).map(|(_, word)| *word)
    }

    /// All its words.
    pub(super) fn words(&self) -> impl Iterator<Item = &'t str> + '_ {
        self.words.iter().map(|(_, word)| *word)
    }

    /// Where it stands, without its block.
    pub(super) fn span(&self) -> Range<usize> {
        let start = self.words.first().map_or(0, |(span, _)| span.start);
        start..self.words.last().map_or(start, |(span, _)| span.end)
    }

    /// The first line in its block that begins with this word.
    pub(super) fn inner(&self, word: &str) -> Option<&Line<'t>> {
        self.lines.iter().find(|line| line.word() == word)
    }

    /// The entries of a list; `group { a b }` has two in one line where they are only names.
    pub(super) fn entries(&self) -> Vec<Line<'t>> {
        let entry = |words: &[(Range<usize>, &'t str)]| Line { words: words.to_vec(), lines: Vec::new() };
        let entries = self.lines.iter().flat_map(|line| match self.word() {
            "group" => line.words.chunks(1).map(entry).collect::<Vec<_>>(),
            _ => vec![entry(&line.words)],
        });
        entries.collect()
    }
}

/// Reads a whole text; whatever it is, it has lines.
pub(super) fn read(text: &str) -> Vec<Line<'_>> {
    let mut reader = Reader { open: vec![Vec::new()], headings: Vec::new(), words: Vec::new(), too_deep: 0 };
    let mut rest = text.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        match character {
            '\n' => reader.end_line(),
            '#' | '!' => while rest.next_if(|(_, next)| *next != '\n').is_some() {},
            '{' => reader.open_block(),
            '}' => reader.close_block(),
            '"' | '\'' => {
                let start = at + 1;
                let mut end = start;
                while let Some((at, next)) = rest.next_if(|(_, next)| *next != character && *next != '\n') {
                    end = at + next.len_utf8();
                }
                rest.next_if(|(_, next)| *next == character);
                reader.words.push((start..end, &text[start..end]));
            }
            blank if blank.is_whitespace() => {}
            _ => {
                let mut end = at + character.len_utf8();
                // The braces of a parameter open no block.
                let is_parameter = character == '$' && rest.next_if(|(_, next)| *next == '{').is_some();
                let ends = |next: char| {
                    next.is_whitespace()
                        || matches!(next, '#' | '!')
                        || (!is_parameter && matches!(next, '{' | '}'))
                };
                while let Some((at, next)) = rest.next_if(|(_, next)| !ends(*next)) {
                    end = at + next.len_utf8();
                }
                reader.words.push((at..end, &text[at..end]));
            }
        }
    }
    reader.finish()
}

struct Reader<'t> {
    /// The lines of each open block, the whole file's first.
    open: Vec<Vec<Line<'t>>>,
    /// The line that opened each block but the first.
    headings: Vec<Line<'t>>,
    words: Vec<(Range<usize>, &'t str)>,
    too_deep: usize,
}

impl<'t> Reader<'t> {
    fn end_line(&mut self) {
        if !self.words.is_empty() {
            let words = std::mem::take(&mut self.words);
            self.push(Line { words, lines: Vec::new() });
        }
    }

    fn push(&mut self, line: Line<'t>) {
        if let Some(lines) = self.open.last_mut() {
            lines.push(line);
        }
    }

    /// The line before the brace opens a block, also when it has ended.
    fn open_block(&mut self) {
        self.end_line();
        if self.open.len() >= DEEPEST {
            self.too_deep += 1;
            return;
        }
        let heading = self.open.last_mut().and_then(Vec::pop);
        self.headings.push(heading.unwrap_or(Line { words: Vec::new(), lines: Vec::new() }));
        self.open.push(Vec::new());
    }

    /// A brace too many closes nothing.
    fn close_block(&mut self) {
        self.end_line();
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else if let Some(heading) = self.headings.pop() {
            let lines = self.open.pop().unwrap_or_default();
            self.push(Line { lines, ..heading });
        }
    }

    fn finish(mut self) -> Vec<Line<'t>> {
        self.end_line();
        self.too_deep = 0;
        while !self.headings.is_empty() {
            self.close_block();
        }
        self.open.pop().unwrap_or_default()
    }
}
