//! Lines as statements: words, and in braces what belongs to them. Measured with keepalived 2.2.7: `"` quotes everywhere, while `'` quotes
//! and backslashes mean something in the lines of scripts only.

use super::expand::Piece;
use super::files::{Place, Reports};

/// No block of keepalived's is nested deeper than half of this.
const DEEPEST: usize = 12;

/// A word of a line, without its quotes and escapes.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// A line, and its block if it opens one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    pub(crate) words: Vec<Word>,
    pub(crate) block: Option<Vec<Statement>>,
}

impl Statement {
    /// Its keyword.
    pub(crate) fn word(&self) -> &str {
        self.words.first().map_or("", |word| word.text.as_str())
    }

    /// What stands behind the keyword.
    pub(crate) fn value(&self) -> Option<&Word> {
        self.words.get(1)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.value().map(|word| word.text.as_str())
    }

    /// The words behind the keyword.
    pub(crate) fn rest(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }

    /// What stands in its block.
    pub(crate) fn inner(&self) -> &[Statement] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The last statement of a keyword in its block: keepalived, too, goes by the last.
    pub(crate) fn find(&self, word: &str) -> Option<&Statement> {
        self.inner().iter().rfind(|statement| statement.word() == word)
    }

    /// What stands in its blocks of a keyword: for keepalived, several are one.
    pub(crate) fn within(&self, word: &str) -> impl DoubleEndedIterator<Item = &Statement> {
        self.inner().iter().filter(move |statement| statement.word() == word).flat_map(Statement::inner)
    }

    /// The words behind the first, each with the next one if it is an option that has a value: `weight 5`.
    pub(crate) fn options(&self, with_value: &[&str]) -> impl Iterator<Item = (&Word, Option<&Word>)> {
        let mut words = self.rest().iter();
        std::iter::from_fn(move || {
            let word = words.next()?;
            let value = if with_value.contains(&word.text.as_str()) { words.next() } else { None };
            Some((word, value))
        })
    }

    /// From its first to its last word in the same line.
    pub(crate) fn place(&self) -> Place {
        let first = self.words.first().map(|word| word.place).unwrap_or_default();
        let last = self.words.last().map(|word| word.place).filter(|last| last.file == first.file);
        Place { end: last.map_or(first.end, |last| last.end.max(first.end)), ..first }
    }
}

enum Token {
    Word(Word),
    Open(Place),
    Close(Place),
}

/// Reads all lines; braces that do not fit are warned of, because keepalived runs with them.
pub(crate) fn read(lines: &[Piece], reports: &mut Reports<'_>) -> Vec<Statement> {
    let mut reader =
        Reader { open: vec![Vec::new()], headings: Vec::new(), words: Vec::new(), too_deep: 0, reports };
    for line in lines {
        for token in tokens(line, reader.reports) {
            match token {
                Token::Word(word) => reader.words.push(word),
                Token::Open(place) => reader.open(place),
                Token::Close(place) => reader.close(place),
            }
        }
        reader.end_line();
    }
    reader.finish()
}

struct Reader<'r, 't> {
    /// The statements of each open block, the whole file's first.
    open: Vec<Vec<Statement>>,
    /// What opened each block but the first.
    headings: Vec<Statement>,
    words: Vec<Word>,
    too_deep: usize,
    reports: &'r mut Reports<'t>,
}

impl Reader<'_, '_> {
    fn end_line(&mut self) {
        if !self.words.is_empty() {
            let words = std::mem::take(&mut self.words);
            self.push(Statement { words, block: None });
        }
    }

    fn push(&mut self, statement: Statement) {
        if let Some(statements) = self.open.last_mut() {
            statements.push(statement);
        }
    }

    /// The words before a brace open its block, also when it stands in the next line.
    fn open(&mut self, place: Place) {
        self.end_line();
        if self.too_deep > 0 || self.open.len() >= DEEPEST {
            if self.too_deep == 0 {
                self.reports.error(
                    place,
                    "blocks are nested deeper than any of keepalived's",
                    "close those above with '}'",
                );
            }
            self.too_deep += 1;
            return;
        }
        let statements = self.open.last_mut();
        let heading = statements.and_then(|statements| statements.pop_if(|last| last.block.is_none()));
        if heading.is_none() {
            self.reports.error(place, "'{' opens a block of nothing", "write the keyword before it");
        }
        let nothing = Word { text: String::new(), place };
        self.headings.push(heading.unwrap_or(Statement { words: vec![nothing], block: None }));
        self.open.push(Vec::new());
    }

    fn close(&mut self, place: Place) {
        self.end_line();
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else if !self.close_last() {
            self.reports.warning(
                place,
                "'}' closes nothing",
                "remove it, or look for a '{' that is missing above",
            );
        }
    }

    fn close_last(&mut self) -> bool {
        let Some(heading) = self.headings.pop() else { return false };
        let block = self.open.pop();
        self.push(Statement { block, ..heading });
        true
    }

    fn finish(mut self) -> Vec<Statement> {
        self.end_line();
        while let Some(heading) = self.headings.last() {
            let message = format!("the block of {} is not closed", heading.word());
            self.reports.warning(heading.place(), message, "add '}'; it is taken to end with the file");
            self.close_last();
        }
        self.open.pop().unwrap_or_default()
    }
}

/// Whether the value of a keyword is read as that of a script.
fn is_of_script(keyword: &str) -> bool {
    keyword.starts_with("notify") || matches!(keyword, "script" | "process" | "misc_path")
}

