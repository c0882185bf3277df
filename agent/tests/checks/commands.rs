//! Scripts and remedies: run as the configuration says, and gone when the agent goes.

use std::fs;
use std::time::{Duration, Instant};

use ha_engine::{RemedyState, Verdict};

use super::fixture::{Folder, Thread, configured, listener};

fn script(name: &str, path: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = '{name}'\nkind = 'script'\ncommand = ['{path}']\nuser = 'root'\ninterval = '50ms'\n\
         timeout = '5s'\nrise = 1\nfall = 1\n{keys}\n"
    )
}

#[tokio::test]
async fn a_remedy_that_helps_keeps_the_verdict_and_one_that_does_not_lets_it_fall() {
    let folder = Folder::new();
    let (flag, broken) = (folder.path("flag"), folder.path("broken"));
    let check = folder.script("check", &format!("test -e {flag}"));
    let mend = folder.script("mend", &format!("echo mending\ntest -e {broken} && exit 3\ntouch {flag}"));
    let keys = format!(
        "remedy = {{ command = ['{mend}'], user = 'root', timeout = '5s', wait = '10ms', rest = '0s' }}"
    );
    fs::write(&flag, "").unwrap();
    let mut thread = Thread::start(&configured(&["s"], &script("s", &check, &keys)));
    assert_eq!(thread.fact().await.verdict, Verdict::Passing);
    fs::remove_file(&flag).unwrap();
    thread.event("check.remedy_ended").await;
    let status = thread.handle.check("checks/s").await.unwrap().unwrap().status;
    assert_eq!(status.verdict, Verdict::Passing);
    let remedy = status.remedy.unwrap();
    assert_eq!((remedy.runs, remedy.helped), (1, 1));
    assert!(remedy.last_result.contains("mending"), "{}", remedy.last_result);
    assert!(thread.facts.try_recv().is_err(), "nobody was told");
    fs::write(&broken, "").unwrap();
    fs::remove_file(&flag).unwrap();
    let fact = thread.fact().await;
    assert_eq!(fact.verdict, Verdict::Failing);
    let status = thread.handle.check("checks/s").await.unwrap().unwrap().status;
    let remedy = status.remedy.unwrap();
    assert_eq!((remedy.runs, remedy.helped, remedy.state), (2, 1, RemedyState::Spent));
    assert!(remedy.last_result.contains("exit status 3"), "{}", remedy.last_result);
    let events = thread.events();
    let types: Vec<&str> =
        events.iter().map(|(name, _)| *name).filter(|name| name.contains("remedy")).collect();
    let one = ["check.remedy_started", "check.remedy_ran", "check.remedy_ended"];
    assert_eq!(types, [one, one].concat(), "{events:#?}");
    thread.stop().await;
}

#[tokio::test]
async fn the_exit_status_of_a_script_is_its_number() {
    let folder = Folder::new();
    let path = folder.script("weight", "exit 42");
    let mut thread = Thread::start(&configured(&[], &script("w", &path, "value_from_exit = true")));
    let fact = thread.fact().await;
    assert_eq!((fact.verdict, fact.value), (Verdict::Passing, Some(40)));
    thread.stop().await;
}

#[tokio::test]
async fn a_script_that_runs_when_the_agent_stops_is_ended_with_everything_that_it_started() {
    let folder = Folder::new();
    let pids = folder.path("pids");
    let path =
        folder.script("slow", &format!("trap '' TERM\nsleep 300 &\necho $! $$ > {pids}\nwait\nsleep 300"));
    let thread = Thread::start(&configured(&["s"], &script("s", &path, "").replace("'5s'", "'1h'")));
    let running = loop {
        match fs::read_to_string(&pids) {
            Ok(text) if text.ends_with('\n') => break text,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let began = Instant::now();
    thread.stop().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    for pid in running.split_whitespace() {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{pid} still runs: {state}");
    }
}

#[tokio::test]
async fn a_script_of_a_check_that_is_no_longer_configured_is_ended() {
    let folder = Folder::new();
    let pids = folder.path("pids");
    let path = folder.script("slow", &format!("echo $$ > {pids}\nexec sleep 300"));
    let mut thread = Thread::start(&configured(&["s"], &script("s", &path, "").replace("'5s'", "'1h'")));
    while !fs::read_to_string(&pids).is_ok_and(|text| text.ends_with('\n')) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_listener, address) = listener();
    thread.reload(&configured(&["t"], &super::fixture::tcp("t", address, ""))).await.unwrap();
    let pid = fs::read_to_string(&pids).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    let began = Instant::now();
    while fs::read_to_string(&stat).is_ok_and(|state| !state.contains(") Z ")) {
        assert!(began.elapsed() < Duration::from_secs(5), "it still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    thread.stop().await;
}
