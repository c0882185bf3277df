//! What the agent needs of the machine, and what it says when it does not get it; and what `check` says of broken files.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use ha_tests::{AgentInstance, Lab, Process, agent_binary, wait_for};

use crate::common::SOON;

const NOBODY: u32 = 65534;

/// A configuration of one owner, so that it is Active at once, and a folder that anybody may write into.
fn prepare(lab: &Lab) -> std::path::PathBuf {
    let folder = lab.scratch().file("open");
    std::fs::create_dir(&folder).expect("a new folder");
    std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).expect("root may");
    let instance = AgentInstance::new(51, 255, &[lab.vip4(0, 1).into()]);
    let socket = folder.join("api.sock");
    let text = format!("[api]\nsocket = \"{}\"\n{}", socket.display(), instance.toml());
    let file = lab.scratch().write("open/agent.toml", &text);
    std::fs::set_permissions(lab.scratch().path(), Permissions::from_mode(0o755)).expect("ours");
    file
}

/// Starts the agent with other privileges; a copy, because the target folder may be root's alone.
fn start(lab: &Lab, privileges: &[&str], configuration: &Path) -> Process {
    let copy = lab.scratch().file("ha-agent");
    std::fs::copy(agent_binary(), &copy).expect("the agent is built");
    std::fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("ours");
    let mut command = Command::new("setpriv");
    command.env("STATE_DIRECTORY", lab.scratch().file("state"));
    command.args(privileges).arg(copy).arg("run").arg("--config").arg(configuration);
    Process::start(&lab.node(0).space, "agent", command, &lab.scratch().file("agent.log"))
}

#[test]
fn without_a_capability_it_says_which_is_missing_and_ends() {
    let lab = Lab::new(1, 1);
    let configuration = prepare(&lab);
    for (word, name) in [("net_admin", "CAP_NET_ADMIN"), ("net_raw", "CAP_NET_RAW")] {
        let less = format!("-{word}");
        let mut agent = start(&lab, &["--bounding-set", &less, "--inh-caps", &less], &configuration);
        assert_eq!(agent.wait(SOON).code(), Some(1), "{}", agent.log());
        let log = agent.log();
        let line = log.lines().rfind(|line| line.contains("missing")).unwrap_or_default();
        println!("{line}");
        assert!(line.contains(&format!("missing {name}")), "{log}");
        assert!(!lab.node(0).space.has_address(lab.vip4(0, 1).into()), "it touched something");
    }
}

#[test]
fn an_ordinary_user_with_the_two_capabilities_and_no_more_holds_addresses() {
    let lab = Lab::new(1, 1);
    let configuration = prepare(&lab);
    let two = "-all,+net_admin,+net_raw";
    let plus = "+net_admin,+net_raw";
    let user = NOBODY.to_string();
    let privileges = [
        "--reuid",
        &user,
        "--regid",
        &user,
        "--clear-groups",
        "--bounding-set",
        two,
        "--inh-caps",
        plus,
        "--ambient-caps",
        plus,
        "--no-new-privs",
    ];
    let mut agent = start(&lab, &privileges, &configuration);
    let vip = lab.vip4(0, 1).into();
    let mut ended = false;
    wait_for("the address", SOON, || {
        ended = !agent.is_running();
        ended || lab.node(0).space.has_address(vip)
    });
    assert!(!ended, "{}", agent.log());
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.id())).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    // CAP_NET_ADMIN is 12, CAP_NET_RAW 13.
    assert_eq!(field("CapEff:"), "0000000000003000");
    assert_eq!(field("Uid:"), user);
    assert_eq!(agent.terminate(SOON).code(), Some(0), "{}", agent.log());
    assert!(!lab.node(0).space.has_address(vip));
    assert!(!agent.log().contains("ERROR"), "{}", agent.log());
}

/// Runs `ha-agent check` on this text; the exit status and all it printed.
fn check(text: &str) -> (Option<i32>, String) {
    let scratch = ha_tests::Scratch::new();
    let file = scratch.write("agent.toml", text);
    let output = Command::new(agent_binary()).arg("check").arg(file).output().expect("it starts");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn instance(name: &str, vrid: u8, address: &str) -> String {
    format!(
        "[[instance]]\nname = \"{name}\"\ninterface = \"eth0\"\nvirtual_router_id = {vrid}\naddresses = [\"{address}\"]\n"
    )
}

#[test]
fn check_names_the_place_of_what_two_instances_cannot_share() {
    let (status, said) = check(&(instance("a", 51, "10.0.0.1") + &instance("b", 52, "10.0.0.2")));
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("ok, 2 instances"), "{said}");

    for (second, place, words) in [
        (instance("b", 51, "10.0.0.2"), "agent.toml:9:", "virtual_router_id"),
        (instance("b", 52, "10.0.0.1"), "agent.toml:10:", "10.0.0.1"),
        (instance("a", 52, "10.0.0.2"), "agent.toml:7:", "name"),
    ] {
        let (status, said) = check(&(instance("a", 51, "10.0.0.1") + &second));
        println!("{said}");
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(place), "not at {place}:\n{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn check_tells_all_mistakes_at_once_and_run_refuses_the_same_file() {
    let text = instance("a", 51, "10.0.0.1") + "prioritty = 5\npreempt = \"yes\"\n";
    let (status, said) = check(&text);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("prioritty") && said.contains("priority") && said.contains("preempt"), "{said}");

    let lab = Lab::new(1, 1);
    let file = lab.scratch().write("agent.toml", &text);
    let mut command = Command::new(agent_binary());
    command.env("STATE_DIRECTORY", lab.scratch().file("state"));
    command.arg("run").arg("--config").arg(file);
    let mut agent = Process::start(&lab.node(0).space, "agent", command, &lab.scratch().file("agent.log"));
    assert_eq!(agent.wait(SOON).code(), Some(2), "{}", agent.log());
    assert!(agent.log().contains("prioritty"), "{}", agent.log());
}
