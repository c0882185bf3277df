//! What is put in force again, what is not, and what is said of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ha_config::Configuration;
use ha_engine::{Actor, Instant, Override, Priority, StandingOrder, Verdict};
use prost::Message;

use super::restore::Restored;
use super::row::Row;
use crate::clock;
use crate::journal::store::Intents;
use crate::journal::{Entry, Journal, Read};
use crate::random::Random;

const CONFIGURED: &str = "
[[check]]
name = 'http'
kind = 'tcp'
host = '127.0.0.1'
port = 80

[[pool]]
name = 'app'
port = 80
server = [{ name = 'w1', address = '192.0.2.1' }]

[[instance]]
name = 'web'
interface = 'eth0'
virtual_router_id = 1
addresses = ['10.9.0.1']
track = ['http']

[[instance]]
name = 'owner'
interface = 'eth0'
virtual_router_id = 2
priority = 255
addresses = ['10.9.0.2']
";

fn configured() -> Configuration {
    let mut context = ha_config::Context {
        host_name: "a",
        read_file: &mut |_| Err(std::io::ErrorKind::NotFound.into()),
        machine: &mut ha_config::NoMachine,
    };
    let outcome = ha_config::parse_bytes(Path::new("test.toml"), CONFIGURED.as_bytes(), &mut context);
    outcome.model.unwrap_or_else(|| panic!("{:#?}", outcome.findings))
}

fn actor() -> Arc<Actor> {
    Arc::new(Actor { principal: "uid=0(unix)".to_owned(), ..Actor::default() })
}

fn own(priority: u8, expires: Option<Instant>) -> Row {
    let priority = Priority::new(priority).unwrap();
    Row::of_override(&Override { priority, order: order("ticket 7", clock::now(), expires) })
}

fn order(reason: &str, since: Instant, expires: Option<Instant>) -> StandingOrder {
    StandingOrder { reason: reason.into(), actor: actor(), since, expires, survives: true }
}

fn rows(rows: &[(&str, Vec<u8>)]) -> Intents {
    rows.iter().map(|(name, octets)| ((*name).to_owned(), octets.clone())).collect()
}

/// What was told, without the moment in it.
fn told(restored: &Restored) -> Vec<String> {
    let journal = Journal::new("a", 100);
    restored.tell(&journal);
    let Some(Read::Records(records)) = journal.reader(0).try_read(100) else { return Vec::new() };
    let line = |entry: &Entry| match entry {
        Entry::Event(event) => format!("{} {}: {event}", event.type_name(), event.cause.as_str()),
        Entry::Lost { .. } => "lost".to_owned(),
    };
    let is_time = |word: &str| word.len() == 20 && word.contains('T') && word.ends_with('Z');
    let without_time = |word: &str| match word.trim_end_matches([',', ':']) {
        bare if is_time(bare) => word.replace(bare, "THEN"),
        _ => word.to_owned(),
    };
    let without_times = |line: String| line.split(' ').map(without_time).collect::<Vec<_>>().join(" ");
    records.iter().map(|record| without_times(line(&record.entry))).collect()
}

