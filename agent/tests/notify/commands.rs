//! Commands: what they get, in which order, and what becomes of those that fail or hang.

use std::time::{Duration, Instant};

use ha_config::NotifyState;
use ha_engine::{PoolEvent, StateName, Verdict};

use crate::fixture::{Bench, Folder, check, command, flap, group, notifier, pool, server, setup, turned};

#[tokio::test]
async fn a_command_gets_what_happened_as_arguments_and_environment() {
    let folder = Folder::new();
    let script =
        folder.script("tell", r#"{ printf '[%s]' "$@"; echo; env | grep ^HA_ | sort; } > out; mv out told"#);
    let bench = Bench::start([notifier("hook", command(&script))], None);
    bench.tell(turned("web", StateName::Backup, StateName::Active));
    bench.until("the command has run", |bench| bench.counts("hook").delivered() == 1).await;
    let told = folder.read("told");
    let (arguments, environment) = told.split_once('\n').unwrap();
    assert_eq!(arguments, "[configured][INSTANCE][web][MASTER][120]");
    for line in [
        "HA_ACTOR=uid=0(unix)",
        "HA_CAUSE=CHECK_CHANGED",
        "HA_CAUSED_BY=checks/http",
        "HA_EVENT=instance.state_changed",
        "HA_KIND=INSTANCE",
        "HA_NAME=web",
        "HA_NODE=node-a",
        "HA_NOTIFIER=hook",
        "HA_PREVIOUS_STATE=BACKUP",
        "HA_PRIORITY=120",
        "HA_SEQUENCE=1",
        "HA_SEVERITY=INFO",
        "HA_STATE=ACTIVE",
        "HA_SUBJECT=nodes/node-a/instances/web",
    ] {
        assert!(environment.lines().any(|found| found == line), "{line} is not in\n{environment}");
    }
    assert!(environment.contains("HA_DETAIL=connection refused by \"10.0.0.7\"\n"), "{environment}");
    assert!(environment.contains("HA_TIME=20"), "{environment}");
}

#[tokio::test]
async fn every_class_has_its_words() {
    let folder = Folder::new();
    let script = folder.script("tell", r#"echo "$2 $3 $4 $HA_STATE" >> told"#);
    let bench = Bench::start([notifier("hook", command(&script))], None);
    let events = [
        (turned("web", StateName::Active, StateName::Fault), "INSTANCE web FAULT FAULT"),
        (turned("web", StateName::Active, StateName::Initialize), "INSTANCE web STOP STOPPED"),
        (group("edge", StateName::Active), "GROUP edge MASTER ACTIVE"),
        (check("checks/http", Verdict::Failing), "CHECK http DOWN FAILING"),
        (check("checks/http", Verdict::Passing), "CHECK http UP PASSING"),
        (pool("web", Verdict::Failing), "POOL web DOWN FAILING"),
        (server("web", "w1", PoolEvent::ServerLeft), "SERVER web/w1 DOWN FAILING"),
        (server("web", "w1", PoolEvent::ServerReturned), "SERVER web/w1 UP PASSING"),
    ];
    for (count, (event, line)) in (1..).zip(events) {
        bench.tell(event);
        bench.until(line, |bench| bench.counts("hook").delivered() == count).await;
        assert_eq!(folder.read("told").lines().last(), Some(line));
    }
    // A server is told of by the pool, not by each of its checks.
    bench.tell(check("pools/web/servers/w1/checks/http", Verdict::Failing));
    bench.notifications.finish().await;
    assert_eq!(folder.read("told").lines().count(), 8);
}

#[tokio::test]
async fn commands_run_in_order_for_a_subject_and_side_by_side_for_several() {
    const EVENTS: u8 = 8;
    let folder = Folder::new();
    // Whoever overlaps with itself finds the other's mark.
    let lines = r#"[ -e "busy-$HA_NAME" ] && echo overlap >> told; touch "busy-$HA_NAME"
        sleep 0.05; echo "$HA_PRIORITY" >> "told-$HA_NAME"; rm "busy-$HA_NAME""#;
    let bench = Bench::start([notifier("hook", command(&folder.script("tell", lines)))], None);
    let begun = Instant::now();
    for number in 1..=EVENTS {
        ["a", "b", "c", "d"].iter().for_each(|name| bench.tell(flap(name, number)));
    }
    bench.until("all have run", |bench| bench.counts("hook").delivered() == u64::from(EVENTS) * 4).await;
    let expected: String = (1..=EVENTS).map(|number| format!("{number}\n")).collect();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(folder.read(&format!("told-{name}")), expected, "{name}");
    }
    assert_eq!(folder.read("told"), "", "a subject's commands overlapped");
    println!("{} commands of 50 ms for 4 subjects took {:.2?}", EVENTS * 4, begun.elapsed());
}

#[tokio::test]
async fn a_command_that_fails_is_told_once_and_its_recovery_too() {
    let folder = Folder::new();
    let script = folder.script("tell", "[ -e good ] || { echo no hope; exit 3; }");
    let bench = Bench::start([notifier("hook", command(&script))], None);
    for number in 1..=3 {
        bench.tell(flap("web", number));
    }
    bench.until("they have failed", |bench| bench.counts("hook").dropped() == 3).await;
    std::fs::write(folder.path("good"), "").unwrap();
    bench.tell(flap("web", 4));
    bench.until("it succeeds", |bench| bench.counts("hook").delivered() == 1).await;
    let troubles = bench.troubles("hook");
    let types: Vec<_> = troubles.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(types, ["notifier.failing", "notifier.dropped", "notifier.recovered"]);
    assert!(
        troubles[0].1.contains("exit status 3") && troubles[0].1.contains("no hope"),
        "{}",
        troubles[0].1
    );
    assert!(troubles[2].1.contains("3 events were dropped"), "{}", troubles[2].1);
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let folder = Folder::new();
    let script = folder.script("tell", r#"echo "$HA_NOTIFIER $HA_NAME $HA_EVENT" >> told"#);
    let make = |name: &str, on: Vec<_>, states: Vec<_>, types: &[&str]| ha_config::Notifier {
        on,
        states,
        types: types.iter().map(ToString::to_string).collect(),
        ..notifier(name, command(&script))
    };
    use ha_config::NotifyScope::{Checks, Instances, Node, Servers};
    let bench = Bench::start(
        [
            make("one", vec![Instances(Some("web".to_owned()))], vec![], &[]),
            make("fault", vec![Instances(None)], vec![NotifyState::Fault], &[]),
            make("pool", vec![Servers(Some("web".to_owned()))], vec![], &[]),
            make("types", vec![Checks(None), Instances(None)], vec![], &["check.*", "instance.removed"]),
            make("node", vec![Node], vec![], &["notifier.*"]),
        ],
        None,
    );
    bench.tell(turned("web", StateName::Backup, StateName::Active));
    bench.tell(turned("db", StateName::Backup, StateName::Fault));
    bench.tell(server("web", "w1", PoolEvent::ServerLeft));
    bench.tell(server("db", "d1", PoolEvent::ServerLeft));
    bench.tell(check("checks/http", Verdict::Failing));
    bench.tell(crate::fixture::instance("db", ha_engine::EventKind::InstanceRemoved));
    bench.notifications.finish().await;
    let told = folder.read("told");
    let mut lines: Vec<_> = told.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "fault db instance.state_changed",
            "one web instance.state_changed",
            "pool web/w1 pool.server_left",
            "types db instance.removed",
            "types http check.changed",
        ]
    );
}

