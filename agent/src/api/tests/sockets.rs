//! The socket: one agent for each, and nothing left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::agent::{Agent, Directory};
use crate::api::ApiError;
use crate::api::socket::Socket;

fn mode(path: &std::path::Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_in_a_directory_of_its_own() {
    let agent = Agent::start().await;
    assert_eq!(mode(&agent.socket), 0o660);
    assert_eq!(mode(agent.socket.parent().unwrap()), 0o750);
}

#[tokio::test]
async fn the_socket_of_a_dead_agent_is_taken_over() {
    let directory = Directory::new();
    let path = directory.0.join("agent.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let (socket, listener) = Socket::bind(&path, None, None).unwrap();
    let connecting = tokio::net::UnixStream::connect(&path);
    let (accepted, connected) = tokio::join!(listener.accept(), connecting);
    assert!(accepted.is_ok() && connected.is_ok());
    drop(socket);
    assert!(!path.exists(), "a socket goes with its agent");
}

#[tokio::test]
async fn a_second_agent_is_refused_and_the_first_goes_on() {
    let agent = Agent::start().await;
    let refused = Socket::bind(&agent.socket, None, None).unwrap_err();
    assert!(matches!(&refused, ApiError::AlreadyServed(path) if *path == agent.socket), "{refused}");
    assert!(refused.to_string().contains("another agent is running"));
    assert!(agent.nodes().await.get_node(ha_proto::v1::GetNodeRequest::default()).await.is_ok());
}

#[tokio::test]
async fn a_listener_without_our_lock_is_not_pushed_aside() {
    let directory = Directory::new();
    let path = directory.0.join("agent.sock");
    let _strange = UnixListener::bind(&path).unwrap();
    assert!(matches!(Socket::bind(&path, None, None), Err(ApiError::AlreadyServed(_))));
    assert!(path.exists());
}

#[tokio::test]
async fn a_file_in_the_way_is_left_alone_and_named() {
    let directory = Directory::new();
    let path = directory.0.join("agent.sock");
    fs::write(&path, "precious").unwrap();
    let refused = Socket::bind(&path, None, None).unwrap_err();
    assert!(matches!(refused, ApiError::NotASocket(_)));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn what_cannot_be_made_is_said_with_its_place() {
    let directory = Directory::new();
    let file = directory.0.join("file");
    fs::write(&file, "").unwrap();
    let refused = Socket::bind(&file.join("agent.sock"), None, None).unwrap_err().to_string();
    assert!(refused.starts_with("cannot make directory ") && refused.contains("/file"), "{refused}");
}

#[tokio::test]
async fn many_starts_at_once_leave_exactly_one_agent() {
    let directory = Directory::new();
    let path = directory.0.join("agent.sock");
    drop(UnixListener::bind(&path).unwrap());
    let runtime = tokio::runtime::Handle::current();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (path, runtime) = (path.clone(), runtime.clone());
            std::thread::spawn(move || {
                let _guard = runtime.enter();
                Socket::bind(&path, None, None)
            })
        })
        .collect();
    let outcomes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(
        outcomes
            .iter()
            .flat_map(|outcome| outcome.as_ref().err())
            .all(|error| matches!(error, ApiError::AlreadyServed(_)))
    );
}
