//! What one attempt found: its outcome with a word for why, how long it took, and a sentence of evidence.

use std::time::Duration;

/// The result of one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Whether the target is as it should be.
    pub outcome: Outcome,
    /// From the beginning of the attempt to its outcome.
    pub latency: Duration,
    /// One sentence for the operator: what was done and what came back. At most [`crate::EVIDENCE_LIMIT`] characters, without
    /// control characters, without secrets.
    pub evidence: String,
    /// A number that the target gave, for kinds that have one (file, script with a dynamic weight).
    pub value: Option<i32>,
    /// The steps in their order; empty unless a trace was asked for.
    pub steps: Vec<Step>,
}

/// One step of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What was done: `resolve`, `connect`, `tls`, `request`, `first_byte`, `body`, `start`, ...
    pub name: &'static str,
    /// How long it took. The last step of a failed attempt is the one that failed.
    pub took: Duration,
    /// What is worth knowing about it, such as an address or a TLS version; may be empty.
    pub detail: String,
}

/// What an attempt says about its target.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The target is as it should be.
    Passed,
    /// The target is not.
    Failed(Reason),
    /// This node could not find out: neither a success nor a failure of the target.
    Inconclusive(Trouble),
}

/// Why a target failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The target's kernel says that nothing listens: TCP RST on SYN, ICMP port unreachable.
    Refused,
    /// The target cut a connection that stood (TCP RST).
    Reset,
    /// The target ended the connection (TCP FIN) before the exchange was complete.
    ClosedByPeer,
    /// No answer by the deadline, or the kernel gave up on a silent peer.
    Timeout,
    /// A router, or this node after ARP or neighbour discovery, says that the host cannot be reached.
    Unreachable,
    /// This node has no way to the target: no route, or the device to use is down or gone.
    NoRoute,
    /// The target's name could not be resolved and no earlier address is known.
    Resolve,
    /// Fewer echo replies than the loss threshold allows.
    Loss,
    /// The target answered something else than was asked for.
    WrongAnswer,
    /// An HTTP or gRPC status outside the wanted set, also `NOT_SERVING`.
    WrongStatus,
    /// What came is not the protocol.
    Protocol,
    /// The answer is longer than is allowed.
    TooLarge,
    /// The certificate has expired.
    TlsExpired,
    /// The certificate is valid, but not for as long as is wanted.
    TlsExpiresSoon,
    /// The certificate is for another name.
    TlsName,
    /// The certificate comes from no authority that is trusted here.
    TlsUntrusted,
    /// The TLS handshake failed for another cause: version, alert, bad signature, revoked.
    TlsOther,
    /// The command ended with this code.
    ExitCode(i32),
    /// The command was ended by this signal.
    Signal(i32),
    /// What is checked does not exist: file, process, interface, route.
    Missing,
    /// There are too few or too many of it.
    Count,
    /// It exists but is down: interface, route over a dead link.
    Down,
}

impl Reason {
    /// The word for events, labels and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "REFUSED",
            Self::Reset => "RESET",
            Self::ClosedByPeer => "CLOSED_BY_PEER",
            Self::Timeout => "TIMEOUT",
            Self::Unreachable => "UNREACHABLE",
            Self::NoRoute => "NO_ROUTE",
            Self::Resolve => "RESOLVE",
            Self::Loss => "LOSS",
            Self::WrongAnswer => "WRONG_ANSWER",
            Self::WrongStatus => "WRONG_STATUS",
            Self::Protocol => "PROTOCOL",
            Self::TooLarge => "TOO_LARGE",
            Self::TlsExpired => "TLS_EXPIRED",
            Self::TlsExpiresSoon => "TLS_EXPIRES_SOON",
            Self::TlsName => "TLS_NAME",
            Self::TlsUntrusted => "TLS_UNTRUSTED",
            Self::TlsOther => "TLS_OTHER",
            Self::ExitCode(_) => "EXIT_CODE",
            Self::Signal(_) => "SIGNAL",
            Self::Missing => "MISSING",
            Self::Count => "COUNT",
            Self::Down => "DOWN",
        }
    }
}

/// Why this node could not find out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trouble {
    /// No file descriptors left (EMFILE, ENFILE), or no process may be started (EAGAIN).
    Exhausted,
    /// No memory for a socket or its buffers (ENOMEM, ENOBUFS).
    NoMemory,
    /// Not permitted: a capability is missing, or this node's own packet filter forbids it.
    Permission,
    /// The source address is not on this node, or all its ports are in use.
    SourceAddress,
    /// This node was too busy: the attempt began or was woken long after its deadline.
    Late,
    /// The attempt was given up because the agent is stopping or reloading.
    Cancelled,
    /// The kernel refused in a way that says nothing about the target.
    Kernel,
}

impl Trouble {
    /// The word for events, labels and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "EXHAUSTED",
            Self::NoMemory => "NO_MEMORY",
            Self::Permission => "PERMISSION",
            Self::SourceAddress => "SOURCE_ADDRESS",
            Self::Late => "LATE",
            Self::Cancelled => "CANCELLED",
            Self::Kernel => "KERNEL",
        }
    }
}
