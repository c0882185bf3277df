//! Nodes that are away, hang, refuse, or are not what they should be; and readers that go away.

use std::process::{Command, Stdio};
use std::time::Duration;

use ha_proto::v1::instance::State;
use tonic::Code;

use crate::double::Agent;
use crate::support::{Cluster, Directory, Run, hactl, refused};

fn ask(endpoint: &str, line: &str) -> Run {
    let mut command = hactl();
    command.args(line.split_whitespace()).args(["--endpoint", endpoint]);
    Run::of(command)
}

#[test]
fn one_missing_node_is_degraded_and_never_ok() {
    let mut cluster = Cluster::new();
    cluster.agents[2].end();
    let run = cluster.hactl("status").ends(4);
    assert!(
        run.out.starts_with("DEGRADED  1 virtual address, 1 not OK  (2/3 nodes answered)"),
        "{}",
        run.out
    );
    assert!(run.out.contains("UNREACHABLE"), "{}", run.out);
    assert!(run.out.contains("next: the agent stopped or crashed: see why (journalctl"), "{}", run.out);
}

#[test]
fn a_missing_node_that_may_hold_the_address_makes_it_unknown() {
    let mut cluster = Cluster::new();
    cluster.agents[0].end();
    let run = cluster.hactl("status").ends(4);
    assert!(run.out.starts_with("UNKNOWN  "), "{}", run.out);
    assert!(run.out.contains("no node that answered is ACTIVE"), "{}", run.out);
}

#[test]
fn a_known_fault_counts_more_than_a_missing_node() {
    let mut cluster = Cluster::new();
    cluster.agents[2].end();
    cluster.b().world().become_state("web", State::Active);
    assert!(cluster.hactl("status").ends(3).out.starts_with("SPLIT_BRAIN"));
}

#[test]
fn a_list_with_a_missing_node_ends_with_4_unless_fewer_are_required() {
    let mut cluster = Cluster::new();
    cluster.agents[2].end();
    let run = cluster.hactl("instance list").ends(4);
    assert!(run.err.contains("missing: unix:"), "{}", run.err);
    assert_eq!(run.out.lines().count(), 3);
    cluster.hactl("instance list --require majority").ends(0);
    cluster.hactl("instance list --require any").ends(0);
    // The node that was asked for by name has answered.
    cluster.hactl("instance list -n a").ends(0);
    let json = cluster.hactl("instance list -o json --require any").ends(0).json();
    assert_eq!(json["complete"], false);
    assert_eq!(json["nodes"][2]["state"], "UNREACHABLE");
    assert_eq!(json["nodes"][2]["reason"], "NOTHING_LISTENING");
}

#[test]
fn hung_nodes_cost_one_timeout_in_all() {
    let cluster = Cluster::new();
    cluster.agents[1].world().hangs = true;
    cluster.agents[2].world().hangs = true;
    let run = cluster.hactl("status --node-timeout 1500ms").ends(4);
    assert!(run.out.contains("TIMEOUT"), "{}", run.out);
    assert!(run.took >= Duration::from_millis(1_500), "{:?}", run.took);
    assert!(run.took < Duration::from_millis(2_900), "{:?}", run.took);
}

#[test]
fn the_only_node_hanging_is_a_timeout() {
    let directory = Directory::new();
    let agent = Agent::start(directory.path(), "a");
    agent.world().hangs = true;
    let run = ask(&agent.endpoint(), "vip list --node-timeout 300ms").ends(8);
    assert!(run.err.contains("did not answer within 300ms (NODE_TIMEOUT)"), "{}", run.err);
}

#[test]
fn no_node_at_all_is_unknown_and_ends_with_5() {
    let mut cluster = Cluster::new();
    for agent in &mut cluster.agents {
        agent.end();
    }
    let run = cluster.hactl("status").ends(5);
    assert!(run.out.starts_with("UNKNOWN  0 virtual addresses  (0/3 nodes answered)"), "{}", run.out);
    let run = cluster.hactl("vip list").ends(5);
    assert_eq!(run.out, "");
    assert!(run.err.contains("error: none of the 3 nodes answered"), "{}", run.err);
    let json = cluster.hactl("vip list -o json").ends(5).json();
    assert_eq!(json["error"]["exit_code"], 5);
    assert_eq!(json["nodes"].as_array().unwrap().len(), 3);
    let json = cluster.hactl("status -o json").ends(5).json();
    assert_eq!((json["verdict"].as_str(), json["complete"].as_bool()), (Some("UNKNOWN"), Some(false)));
}

