//! Names that nothing else has yet.

use std::collections::{BTreeMap, BTreeSet};

/// Names that are taken.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
    /// The next number behind a name that is wanted again, so that a file full of alike names costs no more than others.
    next: BTreeMap<String, u32>,
}

impl Names {
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    /// The name, or that with the first number from 2 on that makes it one of its own.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while !self.taken.insert(name.clone()) {
            let next = self.next.entry(wanted.to_owned()).or_insert(2);
            name = format!("{wanted}-{next}");
            *next += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_wanted_again_has_the_first_number_that_is_free() {
        let mut names = Names::default();
        let made: Vec<String> =
            ["a", "a-3", "a", "a", "b", "a-3"].iter().map(|name| names.take(name)).collect();
        assert_eq!(made, ["a", "a-3", "a-2", "a-4", "b", "a-3-2"]);
        assert!(names.is_taken("a-4") && !names.is_taken("a-5"));
    }
}
