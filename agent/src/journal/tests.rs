//! The ring, its readers and its lineage.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ha_engine::{Actor, Cause, EventKind, Evidence, InstanceId, Priority, StateName, Subject};
use tokio::sync::mpsc;

use super::*;
use crate::driver::Notices;

/// Runs the test of that name once more in a process of its own, for what other tests in this one would disturb. Returns
/// whether this is that process; in the other one the test has passed there.
pub(crate) fn is_alone(test: &str) -> bool {
    const ALONE: &str = "HA_AGENT_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let output = alone.args(["--exact", test]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

fn event(instance: &str, kind: EventKind) -> Box<Event> {
    Box::new(Event {
        at: clock::now(),
        subject: Subject::Instance(InstanceId(0), instance.into()),
        kind,
        cause: Cause::AgentStart,
        evidence: Evidence::default(),
        actor: None,
    })
}

fn added() -> Box<Event> {
    event("web", EventKind::InstanceAdded)
}

fn by(request_id: &str, mut event: Box<Event>) -> Box<Event> {
    event.actor = Some(Arc::new(Actor { request_id: request_id.to_owned(), ..Actor::default() }));
    event
}

fn moved(from: StateName, to: StateName) -> EventKind {
    EventKind::StateChanged { from, to }
}

fn sequences(read: &Read) -> Vec<u64> {
    match read {
        Read::Records(records) => records.iter().map(|record| record.sequence).collect(),
        Read::Lagged(lagged) => panic!("unexpected {lagged:?}"),
    }
}

#[test]
fn sequences_begin_with_one_and_have_no_holes_while_the_ring_stays_bounded() {
    let journal = Journal::new("a", 8);
    assert_eq!(journal.newest(), 0);
    assert!(journal.oldest().is_none());
    for expected in 1..=100 {
        assert_eq!(journal.append(added()), expected);
    }
    assert_eq!(journal.oldest().unwrap().sequence, 93);
    assert_eq!(journal.lock().len(), 8);
    let Range::Records(records) = journal.range(95, 3) else { panic!("kept") };
    assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [95, 96, 97]);
    let newest: Vec<u64> = journal.range_before(101, 3).iter().map(|record| record.sequence).collect();
    assert_eq!(newest, [100, 99, 98]);
    assert!(journal.range_before(93, 3).is_empty());
    assert!(matches!(journal.range(92, 1), Range::Overtaken { oldest: 93 }));
    assert!(matches!(journal.range(101, 1), Range::Records(records) if records.is_empty()));
}

#[test]
fn every_start_has_another_incarnation() {
    let incarnations: BTreeSet<Arc<str>> =
        (0..100).map(|_| Arc::clone(Journal::new("a", 1).incarnation())).collect();
    assert_eq!(incarnations.len(), 100);
    assert!(
        incarnations
            .iter()
            .all(|word| word.len() == 16 && word.bytes().all(|digit| digit.is_ascii_hexdigit()))
    );
}

#[test]
fn a_record_keeps_its_time_on_both_clocks() {
    let journal = Journal::new("a", 8);
    let before = SystemTime::now();
    let mut late = added();
    late.at = journal.started().after(Duration::from_secs(5));
    journal.append(late);
    let record = journal.oldest().unwrap();
    assert_eq!(record.offset, Duration::from_secs(5));
    let shown = record.wall.duration_since(before).unwrap();
    assert!(shown > Duration::from_millis(4900) && shown < Duration::from_secs(6), "{shown:?}");
}

#[test]
fn the_same_instant_always_reads_the_same() {
    let journal = Journal::new("a", 1);
    let instant = clock::now();
    let first = journal.wall_clock().wall(instant);
    assert!((0..1000).all(|_| journal.wall_clock().wall(instant) == first));
}

