//! Pools over the control plane: how they stand, and an operator's drains.

use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::pool_server::State;
use tonic::Code;

use super::agent::{Agent, Setup};
use super::reason;

/// Three servers without checks, two of which must stay.
const POOL: &str = "
[[pool]]
name = 'app'
port = 80
floor = 2
quorum = 2
server = [{ name = 'w1', address = '192.0.2.1' }, { name = 'w2', address = '192.0.2.2' }, { name = 'w3', address = '192.0.2.3' }]
";

async fn agent() -> Agent {
    Agent::start_with(Setup { checks: POOL.to_owned(), ..Setup::default() }).await
}

fn drain(server: &str) -> v1::DrainServerRequest {
    v1::DrainServerRequest {
        name: format!("nodes/self/pools/app/servers/{server}"),
        reason: "disk swap".to_owned(),
        ttl: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..Default::default()
    }
}

fn state_of<'a>(pool: &'a v1::Pool, server: &str) -> &'a v1::PoolServer {
    let name = format!("nodes/a/pools/app/servers/{server}");
    pool.servers.iter().find(|one| one.name == name).unwrap()
}

#[tokio::test]
async fn a_pool_is_shown_with_its_servers() {
    let agent = agent().await;
    let listed = agent.pools().await.list_pools(v1::ListPoolsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.pools.len(), 1);
    let pool = &listed.pools[0];
    assert_eq!((pool.name.as_str(), pool.verdict()), ("nodes/a/pools/app", v1::Verdict::Passing));
    assert_eq!((pool.quorum, pool.floor, pool.used_count, pool.enabled), (2, 2, 3, true));
    let w2 = state_of(pool, "w2");
    assert_eq!(
        (w2.address.as_str(), w2.port, w2.state(), w2.desired_weight),
        ("192.0.2.2", 80, State::Up, 1)
    );
    let request = v1::GetPoolRequest { name: "nodes/a/pools/app".to_owned() };
    let got = agent.pools().await.get_pool(request).await.unwrap().into_inner().pool.unwrap();
    assert_eq!(got.servers.len(), 3);
}

#[tokio::test]
async fn a_drain_is_seen_at_once_names_who_asked_and_can_be_taken_back() {
    let agent = agent().await;
    let mut pools = agent.pools().await;
    let pool = pools.drain_server(drain("w1")).await.unwrap().into_inner().pool.unwrap();
    let w1 = state_of(&pool, "w1");
    assert_eq!((w1.state(), w1.desired_weight), (State::Draining, 0));
    let held = w1.drain.clone().unwrap();
    assert_eq!(held.reason, "disk swap");
    assert!(held.actor.unwrap().principal.starts_with("uid="));
    assert!(held.expire_time.is_some());
    let listed = pools.list_pools(v1::ListPoolsRequest::default()).await.unwrap().into_inner();
    assert_eq!(state_of(&listed.pools[0], "w1").state(), State::Draining);
    let request =
        v1::UndrainServerRequest { name: "nodes/a/pools/app/servers/w1".to_owned(), ..Default::default() };
    let pool = pools.undrain_server(request).await.unwrap().into_inner().pool.unwrap();
    assert_eq!(state_of(&pool, "w1").state(), State::Up);
}

#[tokio::test]
async fn too_few_servers_are_left_only_when_the_operator_insists() {
    let agent = agent().await;
    let mut pools = agent.pools().await;
    pools.drain_server(drain("w1")).await.unwrap();
    let refused = pools.drain_server(drain("w2")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "POOL_FLOOR"));
    let insist = v1::DrainServerRequest { allow_below_floor: true, ..drain("w2") };
    let pool = pools.drain_server(insist).await.unwrap().into_inner().pool.unwrap();
    assert_eq!(pool.used_count, 1);
}

#[tokio::test]
async fn a_validation_changes_nothing_and_what_is_not_there_is_said_so() {
    let agent = agent().await;
    let mut pools = agent.pools().await;
    pools.drain_server(v1::DrainServerRequest { validate_only: true, ..drain("w1") }).await.unwrap();
    let listed = pools.list_pools(v1::ListPoolsRequest::default()).await.unwrap().into_inner();
    assert_eq!(state_of(&listed.pools[0], "w1").state(), State::Up);
    for (name, expected) in [
        ("nodes/a/pools/app/servers/w9", "SERVER_NOT_FOUND"),
        ("nodes/a/pools/web/servers/w1", "POOL_NOT_FOUND"),
        ("nodes/b/pools/app/servers/w1", "NODE_NOT_FOUND"),
        ("nodes/a/pools/app", "NAME_INVALID"),
    ] {
        let request = v1::DrainServerRequest { name: name.to_owned(), ..drain("w1") };
        let refused = pools.drain_server(request).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "{name}");
    }
}

#[tokio::test]
async fn a_drain_with_a_time_to_live_ends_by_itself() {
    let agent = agent().await;
    let mut pools = agent.pools().await;
    let ttl = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    pools.drain_server(v1::DrainServerRequest { ttl, ..drain("w1") }).await.unwrap();
    let back = async {
        loop {
            let listed = pools.list_pools(v1::ListPoolsRequest::default()).await.unwrap().into_inner();
            if state_of(&listed.pools[0], "w1").state() == State::Up {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
}
