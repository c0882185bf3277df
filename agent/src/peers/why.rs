//! Why a peer is not heard: a word for programs, and a sentence for whoever has to mend it.

use std::fmt;
use std::sync::Arc;

use super::wire;

/// Why a peer is not heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Why {
    /// The word.
    pub reason: Quiet,
    /// The sentence: what happened, and what to do.
    pub text: Arc<str>,
}

/// The words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quiet {
    /// There is no connection to it.
    Unreachable,
    /// There is one, and no sign of life on it.
    NoAnswer,
    /// It ended the connection, or the connection broke.
    Ended,
    /// It has not proved to be that node.
    Certificate,
    /// Another node answers there.
    OtherNode,
    /// It does not talk to us.
    Refused,
    /// It says what is not understood here.
    Malformed,
}

impl Quiet {
    /// The word in API and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "UNREACHABLE",
            Self::NoAnswer => "NO_ANSWER",
            Self::Ended => "ENDED",
            Self::Certificate => "CERTIFICATE",
            Self::OtherNode => "OTHER_NODE",
            Self::Refused => "REFUSED",
            Self::Malformed => "MALFORMED",
        }
    }

    /// With its sentence, of which a peer may have written a part.
    pub(super) fn because(self, text: impl AsRef<str>) -> Why {
        Why { reason: self, text: wire::cut(text.as_ref()) }
    }
}

impl Why {
    /// What an answer says that is none: its own words, without what our library adds.
    pub(super) fn of_status(status: &tonic::Status) -> Self {
        use tonic::Code::{Cancelled, Internal, Unavailable, Unknown};
        let reason = match status.code() {
            // Where the connection broke the library tells one of these.
            Unavailable | Cancelled | Internal | Unknown => Quiet::Ended,
            _ => Quiet::Refused,
        };
        reason.because(status.message())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
