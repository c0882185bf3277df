//! The verdict as a table: what the members are, who is missing, and what comes out.

use proptest::prelude::*;

use super::*;

/// `"a ACTIVE PRESENT"`: node, role, kernel. The wish follows the role.
fn member(text: &str) -> Member {
    let words: Vec<&str> = text.split(' ').collect();
    let role = match words[1] {
        "ACTIVE" => Role::Active,
        "BACKUP" => Role::Backup,
        "FAULT" => Role::Fault,
        _ => Role::Initialize,
    };
    let kernel = match words[2] {
        "PRESENT" => Presence::Present,
        "ABSENT" => Presence::Absent,
        "CONFIGURING" => Presence::Configuring,
        "FAILED" => Presence::Failed,
        _ => Presence::Unknown,
    };
    let desired = if role == Role::Active { Presence::Present } else { Presence::Absent };
    Member {
        node: words[0].to_owned(),
        role,
        desired,
        kernel,
        rival: None,
        hears: None,
        fault_reasons: Vec::new(),
    }
}

fn members(texts: &[&str]) -> Vec<Member> {
    texts.iter().map(|text| member(text)).collect()
}

fn missing(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

fn codes(reasons: &[Reason]) -> Vec<ReasonCode> {
    reasons.iter().map(|reason| reason.code).collect()
}

/// Members, missing nodes, the verdict, and the reasons in their order.
type Case = (&'static [&'static str], &'static [&'static str], Verdict, &'static [ReasonCode]);

#[test]
fn the_verdict_follows_from_roles_kernels_and_missing_nodes() {
    use ReasonCode as C;
    use Verdict as V;
    let table: &[Case] = &[
        (&["a ACTIVE PRESENT"], &[], V::Ok, &[]),
        (&["a ACTIVE PRESENT", "b BACKUP ABSENT"], &[], V::Ok, &[]),
        (&["a BACKUP ABSENT", "b ACTIVE PRESENT", "c BACKUP ABSENT"], &[], V::Ok, &[]),
        // Split brain, whatever else is wrong.
        (
            &["a ACTIVE PRESENT", "b ACTIVE PRESENT"],
            &[],
            V::SplitBrain,
            &[C::SeveralHolders, C::SeveralActive],
        ),
        (&["a ACTIVE PRESENT", "b BACKUP PRESENT"], &[], V::SplitBrain, &[C::SeveralHolders]),
        (&["a FAULT PRESENT", "b ACTIVE PRESENT"], &[], V::SplitBrain, &[C::SeveralHolders, C::Fault]),
        (
            &["a BACKUP PRESENT", "b BACKUP PRESENT"],
            &[],
            V::SplitBrain,
            &[C::SeveralHolders, C::NobodyActive],
        ),
        (&["a ACTIVE PRESENT", "b ACTIVE ABSENT"], &[], V::SplitBrain, &[C::SeveralActive, C::NotInKernel]),
        (
            &["a ACTIVE PRESENT", "b ACTIVE PRESENT"],
            &["c"],
            V::SplitBrain,
            &[C::SeveralHolders, C::SeveralActive, C::NodeMissing],
        ),
        // Nobody.
        (&["a BACKUP ABSENT", "b BACKUP ABSENT"], &[], V::NoActive, &[C::NobodyActive]),
        (&["a FAULT ABSENT", "b BACKUP ABSENT"], &[], V::NoActive, &[C::NobodyActive, C::Fault]),
        (&["a BACKUP PRESENT", "b BACKUP ABSENT"], &[], V::NoActive, &[C::NobodyActive, C::LeftBehind]),
        (&["a INIT ABSENT"], &[], V::NoActive, &[C::NobodyActive, C::Starting]),
        // Missing nodes.
        (&["a ACTIVE PRESENT"], &["b"], V::Degraded, &[C::NodeMissing]),
        (&["a BACKUP ABSENT"], &["b"], V::Unknown, &[C::NodeMissing]),
        (&["a BACKUP PRESENT"], &["b"], V::Unknown, &[C::NodeMissing, C::LeftBehind]),
        (&[], &["a", "b"], V::Unknown, &[C::NodeMissing]),
        // The kernel against the wish.
        (&["a ACTIVE ABSENT", "b BACKUP ABSENT"], &[], V::Degraded, &[C::NotInKernel]),
        (&["a ACTIVE FAILED", "b BACKUP ABSENT"], &[], V::Degraded, &[C::NotInKernel]),
        (&["a ACTIVE CONFIGURING", "b BACKUP ABSENT"], &[], V::Degraded, &[C::NotInKernel]),
        (&["a ACTIVE UNKNOWN", "b BACKUP ABSENT"], &[], V::Unknown, &[C::KernelUnknown]),
        (&["a ACTIVE PRESENT", "b BACKUP UNKNOWN"], &[], V::Degraded, &[C::KernelUnknown]),
        (&["a ACTIVE ABSENT", "b BACKUP PRESENT"], &[], V::Degraded, &[C::NotInKernel, C::LeftBehind]),
        (&["a ACTIVE PRESENT", "b BACKUP CONFIGURING"], &[], V::Ok, &[]),
        // Members that could not take over.
        (&["a ACTIVE PRESENT", "b FAULT ABSENT"], &[], V::Degraded, &[C::Fault]),
        (&["a ACTIVE PRESENT", "b INIT ABSENT"], &[], V::Degraded, &[C::Starting]),
    ];
    for (texts, absent, verdict, expected) in table {
        let reasons = judge(&members(texts), &missing(absent));
        assert_eq!(worst(&reasons), *verdict, "{texts:?} missing {absent:?}: {reasons:?}");
        assert_eq!(codes(&reasons), *expected, "{texts:?} missing {absent:?}");
    }
}

