//! The named pipe: keepalived's lines, and what happens when nobody reads.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use ha_engine::{EventKind, PoolEvent, Priority, StateName, Verdict};

use crate::fixture::{Bench, Folder, check, fifo, flap, group, instance, notifier, pool, server, turned};

/// A transition whose evidence names no priority.
fn unmeasured(instance: &str, to: StateName) -> ha_engine::Event {
    let mut event = turned(instance, StateName::Initialize, to);
    event.evidence.local_priority = None;
    event
}

/// Everything that waits in a pipe.
fn read(path: &Path) -> String {
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut pipe = fs::File::options().read(true).custom_flags(flags).open(path).unwrap();
    let mut text = Vec::new();
    // Ends with "would block" as long as the agent has it open.
    let _ = pipe.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn lines_are_those_of_keepalived() {
    let folder = Folder::new();
    let path = folder.path("pipe");
    let mut with_priorities = notifier("pipe", fifo(&path));
    let ha_config::NotifyChannel::Fifo(settings) = &mut with_priorities.channel else { unreachable!() };
    settings.priorities = true;
    let bench = Bench::start([with_priorities], None);
    let priority = |from, to| EventKind::PriorityChanged {
        from: Priority::new(from).unwrap(),
        to: Priority::new(to).unwrap(),
    };
    let rival = EventKind::DuplicateActiveBegan { address: "10.0.0.2".parse().unwrap() };
    let events = [
        turned("VI_1", StateName::Initialize, StateName::Backup),
        instance("VI_1", priority(100, 90)),
        turned("VI_1", StateName::Backup, StateName::Active),
        instance("VI_1", priority(90, 100)),
        instance("VI_1", rival),
        group("G1", StateName::Fault),
        turned("VI_1", StateName::Active, StateName::Fault),
        instance("VI_1", priority(100, 90)),
        check("checks/http", Verdict::Failing),
        pool("web", Verdict::Passing),
        server("web", "w1", PoolEvent::ServerLeft),
        server("web", "unknown", PoolEvent::ServerReturned),
        turned("VI_1", StateName::Fault, StateName::Initialize),
        unmeasured("VI_1", StateName::Backup),
        unmeasured("configured", StateName::Backup),
        instance("VI_1", EventKind::InstanceRemoved),
    ];
    events.into_iter().for_each(|event| bench.tell(event));
    bench.until("all is written", |bench| bench.counts("pipe").delivered() >= 15).await;
    let expected = "INSTANCE \"VI_1\" BACKUP 120
INSTANCE \"VI_1\" BACKUP_PRIORITY 90
INSTANCE \"VI_1\" MASTER 120
INSTANCE \"VI_1\" MASTER_PRIORITY 100
INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 120
GROUP \"G1\" FAULT 0
INSTANCE \"VI_1\" FAULT 120
VS [web]:tcp:0 UP
RS [10.0.0.7]:tcp:80 [web]:tcp:0 DOWN
RS [unknown]:tcp:0 [web]:tcp:0 UP
INSTANCE \"VI_1\" STOP 120
INSTANCE \"VI_1\" BACKUP 120
INSTANCE \"configured\" BACKUP 77
INSTANCE \"VI_1\" DELETED 120
";
    assert_eq!(read(&path), expected);
    let found = fs::metadata(&path).unwrap();
    assert!(found.file_type().is_fifo());
    assert_eq!(found.mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_is_no_pipe_of_ours_is_not_written_to() {
    let folder = Folder::new();
    let file = folder.path("file");
    fs::write(&file, "precious").unwrap();
    let link = folder.path("link");
    std::os::unix::fs::symlink("file", &link).unwrap();
    for (name, path) in [("file", &file), ("link", &link)] {
        let bench = Bench::start([notifier(name, fifo(path))], None);
        bench.tell(flap("web", 1));
        bench.until("it is told", |bench| !bench.troubles(name).is_empty()).await;
        println!("{}", bench.troubles(name)[0].1);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn a_pipe_that_is_made_anew_is_found() {
    let folder = Folder::new();
    let path = folder.path("pipe");
    let bench = Bench::start([notifier("pipe", fifo(&path))], None);
    bench.tell(flap("web", 1));
    bench.until("the first is written", |bench| bench.counts("pipe").delivered() == 1).await;
    assert_eq!(read(&path), "INSTANCE \"web\" BACKUP 1\n");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    bench.tell(flap("web", 2));
    bench.until("the second is written", |bench| bench.counts("pipe").delivered() == 2).await;
    assert_eq!(read(&path), "INSTANCE \"web\" MASTER 2\n");
}

#[tokio::test]
async fn a_full_pipe_costs_the_oldest_and_the_newest_arrive() {
    let folder = Folder::new();
    let path = folder.path("pipe");
    let mut small = notifier("pipe", fifo(&path));
    small.queue = 16;
    small.timeout = std::time::Duration::from_millis(200);
    let bench = Bench::start([small], None);
    // 64 KiB of some 23 octets each are some 2800 lines.
    let mut told = 0_u64;
    while bench.counts("pipe").failures() == 0 {
        (0..10).for_each(|number| bench.tell(flap("early", number)));
        told += 10;
        bench
            .until("it is written, or the pipe is full", |bench| {
                bench.counts("pipe").delivered() == told || bench.counts("pipe").failures() > 0
            })
            .await;
    }
    (0..200).for_each(|number| bench.tell(flap("late", number)));
    told += 200;
    bench.until("the oldest made room", |bench| bench.counts("pipe").dropped() > 0).await;
    assert_eq!(bench.troubles("pipe").len(), 2, "told once each: {:?}", bench.troubles("pipe"));
    let first = read(&path);
    bench
        .until("the rest is written", |bench| {
            bench.counts("pipe").delivered() + bench.counts("pipe").dropped() == told
        })
        .await;
    let rest = read(&path);
    let counts = bench.counts("pipe");
    assert_eq!(counts.delivered() + counts.dropped(), told);
    assert!(counts.dropped() >= 200 - 16, "{}", counts.dropped());
    assert!(rest.ends_with("INSTANCE \"late\" BACKUP 199\n"), "the newest arrives: {rest:?}");
    let lines = first.lines().chain(rest.lines()).count();
    assert_eq!(u64::try_from(lines).unwrap(), counts.delivered(), "no line is cut");
    println!("{told} told, {} delivered, {} dropped", counts.delivered(), counts.dropped());
    let troubles = bench.troubles("pipe");
    troubles.iter().for_each(|(kind, text)| println!("{kind}: {text}"));
    let types: Vec<_> = troubles.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(types, ["notifier.failing", "notifier.dropped", "notifier.recovered"]);
}
