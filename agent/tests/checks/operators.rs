//! What operators ask of checks.

use std::sync::Arc;

use ha_agent::health::{Action, Command};
use ha_engine::{Actor, CheckRefusal, Verdict};

use super::fixture::{Thread, configured, listener, tcp};

#[tokio::test]
async fn an_attempt_on_demand_is_told_step_by_step_and_counts_like_any_other() {
    let (_listener, address) = listener();
    let checks = tcp("web", address, "").replace("interval = '20ms'", "interval = '1h'");
    let mut thread = Thread::start(&configured(&["web"], &checks));
    let asked = thread.handle.run_now("checks/web").await.unwrap().unwrap();
    assert_eq!(asked.attempt.outcome, ha_probe::Outcome::Passed);
    let steps: Vec<&str> = asked.attempt.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["connect"]);
    assert_eq!(asked.check.status.verdict, Verdict::Passing);
    assert_eq!(asked.check.status.counters.passed, 1);
    assert_eq!(thread.fact().await.verdict, Verdict::Passing);
    thread.stop().await;
}

#[tokio::test]
async fn many_who_ask_at_once_get_an_answer_each() {
    let (_listener, address) = listener();
    let thread = Thread::start(&configured(&["web"], &tcp("web", address, "")));
    let asking = (0..50).map(|_| {
        let handle = thread.handle.clone();
        async move { handle.run_now("checks/web").await.unwrap().unwrap() }
    });
    let answers = futures::future::join_all(asking).await;
    assert!(answers.iter().all(|asked| asked.attempt.steps.len() == 1));
    thread.stop().await;
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_its_reason() {
    let (_listener, address) = listener();
    let checks = tcp("a", address, "") + "[[check]]\nname = 'all'\nkind = 'expr'\nall_of = ['a']\n";
    let thread = Thread::start(&configured(&["all"], &checks));
    let refusal = |name: &'static str| {
        let handle = thread.handle.clone();
        async move { handle.run_now(name).await.unwrap().unwrap_err() }
    };
    assert_eq!(refusal("checks/none").await, CheckRefusal::UnknownCheck);
    assert_eq!(refusal("checks/all").await, CheckRefusal::NotRunnable);
    thread.stop().await;
}

#[tokio::test]
async fn a_muted_check_keeps_its_verdict_until_it_is_unmuted() {
    let (listener, address) = listener();
    let mut thread = Thread::start(&configured(&["web"], &tcp("web", address, "fall = 1")));
    assert_eq!(thread.fact().await.verdict, Verdict::Passing);
    let command = |action, dry_run| Command {
        check: "checks/web".into(),
        action,
        actor: Arc::new(Actor { principal: "uid=0(unix)".to_owned(), ..Actor::default() }),
        dry_run,
    };
    let mute = Action::Mute { reason: "maintenance".into(), expires: None, survives: false };
    let would = thread.handle.operate(command(mute.clone(), true)).await.unwrap().unwrap();
    assert_eq!(would.status.mute, None);
    let muted = thread.handle.operate(command(mute, false)).await.unwrap().unwrap();
    assert_eq!(&*muted.status.mute.unwrap().reason, "maintenance");
    drop(listener);
    loop {
        let status = thread.handle.check("checks/web").await.unwrap().unwrap().status;
        assert_eq!(status.verdict, Verdict::Passing);
        if status.measured == Verdict::Failing {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(thread.facts.try_recv().is_err());
    thread.handle.operate(command(Action::Unmute, false)).await.unwrap().unwrap();
    assert_eq!(thread.fact().await.verdict, Verdict::Failing);
    let events = thread.events();
    let types: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    assert!(types.contains(&"check.muted") && types.contains(&"check.unmuted"), "{events:?}");
    thread.stop().await;
}
