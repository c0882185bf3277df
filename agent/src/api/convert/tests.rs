//! Every word of the engine has the same word on the wire.

use ha_engine::{Cause, LinkCondition};

use super::*;

/// The cause after this one in the engine's order. A new cause does not compile until it has its place here.
const fn after(cause: Cause) -> Option<Cause> {
    Some(match cause {
        Cause::AgentStart => Cause::AgentStop,
        Cause::AgentStop => Cause::ActiveDownTimer,
        Cause::ActiveDownTimer => Cause::PeerPriorityZero,
        Cause::PeerPriorityZero => Cause::PeerHigherPriority,
        Cause::PeerHigherPriority => Cause::PeerEqualPriorityHigherAddress,
        Cause::PeerEqualPriorityHigherAddress => Cause::LocalPreempt,
        Cause::LocalPreempt => Cause::PreemptDelayExpired,
        Cause::PreemptDelayExpired => Cause::AddressOwner,
        Cause::AddressOwner => Cause::InterfaceChanged,
        Cause::InterfaceChanged => Cause::AdminPriority,
        Cause::AdminPriority => Cause::ConfigReload,
        Cause::ConfigReload => Cause::DuplicateActive,
        Cause::DuplicateActive => Cause::AddressConflict,
        Cause::AddressConflict => Cause::OverrideExpired,
        Cause::OverrideExpired => Cause::AgentStalled,
        Cause::AgentStalled => Cause::AddressFailed,
        Cause::AddressFailed => Cause::Advertisement,
        Cause::Advertisement => Cause::CheckChanged,
        Cause::CheckChanged => Cause::SyncGroup,
        Cause::SyncGroup => Cause::CheckResult,
        Cause::CheckResult => Cause::AdminMute,
        Cause::AdminMute => Cause::AdminUnmute,
        Cause::AdminUnmute => Cause::AdminDrain,
        Cause::AdminDrain => Cause::AdminUndrain,
        Cause::AdminUndrain => Cause::BalancerFailed,
        Cause::BalancerFailed => Cause::NotifyFailed,
        Cause::NotifyFailed => Cause::InstanceChanged,
        Cause::InstanceChanged => Cause::AdminTransfer,
        Cause::AdminTransfer => Cause::PeerReleased,
        Cause::PeerReleased => Cause::PeerReport,
        Cause::PeerReport => Cause::AdminAnnounce,
        Cause::AdminAnnounce => Cause::JournalFailed,
        Cause::JournalFailed => Cause::OperatorRequest,
        Cause::OperatorRequest => return None,
    })
}

#[test]
fn every_cause_is_the_same_word_in_engine_and_contract() {
    let causes: Vec<Cause> = std::iter::successors(Some(Cause::AgentStart), |last| after(*last)).collect();
    assert_eq!(causes.len(), 34);
    for engine in causes {
        assert_eq!(cause(engine).as_str_name(), format!("CAUSE_{}", engine.as_str()));
    }
}

#[test]
fn every_state_is_the_same_word_in_engine_and_contract() {
    for engine in StateName::ALL {
        assert_eq!(state(engine).as_str_name(), format!("STATE_{}", engine.as_str()));
    }
}

#[test]
fn severities_keep_their_order() {
    use engine::Severity::{Error, Info, Warn};
    let numbers = [Info, Warn, Error].map(|engine| i32::from(severity(engine)));
    assert!(numbers.is_sorted() && numbers[0] > i32::from(v1::Severity::Unspecified));
}

#[test]
fn every_fault_is_a_sentence_that_names_the_link_or_the_address() {
    let faults = [
        (Fault::LinkMissing, "there is no link eth7"),
        (Fault::LinkDown, "link eth7 is administratively down"),
        (Fault::NoCarrier, "link eth7 has no carrier"),
        (Fault::NoSocket, "the kernel refuses a VRRP socket on link eth7; the log says why"),
        (Fault::NoSourceAddress, "link eth7 has no address to send adverts from"),
        (
            Fault::AddressLink("eth8".into(), LinkCondition::Missing),
            "link eth8, which is to have addresses, is missing",
        ),
        (Fault::AddressFailed("no buffer".into()), "the kernel refused an address: no buffer"),
        (Fault::AddressContested([10, 0, 0, 1].into()), "somebody else keeps removing 10.0.0.1"),
        (Fault::CheckFailing("checks/http".into(), "status 500".into()), "checks/http fails: status 500"),
        (Fault::CheckFailing("checks/http".into(), "".into()), "checks/http fails"),
        (Fault::CheckPassing("checks/http".into(), "".into()), "checks/http passes, which is a fault here"),
        (Fault::GroupMember("lan".into()), "lan of its sync group is in Fault"),
    ];
    for (fault, sentence) in faults {
        assert_eq!(fault_reason(&fault, "eth7"), sentence);
    }
}

#[test]
fn durations_and_counts_that_do_not_fit_are_cut_not_wrapped() {
    assert_eq!(duration(Duration::MAX).seconds, i64::MAX);
    assert_eq!(
        duration(Duration::from_nanos(1_500_000_001)),
        prost_types::Duration { seconds: 1, nanos: 500_000_001 }
    );
    assert_eq!(signed(u64::MAX), i64::MAX);
}

#[test]
fn no_time_and_no_duration_from_the_wire_can_overflow() {
    let numbers = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    let nanos = [i32::MIN, -1, 0, 999_999_999, 1_000_000_000, i32::MAX];
    for (seconds, nanos) in numbers.into_iter().flat_map(|seconds| nanos.map(|nanos| (seconds, nanos))) {
        let valid = seconds >= 0 && (0..1_000_000_000).contains(&nanos);
        let duration = checked_duration(&prost_types::Duration { seconds, nanos });
        assert_eq!(duration.is_some(), valid, "{seconds} {nanos}");
        let time = checked_time(&prost_types::Timestamp { seconds, nanos });
        assert!(valid || time.is_none(), "{seconds} {nanos}");
    }
    let time = checked_time(&prost_types::Timestamp { seconds: 5, nanos: 7 }).unwrap();
    assert_eq!(timestamp(time), prost_types::Timestamp { seconds: 5, nanos: 7 });
}
