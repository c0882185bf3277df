//! Everything that can go wrong, told the same way: what failed, on which node, why, and what to do next.

use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::exit::Exit;
use crate::span::Span;

/// A failure on its way to the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// What could not be done: "cannot list instances".
    pub what: Box<str>,
    /// The node, or its endpoint when its name is not known; empty when no node is to blame.
    pub node: Box<str>,
    /// The gRPC status code in UPPER_SNAKE_CASE, or `USAGE`, `IO`.
    pub code: &'static str,
    /// Why, in UPPER_SNAKE_CASE: the server's `ErrorInfo.reason`, or hactl's own.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// What to do next, in a sentence; empty when there is nothing better than the message.
    pub remedy: Box<str>,
    /// The exit code if this failure ends the run.
    #[serde(serialize_with = "exit_number", rename = "exit_code")]
    pub exit: Exit,
}

fn exit_number<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(exit.code())
}

impl Failure {
    /// A mistake on the command line.
    pub(crate) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Failure::local(Exit::Usage, "USAGE", "USAGE", message, remedy)
    }

    /// A failure found by hactl itself.
    pub(crate) fn local(
        exit: Exit,
        code: &'static str,
        reason: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Failure {
            what: Box::default(),
            node: Box::default(),
            code,
            reason: reason.to_owned(),
            message: message.into(),
            remedy: remedy.into().into_boxed_str(),
            exit,
        }
    }

    /// Adds what could not be done.
    #[must_use]
    pub(crate) fn doing(mut self, what: impl Into<String>) -> Self {
        self.what = what.into().into_boxed_str();
        self
    }

    /// Adds the node, or its endpoint when its name is not known.
    #[must_use]
    pub(crate) fn on(mut self, node: impl Into<String>) -> Self {
        self.node = node.into().into_boxed_str();
        self
    }

    /// A node did not answer within `limit`.
    pub(crate) fn node_timeout(limit: Span) -> Self {
        Failure::local(
            Exit::Timeout,
            "DEADLINE_EXCEEDED",
            "NODE_TIMEOUT",
            format!("the node accepted the connection but did not answer within {limit}"),
            "the agent may hang: see journalctl -u ha-agent on that node, or allow more time with --node-timeout",
        )
    }

    /// Whether the machine answers, and says that no agent runs there.
    pub(crate) fn says_no_agent_runs(&self) -> bool {
        matches!(self.reason.as_str(), "SOCKET_MISSING" | "NOTHING_LISTENING")
    }

    /// The unix socket at `path` could not be connected.
    pub(crate) fn connecting(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        let (exit, code, reason, message, remedy) = match error.kind() {
            io::ErrorKind::NotFound => (
                Exit::Unreachable,
                "UNAVAILABLE",
                "SOCKET_MISSING",
                format!("there is no socket {path}"),
                "start ha-agent on this machine (systemctl start ha-agent), or name its socket with \
                 --endpoint unix:/path"
                    .to_owned(),
            ),
            io::ErrorKind::PermissionDenied => (
                Exit::Denied,
                "PERMISSION_DENIED",
                "SOCKET_PERMISSION",
                format!("you may not open the socket {path}"),
                format!("run hactl as root, or as a user that may read and write it: ls -l {path}"),
            ),
            io::ErrorKind::ConnectionRefused => (
                Exit::Unreachable,
                "UNAVAILABLE",
                "NOTHING_LISTENING",
                format!("{path} is there, but nothing listens on it"),
                "the agent stopped or crashed: see why (journalctl -u ha-agent -n 50), then start it again \
                 (systemctl start ha-agent)"
                    .to_owned(),
            ),
            io::ErrorKind::WouldBlock => (
                Exit::Timeout,
                "UNAVAILABLE",
                "SOCKET_BUSY",
                format!("the queue of {path} is full: the agent accepts no connections"),
                "the agent may hang: see journalctl -u ha-agent -n 50".to_owned(),
            ),
            io::ErrorKind::InvalidInput => (
                Exit::Usage,
                "USAGE",
                "ENDPOINT_INVALID",
                format!("{path} cannot be the path of a socket: {error}"),
                "a unix socket's path has at most 107 bytes".to_owned(),
            ),
            _ => (
                Exit::Unreachable,
                "UNAVAILABLE",
                "CONNECT_FAILED",
                format!("cannot connect to {path}: {error}"),
                String::new(),
            ),
        };
        Failure::local(exit, code, reason, message, remedy)
    }

    /// What a server answered instead of what was asked.
    pub(crate) fn from_status(status: &Status) -> Self {
        if let Some(broken) = broken_connection(status) {
            return broken;
        }
        let info = status.get_details_error_info();
        let (code, exit) = classify(status.code());
        let reason = match &info {
            Some(info) if !info.reason.is_empty() => info.reason.clone(),
            _ => code.to_owned(),
        };
        let told = info.as_ref().and_then(|info| info.metadata.get("next"));
        let message = match status.message() {
            "" => format!("the agent answered {code} and said no more"),
            message => without_next(message, told).to_owned(),
        };
        let remedy = remedy(status.code(), &reason, told);
        Failure {
            what: Box::default(),
            node: Box::default(),
            code,
            reason,
            message,
            remedy: remedy.into(),
            exit,
        }
    }

    /// Failure of a data-less kind that our own code is to blame for.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Failure::local(
            Exit::Internal,
            "INTERNAL",
            "INTERNAL",
            message,
            "this is a bug of hactl: please report it",
        )
    }
}

