//! Routers that become Active so close to each other that nobody can say who is first: their timers end in the same moment, and
//! whose advert the other one hears before its own timer ends is a matter of microseconds.

use std::collections::BTreeSet;
use std::time::Duration;

use ha_engine::Instant;

/// Within so short a time real nodes come in any order: their wake-ups and adverts are no more exact.
const CLOSE: Duration = Duration::from_millis(1);

/// What is to be said when nodes became Active within a moment, given in order.
pub(super) fn sentence(became_active: &[(Instant, &str)]) -> Option<String> {
    let tied = became_active.chunk_by(|(one, _), (next, _)| next.since(*one) <= CLOSE);
    let tied = tied.map(|group| group.iter().map(|(_, node)| *node).collect::<BTreeSet<_>>());
    let names = tied.into_iter().find(|names| names.len() > 1)?.into_iter().collect::<Vec<_>>().join(" and ");
    Some(format!("{names} are due in the same moment: whoever is first by microseconds may keep it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_become_active_within_a_millisecond_are_named() {
        let at = |micros: u64| Instant::from_nanos(micros * 1000);
        const NOBODY: &[(u64, &str)] = &[];
        let table = [
            (NOBODY, None),
            (&[(5, "a")], None),
            (&[(5, "a"), (9, "a")], None),
            (&[(5, "a"), (1005, "b")], Some("a and b")),
            (&[(5, "a"), (1006, "b")], None),
            (&[(5, "a"), (5000, "c"), (5000, "b"), (9000, "a")], Some("b and c")),
        ];
        for (given, expected) in table {
            let given: Vec<_> = given.iter().map(|(micros, node)| (at(*micros), *node)).collect();
            let said = sentence(&given);
            assert_eq!(said.as_deref().and_then(|said| said.split(" are ").next()), expected, "{given:?}");
        }
    }
}
