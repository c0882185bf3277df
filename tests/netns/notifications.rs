//! Real agents tell others what happens: in keepalived's lines and to a program, over a reload, a failover and the end.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ha_tests::{Cluster, wait_for};

use crate::common::{FOUR, SOON, only_four, pair};

/// What waits in a pipe and has not been read yet.
fn read(pipe: &mut fs::File) -> String {
    let mut text = Vec::new();
    // Ends with "would block" as long as the agent has it open.
    let _ = pipe.read_to_end(&mut text);
    String::from_utf8(text).expect("lines are text")
}

fn open(path: &Path) -> fs::File {
    wait_for("the pipe", SOON, || path.exists());
    fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).expect("a pipe")
}

fn receivers(cluster: &Cluster, node: usize) -> (std::path::PathBuf, std::path::PathBuf, String) {
    let (pipe, told) = (cluster.lab.scratch().file("pipe"), cluster.lab.scratch().file("told"));
    let body = only_four(cluster.lab.node(node), &cluster.lab, "").toml();
    let settings = format!(
        "{body}\n[[notify]]\nname = \"pipe\"\non = [\"instances\"]\nfifo = \"{}\"\n\n[[notify]]\nname = \"hook\"\n\
         on = [\"instances\"]\nstates = [\"FAULT\", \"ACTIVE\"]\nuser = \"root\"\n\
         command = [\"/bin/sh\", \"-c\", 'echo \"$2 $3 $HA_STATE $HA_CAUSE\" >> {}', \"sh\"]\n",
        pipe.display(),
        told.display()
    );
    (pipe, told, settings)
}

#[test]
fn whoever_is_to_be_told_hears_of_every_transition_until_the_agent_has_ended() {
    let mut cluster = pair("");
    let (pipe, told, settings) = receivers(&cluster, 0);
    cluster.agent(0).rewrite(&settings);
    cluster.agent(0).reload();
    let mut pipe = open(&pipe);
    cluster.space(0).ip("link set eth0 down");
    cluster.agent(0).wait_for_state(FOUR, "FAULT", SOON);
    cluster.space(0).ip("link set eth0 up");
    cluster.wait_for_holder(0);
    wait_for("the command", SOON, || fs::read_to_string(&told).is_ok_and(|text| text.lines().count() == 2));
    let text = fs::read_to_string(&told).expect("it was told");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("{FOUR} FAULT FAULT INTERFACE_CHANGED"));
    assert!(lines[1].starts_with(&format!("{FOUR} MASTER ACTIVE ")), "{text}");
    assert_eq!(cluster.agent_mut(0).process.terminate(SOON).code(), Some(0));
    // Told before the reload: nothing. After: all, the last one when the agent was ending.
    let states = ["FAULT", "BACKUP", "MASTER", "STOP"].map(|word| format!("INSTANCE \"{FOUR}\" {word} 200"));
    let found = read(&mut pipe);
    let missing: Vec<&String> =
        states.iter().filter(|line| !found.lines().any(|found| found == *line)).collect();
    assert!(missing.is_empty(), "{missing:?} not in\n{found}");
    assert!(found.ends_with(&format!("{}\n", states[3])), "{found}");
}
