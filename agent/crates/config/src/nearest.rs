//! The nearest of the known words, for "did you mean".

/// The candidate that needs the fewest edits, if those are few enough for a slip of the fingers, or one that begins with
/// the word.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Nobody mistypes that long a word, and the work is quadratic.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    let edits = |candidate: &str| match candidate.strip_prefix(&word) {
        Some(_) if word.len() > 2 => 1,
        _ => distance(&word, candidate),
    };
    let (edits, candidate) = candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 2 * 64)
        .map(|candidate| (edits(candidate), candidate))
        .min_by_key(|(edits, _)| *edits)?;
    let tolerated = (candidate.len().max(word.len()) / 3).max(1);
    (edits <= tolerated).then_some(candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other (optimal string
/// alignment).
pub(crate) fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut current = vec![row + 1; to.len() + 1];
        for (column, b) in to.iter().enumerate() {
            let substituted = last[column] + usize::from(a != b);
            let mut least = substituted.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && *a == to[column - 1] && from[row - 1] == *b;
            if swapped {
                least = least.min(before_last[column - 1] + 1);
            }
            current[column + 1] = least;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["priority", "interface", "preempt", "preempt_delay", "addresses"];
        let table = [
            ("prioriti", Some("priority")),
            ("piority", Some("priority")),
            ("prioirty", Some("priority")),
            ("prio", Some("priority")),
            ("adresses", Some("addresses")),
            ("Preempt-Delay", Some("preempt_delay")),
            ("colour", None),
            ("x", None),
        ];
        for (word, expected) in table {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        assert_eq!(distance("passwrod", "password"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