/// The status that tonic makes up when the connection breaks has a source; a server's answer has none.
fn broken_connection(status: &Status) -> Option<Failure> {
    let source = std::error::Error::source(status)?;
    if matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) {
        return None;
    }
    let mut deepest = source;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    // In TLS 1.3 the server judges our certificate after our side of the handshake is done.
    if let Some(refused) = crate::credentials::refused(&deepest.to_string()) {
        return Some(refused);
    }
    Some(Failure::local(
        Exit::Unreachable,
        "UNAVAILABLE",
        "CONNECTION_BROKEN",
        format!("the connection broke: {deepest}"),
        "the agent ended or restarted meanwhile, or what listens there is not ha-agent: ask again",
    ))
}

/// The name of a gRPC status code, and the exit code that it means.
fn classify(code: Code) -> (&'static str, Exit) {
    match code {
        Code::Ok => ("OK", Exit::Internal),
        Code::Cancelled => ("DEADLINE_EXCEEDED", Exit::Timeout), // what tonic's server answers when a deadline expires
        Code::Unknown => ("UNKNOWN", Exit::Internal),
        Code::InvalidArgument => ("INVALID_ARGUMENT", Exit::Usage),
        Code::DeadlineExceeded => ("DEADLINE_EXCEEDED", Exit::Timeout),
        Code::NotFound => ("NOT_FOUND", Exit::Usage),
        Code::AlreadyExists => ("ALREADY_EXISTS", Exit::Refused),
        Code::PermissionDenied => ("PERMISSION_DENIED", Exit::Denied),
        Code::ResourceExhausted => ("RESOURCE_EXHAUSTED", Exit::Unreachable),
        Code::FailedPrecondition => ("FAILED_PRECONDITION", Exit::Refused),
        Code::Aborted => ("ABORTED", Exit::Refused),
        Code::OutOfRange => ("OUT_OF_RANGE", Exit::Usage),
        Code::Unimplemented => ("UNIMPLEMENTED", Exit::Internal),
        Code::Internal => ("INTERNAL", Exit::Internal),
        Code::Unavailable => ("UNAVAILABLE", Exit::Unreachable),
        Code::DataLoss => ("DATA_LOSS", Exit::StreamLost),
        Code::Unauthenticated => ("UNAUTHENTICATED", Exit::Denied),
    }
}

/// The agent's message without what to do next, which it repeats there and we show in its own line.
fn without_next<'a>(message: &'a str, next: Option<&String>) -> &'a str {
    next.and_then(|next| message.strip_suffix(next.as_str())?.strip_suffix(": ")).unwrap_or(message)
}