#[test]
fn a_tail_counts_only_what_matches() {
    let journal = Journal::new("a", 1000);
    for index in 0..600 {
        let name = if index % 3 == 0 { "web" } else { "db" };
        journal.append(event(name, EventKind::InstanceAdded));
    }
    let web = |record: &Record| matches!(record.subject(), Subject::Instance(_, name) if &**name == "web");
    assert_eq!(journal.tail(0, web), (600, 0));
    // The last of web is 598, the one before 595.
    assert_eq!(journal.tail(2, web), (594, 2));
    assert_eq!(journal.tail(200, web), (0, 200));
    assert_eq!(journal.tail(10_000, web), (0, 200));
}

#[test]
fn a_time_finds_its_place() {
    let journal = Journal::new("a", 100);
    for second in 0..10 {
        let mut event = added();
        event.at = journal.started().after(Duration::from_secs(second));
        journal.append(event);
    }
    let start = journal.wall_clock().wall(journal.started());
    assert_eq!(journal.position_of(start - Duration::from_secs(100)), 0);
    assert_eq!(journal.position_of(start + Duration::from_millis(3500)), 4);
    assert_eq!(journal.position_of(start + Duration::from_secs(100)), 10);
}

#[tokio::test]
async fn a_reader_that_is_overtaken_learns_exactly_what_it_missed() {
    let journal = Journal::new("a", 10);
    let mut reader = journal.reader(0);
    for _ in 0..4 {
        journal.append(added());
    }
    assert_eq!(sequences(&reader.read(2).await), [1, 2]);
    for _ in 0..30 {
        journal.append(added());
    }
    let Read::Lagged(lagged) = reader.read(100).await else { panic!("34 records went through a ring of 10") };
    assert_eq!(lagged, Lagged { first: 3, last: 24, lost: 22 });
    assert_eq!(lagged.count(), 22);
    assert_eq!(sequences(&reader.read(100).await), (25..=34).collect::<Vec<_>>());
    assert!(reader.try_read(100).is_none());
}

