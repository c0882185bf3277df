//! The disk as it should be, and as it is at night.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use ha_engine::{Cause, Discard, Event, EventKind, Evidence, Subject};

use super::*;
use crate::clock;
use crate::journal::Place;

/// A directory that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ha-agent-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A journal that is kept.
struct Life {
    journal: Arc<Journal>,
    store: Store,
    told: Arc<Mutex<Vec<Standing>>>,
}

const HOUR: Duration = Duration::from_secs(3600);

fn live(directory: &Path, capacity: usize, size: u64, age: Duration) -> Life {
    let journal = Journal::new("a", capacity);
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let tell = Box::new(move |standing: &Standing| telling.lock().unwrap().push(standing.clone()));
    let options = StoreOptions { directory: directory.to_owned(), size, age };
    let (store, _) = start(&journal, options, tell).unwrap();
    Life { journal, store, told }
}

fn event(kind: EventKind, at: ha_engine::Instant) -> Box<Event> {
    let evidence = Evidence { detail: Some("x".repeat(200).into()), ..Evidence::default() };
    Box::new(Event { at, subject: Subject::Node, kind, cause: Cause::AgentStart, evidence, actor: None })
}

fn history() -> Box<Event> {
    event(EventKind::InstanceAdded, clock::now())
}

fn noise() -> Box<Event> {
    let kind = EventKind::Discarded { reason: Discard::Truncated, source: [10, 0, 0, 1].into(), count: 1 };
    event(kind, clock::now())
}

