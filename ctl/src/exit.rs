//! What the exit code of hactl means. Scripts rely on these numbers: they never change their meaning.

/// How a run of hactl ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, or the condition is true and all required nodes answered.
    Done = 0,
    /// Internal or unclassified.
    Internal = 1,
    /// The command line is wrong, or names something that does not exist.
    Usage = 2,
    /// The condition is false: the verdict is not OK.
    ConditionFalse = 3,
    /// An answer was given, but some nodes are missing from it.
    NodesMissing = 4,
    /// No node could be reached.
    Unreachable = 5,
    /// Not authenticated or not authorised.
    Denied = 6,
    /// Refused by the state of the node: a precondition, an etag, a safety check.
    Refused = 7,
    /// Too late, also when an effect was not observed in time.
    Timeout = 8,
    /// A stream ended or data was lost without the user asking for it.
    StreamLost = 9,
}

impl Exit {
    /// The number for the operating system.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}