#[test]
fn a_rival_heard_by_the_active_node_is_a_split_brain() {
    let mut all = members(&["a ACTIVE PRESENT", "b BACKUP ABSENT"]);
    all[0].rival = Some("192.0.2.9".to_owned());
    let reasons = judge(&all, &[]);
    assert_eq!(codes(&reasons), [ReasonCode::RivalHeard]);
    assert!(reasons[0].message.contains("192.0.2.9"));
}

#[test]
fn a_rival_remembered_by_a_node_that_stepped_down_is_not() {
    let mut all = members(&["a ACTIVE PRESENT", "b BACKUP ABSENT"]);
    all[1].rival = Some("192.0.2.9".to_owned());
    assert_eq!(judge(&all, &[]), []);
}

#[test]
fn a_backup_that_hears_an_active_router_nobody_asked_makes_it_unknown_and_not_unowned() {
    let mut all = members(&["b BACKUP ABSENT"]);
    all[0].hears = Some("192.0.2.1".to_owned());
    let reasons = judge(&all, &[]);
    assert_eq!((worst(&reasons), codes(&reasons)), (Verdict::Unknown, vec![ReasonCode::ActiveElsewhere]));
    let reasons = judge(&all, &missing(&["unix:/run/a.sock"]));
    assert_eq!((worst(&reasons), codes(&reasons)), (Verdict::Unknown, vec![ReasonCode::NodeMissing]));
    assert!(reasons[0].message.contains("b hears 192.0.2.1"), "{}", reasons[0].message);
}

#[test]
fn a_wish_against_the_state_is_degraded() {
    let mut all = members(&["a ACTIVE PRESENT", "b BACKUP ABSENT"]);
    all[0].desired = Presence::Absent;
    assert_eq!(codes(&judge(&all, &[])), [ReasonCode::WishDiffers]);
    all[0].desired = Presence::Present;
    all[1].desired = Presence::Present;
    assert_eq!(codes(&judge(&all, &[])), [ReasonCode::WishDiffers]);
}

#[test]
fn the_reasons_of_a_fault_are_told() {
    let mut all = members(&["a ACTIVE PRESENT", "b FAULT ABSENT"]);
    all[1].fault_reasons = vec!["link eth1 is down".to_owned(), "no source address".to_owned()];
    assert_eq!(judge(&all, &[])[0].message, "b is in FAULT: link eth1 is down; no source address");
}

fn any_member() -> impl Strategy<Value = Member> {
    let role = prop_oneof![Just(Role::Initialize), Just(Role::Backup), Just(Role::Active), Just(Role::Fault)];
    let presence = || {
        prop_oneof![
            Just(Presence::Absent),
            Just(Presence::Configuring),
            Just(Presence::Present),
            Just(Presence::Failed),
            Just(Presence::Unknown)
        ]
    };
    (0..4u8, role, presence(), presence(), any::<bool>(), any::<bool>()).prop_map(
        |(node, role, desired, kernel, rival, hears)| Member {
            node: format!("n{node}"),
            role,
            desired,
            kernel,
            rival: rival.then(|| "192.0.2.9".to_owned()),
            hears: hears.then(|| "192.0.2.8".to_owned()),
            fault_reasons: Vec::new(),
        },
    )
}

proptest! {
    #[test]
    fn ok_means_exactly_one_active_holder_and_nobody_missing(
        all in prop::collection::vec(any_member(), 0..5), absent in 0..3usize
    ) {
        let labels: Vec<String> = (0..absent).map(|n| format!("m{n}")).collect();
        let verdict = worst(&judge(&all, &labels));
        let holders = nodes_where(&all, |m| m.kernel == Presence::Present);
        let active = nodes_where(&all, |m| m.role == Role::Active);
        if verdict == Verdict::Ok {
            prop_assert_eq!(&holders, &active);
            prop_assert_eq!(holders.len(), 1);
            prop_assert_eq!(absent, 0);
        }
        if holders.len() > 1 || active.len() > 1 {
            prop_assert_eq!(verdict, Verdict::SplitBrain);
        }
        if active.is_empty() && holders.len() < 2 {
            prop_assert!(verdict >= Verdict::Unknown);
        }
    }
}