impl Life {
    async fn written(&self) {
        let newest = self.journal.newest();
        let incarnation = Arc::clone(self.journal.incarnation());
        let written = async {
            while self.journal.archive().locate(&incarnation).await.is_none_or(|known| known.newest < newest)
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), written).await.expect("the disk is written");
    }

    async fn kept(&self) -> Vec<(String, String, i64)> {
        let (mut events, mut place) = (Vec::new(), None);
        loop {
            let chunk = self.journal.archive().after(place, 1000).await.unwrap().unwrap();
            let Some(last) = chunk.last() else { return events };
            let sequence = last.sequence.try_into().unwrap();
            place = Some(Place { incarnation: last.incarnation_id.as_str().into(), sequence });
            events
                .extend(chunk.into_iter().map(|event| (event.incarnation_id, event.r#type, event.sequence)));
        }
    }

    fn told(&self) -> Vec<Standing> {
        self.told.lock().unwrap().clone()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let holding = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), holding).await.unwrap_or_else(|_| panic!("{what}"));
    }

    fn types(&self) -> Vec<&'static str> {
        let crate::journal::Range::Records(records) = self.journal.range(1, 1000) else {
            panic!("all are kept")
        };
        records.iter().map(|record| record.type_name()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_stays_within_its_size_and_noise_pushes_no_history_out() {
    const SIZE: u64 = 8 << 20;
    let folder = Folder::new();
    let life = live(&folder.0, 100_000, SIZE, HOUR);
    for _ in 0..1000 {
        life.journal.append(history());
    }
    for _ in 0..30_000 {
        life.journal.append(noise());
    }
    life.written().await;
    let kept = life.kept().await;
    let of_history = kept.iter().filter(|(_, kind, _)| kind == "instance.added").count();
    assert_eq!(of_history, 1000, "all history survived {} of noise", kept.len() - of_history);
    assert!(kept.len() < 5000, "noise is bounded: {}", kept.len());
    let mut largest = 0;
    for _ in 0..6 {
        for _ in 0..5000 {
            life.journal.append(history());
        }
        life.written().await;
        largest = largest.max(std::fs::metadata(open::file(&folder.0)).unwrap().len());
    }
    println!("largest file: {largest} octets, limit {SIZE}");
    assert!(largest <= SIZE, "{largest}");
    let kept = life.kept().await;
    assert!(kept.len() > 2000, "{}", kept.len());
    assert_eq!(kept.last().unwrap().2, i64::try_from(life.journal.newest()).unwrap());
    // What is missing is counted to the last one.
    let lost = life.journal.archive().gap(life.journal.place(0)).await.flatten().unwrap();
    assert_eq!(lost.lost, life.journal.newest() - u64::try_from(kept.len()).unwrap());
    life.store.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_the_age_goes() {
    let folder = Folder::new();
    let life = live(&folder.0, 1000, 64 << 20, HOUR);
    let now = clock::now().as_nanos();
    for minutes in [120, 90, 61, 59, 1] {
        let at = ha_engine::Instant::from_nanos(now.saturating_sub(minutes * 60 * 1_000_000_000));
        life.journal.append(event(EventKind::InstanceAdded, at));
    }
    life.written().await;
    let old = now / 60_000_000_000;
    let expected = [120, 90, 61, 59, 1].iter().filter(|minutes| **minutes < 60 || old < **minutes).count();
    assert_eq!(life.kept().await.len(), expected);
    life.store.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_refuses_is_said_once_and_used_again_when_it_takes() {
    let folder = Folder::new();
    let in_the_way = folder.0.join("state");
    std::fs::write(&in_the_way, "not a directory").unwrap();
    let life = live(&in_the_way, 1000, 64 << 20, HOUR);
    life.until("it is said", |life| !life.told().is_empty()).await;
    for _ in 0..50 {
        life.journal.append(history());
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let told = life.told();
    assert!(matches!(&told[..], [Standing::InMemory(why)] if why.contains("cannot open")), "{told:?}");
    assert_eq!(life.types().iter().filter(|kind| **kind == "journal.failing").count(), 1);
    std::fs::remove_file(&in_the_way).unwrap();
    life.until("it is used again", |life| life.told().last() == Some(&Standing::Kept)).await;
    life.until("and told", |life| life.types().contains(&"journal.recovered")).await;
    life.written().await;
    assert_eq!(life.kept().await.len(), 52, "nothing was lost: memory held it");
    life.store.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_put_aside_and_history_begins_anew() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("of a newer version", |file| {
            let mut octets = std::fs::read(file).unwrap();
            [64, 192].iter().for_each(|place| octets[*place] = 9);
            std::fs::write(file, octets).unwrap();
        }),
        ("nonsense", |file| std::fs::write(file, vec![0x5a; 100_000]).unwrap()),
        ("cut", |file| {
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_len(5000).unwrap();
        }),
        ("overwritten", |file| {
            let mut octets = std::fs::read(file).unwrap();
            octets.iter_mut().skip(4096).for_each(|octet| *octet ^= 0x55);
            std::fs::write(file, octets).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let folder = Folder::new();
        let first = live(&folder.0, 1000, 64 << 20, HOUR);
        for _ in 0..500 {
            first.journal.append(history());
        }
        first.store.finish().await;
        damage(&open::file(&folder.0));
        let second = live(&folder.0, 1000, 64 << 20, HOUR);
        for _ in 0..5 {
            second.journal.append(history());
        }
        second.until(name, |life| life.told().last() == Some(&Standing::Kept)).await;
        second.written().await;
        let kept = second.kept().await;
        println!("{name}: {:?}", second.told());
        assert!(kept.iter().filter(|(_, kind, _)| kind == "instance.added").count() >= 5, "{name}");
        assert!(folder.0.join("history.redb.damaged").exists(), "{name}: {:?}", second.told());
        second.store.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agents_do_not_share_a_file_and_the_second_says_who_is_in_its_way() {
    let folder = Folder::new();
    let first = live(&folder.0, 100, 64 << 20, HOUR);
    first.journal.append(history());
    first.written().await;
    let second = live(&folder.0, 100, 64 << 20, HOUR);
    second.until("it is said", |life| !life.told().is_empty()).await;
    let told = second.told();
    assert!(
        matches!(&told[..], [Standing::InMemory(why)] if why.contains("another process has")),
        "{told:?}"
    );
    // It takes over when the first has ended.
    first.store.finish().await;
    second.until("it takes over", |life| life.told().last() == Some(&Standing::Kept)).await;
    second.store.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_survives_is_there_in_the_next_life_what_was_forgotten_is_not_and_unknown_names_stay() {
    let folder = Folder::new();
    let row = |octet: u8| Some(vec![octet; 300]);
    let changes = |rows: &[(&str, Option<Vec<u8>>)]| -> Changes {
        rows.iter().map(|(name, octets)| ((*name).to_owned(), octets.clone())).collect()
    };
    let first = live(&folder.0, 1000, 64 << 20, HOUR);
    first.store.keep(changes(&[("a", row(1)), ("b", row(2)), ("other/c", row(3))])).await.unwrap();
    first.store.keep(changes(&[("a", None), ("b", row(4)), ("never was", None)])).await.unwrap();
    assert!(first.store.replace([("d".to_owned(), vec![5])].into(), |name| !name.contains('/')));
    let expected: Intents = [("d".to_owned(), vec![5]), ("other/c".to_owned(), vec![3; 300])].into();
    assert_eq!(first.store.intents().await.unwrap(), expected, "what this version does not know stays");
    first.store.finish().await;
    let second = live(&folder.0, 1000, 64 << 20, HOUR);
    assert_eq!(second.store.intents().await.unwrap(), expected);
    second.store.finish().await;
}
