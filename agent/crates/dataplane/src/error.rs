//! What can go wrong between us and the kernel, with the blame told apart.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use crate::capability::Capability;

/// Whose doing an [`Error`] is, and so who can do something about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The process lacks a capability: the operator grants it.
    Permission,
    /// The kernel refused, or is too old: the message says why.
    Kernel,
    /// A mistake of this program.
    Ours,
}

/// Something that the kernel did not do for us.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process may not do this.
    #[error("cannot {action}: {source} (the capability {capability} is missing)")]
    Permission {
        /// What was attempted, with its object.
        action: Cow<'static, str>,
        /// What is needed for it.
        capability: Capability,
        /// The kernel's errno.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("cannot {action}: {source}{}", extended(.explanation))]
    Refused {
        /// What was attempted, with its object.
        action: Cow<'static, str>,
        /// The kernel's errno.
        source: io::Error,
        /// The kernel's own words (extended acknowledgement), empty when it gave none.
        explanation: String,
    },
    /// The kernel did not answer in time.
    #[error("cannot {action}: the kernel did not answer within {after:?}")]
    Timeout {
        /// What was attempted.
        action: Cow<'static, str>,
        /// How long we waited.
        after: Duration,
    },
    /// The kernel is too old.
    #[error(
        "kernel {release} is too old: ha-agent needs 5.18 or newer, to tell its own addresses from others"
    )]
    OldKernel {
        /// What `uname -r` says.
        release: String,
    },
    /// We asked for nonsense or did not understand the answer.
    #[error("internal error: {0}")]
    Internal(Cow<'static, str>),
}

fn extended(explanation: &str) -> String {
    if explanation.is_empty() { String::new() } else { format!(" ({explanation})") }
}

impl Error {
    /// An errno told apart into a missing capability and everything else.
    pub(crate) fn new(action: impl Into<Cow<'static, str>>, needs: Capability, source: io::Error) -> Self {
        let action = action.into();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) if !needs.is_held() => {
                Self::Permission { action, capability: needs, source }
            }
            _ => Self::Refused { action, source, explanation: String::new() },
        }
    }

    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Permission { .. } => Blame::Permission,
            Self::Refused { .. } | Self::Timeout { .. } | Self::OldKernel { .. } => Blame::Kernel,
            Self::Internal(_) => Blame::Ours,
        }
    }

    /// The kernel's errno, when it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Permission { source, .. } | Self::Refused { source, .. } => source.raw_os_error(),
            Self::Timeout { .. } | Self::OldKernel { .. } | Self::Internal(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_kernels_words() {
        let error = Error::Refused {
            action: "add 192.0.2.1/32 to eth0".into(),
            source: io::Error::from_raw_os_error(libc::EINVAL),
            explanation: "ipv4: Invalid prefix length".into(),
        };
        let text =
            "cannot add 192.0.2.1/32 to eth0: Invalid argument (os error 22) (ipv4: Invalid prefix length)";
        assert_eq!(error.to_string(), text);
        assert_eq!((error.blame(), error.errno()), (Blame::Kernel, Some(libc::EINVAL)));
    }
}
