//! Every answer that is not the one asked for: a code, a reason in UPPER_SNAKE_CASE with our domain, a sentence that says
//! what could not be done, and what to do next.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "ha-agent";

/// `ErrorInfo.reason`. Stable: clients act on these words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    AddressOwner,
    AgentStopping,
    CheckNotFound,
    CheckNotRunnable,
    ChecksSilent,
    ConfigFileChanged,
    ConfigRejected,
    DeadlineExceeded,
    EtagMismatch,
    FieldTooLong,
    FilterInvalid,
    InstanceNotFound,
    Internal,
    LogLevelInvalid,
    MethodUnknown,
    NameInvalid,
    NoSuccessor,
    NodeNotFound,
    NotActive,
    NotKept,
    PageTokenExpired,
    PageTokenInvalid,
    PeerUnknown,
    PoolFloor,
    PoolNotFound,
    PoolsSilent,
    PriorityOutOfRange,
    ProbeFailed,
    RequestIdReused,
    RequestIdTableFull,
    RequestMalformed,
    RequestTooLarge,
    RoleMissing,
    ServerNotFound,
    ServiceUnknown,
    StreamReplaced,
    TakeOverBusy,
    TakeOverDrained,
    TakeOverFault,
    TakeOverLate,
    TakeOverNotBackup,
    TakeOverUnknownRouter,
    TakeOverVrrpDisagrees,
    TimeOutOfRange,
    TooManyAnswers,
    TooManyDumps,
    TooManyMutations,
    TooManyProbes,
    TooManyRequests,
    TooManyRuns,
    TooManyValidations,
    TooManyWatchers,
    TtlOutOfRange,
    VipNotFound,
    VipNotHeld,
    VrrpThreadSilent,
}

impl Reason {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AddressOwner => "ADDRESS_OWNER",
            Self::AgentStopping => "AGENT_STOPPING",
            Self::CheckNotFound => "CHECK_NOT_FOUND",
            Self::CheckNotRunnable => "CHECK_NOT_RUNNABLE",
            Self::ChecksSilent => "CHECKS_SILENT",
            Self::ConfigFileChanged => "CONFIG_FILE_CHANGED",
            Self::ConfigRejected => "CONFIG_REJECTED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::EtagMismatch => "ETAG_MISMATCH",
            Self::FieldTooLong => "FIELD_TOO_LONG",
            Self::FilterInvalid => "FILTER_INVALID",
            Self::InstanceNotFound => "INSTANCE_NOT_FOUND",
            Self::Internal => "INTERNAL",
            Self::LogLevelInvalid => "LOG_LEVEL_INVALID",
            Self::MethodUnknown => "METHOD_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NoSuccessor => "NO_SUCCESSOR",
            Self::NodeNotFound => "NODE_NOT_FOUND",
            Self::NotActive => "NOT_ACTIVE",
            Self::NotKept => "NOT_KEPT",
            Self::PageTokenExpired => "PAGE_TOKEN_EXPIRED",
            Self::PageTokenInvalid => "PAGE_TOKEN_INVALID",
            Self::PeerUnknown => "PEER_UNKNOWN",
            Self::PoolFloor => "POOL_FLOOR",
            Self::PoolNotFound => "POOL_NOT_FOUND",
            Self::PoolsSilent => "POOLS_SILENT",
            Self::PriorityOutOfRange => "PRIORITY_OUT_OF_RANGE",
            Self::ProbeFailed => "PROBE_FAILED",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::RequestIdTableFull => "REQUEST_ID_TABLE_FULL",
            Self::RequestMalformed => "REQUEST_MALFORMED",
            Self::RequestTooLarge => "REQUEST_TOO_LARGE",
            Self::RoleMissing => "ROLE_MISSING",
            Self::ServerNotFound => "SERVER_NOT_FOUND",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
            Self::StreamReplaced => "STREAM_REPLACED",
            Self::TakeOverBusy => "TAKE_OVER_BUSY",
            Self::TakeOverDrained => "TAKE_OVER_DRAINED",
            Self::TakeOverFault => "TAKE_OVER_FAULT",
            Self::TakeOverLate => "TAKE_OVER_LATE",
            Self::TakeOverNotBackup => "TAKE_OVER_NOT_BACKUP",
            Self::TakeOverUnknownRouter => "TAKE_OVER_UNKNOWN_ROUTER",
            Self::TakeOverVrrpDisagrees => "TAKE_OVER_VRRP_DISAGREES",
            Self::TimeOutOfRange => "TIME_OUT_OF_RANGE",
            Self::TooManyAnswers => "TOO_MANY_ANSWERS",
            Self::TooManyDumps => "TOO_MANY_DUMPS",
            Self::TooManyMutations => "TOO_MANY_MUTATIONS",
            Self::TooManyProbes => "TOO_MANY_PROBES",
            Self::TooManyRequests => "TOO_MANY_REQUESTS",
            Self::TooManyRuns => "TOO_MANY_RUNS",
            Self::TooManyValidations => "TOO_MANY_VALIDATIONS",
            Self::TooManyWatchers => "TOO_MANY_WATCHERS",
            Self::TtlOutOfRange => "TTL_OUT_OF_RANGE",
            Self::VipNotFound => "VIP_NOT_FOUND",
            Self::VipNotHeld => "VIP_NOT_HELD",
            Self::VrrpThreadSilent => "VRRP_THREAD_SILENT",
        }
    }

    const fn code(self) -> Code {
        match self {
            Self::AddressOwner
            | Self::CheckNotRunnable
            | Self::NoSuccessor
            | Self::NotActive
            | Self::NotKept
            | Self::ConfigRejected
            | Self::PageTokenExpired
            | Self::PoolFloor
            | Self::TakeOverDrained
            | Self::TakeOverFault
            | Self::TakeOverLate
            | Self::TakeOverNotBackup
            | Self::TakeOverUnknownRouter
            | Self::TakeOverVrrpDisagrees
            | Self::ProbeFailed
            | Self::VipNotHeld => Code::FailedPrecondition,
            Self::AgentStopping
            | Self::ChecksSilent
            | Self::PoolsSilent
            | Self::StreamReplaced
            | Self::VrrpThreadSilent => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::ConfigFileChanged | Self::EtagMismatch => Code::Aborted,
            Self::CheckNotFound
            | Self::InstanceNotFound
            | Self::NodeNotFound
            | Self::PoolNotFound
            | Self::ServerNotFound
            | Self::ServiceUnknown
            | Self::VipNotFound => Code::NotFound,
            Self::Internal => Code::Internal,
            Self::MethodUnknown => Code::Unimplemented,
            Self::PeerUnknown | Self::RoleMissing => Code::PermissionDenied,
            Self::RequestTooLarge
            | Self::RequestIdTableFull
            | Self::TakeOverBusy
            | Self::TooManyAnswers
            | Self::TooManyDumps
            | Self::TooManyMutations
            | Self::TooManyProbes
            | Self::TooManyRequests
            | Self::TooManyRuns
            | Self::TooManyValidations
            | Self::TooManyWatchers => Code::ResourceExhausted,
            Self::FieldTooLong
            | Self::FilterInvalid
            | Self::LogLevelInvalid
            | Self::NameInvalid
            | Self::PageTokenInvalid
            | Self::PriorityOutOfRange
            | Self::RequestIdReused
            | Self::RequestMalformed
            | Self::TimeOutOfRange
            | Self::TtlOutOfRange => Code::InvalidArgument,
        }
    }
}

