//! One thing shown whole: a heading, and a word beside each of its facts.

use crate::render::{Paint, clean, paint};

/// A heading with facts below it.
pub(crate) struct Block {
    heading: String,
    facts: Vec<(&'static str, String)>,
}

impl Block {
    /// With a heading that is painted already.
    pub(crate) fn new(heading: String) -> Self {
        Block { heading, facts: Vec::new() }
    }

    /// Adds a fact; nothing when there is none.
    pub(crate) fn fact(&mut self, word: &'static str, text: impl Into<String>) {
        let text: String = text.into();
        if !text.is_empty() {
            self.painted(word, clean(&text).into_owned());
        }
    }

    /// Adds a fact that is painted, and made harmless, already.
    pub(crate) fn painted(&mut self, word: &'static str, text: String) {
        self.facts.push((word, text));
    }

    /// The whole block.
    pub(crate) fn render(&self) -> String {
        let width = self.facts.iter().map(|(word, _)| word.len()).max().unwrap_or(0).max(7);
        let mut out = format!("{}\n", self.heading);
        for (word, text) in &self.facts {
            let gap = " ".repeat(width - word.len() + 2);
            out.push_str(&format!("  {}{gap}{text}\n", paint(Paint::Dim, word)));
        }
        out
    }
}
