//! That somebody asked for a change, as part of [`super::EventKind`]. Who it was stands in the event's actor.

use alloc::sync::Arc;
use core::fmt;

/// A change that somebody asked for, made or refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// The method of the control plane: "/ha.agent.v1.InstanceService/OverridePriority".
    pub method: Arc<str>,
    /// The operator's words; empty when there were none.
    pub reason: Arc<str>,
    /// How it stood before, in words; empty when that was not looked at.
    pub before: Arc<str>,
    /// How it stands now, in words; empty when nothing changed.
    pub after: Arc<str>,
    /// Why it was not made.
    pub refusal: Option<Refused>,
    /// Further refusals since the last such event, which have no event of their own because there were too many.
    pub unrecorded: u64,
}

/// Why a change was not made, in the words of the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The gRPC code: "PERMISSION_DENIED".
    pub code: Arc<str>,
    /// The reason in one word, ROLE_MISSING, and the sentence.
    pub reason: Arc<str>,
}

/// The sentence of the log.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.rsplit('/').next().unwrap_or(&self.method);
        match &self.refusal {
            Some(refused) => write!(f, "{method} refused, {}: {}", refused.code, refused.reason)?,
            None if self.after.is_empty() => write!(f, "{method}: done")?,
            None if self.before.is_empty() => write!(f, "{method}: {}", self.after)?,
            None => write!(f, "{method}: {}, before: {}", self.after, self.before)?,
        }
        if !self.reason.is_empty() {
            write!(f, ", because: {}", self.reason)?;
        }
        match self.unrecorded {
            0 => Ok(()),
            more => write!(f, "; {more} more refusals before this one were not recorded"),
        }
    }
}
