//! What is to survive a restart is on disk before it is in force, and gone when it has ended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ha_proto::v1;
use tonic::Code;

use super::agent::{Agent, Directory, Setup, config};
use super::reason;

const TABLES: &str = "
[[check]]
name = 'http'
kind = 'tcp'
port = 1
host = '127.0.0.1'
interval = '60s'

[[pool]]
name = 'app'
port = 80
quorum = 1
server = [{ name = 'w1', address = '192.0.2.1' }, { name = 'w2', address = '192.0.2.2' }]

[[instance]]
name = 'tracks'
interface = 'eth0'
virtual_router_id = 9
addresses = ['10.9.0.9']
track = ['http']
";

async fn agent(history: &Directory) -> Agent {
    let mut group = [config("web", 1, 100), config("mail", 2, 100), config("alone", 3, 100)];
    for member in &mut group[..2] {
        member.group = Some("site".into());
    }
    Agent::start_with(Setup {
        instances: group.into(),
        history: Some(history.0.clone()),
        checks: TABLES.to_owned(),
        ..Setup::default()
    })
    .await
}

fn set(instance: &str, priority: i32, survive_restart: bool) -> v1::OverridePriorityRequest {
    v1::OverridePriorityRequest {
        name: format!("nodes/self/instances/{instance}"),
        priority,
        survive_restart,
        ..Default::default()
    }
}

fn mute(survive_restart: bool) -> v1::MuteCheckRequest {
    v1::MuteCheckRequest { name: "nodes/self/checks/http".to_owned(), survive_restart, ..Default::default() }
}

fn drain(survive_restart: bool) -> v1::DrainNodeRequest {
    v1::DrainNodeRequest { survive_restart, allow_no_successor: true, ..Default::default() }
}

fn drain_server(survive_restart: bool) -> v1::DrainServerRequest {
    let name = "nodes/self/pools/app/servers/w1".to_owned();
    v1::DrainServerRequest { name, survive_restart, ..Default::default() }
}