/// What to do next. The server knows best; then the reason; then the code.
fn remedy(code: Code, reason: &str, told: Option<&String>) -> String {
    if let Some(told) = told {
        return told.clone();
    }
    let text = match (reason, code) {
        ("INSTANCE_NOT_FOUND", _) => "hactl instance list shows what there is",
        ("NODE_NOT_FOUND", _) => "hactl node list shows what there is",
        ("ADDRESS_OWNER", _) => {
            "priority 255 means the node owns the address; change the configuration instead"
        }
        ("PRIORITY_OUT_OF_RANGE", _) => "give a priority from 1 to 254",
        ("TTL_OUT_OF_RANGE", _) => "give a --ttl from 1s to 365d, or never",
        ("ETAG_MISMATCH", _) => "somebody changed it meanwhile: look again (hactl instance get) and repeat",
        (_, Code::PermissionDenied | Code::Unauthenticated) => {
            "run hactl as root, or have your user given the role that this needs in ha-agent's configuration"
        }
        (_, Code::Unimplemented) => "the agent is older than this hactl: hactl node list shows its version",
        (_, Code::Unavailable) => "the agent is starting or stopping: ask again in a moment",
        (_, Code::ResourceExhausted) => "the agent is busy: ask again in a moment",
        (_, Code::Internal | Code::Unknown | Code::DataLoss) => "see journalctl -u ha-agent on that node",
        (_, Code::Cancelled | Code::DeadlineExceeded) => "allow more time with --node-timeout or --timeout",
        _ => "",
    };
    text.to_owned()
}

impl fmt::Display for Failure {
    /// One or two lines: what, where, why (reason); then what to do next.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = match (&*self.what, &*self.node) {
            ("", "") => String::new(),
            ("", node) => format!("{node}: "),
            (what, "") => format!("{what}: "),
            (what, node) => format!("{what} on {node}: "),
        };
        write!(f, "{head}{}", self.message)?;
        if self.code != "USAGE" {
            write!(f, " ({})", self.reason)?;
        }
        if !self.remedy.is_empty() {
            write!(f, "\n  next: {}", self.remedy)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn each_way_a_socket_fails_has_its_own_remedy() {
        let path = Path::new("/run/x.sock");
        let cases = [
            (io::ErrorKind::NotFound, "SOCKET_MISSING", Exit::Unreachable, "start ha-agent"),
            (io::ErrorKind::PermissionDenied, "SOCKET_PERMISSION", Exit::Denied, "as root"),
            (io::ErrorKind::ConnectionRefused, "NOTHING_LISTENING", Exit::Unreachable, "journalctl"),
        ];
        for (kind, reason, exit, remedy) in cases {
            let failure = Failure::connecting(path, &io::Error::from(kind));
            assert_eq!((failure.reason.as_str(), failure.exit), (reason, exit));
            assert!(failure.remedy.contains(remedy), "{failure}");
            assert!(failure.message.contains("/run/x.sock"));
        }
    }

    #[test]
    fn the_reason_of_error_info_is_shown_with_its_remedy() {
        let details =
            ErrorDetails::with_error_info("ADDRESS_OWNER", "ha-agent", std::collections::HashMap::new());
        let status = Status::with_error_details(Code::FailedPrecondition, "priority 255 stays", details);
        let failure = Failure::from_status(&status).doing("cannot set the priority").on("node-a");
        assert_eq!(failure.exit, Exit::Refused);
        let text = failure.to_string();
        assert!(
            text.starts_with("cannot set the priority on node-a: priority 255 stays (ADDRESS_OWNER)"),
            "{text}"
        );
        assert!(text.contains("\n  next: priority 255 means"), "{text}");
    }

    #[test]
    fn what_the_agent_says_to_do_next_is_said_once_and_beats_our_own_advice() {
        let next = "change its priority in the configuration and reload";
        let metadata = std::collections::HashMap::from([("next".to_owned(), next.to_owned())]);
        let details = ErrorDetails::with_error_info("ADDRESS_OWNER", "ha-agent", metadata);
        let message = format!("web is the address owner: {next}");
        let status = Status::with_error_details(Code::FailedPrecondition, message, details);
        let text = Failure::from_status(&status).to_string();
        assert_eq!(text, format!("web is the address owner (ADDRESS_OWNER)\n  next: {next}"));
    }

    #[test]
    fn codes_become_the_documented_exit_codes() {
        for (code, exit) in [
            (Code::InvalidArgument, 2),
            (Code::NotFound, 2),
            (Code::Unavailable, 5),
            (Code::PermissionDenied, 6),
            (Code::Unauthenticated, 6),
            (Code::FailedPrecondition, 7),
            (Code::Aborted, 7),
            (Code::DeadlineExceeded, 8),
            (Code::Cancelled, 8),
            (Code::DataLoss, 9),
            (Code::Internal, 1),
        ] {
            assert_eq!(Failure::from_status(&Status::new(code, "x")).exit.code(), exit, "{code:?}");
        }
    }
}