#[test]
fn each_intent_is_in_force_again_as_it_was_and_says_so() {
    let since = clock::now();
    let expires = Some(since.after(Duration::from_secs(7201)));
    let drain = order("new kernel", since, expires);
    let mute = order("", since, None);
    let server = order("new disks", since, expires);
    let on_disk = rows(&[
        ("drain", Row::of_order(&drain).encode_to_vec()),
        ("override/web", own(50, None).octets("a")),
        ("mute/checks/http", Row::of_mute(&mute, Verdict::Failing, Some(3)).encode_to_vec()),
        ("server/app/w1", Row::of_order(&server).encode_to_vec()),
        ("tomorrow/web", vec![1, 2, 3]),
    ]);
    let restored = Restored::new(on_disk, &configured());
    assert_eq!(restored.drain, Some(drain));
    let [(web, override_)] = &restored.overrides[..] else { panic!("{restored:?}") };
    assert_eq!((&**web, override_.priority.get(), &*override_.order.reason), ("web", 50, "ticket 7"));
    assert_eq!(override_.order.actor, actor());
    let [muted] = &restored.mutes[..] else { panic!("{restored:?}") };
    assert_eq!((&*muted.name, muted.verdict, muted.value), ("checks/http", Verdict::Failing, Some(3)));
    assert_eq!(muted.mute, mute);
    let [drained] = &restored.servers[..] else { panic!("{restored:?}") };
    assert_eq!((&*drained.pool, &*drained.server, &drained.drain), ("app", "w1", &server));
    assert_eq!(
        told(&restored),
        [
            "intent.restored AGENT_START: drain of the node restored, set by uid=0(unix) at THEN because new kernel, \
             expires in 2h 0m",
            "intent.restored AGENT_START: mute of a check that is FAILING restored, set by uid=0(unix) at THEN, until \
             somebody ends it",
            "intent.restored AGENT_START: override to priority 50 restored, set by uid=0(unix) at THEN because \
             ticket 7, until somebody ends it",
            "intent.restored AGENT_START: drain of the server restored, set by uid=0(unix) at THEN because new disks, \
             expires in 2h 0m",
        ]
    );
}

#[test]
fn what_has_expired_is_gone_or_makes_no_sense_is_told_and_left_out() {
    let over = Some(Instant::from_nanos(clock::now().as_nanos() - 1));
    let on_disk = rows(&[
        ("override/web", own(50, over).encode_to_vec()),
        ("override/old", own(60, None).encode_to_vec()),
        ("override/owner", own(70, None).encode_to_vec()),
        ("mute/checks/old", own(1, None).encode_to_vec()),
        ("server/app/w9", own(1, None).encode_to_vec()),
        ("server/old/w1", own(1, None).encode_to_vec()),
        ("drain", vec![0xff; 40]),
        ("mute/checks/http", own(1, None).octets("node-b")),
    ]);
    let restored = Restored::new(on_disk, &configured());
    assert!(restored.drain.is_none() && restored.overrides.is_empty(), "{restored:?}");
    assert!(restored.mutes.is_empty() && restored.servers.is_empty(), "{restored:?}");
    let told = told(&restored);
    let has = |beginning: &str, end: &str| {
        assert!(told.iter().any(|line| line.starts_with(beginning) && line.ends_with(end)), "{told:#?}");
    };
    assert_eq!(told.len(), 8);
    has("intent.dropped AGENT_START: mute", "it is for the node node-b, and this one is a");
    has("intent.expired OVERRIDE_EXPIRED: override to priority 50 not restored", "it expired at THEN");
    has("intent.dropped AGENT_START: override to priority 60 not restored", "it is not configured any more");
    has(
        "intent.dropped AGENT_START: override to priority 70 not restored",
        "whose priority nobody overrides",
    );
    has("intent.dropped AGENT_START: mute", "it is not configured any more");
    has("intent.dropped AGENT_START: drain of the server", "it is not configured any more");
    has("intent.dropped AGENT_START: drain of the node", "its entry on disk cannot be read");
}

#[test]
fn whatever_stands_in_the_file_is_judged_without_a_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let whole = own(50, Some(clock::now().after(Duration::from_secs(60)))).encode_to_vec();
    let names = ["drain", "override/web", "mute/checks/http", "server/app/w1", "", "/", "server/", "mute/"];
    let configuration = configured();
    for _ in 0..20_000 {
        let mut octets = whole.clone();
        for _ in 0..random.next() % 6 {
            let place = usize::try_from(random.next()).unwrap() % octets.len();
            octets[place] = random.next() as u8;
        }
        octets.truncate(usize::try_from(random.next()).unwrap() % (octets.len() * 2));
        let name = names[usize::try_from(random.next()).unwrap() % names.len()];
        let restored = Restored::new(rows(&[(name, octets)]), &configuration);
        assert!(restored.overrides.iter().all(|(_, own)| !own.priority.is_owner()));
        drop(told(&restored));
    }
}