#[test]
fn each_way_a_socket_fails_has_its_own_remedy() {
    let directory = Directory::new();
    let path = |name: &str| format!("unix:{}", directory.path().join(name).display());
    let run = ask(&path("nothing"), "vip list").ends(5);
    assert!(
        run.err.contains("there is no socket") && run.err.contains("next: start ha-agent"),
        "{}",
        run.err
    );
    std::fs::write(directory.path().join("file"), "").unwrap();
    let run = ask(&path("file"), "vip list").ends(5);
    assert!(run.err.contains("nothing listens on it") && run.err.contains("journalctl"), "{}", run.err);
    let run = ask(&path(&"x".repeat(200)), "vip list").ends(2);
    assert!(run.err.contains("107 bytes"), "{}", run.err);
}

#[test]
fn a_socket_that_one_may_not_open_is_a_matter_of_permission() {
    let directory = Directory::new();
    let agent = Agent::start(directory.path(), "a");
    let secret = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), secret).unwrap();
    let mut command = hactl();
    command.args(["status", "--endpoint", &agent.endpoint()]);
    // Only root may become somebody else; anybody else cannot open root's directories anyway, so nothing is lost.
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(directory.path()).unwrap()) == 0 {
        let program = directory.path().parent().unwrap().join(format!("hactl-{}", std::process::id()));
        std::fs::copy(env!("CARGO_BIN_EXE_hactl"), &program).unwrap();
        command = Command::new(&program);
        std::os::unix::process::CommandExt::uid(&mut command, 65_534);
        command.args(["vip", "list", "--endpoint", &agent.endpoint()]);
        let run = Run::of(command);
        std::fs::remove_file(&program).unwrap();
        let run = run.ends(6);
        assert!(run.err.contains("you may not open the socket"), "{}", run.err);
        assert!(run.err.contains("next: run hactl as root"), "{}", run.err);
    } else {
        std::fs::set_permissions(&agent.path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        Run::of(command).ends(6);
    }
}

#[test]
fn a_refusal_is_told_with_node_reason_and_remedy() {
    let cluster = Cluster::new();
    for agent in &cluster.agents {
        agent.world().refusal = Some(refused(Code::PermissionDenied, "ROLE_MISSING", "uid 1000 has no role"));
    }
    let run = cluster.hactl("vip list").ends(6);
    assert!(run.err.contains("uid 1000 has no role (ROLE_MISSING)"), "{}", run.err);
    assert!(run.err.contains("next: run hactl as root, or have your user given the role"), "{}", run.err);
    let json = cluster.hactl("vip list -o json").ends(6).json();
    assert_eq!(json["nodes"][0]["state"], "DENIED");
    assert_eq!(json["nodes"][0]["reason"], "ROLE_MISSING");
    assert_eq!(json["nodes"][0]["code"], "PERMISSION_DENIED");
    cluster.hactl("status").ends(6);
}

#[test]
fn something_else_on_the_socket_is_no_agent() {
    let directory = Directory::new();
    let path = directory.path().join("other.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let run = ask(&format!("unix:{}", path.display()), "node list").ends(5);
    assert!(run.err.contains("CONNECTION_BROKEN"), "{}", run.err);
    server.join().unwrap();
}

#[test]
fn a_reader_that_goes_away_ends_hactl_quietly() {
    let cluster = Cluster::new();
    for number in 11..200 {
        cluster.a().world().add(&format!("r{number}"), &format!("10.0.0.{number}"), State::Active, 100);
    }
    for line in ["instance list", "instance list -o jsonl", "completion bash", "--help"] {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = cluster.command(&words);
        if words.len() == 1 || words[0] == "completion" {
            command = hactl();
            command.args(&words);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take()); // before it has written anything
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{line}");
    }
}

#[test]
fn the_first_line_is_enough_for_a_shell_pipe() {
    let cluster = Cluster::new();
    let endpoints: Vec<String> =
        cluster.agents.iter().map(|agent| format!("--endpoint {}", agent.endpoint())).collect();
    let line = format!(
        "set -o pipefail; {} instance list {} | head -1",
        env!("CARGO_BIN_EXE_hactl"),
        endpoints.join(" ")
    );
    let mut shell = Command::new("bash");
    shell.args(["-c", &line]);
    let run = Run::of(shell).ends(0);
    assert!(run.out.starts_with("INSTANCE"), "{}", run.out);
    assert_eq!(run.err, "");
}

#[test]
fn a_full_device_is_an_error_and_no_panic() {
    let cluster = Cluster::new();
    let mut command = cluster.command(&["instance", "list"]);
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let ended = command.stderr(Stdio::piped()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("cannot write to standard output"));
}
