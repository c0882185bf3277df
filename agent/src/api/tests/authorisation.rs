//! Who may do what, asked by real callers.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use ha_proto::v1;
use ha_proto::v1::instance_service_client::InstanceServiceClient;
use ha_proto::v1::node_service_client::NodeServiceClient;
use tonic::Code;
use tonic::transport::Endpoint;

use super::agent::{Agent, Setup};
use super::reason;
use crate::api::{Principals, Role, Roles};

/// Set in the process that [`ask_as`] starts.
const SOCKET: &str = "HA_AGENT_TEST_CLIENT_OF";

/// What a client process of this user and group is answered: one line each for looking and for changing.
fn ask_as(agent: &Agent, user: u32, group: u32) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "api::tests::authorisation::the_client_process_says_what_it_is_answered",
        "--nocapture",
    ]);
    command.env(SOCKET, &agent.socket).current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(user).gid(group);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("answered ")).collect::<Vec<_>>().join("; ")
}

/// The client half of the tests in this file, in a process of its own; by itself it checks that nobody serves a path that
/// does not exist.
#[tokio::test]
async fn the_client_process_says_what_it_is_answered() {
    let socket = std::env::var(SOCKET).unwrap_or_else(|_| "/nonexistent/agent.sock".to_owned());
    let connected = Endpoint::from_shared(format!("unix://{socket}")).unwrap().connect().await;
    let Ok(channel) = connected else {
        println!("\nanswered no connection");
        return;
    };
    assert!(std::env::var(SOCKET).is_ok(), "something serves {socket}");
    let looked = NodeServiceClient::new(channel.clone()).get_node(v1::GetNodeRequest::default()).await;
    println!("\nanswered look {}", word(looked.map(drop)));
    let change = v1::OverridePriorityRequest {
        name: "nodes/self/instances/web".to_owned(),
        priority: 50,
        ..Default::default()
    };
    let changed = InstanceServiceClient::new(channel).override_priority(change).await;
    println!("answered change {}", word(changed.map(drop)));
}

fn word(outcome: Result<(), tonic::Status>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(status) => {
            assert_eq!(status.code(), Code::PermissionDenied);
            reason(&status)
        }
    }
}

fn roles(role: Option<Role>, user: u32) -> Arc<Roles> {
    let only = |wanted| Principals {
        users: (role == Some(wanted)).then_some(user).into_iter().collect(),
        ..Principals::default()
    };
    Arc::new(Roles {
        readers: only(Role::Reader),
        operators: only(Role::Operator),
        admins: only(Role::Admin),
    })
}

/// A user and a group that own nothing here; an ordinary user can only be itself.
fn stranger() -> (u32, u32) {
    if nix::unistd::geteuid().is_root() {
        (61_234, 61_235)
    } else {
        (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kernel_says_who_calls_and_the_role_decides_what_is_answered() {
    let (user, group) = stranger();
    let agent = Agent::start_with(Setup { group: Some(group), ..Setup::default() }).await;
    let table = [
        (None, "look ROLE_MISSING; change ROLE_MISSING"),
        (Some(Role::Reader), "look ok; change ROLE_MISSING"),
        (Some(Role::Operator), "look ok; change ok"),
        (Some(Role::Admin), "look ok; change ok"),
        // Taken away while the agent runs.
        (None, "look ROLE_MISSING; change ROLE_MISSING"),
    ];
    for (role, expected) in table {
        agent.roles.send_replace(roles(role, user));
        assert_eq!(tokio::task::block_in_place(|| ask_as(&agent, user, group)), expected, "{role:?}");
    }
    // Every refusal for want of a role is in the history, with who it was.
    let crate::journal::Range::Records(records) = agent.journal.range(1, 1000) else {
        panic!("all are kept")
    };
    let refused: Vec<_> = records.iter().filter(|record| record.type_name() == "audit.refused").collect();
    assert_eq!(refused.len(), 3);
    for record in refused {
        assert_eq!(record.actor().unwrap().principal, format!("uid={user}(unix)"));
        assert!(record.message().contains("PERMISSION_DENIED: ROLE_MISSING"), "{}", record.message());
    }
    let by_group = Principals { groups: [group].into(), ..Principals::default() };
    agent.roles.send_replace(Arc::new(Roles { readers: by_group, ..Roles::default() }));
    assert_eq!(tokio::task::block_in_place(|| ask_as(&agent, user, group)), "look ok; change ROLE_MISSING");
    let request = v1::GetInstanceRequest { name: "nodes/a/instances/web".to_owned() };
    agent.roles.send_replace(roles(Some(Role::Admin), nix::unistd::geteuid().as_raw()));
    let instance =
        agent.instances().await.get_instance(request).await.unwrap().into_inner().instance.unwrap();
    let actor = instance.priority_override.unwrap().actor.unwrap();
    assert_eq!(actor.principal, format!("uid={user}(unix)"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_in_the_group_of_the_socket_does_not_get_a_connection() {
    let agent = Agent::start().await;
    if nix::unistd::geteuid().is_root() {
        let (user, group) = stranger();
        agent.roles.send_replace(roles(Some(Role::Admin), user));
        assert_eq!(tokio::task::block_in_place(|| ask_as(&agent, user, group)), "no connection");
    }
    assert!(agent.nodes().await.get_node(v1::GetNodeRequest::default()).await.is_ok());
}

#[tokio::test]
async fn a_denial_says_what_is_missing_and_is_counted() {
    let agent = Agent::start().await;
    let own = nix::unistd::geteuid();
    if !own.is_root() {
        agent.roles.send_replace(Arc::default());
        let denied = agent.nodes().await.get_node(v1::GetNodeRequest::default()).await.unwrap_err();
        assert!(denied.message().contains("has no role here and this call needs reader"), "{denied:?}");
        assert_eq!(agent.counters.denied.load(std::sync::atomic::Ordering::Relaxed), 1);
        return;
    }
    // User 0 is always admin, whatever the configuration forgets.
    agent.roles.send_replace(Arc::default());
    assert!(agent.nodes().await.get_node(v1::GetNodeRequest::default()).await.is_ok());
    assert_eq!(agent.counters.denied.load(std::sync::atomic::Ordering::Relaxed), 0);
}