#[tokio::test]
async fn a_reload_keeps_what_waits_and_never_runs_two_at_once() {
    let folder = Folder::new();
    let lines = r#"[ -e busy ] && echo overlap >> told; touch busy; sleep 0.2; echo "$1 $HA_PRIORITY" >> told; rm busy"#;
    let script = folder.script("tell", lines);
    let bench = Bench::start([notifier("hook", command(&script))], None);
    (1..=4).for_each(|number| bench.tell(flap("web", number)));
    bench.until("the first runs", |_| folder.path("busy").exists()).await;
    let mut changed = notifier("hook", command(&script));
    let ha_config::NotifyChannel::Command(command) = &mut changed.channel else { unreachable!() };
    command.command.argv[1] = "changed".to_owned();
    let handle = bench.notifications.handle();
    handle.reconfigure(setup([changed.clone()], None)).await;
    // What is the same is left alone.
    handle.reconfigure(setup([changed], None)).await;
    bench.tell(flap("web", 5));
    bench.until("all have run", |bench| bench.counts("hook").delivered() == 5).await;
    assert_eq!(folder.read("told"), "configured 1\nchanged 2\nchanged 3\nchanged 4\nchanged 5\n");
    handle.reconfigure(setup([], None)).await;
    bench.tell(flap("web", 6));
    bench.notifications.finish().await;
    assert_eq!(folder.read("told").lines().count(), 5, "whoever was removed is not told");
}

#[tokio::test]
async fn the_end_of_the_agent_takes_two_seconds_at_most_and_leaves_no_process() {
    let folder = Folder::new();
    let marker = format!("1700.{}", std::process::id());
    let hang = folder.script("hang", &format!("trap '' TERM; sleep {marker} & wait; sleep {marker}"));
    let quick = folder.script("quick", "echo told >> told");
    let mut hanging = notifier("hanging", command(&hang));
    hanging.timeout = Duration::from_secs(60);
    let bench = Bench::start([hanging, notifier("quick", command(&quick))], None);
    bench.tell(flap("web", 1));
    bench.tell(flap("web", 2));
    let (counts, begun) = (bench.counts("hanging"), Instant::now());
    bench.notifications.finish().await;
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(2500), "{took:?}");
    assert_eq!(folder.read("told"), "told\ntold\n", "the others were told");
    assert_eq!((counts.delivered(), counts.dropped()), (0, 2));
    println!("the end took {took:.2?}");
    let is_left = || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.into_iter().any(|line| line.windows(marker.len()).any(|part| part == marker.as_bytes()))
    };
    let begun = Instant::now();
    while is_left() {
        assert!(begun.elapsed() < Duration::from_secs(5), "a process was left behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
