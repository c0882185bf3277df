//! The kernel's errors, told apart into what they say about the target and what they say about this node.

use std::io::{self, ErrorKind};

use crate::attempt::{Outcome, Reason, Trouble};
use crate::failure::Failure;

/// What could not be done, to what, and the kernel's word for it.
pub(crate) fn failure(error: &io::Error, action: &str) -> Failure {
    let outcome = outcome(error);
    let advice = match outcome {
        Outcome::Inconclusive(Trouble::Exhausted) => "; raise the limit of open files (LimitNOFILE)",
        Outcome::Inconclusive(Trouble::SourceAddress) => {
            "; the source address is not on this node or its ports are used up"
        }
        _ => "",
    };
    Failure { outcome, evidence: format!("cannot {action}: {}{advice}", words(error)), value: None }
}

/// Whose fault an error of a socket is, and which.
pub(crate) fn outcome(error: &io::Error) -> Outcome {
    if let Some(trouble) = trouble(error) {
        return Outcome::Inconclusive(trouble);
    }
    let reason = match error.kind() {
        ErrorKind::ConnectionRefused => Reason::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Reason::Reset,
        ErrorKind::UnexpectedEof => Reason::ClosedByPeer,
        ErrorKind::TimedOut => Reason::Timeout,
        ErrorKind::HostUnreachable => Reason::Unreachable,
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Reason::NoRoute,
        _ => return Outcome::Inconclusive(Trouble::Kernel),
    };
    Outcome::Failed(reason)
}

fn trouble(error: &io::Error) -> Option<Trouble> {
    match (error.kind(), error.raw_os_error()) {
        (_, Some(libc::ENFILE | libc::EMFILE)) => Some(Trouble::Exhausted),
        (ErrorKind::OutOfMemory, _) | (_, Some(libc::ENOBUFS)) => Some(Trouble::NoMemory),
        (ErrorKind::PermissionDenied, _) => Some(Trouble::Permission),
        (ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse, _) => Some(Trouble::SourceAddress),
        _ => None,
    }
}

/// The error without the number that the standard library appends.
pub(crate) fn words(error: &io::Error) -> String {
    // The C library calls it "no route to host", although it says that there is one and the host does not answer on it.
    if error.kind() == ErrorKind::HostUnreachable {
        return "the host cannot be reached".to_owned();
    }
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}