/// Words and braces of a line.
fn tokens(line: &Piece, reports: &mut Reports<'_>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let text = &line.text;
    // Whether the statement has begun, and how its words are read.
    let (mut begun, mut is_script) = (false, false);
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        let end = at + character.len_utf8();
        match character {
            blank if blank.is_ascii_whitespace() => at = end,
            '{' => {
                (begun, is_script) = (false, false);
                tokens.push(Token::Open(line.place(at, end)));
                at = end;
            }
            '}' => {
                (begun, is_script) = (false, false);
                tokens.push(Token::Close(line.place(at, end)));
                at = end;
            }
            _ => {
                let (word, end, is_closed) = if is_script { script_word(text, at) } else { word(text, at) };
                is_script |= !begun && is_of_script(&word);
                begun = true;
                let place = line.place(at, end);
                at = end;
                if is_closed || is_script {
                    tokens.push(Token::Word(Word { text: word, place }));
                }
                if !is_closed {
                    let remedy = if is_script {
                        "it is taken to end with the line"
                    } else {
                        "what stands behind it is left out, as in keepalived"
                    };
                    reports.warning(
                        place,
                        "the quote is not closed in this line",
                        format!("close it; {remedy}"),
                    );
                }
            }
        }
    }
    tokens
}

/// The word that begins at `start`: its text, its end, and whether its quote is closed. What stands in quotes is a word by itself.
fn word(text: &str, start: usize) -> (String, usize, bool) {
    let rest = &text[start..];
    if let Some(inner) = rest.strip_prefix('"') {
        let length = inner.find('"');
        let end = length.map_or(text.len(), |length| start + length + 2);
        return (inner[..length.unwrap_or(inner.len())].to_owned(), end, length.is_some());
    }
    let mut length = 0;
    while let Some(more) =
        rest[length..].find(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '{' | '}'))
    {
        length += more;
        // The braces of a parameter that is not defined open no block.
        let parameter = rest[..length].ends_with('$').then(|| rest[length..].find('}')).flatten();
        match parameter.filter(|_| rest[length..].starts_with('{')) {
            Some(close) => length += close + 1,
            None => return (rest[..length].to_owned(), start + length, true),
        }
    }
    (rest.to_owned(), text.len(), true)
}

/// The word of a script that begins at `start`, which quotes and backslashes may be parts of; the same.
fn script_word(text: &str, start: usize) -> (String, usize, bool) {
    let mut made = String::new();
    let mut quote = None;
    // The braces of a parameter that is not defined open no block.
    let mut parameter = false;
    let mut at = start;
    while let Some(character) = text[at..].chars().next() {
        let next = at + character.len_utf8();
        match (character, quote) {
            ('\\', _) => {
                let (escaped, length) = escape(&text[next..]);
                made.push_str(&escaped);
                at = next + length;
                continue;
            }
            ('"' | '\'', None) => quote = Some(character),
            (character, Some(open)) if character == open => quote = None,
            (_, Some(_)) => made.push(character),
            ('{', None) if made.ends_with('$') => {
                parameter = true;
                made.push(character);
            }
            ('}', None) if parameter => {
                parameter = false;
                made.push(character);
            }
            ('{' | '}', None) => break,
            (blank, None) if blank.is_ascii_whitespace() && !parameter => break,
            (_, None) => made.push(character),
        }
        at = next;
    }
    (made, at, quote.is_none())
}

/// What stands behind a backslash, and how long it is.
fn escape(text: &str) -> (String, usize) {
    let Some(character) = text.chars().next() else { return (String::new(), 0) };
    let one = |made: char| (made.to_string(), character.len_utf8());
    match character {
        'a' => one('\u{7}'),
        'b' => one('\u{8}'),
        'E' => one('\u{1b}'),
        'f' => one('\u{c}'),
        'n' => one('\n'),
        'r' => one('\r'),
        't' => one('\t'),
        'v' => one('\u{b}'),
        '0'..='7' => coded(text, 0, 3, 8),
        'x' => coded(text, 1, 2, 16),
        'c' => {
            let control = text[1..].chars().next().filter(char::is_ascii);
            control.map_or_else(
                || one('c'),
                |letter| {
                    let octet = u8::try_from(letter).unwrap_or_default() & 0x1f;
                    (char::from(octet).to_string(), 2)
                },
            )
        }
        other => one(other),
    }
}

fn coded(text: &str, skip: usize, most: usize, radix: u32) -> (String, usize) {
    let digits: String = text[skip..].chars().take(most).take_while(|digit| digit.is_digit(radix)).collect();
    match u8::from_str_radix(&digits, radix) {
        Ok(octet) => (char::from(octet).to_string(), skip + digits.len()),
        Err(_) => (text[..1].to_owned(), 1),
    }
}

/// A text taken apart as keepalived does with the line of a script: by blanks, but not within quotes; and whether all of them are closed.
pub(crate) fn split(text: &str) -> (Vec<String>, bool) {
    let (mut words, mut is_closed) = (Vec::new(), true);
    let mut at = 0;
    while let Some(start) = text[at..].find(|c: char| !c.is_ascii_whitespace()).map(|found| at + found) {
        let (mut made, mut end, mut is_whole) = script_word(text, start);
        // Braces are ordinary characters here.
        while let Some(brace) = text[end..].chars().next().filter(|next| matches!(next, '{' | '}')) {
            made.push(brace);
            let (more, after, is_rest_whole) = script_word(text, end + 1);
            made.push_str(&more);
            (end, is_whole) = (after, is_rest_whole);
        }
        words.push(made);
        is_closed &= is_whole;
        at = end;
    }
    (words, is_closed)
}