/// The names of the rows on disk.
async fn rows(agent: &Agent) -> BTreeSet<String> {
    agent.store().intents().await.unwrap().into_keys().collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn override_of(agent: &Agent, instance: &str) -> Option<v1::PriorityOverride> {
    let request = v1::GetInstanceRequest { name: format!("nodes/self/instances/{instance}") };
    let answer = agent.instances().await.get_instance(request).await.unwrap().into_inner();
    answer.instance.unwrap().priority_override
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_survives_is_on_disk_when_it_is_answered_and_gone_when_it_has_ended() {
    let history = Directory::new();
    let agent = agent(&history).await;
    let (mut instances, mut checks) = (agent.instances().await, agent.checks().await);
    let (mut nodes, mut pools) = (agent.nodes().await, agent.pools().await);
    instances.override_priority(set("alone", 40, false)).await.unwrap();
    assert_eq!(rows(&agent).await, names(&[]), "what is not to survive never sees the disk");
    // It counts for the whole sync group.
    instances.override_priority(set("web", 50, true)).await.unwrap();
    assert_eq!(rows(&agent).await, names(&["override/mail", "override/web"]));
    assert!(override_of(&agent, "mail").await.unwrap().survives_restart);
    assert!(!override_of(&agent, "alone").await.unwrap().survives_restart);
    let muted = checks.mute_check(mute(true)).await.unwrap().into_inner().check.unwrap();
    assert!(muted.mute.unwrap().survives_restart);
    let drained = nodes.drain_node(drain(true)).await.unwrap().into_inner().drain.unwrap();
    assert!(drained.survives_restart);
    pools.drain_server(drain_server(true)).await.unwrap();
    let all = ["drain", "mute/checks/http", "override/mail", "override/web", "server/app/w1"];
    assert_eq!(rows(&agent).await, names(&all));
    // One that is not to survive takes the place of one that was.
    checks.mute_check(mute(false)).await.unwrap();
    instances.override_priority(set("mail", 60, false)).await.unwrap();
    assert_eq!(rows(&agent).await, names(&["drain", "server/app/w1"]));
    nodes.undrain_node(v1::UndrainNodeRequest::default()).await.unwrap();
    let undrain = v1::UndrainServerRequest { name: drain_server(true).name, ..Default::default() };
    pools.undrain_server(undrain).await.unwrap();
    assert_eq!(rows(&agent).await, names(&[]));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_refused_leaves_the_disk_as_it_was() {
    let history = Directory::new();
    let agent = agent(&history).await;
    let mut instances = agent.instances().await;
    instances.override_priority(set("alone", 50, true)).await.unwrap();
    let before = agent.store().intents().await.unwrap();
    let wrong = v1::OverridePriorityRequest { etag: "wrong".to_owned(), ..set("alone", 60, true) };
    assert_eq!(instances.override_priority(wrong).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(instances.override_priority(set("none", 60, true)).await.unwrap_err().code(), Code::NotFound);
    let wrong = v1::DrainNodeRequest { etag: "wrong".to_owned(), ..drain(true) };
    assert_eq!(agent.nodes().await.drain_node(wrong).await.unwrap_err().code(), Code::Aborted);
    let dry = v1::OverridePriorityRequest { validate_only: true, ..set("alone", 60, true) };
    instances.override_priority(dry).await.unwrap();
    assert_eq!(agent.store().intents().await.unwrap(), before);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_nothing_refuses_what_is_to_survive_and_nothing_else() {
    let history = Directory::new();
    let in_the_way = history.0.join("state");
    std::fs::write(&in_the_way, "not a directory").unwrap();
    let instances = vec![config("web", 1, 100)];
    let agent = Agent::start_with(Setup { instances, history: Some(in_the_way), ..Setup::default() }).await;
    let mut client = agent.instances().await;
    for validate_only in [true, false] {
        let request = v1::OverridePriorityRequest { validate_only, ..set("web", 50, true) };
        let refused = client.override_priority(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "NOT_KEPT"));
        assert!(refused.message().contains("cannot open"), "{}", refused.message());
    }
    let refused = agent.nodes().await.drain_node(drain(true)).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_KEPT");
    assert_eq!(override_of(&agent, "web").await, None, "nothing was changed");
    client.override_priority(set("web", 50, false)).await.unwrap();
    agent.nodes().await.drain_node(drain(false)).await.unwrap();
    agent.nodes().await.undrain_node(v1::UndrainNodeRequest::default()).await.unwrap();
    let without = Agent::start().await;
    let refused = without.instances().await.override_priority(set("web", 50, true)).await.unwrap_err();
    assert!(refused.message().contains("[journal] enabled is false"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_says_nothing_is_waited_for_two_seconds_and_what_it_takes_later_is_put_back() {
    let (history, (speaks, silence)) = (Directory::new(), std::sync::mpsc::channel());
    let (history_folder, instances) = (Some(history.0.clone()), vec![config("web", 1, 100)]);
    let setup = Setup { instances, history: history_folder, silence: Some(silence), ..Setup::default() };
    let agent = Agent::start_with(setup).await;
    agent.intents.note_inherited();
    let (mut instances, mut nodes) = (agent.instances().await, agent.nodes().await);
    let began = Instant::now();
    let refused =
        tokio::join!(instances.override_priority(set("web", 50, true)), nodes.drain_node(drain(true)));
    let lasted = began.elapsed();
    let refused = [refused.0.unwrap_err(), refused.1.unwrap_err()];
    for refused in refused {
        assert_eq!(reason(&refused), "NOT_KEPT");
        assert!(refused.message().contains("nothing was changed"), "{}", refused.message());
        assert!(refused.message().contains("did not answer within 2s"), "{}", refused.message());
    }
    assert!((Duration::from_secs(2)..Duration::from_millis(3500)).contains(&lasted), "{lasted:?}");
    assert_eq!(override_of(&agent, "web").await, None);
    let drained = nodes.get_drain(v1::GetDrainRequest::default()).await.unwrap().into_inner().drain.unwrap();
    assert!(!drained.drained);
    let began = Instant::now();
    nodes.drain_node(drain(false)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "the disk has no part in it: {:?}", began.elapsed());
    drop(speaks);
    assert_eq!(rows(&agent).await, names(&[]), "what was refused does not come into force at the next start");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_goes_from_the_disk_by_itself() {
    let history = Directory::new();
    let agent = agent(&history).await;
    let ttl = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let request = v1::OverridePriorityRequest { ttl, ..set("alone", 50, true) };
    agent.instances().await.override_priority(request).await.unwrap();
    agent.instances().await.override_priority(set("web", 50, true)).await.unwrap();
    agent.intents.note_inherited();
    agent.intents.serve(agent.configuration());
    let gone = async {
        while rows(&agent).await != names(&["override/mail", "override/web"]) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("its row goes, and no other");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_changes_that_come_into_each_other_s_way_the_disk_says_in_the_end_what_is_in_force() {
    let history = Directory::new();
    let agent = agent(&history).await;
    agent.intents.note_inherited();
    agent.intents.serve(agent.configuration());
    let (mut one, mut other) = (agent.instances().await, agent.instances().await);
    one.override_priority(set("alone", 50, true)).await.unwrap();
    *agent.driver.delay.lock().unwrap() = Duration::from_millis(300);
    let clear = v1::ClearPriorityRequest { name: set("alone", 0, false).name, ..Default::default() };
    let set_anew = async {
        // Its row is written while the other change is being made, and goes with the end of that one.
        tokio::time::sleep(Duration::from_millis(5)).await;
        other.override_priority(set("alone", 60, true)).await
    };
    let (cleared, set_anew) = tokio::join!(one.clear_priority(clear), set_anew);
    cleared.unwrap();
    set_anew.unwrap();
    assert_eq!(override_of(&agent, "alone").await.unwrap().priority, 60);
    let kept = async {
        while rows(&agent).await != names(&["override/alone"]) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), kept).await.expect("what is in force is on disk");
    agent.stop().await;
}
