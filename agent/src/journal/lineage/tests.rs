//! Chains over checks, remedies, pools and sync groups.

use ha_engine::{
    BalancerEvent, Cause, CheckEvent, Evidence, InstanceId, Instant, PoolEvent, Priority, Standing, Verdict,
};

use super::*;

fn event(subject: Subject, kind: EventKind, because: Option<&str>) -> Entry {
    let evidence = Evidence { subject: because.map(Into::into), ..Evidence::default() };
    Entry::Event(Box::new(Event {
        at: Instant::default(),
        subject,
        kind,
        cause: Cause::CheckChanged,
        evidence,
        actor: None,
    }))
}

fn check(name: &str, kind: CheckEvent, because: Option<&str>) -> Entry {
    event(Subject::Check(name.into()), EventKind::Check(kind), because)
}

fn state(name: &str, from: StateName, to: StateName, because: Option<&str>) -> Entry {
    let subject = Subject::Instance(InstanceId(0), name.into());
    event(subject, EventKind::StateChanged { from, to }, because)
}

/// What led to each of these, in their order, numbered from 1.
fn parents(entries: &[Entry]) -> Vec<Option<u64>> {
    let mut lineage = Lineage::default();
    (1..).zip(entries).map(|(sequence, entry)| lineage.trace(sequence, entry).0).collect()
}

const FELL: CheckEvent = CheckEvent::Changed { from: Verdict::Passing, to: Verdict::Failing };

#[test]
fn a_remedy_leads_to_the_verdict_and_the_verdict_to_what_tracks_it() {
    let priority =
        EventKind::PriorityChanged { from: Priority::new(100).unwrap(), to: Priority::new(70).unwrap() };
    let web = Subject::Instance(InstanceId(0), "web".into());
    let chain = [
        check("checks/http", CheckEvent::RemedyStarted, None),
        check("checks/http", CheckEvent::RemedyRan { succeeded: true }, None),
        check("checks/http", CheckEvent::RemedyEnded { helped: false }, None),
        check("checks/http", FELL, None),
        check("checks/all", FELL, Some("checks/http")),
        event(web, priority, Some("checks/all")),
        state("web", StateName::Active, StateName::Fault, Some("checks/http")),
        state("dns", StateName::Active, StateName::Backup, Some("instances/web")),
    ];
    let expected = [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(4), Some(7)];
    assert_eq!(parents(&chain), expected);
}

#[test]
fn a_remedy_that_helped_has_nothing_to_do_with_a_later_fall() {
    let chain = [
        check("checks/http", CheckEvent::RemedyStarted, None),
        check("checks/http", CheckEvent::RemedyRan { succeeded: true }, None),
        check("checks/http", CheckEvent::RemedyEnded { helped: true }, None),
        check("checks/http", FELL, None),
        check("checks/other", FELL, None),
    ];
    assert_eq!(parents(&chain), [None, Some(1), Some(2), None, None]);
}

#[test]
fn a_check_of_a_server_leads_to_its_pool_and_the_pool_to_what_its_balancer_runs() {
    let server = Subject::Server("web".into(), "b".into());
    let left = EventKind::Pool(PoolEvent::ServerLeft(Standing { used: 2, total: 3 }));
    let lost = PoolEvent::Changed { from: Verdict::Passing, to: Verdict::Failing, weight: 0, quorum: 1 };
    let applied = BalancerEvent::Applied { generation: 7, servers: 2, took: std::time::Duration::ZERO };
    let chain = [
        check("pools/web/servers/b/checks/http", FELL, None),
        event(server, left, Some("pools/web/servers/b/checks/http")),
        event(Subject::Pool("web".into()), EventKind::Balancer(applied), None),
        event(Subject::Pool("web".into()), EventKind::Pool(lost), Some("pools/web/servers/b/checks/http")),
        state("web", StateName::Active, StateName::Fault, Some("pools/web")),
    ];
    assert_eq!(parents(&chain), [None, Some(1), Some(2), Some(1), Some(4)]);
}

#[test]
fn names_that_come_and_go_do_not_pile_up() {
    let mut lineage = Lineage::default();
    for number in 0..200_000 {
        lineage.trace(number, &check(&format!("checks/{number}"), FELL, None));
        lineage.trace(number, &check(&format!("checks/{number}"), CheckEvent::RemedyStarted, None));
    }
    assert!(lineage.facts.len() <= 2 * 65_536, "{}", lineage.facts.len());
}
