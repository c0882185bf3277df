//! Waiting for conditions with a bound. There are no fixed sleeps in tests: a test waits for what it
//! needs, and says what that was when it did not come.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(4);

/// Waits until `condition` holds, at most `bound`; says whether it held.
pub fn wait_until(bound: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + bound;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

/// Waits until `condition` holds and returns how long that took; panics naming `what` after `bound`.
#[track_caller]
pub fn wait_for(what: &str, bound: Duration, condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    assert!(wait_until(bound, condition), "waited {bound:?} in vain for: {what}");
    start.elapsed()
}

/// Waits until `find` returns something and returns it; panics naming `what` after `bound`.
#[track_caller]
pub fn wait_some<T>(what: &str, bound: Duration, mut find: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    let in_time = wait_until(bound, || {
        found = find();
        found.is_some()
    });
    match found {
        Some(value) if in_time => value,
        _ => panic!("waited {bound:?} in vain for: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_as_soon_as_the_condition_holds() {
        let mut calls = 0;
        let took = wait_for("three calls", Duration::from_secs(5), || {
            calls += 1;
            calls == 3
        });
        assert!(took < Duration::from_secs(5));
        assert_eq!(calls, 3);
    }

    #[test]
    #[should_panic(expected = "in vain for: the impossible")]
    fn waiting_in_vain_names_what_was_missing() {
        wait_for("the impossible", Duration::from_millis(20), || false);
    }

    #[test]
    fn a_found_value_is_returned() {
        assert_eq!(wait_some("a value", Duration::from_millis(20), || Some(7)), 7);
    }
}