#[tokio::test(start_paused = true)]
async fn two_losses_are_told_a_second_apart_and_together_cover_everything() {
    let journal = Journal::new("a", 4);
    let mut reader = journal.reader(0);
    let flood = |count: u64| (0..count).for_each(|_| assert!(journal.append(added()) > 0));
    flood(10);
    let Read::Lagged(first) = reader.read(9).await else { panic!("overtaken") };
    let told = tokio::time::Instant::now();
    flood(10);
    let Read::Lagged(second) = reader.read(9).await else { panic!("overtaken again") };
    assert!(told.elapsed() >= Duration::from_secs(1));
    assert_eq!((first.first, first.last, second.first, second.last), (1, 6, 7, 16));
    assert_eq!(sequences(&reader.read(9).await), [17, 18, 19, 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_readers_get_every_record_once_and_in_order() {
    const COUNT: u64 = 20_000;
    let journal = Journal::new("a", 100_000);
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let mut reader = journal.reader(0);
            tokio::spawn(async move {
                let mut expected = 1;
                while expected <= COUNT {
                    for sequence in sequences(&reader.read(64).await) {
                        assert_eq!(sequence, expected);
                        expected += 1;
                    }
                }
            })
        })
        .collect();
    for _ in 0..COUNT {
        journal.append(added());
    }
    for reader in readers {
        tokio::time::timeout(Duration::from_secs(20), reader).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_the_driver_dropped_is_said_where_it_was_dropped() {
    let journal = Journal::new("a", 100);
    let (sender, events) = mpsc::channel(4);
    let lost = Arc::new(AtomicU64::new(0));
    let notices = Notices { events, lost: Arc::clone(&lost) };
    // Nobody collects yet: four fit, three do not.
    for _ in 0..7 {
        if sender.try_send(added()).is_err() {
            lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let collecting = tokio::spawn(collect(notices, Arc::clone(&journal)));
    let mut reader = journal.reader(0);
    while journal.newest() < 5 {
        tokio::task::yield_now().await;
    }
    sender.send(added()).await.unwrap();
    drop(sender);
    collecting.await.unwrap();
    let Read::Records(records) = reader.read(100).await else { panic!("nothing was overtaken") };
    let types: Vec<&str> = records.iter().map(|record| record.type_name()).collect();
    let expected = [["instance.added"; 4].as_slice(), &["node.events_lost", "instance.added"]].concat();
    assert_eq!(types, expected);
    assert!(records[4].message().contains("3 events were lost"), "{}", records[4].message());
    assert_eq!(records[4].severity(), ha_engine::Severity::Error);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_event_is_a_log_line_with_the_words_of_the_api() {
    if !is_alone("journal::tests::every_event_is_a_log_line_with_the_words_of_the_api") {
        return;
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let journal = Journal::new("a", 100);
    let (sender, events) = mpsc::channel(8);
    let mut takeover = event("web", moved(StateName::Backup, StateName::Active));
    takeover.cause = Cause::ActiveDownTimer;
    takeover.evidence.peer = Some("10.0.0.7".parse().unwrap());
    takeover.evidence.local_priority = Priority::new(120);
    sender.send(takeover).await.unwrap();
    sender.send(event("web", moved(StateName::Active, StateName::Fault))).await.unwrap();
    drop(sender);
    collect(Notices { events, lost: Arc::default() }, journal).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    for word in [
        " INFO ",
        "event_type=\"instance.state_changed\"",
        "subject=\"nodes/a/instances/web\"",
        "cause=\"ACTIVE_DOWN_TIMER\"",
        "from=\"BACKUP\" to=\"ACTIVE\"",
        "peer=10.0.0.7",
        "local_priority=120",
        "BACKUP to ACTIVE: ACTIVE_DOWN_TIMER (peer 10.0.0.7, own priority 120)",
    ] {
        assert!(first.contains(word), "{word} in {first}");
    }
    assert!(second.contains("ERROR") && second.contains("to=\"FAULT\""), "{second}");
}

#[test]
fn a_command_is_followed_to_its_last_effect_and_no_further() {
    let journal = Journal::new("a", 100);
    let set = EventKind::OverrideSet { priority: Priority::DEFAULT, reason: "test".into(), lasts: None };
    let took = Duration::from_millis(1);
    let lower = EventKind::PriorityChanged { from: Priority::OWNER, to: Priority::DEFAULT };
    journal.append(by("r1", event("web", set)));
    journal.append(by("r1", event("web", lower.clone())));
    journal.append(by("r1", event("web", moved(StateName::Active, StateName::Backup))));
    journal.append(event("web", EventKind::AddressesReleased { took }));
    journal.append(event("db", moved(StateName::Backup, StateName::Active)));
    journal.append(event("db", EventKind::AddressesHeld { took }));
    journal.append(event("web", moved(StateName::Backup, StateName::Active)));
    journal.append(event("web", EventKind::Announced { took }));
    journal.append(event("web", EventKind::AddressesReleased { took }));
    journal.append(by("r2", event("web", lower)));
    let chain: Vec<(Option<u64>, Option<&str>)> = vec![
        (None, Some("r1")),
        (Some(1), Some("r1")),
        (Some(1), Some("r1")),
        (Some(3), Some("r1")),
        (None, None),
        (Some(5), None),
        (None, None),
        (Some(7), None),
        (None, None),
        (None, Some("r2")),
    ];
    let Range::Records(records) = journal.range(1, 100) else { panic!("all are kept") };
    let seen: Vec<_> = records.iter().map(|record| (record.caused_by, record.request.as_deref())).collect();
    assert_eq!(seen, chain);
}

#[test]
fn a_removed_instance_leaves_nothing_behind() {
    let journal = Journal::new("a", 4);
    for index in 0..1000 {
        let name = format!("instance-{index}");
        journal.append(event(&name, EventKind::InstanceAdded));
        journal.append(event(&name, EventKind::InstanceRemoved));
    }
    assert_eq!(journal.lock().chains(), 0);
}
