//! Every answer that is not the one asked for: a code, a reason in UPPER_SNAKE_CASE with our domain, a sentence that says
//! what could not be done, and what to do next.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "ha-agent";

/// The reasons: their name, their word on the wire, and the code that goes with it.
macro_rules! reasons {
    ($($name:ident $word:ident $code:ident,)*) => {
        /// `ErrorInfo.reason`. Stable: clients act on these words, which the head of `types.proto` explains.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Reason {
            $($name,)*
        }

        impl Reason {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word on the wire.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($word),)*
                }
            }

            const fn code(self) -> Code {
                match self {
                    $(Self::$name => Code::$code,)*
                }
            }
        }
    };
}

reasons! {
    AddressOwner ADDRESS_OWNER FailedPrecondition,
    AgentStopping AGENT_STOPPING Unavailable,
    CheckNotFound CHECK_NOT_FOUND NotFound,
    CheckNotRunnable CHECK_NOT_RUNNABLE FailedPrecondition,
    ChecksSilent CHECKS_SILENT Unavailable,
    ConfigFileChanged CONFIG_FILE_CHANGED Aborted,
    ConfigRejected CONFIG_REJECTED FailedPrecondition,
    DeadlineExceeded DEADLINE_EXCEEDED DeadlineExceeded,
    EtagMismatch ETAG_MISMATCH Aborted,
    FieldTooLong FIELD_TOO_LONG InvalidArgument,
    FilterInvalid FILTER_INVALID InvalidArgument,
    InstanceNotFound INSTANCE_NOT_FOUND NotFound,
    Internal INTERNAL Internal,
    LogLevelInvalid LOG_LEVEL_INVALID InvalidArgument,
    MethodUnknown METHOD_UNKNOWN Unimplemented,
    NameInvalid NAME_INVALID InvalidArgument,
    NoSuccessor NO_SUCCESSOR FailedPrecondition,
    NodeNotFound NODE_NOT_FOUND NotFound,
    NotActive NOT_ACTIVE FailedPrecondition,
    NotKept NOT_KEPT FailedPrecondition,
    PageTokenExpired PAGE_TOKEN_EXPIRED FailedPrecondition,
    PageTokenInvalid PAGE_TOKEN_INVALID InvalidArgument,
    PeerUnknown PEER_UNKNOWN PermissionDenied,
    PoolFloor POOL_FLOOR FailedPrecondition,
    PoolNotFound POOL_NOT_FOUND NotFound,
    PoolsSilent POOLS_SILENT Unavailable,
    PriorityOutOfRange PRIORITY_OUT_OF_RANGE InvalidArgument,
    ProbeFailed PROBE_FAILED FailedPrecondition,
    RequestIdReused REQUEST_ID_REUSED InvalidArgument,
    RequestIdTableFull REQUEST_ID_TABLE_FULL ResourceExhausted,
    RequestMalformed REQUEST_MALFORMED InvalidArgument,
    RequestTooLarge REQUEST_TOO_LARGE ResourceExhausted,
    RoleMissing ROLE_MISSING PermissionDenied,
    ServerNotFound SERVER_NOT_FOUND NotFound,
    ServiceUnknown SERVICE_UNKNOWN NotFound,
    StreamReplaced STREAM_REPLACED Unavailable,
    TakeOverBusy TAKE_OVER_BUSY ResourceExhausted,
    TakeOverDrained TAKE_OVER_DRAINED FailedPrecondition,
    TakeOverFault TAKE_OVER_FAULT FailedPrecondition,
    TakeOverLate TAKE_OVER_LATE FailedPrecondition,
    TakeOverNotBackup TAKE_OVER_NOT_BACKUP FailedPrecondition,
    TakeOverUnknownRouter TAKE_OVER_UNKNOWN_ROUTER FailedPrecondition,
    TakeOverVrrpDisagrees TAKE_OVER_VRRP_DISAGREES FailedPrecondition,
    TimeOutOfRange TIME_OUT_OF_RANGE InvalidArgument,
    TooManyAnswers TOO_MANY_ANSWERS ResourceExhausted,
    TooManyDumps TOO_MANY_DUMPS ResourceExhausted,
    TooManyMutations TOO_MANY_MUTATIONS ResourceExhausted,
    TooManyProbes TOO_MANY_PROBES ResourceExhausted,
    TooManyRequests TOO_MANY_REQUESTS ResourceExhausted,
    TooManyRuns TOO_MANY_RUNS ResourceExhausted,
    TooManyValidations TOO_MANY_VALIDATIONS ResourceExhausted,
    TooManyWatchers TOO_MANY_WATCHERS ResourceExhausted,
    TtlOutOfRange TTL_OUT_OF_RANGE InvalidArgument,
    VipNotFound VIP_NOT_FOUND NotFound,
    VipNotHeld VIP_NOT_HELD FailedPrecondition,
    VrrpThreadSilent VRRP_THREAD_SILENT Unavailable,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message;
    use prost_types::{FileDescriptorProto, FileDescriptorSet};

    use super::*;

    fn files() -> Vec<FileDescriptorProto> {
        let set = FileDescriptorSet::decode(ha_proto::DESCRIPTORS).unwrap();
        set.file.into_iter().filter(|file| file.package() == "ha.agent.v1").collect()
    }

    fn is_word(text: &str) -> bool {
        text.contains('_') && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    }

    fn words(text: &str) -> impl Iterator<Item = &str> {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
    }

    fn code_of(word: &str) -> Option<Code> {
        (1..17).map(Code::from_i32).find(|code| {
            let name: String = format!("{code:?}")
                .chars()
                .flat_map(|c| {
                    c.is_ascii_uppercase().then_some('_').into_iter().chain([c.to_ascii_uppercase()])
                })
                .collect();
            name.trim_start_matches('_') == word
        })
    }

    /// What the head of `types.proto` says: each reason with its code.
    fn told() -> BTreeMap<String, Code> {
        let types = files().into_iter().find(|file| file.name().ends_with("types.proto")).unwrap();
        let comments = types.source_code_info.unwrap().location;
        let head = comments.iter().find(|location| location.path == [2]).unwrap().leading_comments();
        let (mut told, mut code) = (BTreeMap::new(), Code::Ok);
        for line in head.lines().filter(|line| line.starts_with("   ")) {
            let mut words = words(line.trim()).peekable();
            if !line.starts_with("      ") {
                code = words.next().and_then(code_of).unwrap_or_else(|| panic!("no code: {line}"));
            }
            told.extend(
                words.filter(|word| is_word(word) || *word == "INTERNAL").map(|word| (word.to_owned(), code)),
            );
        }
        told
    }

    #[test]
    fn the_contract_names_every_reason_with_its_code_and_no_other() {
        let known: BTreeMap<String, Code> =
            Reason::ALL.iter().map(|reason| (reason.as_str().to_owned(), reason.code())).collect();
        assert_eq!(told(), known);
    }

    #[test]
    fn what_the_contract_says_of_a_method_s_errors_are_reasons_with_their_codes() {
        let known: BTreeMap<&str, Code> =
            Reason::ALL.iter().map(|reason| (reason.as_str(), reason.code())).collect();
        let mut seen = 0;
        for file in files() {
            for location in file
                .source_code_info
                .unwrap()
                .location
                .iter()
                .filter(|at| matches!(at.path[..], [6, _, 2, _]))
            {
                let (_, errors) = location.leading_comments().split_once("Errors:").unwrap_or_default();
                let mut code = None;
                for word in words(errors) {
                    match code_of(word).filter(|_| !known.contains_key(word)) {
                        Some(new) => code = Some(new),
                        None if is_word(word) => {
                            assert_eq!(known.get(word).copied(), code, "{word} in {errors}");
                            seen += 1;
                        }
                        None => {}
                    }
                }
            }
        }
        assert!(seen > 60, "{seen}");
    }

    #[test]
    fn everything_in_the_contract_is_explained() {
        let mut silent = Vec::new();
        for file in files() {
            let info = file.source_code_info.clone().unwrap();
            for location in &info.location {
                let is_field = matches!(location.path[..], [4, _, 2, _] | [4, _, 3, _, 2, _]);
                let is_method = matches!(location.path[..], [6, _, 2, _]);
                let has_words =
                    !location.leading_comments().is_empty() || !location.trailing_comments().is_empty();
                if (is_field || is_method) && !has_words {
                    silent.push(format!("{}: line {}", file.name(), location.span[0] + 1));
                }
            }
        }
        assert!(silent.is_empty(), "{silent:#?}");
    }
}
