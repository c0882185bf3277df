//! Results become verdicts, and verdicts reach those who act on them.

use std::net::TcpListener;

use ha_agent::facts::News;
use ha_config::CheckKind;
use ha_engine::{Outcome, Verdict};

use super::fixture::{Thread, configured, listener, tcp};

#[tokio::test]
async fn a_server_that_dies_and_returns_is_told_each_time_once_and_its_event_comes_first() {
    let (listener, address) = listener();
    let mut thread = Thread::start(&configured(&["web"], &tcp("web", address, "rise = 2\nfall = 3")));
    let fact = thread.fact().await;
    assert_eq!((&*fact.name, fact.verdict), ("checks/web", Verdict::Passing));
    assert_eq!(thread.events().iter().filter(|(name, _)| *name == "check.changed").count(), 1);
    drop(listener);
    let fact = thread.fact().await;
    assert_eq!(fact.verdict, Verdict::Failing);
    assert!(fact.detail.contains("refused"), "{}", fact.detail);
    let _listener = TcpListener::bind(address).unwrap();
    assert_eq!(thread.fact().await.verdict, Verdict::Passing);
    assert!(thread.facts.try_recv().is_err(), "told once");
    let view = thread.handle.check("checks/web").await.unwrap().unwrap();
    assert_eq!((view.kind, &*view.target), ("tcp", address.to_string().as_str()));
    assert_eq!(view.status.counters.changes, 3);
    assert!(view.status.counters.failed >= 3 && view.status.counters.passed >= 3);
    let journal = thread.stop().await;
    assert!(journal.newest() >= 3);
}

#[tokio::test]
async fn a_reload_keeps_what_did_not_change_and_forgets_what_is_gone() {
    let (_one, first) = listener();
    let (_two, second) = listener();
    let both = tcp("a", first, "") + &tcp("b", second, "");
    let mut thread = Thread::start(&configured(&["a", "b"], &both));
    let mut names = [thread.fact().await.name, thread.fact().await.name];
    names.sort();
    assert_eq!(names.map(|name| name.to_string()), ["checks/a", "checks/b"]);
    let before = thread.handle.check("checks/a").await.unwrap().unwrap().status;
    thread.reload(&configured(&["a"], &tcp("a", first, ""))).await.unwrap();
    assert_eq!(thread.news().await, News::Removed("checks/b".into()));
    let after = thread.handle.check("checks/a").await.unwrap().unwrap().status;
    assert_eq!((before.since, before.counters.changes), (after.since, after.counters.changes));
    assert!(after.counters.passed >= before.counters.passed);
    assert!(thread.handle.check("checks/b").await.unwrap().is_none());
    let snapshot = thread.handle.snapshot().await.unwrap();
    assert_eq!(snapshot.checks.len(), 1);
    thread.stop().await;
}

#[tokio::test]
async fn a_check_that_cannot_be_compiled_keeps_the_old_ones_in_force() {
    let (_listener, address) = listener();
    let mut thread = Thread::start(&configured(&["a"], &tcp("a", address, "")));
    let mut checks = configured(&["u"], "[[check]]\nname = 'u'\nkind = 'icmp'\nhost = '127.0.0.1'\n");
    // What the configuration itself lets pass.
    let CheckKind::Icmp(icmp) = &mut checks[0].kind else { panic!("another kind") };
    icmp.count = 0;
    let unusable = thread.reload(&checks).await.unwrap_err();
    assert_eq!(unusable.len(), 1);
    assert!(unusable[0].to_string().starts_with("checks/u: "), "{}", unusable[0]);
    assert!(thread.handle.check("checks/a").await.unwrap().is_some());
    thread.stop().await;
}

#[tokio::test]
async fn an_expression_follows_its_members_and_has_no_attempts() {
    let (listener, address) = listener();
    let (_other, second) = self::listener();
    let checks = tcp("a", address, "fall = 1")
        + &tcp("b", second, "")
        + "[[check]]\nname = 'both'\nkind = 'expr'\nall_of = ['a', 'b']\n";
    let mut thread = Thread::start(&configured(&["both"], &checks));
    let both = until(&mut thread, "checks/both", Verdict::Passing).await;
    assert!(both);
    drop(listener);
    assert!(until(&mut thread, "checks/both", Verdict::Failing).await);
    thread.stop().await;
}

async fn until(thread: &mut Thread, name: &str, verdict: Verdict) -> bool {
    loop {
        let fact = thread.fact().await;
        if &*fact.name == name && fact.verdict == verdict {
            return true;
        }
    }
}

#[tokio::test]
async fn without_descriptors_nothing_is_said_about_a_server() {
    let (_listener, address) = listener();
    let thread = Thread::start_with(&configured(&["web"], &tcp("web", address, "fall = 1")), 0);
    thread.event("check.inconclusive").await;
    let status = thread.handle.check("checks/web").await.unwrap().unwrap().status;
    assert_eq!(status.verdict, Verdict::Unknown);
    assert!(status.counters.inconclusive > 0 && status.counters.failed == 0);
    let Some(Outcome::Inconclusive { detail }) = status.last.map(|last| last.outcome) else { panic!() };
    assert!(detail.starts_with("EXHAUSTED: "), "{detail}");
    thread.stop().await;
}

#[tokio::test]
async fn a_thousand_checks_are_shown_by_name_with_what_they_counted() {
    let (listener, address) = listener();
    // Connections that nobody takes would fill its queue.
    let _taker = std::thread::spawn(move || for_ever(&listener));
    let names: Vec<String> = (0..1000).map(|number| format!("c{number:04}")).collect();
    let checks: String = names.iter().map(|name| tcp(name, address, "").replace("20ms", "1s")).collect();
    let mut thread = Thread::start(&configured(&[&names[0]], &checks));
    for _ in 0..1000 {
        assert_eq!(thread.fact().await.verdict, Verdict::Passing);
    }
    let snapshot = thread.handle.snapshot().await.unwrap();
    let shown: Vec<&str> = snapshot.checks.iter().map(|view| &*view.status.policy.name).collect();
    assert_eq!(shown.len(), 1000);
    assert!(shown.is_sorted() && shown[999] == "checks/c0999");
    assert!(snapshot.check("checks/c0500").is_some() && snapshot.check("checks/none").is_none());
    let counted: u64 = snapshot.durations[&("tcp", "PASSED")].buckets.iter().map(|(_, count)| count).sum();
    assert!(counted >= 1000, "{counted}");
    thread.stop().await;
}

/// As long as this process runs.
fn for_ever(listener: &TcpListener) {
    listener.incoming().for_each(drop);
}
