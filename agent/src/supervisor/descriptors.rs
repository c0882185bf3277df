//! File descriptors: as many as the kernel lets us have, some of them set apart for what must never lack one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// Set apart for the control plane, the dataplane, logs, telemetry, commands and watches.
const RESERVED: u64 = 1024;

/// The fewest that checks get, however low the limit is: they share what is there with everything else.
const FEWEST: u64 = 64;

/// Raises the soft limit of open files to the hard one. Returns how many attempts of checks may be under way at once.
pub(super) fn raise() -> usize {
    let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < hard => match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => hard,
            Err(error) => {
                warn!("cannot raise the limit of open files from {soft} to {hard}: {error}");
                soft
            }
        },
        Ok((soft, _)) => soft,
        Err(error) => {
            warn!("cannot read the limit of open files: {error}");
            RESERVED
        }
    };
    places(limit)
}

/// Attempts hold one descriptor; those of scripts and of names that are looked up hold a few for a moment.
fn places(limit: u64) -> usize {
    let places = limit.saturating_sub(RESERVED).max(FEWEST);
    usize::try_from(places).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_get_what_is_left_but_never_nothing() {
        for (limit, expected) in [(0, 64), (1024, 64), (1100, 76), (524_288, 523_264)] {
            assert_eq!(places(limit), expected, "{limit}");
        }
    }
}