/// A refusal: `what` could not be done, and what to do `next`. Both are one clause without a full stop.
pub(crate) fn refuse(reason: Reason, what: impl AsRef<str>, next: impl Into<String>) -> Status {
    with_details(reason, what.as_ref(), next.into(), ErrorDetails::new(), None)
}

/// A refusal with something for programs beside the words: a key of `ErrorInfo.metadata`, and its value.
pub(crate) fn refuse_with(
    reason: Reason,
    what: impl AsRef<str>,
    next: impl Into<String>,
    fact: (&str, &str),
) -> Status {
    with_details(reason, what.as_ref(), next.into(), ErrorDetails::new(), Some(fact))
}

/// A refusal that passes with time.
pub(crate) fn refuse_for_now(
    reason: Reason,
    what: impl AsRef<str>,
    next: impl Into<String>,
    retry: Duration,
) -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(retry));
    with_details(reason, what.as_ref(), next.into(), details, None)
}

fn with_details(
    reason: Reason,
    what: &str,
    next: String,
    mut details: ErrorDetails,
    fact: Option<(&str, &str)>,
) -> Status {
    let message = format!("{what}: {next}");
    let mut metadata = HashMap::from([("next".to_owned(), next)]);
    metadata.extend(fact.map(|(key, value)| (key.to_owned(), value.to_owned())));
    details.set_error_info(reason.as_str(), DOMAIN, metadata);
    Status::with_error_details(reason.code(), message, details)
}

/// The agent is about to end.
pub(crate) fn stopping() -> Status {
    refuse_for_now(
        Reason::AgentStopping,
        "the agent is stopping",
        "try again when it has started, or ask another node",
        Duration::from_secs(1),
    )
}

/// A bug of ours; the caller learns no more than that.
pub(crate) fn internal() -> Status {
    refuse(
        Reason::Internal,
        "the agent failed inside",
        "look for \"panicked\" in its log and report it; the node goes on",
    )
}

/// Gives the errors of the gRPC library, which carry no details, ours.
pub(crate) fn complete(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    match status.code() {
        Code::Unimplemented => refuse(
            Reason::MethodUnknown,
            "this agent has no such method",
            "compare the client's version with the agent's",
        ),
        Code::OutOfRange | Code::ResourceExhausted => {
            refuse(Reason::RequestTooLarge, status.message(), "send a smaller request")
        }
        Code::Internal | Code::InvalidArgument => refuse(
            Reason::RequestMalformed,
            status.message(),
            "compare the client's version with the agent's",
        ),
        _ => status,
    }
}
