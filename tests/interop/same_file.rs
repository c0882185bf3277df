//! The same keepalived.conf on both nodes: keepalived reads it on one, the agent on the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ha_tests::{Agent, Keepalived, Lab, wait_for, wait_until};

use crate::versus::SOON;

/// Conditions, parameters, a sequence, an included file, comments, quotes in quotes; a script with a weight, and all notify scripts.
fn file(folder: &Path, vips: &str) -> String {
    let folder = folder.display();
    let told = format!(">> {folder}/told");
    let teller = "/bin/sh -c 'echo $(readlink /proc/self/ns/net)";
    format!(
        "! Both nodes have this file.\nglobal_defs {{\n  router_id LVS_DEVEL   # a name\n  script_user root\n  \
         enable_script_security\n}}\n\
         $LINK=eth0\n$TRACKED= \\\n  track_script {{ \\\n    preferred \\\n  }}\n\
         vrrp_script preferred {{\n  script \"/bin/sh -c 'ip -4 -o address show eth0 | grep -q -F -f {folder}/preferred'\"\n  \
         interval 1\n  weight 50\n}}\n\
         vrrp_instance VI_1 {{\n  state BACKUP\n  interface $LINK\n  virtual_router_id 51\n  @nobody priority 7\n  \
         @^nobody priority 100\n  advert_int 1\n  authentication {{\n    auth_type PASS\n    auth_pass 'toolongforvrrp'\n  }}\n  \
         $TRACKED\n  virtual_ipaddress {{\n    {vips}\n    include {folder}/more.inc\n  }}\n  \
         notify_master \"{teller} m $# $* {told}' sh one 'two words'\"\n  notify_backup \"{teller} b $# {told}'\" root\n  \
         notify_fault \"{teller} f $# {told}'\"\n  notify \"{teller} n $# $* {told}' sh\"\n}}\n"
    )
}

struct Both {
    ours: Agent,
    theirs: Keepalived,
    folder: PathBuf,
    lab: Lab,
}

impl Both {
    fn start() -> Self {
        let lab = Lab::new(2, 1);
        let folder = lab.scratch().path().to_owned();
        let first = lab.vip4(0, 1).to_string();
        let (network, _) = first.rsplit_once('.').expect("it is an address");
        let from: u8 = first.rsplit('.').next().and_then(|last| last.parse().ok()).expect("it is an address");
        let vips = format!("~SEQ(N, {from}, {}) {network}.${{N}}", from + 2);
        let both = file(&folder, &vips);
        fs::write(folder.join("more.inc"), "").expect("the folder is ours");
        prefer(&lab, &folder, Some(0));
        let theirs = Keepalived::start_file(&lab.node(1).space, lab.scratch(), &both);
        let mut ours = Agent::start_as_keepalived(lab.node(0), lab.scratch(), &both);
        ours.wait_until_ready(SOON);
        Self { ours, theirs, folder, lab }
    }

    #[track_caller]
    fn wait_for_holder(&self, node: usize) {
        for index in 1..=3 {
            let vip = self.lab.vip4(0, index);
            wait_for(&format!("node {node} alone holds {vip}\n{}", self.logs()), SOON, || {
                self.lab.holders(vip) == [node]
            });
        }
    }

    fn logs(&self) -> String {
        format!("ours:\n{}\ntheirs:\n{}", self.ours.process.log(), self.theirs.process.log())
    }

    /// What the scripts of each node were given, in whatever order.
    fn told(&self) -> Vec<BTreeSet<String>> {
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in fs::read_to_string(self.folder.join("told")).unwrap_or_default().lines() {
            if let Some((space, arguments)) = line.split_once(' ') {
                told.entry(space.to_owned()).or_default().insert(arguments.to_owned());
            }
        }
        told.into_values().collect()
    }
}

/// The script succeeds on the node whose own address stands in the file.
fn prefer(lab: &Lab, folder: &Path, node: Option<usize>) {
    let text = node.map_or("none".to_owned(), |node| format!("inet {}/", lab.node(node).address4(0)));
    fs::write(folder.join("preferred"), text + "\n").expect("the folder is ours");
}

#[test]
fn the_same_file_gives_the_same_elections_weights_and_calls_of_scripts_as_in_keepalived() {
    let both = Both::start();
    for holder in [0, 1, 0] {
        prefer(&both.lab, &both.folder, Some(holder));
        both.wait_for_holder(holder);
    }
    // A link that goes, on either node.
    both.lab.unplug(both.lab.node(0), 0);
    wait_for("the other holds it", SOON, || both.lab.node(1).space.has_address(both.lab.vip4(0, 1).into()));
    both.lab.plug(both.lab.node(0), 0);
    both.wait_for_holder(0);
    both.lab.unplug(both.lab.node(1), 0);
    let wanted =
        ["m 2 one two words", "b 0", "n 4 INSTANCE VI_1 MASTER 150", "n 4 INSTANCE VI_1 BACKUP 100", "f 0"];
    // The priority that is told with a Fault is the node's, whatever that was then.
    let fault = |line: &String| line.starts_with("n 4 INSTANCE VI_1 FAULT ");
    let has_all =
        |told: &BTreeSet<String>| wanted.iter().all(|line| told.contains(*line)) && told.iter().any(fault);
    let same = wait_until(SOON, || both.told().len() == 2 && both.told().iter().all(has_all));
    assert!(same, "{:#?}\n{}", both.told(), both.logs());
    both.lab.plug(both.lab.node(1), 0);
}

#[test]
fn a_reload_takes_over_what_changed_in_an_included_file_and_nothing_of_one_with_an_error() {
    let both = Both::start();
    both.wait_for_holder(0);
    let added = both.lab.vip4(0, 9);
    fs::write(both.folder.join("more.inc"), format!("{added}\n")).expect("the folder is ours");
    both.ours.reload();
    wait_for(&format!("the new address\n{}", both.logs()), SOON, || {
        both.lab.node(0).space.has_address(added.into())
    });
    assert!(both.lab.node(0).space.has_address(both.lab.vip4(0, 1).into()), "the others stay");
    // What has an error is not taken over, and the old is in force.
    fs::write(both.folder.join("more.inc"), "nonsense\n").expect("the folder is ours");
    both.ours.reload();
    wait_for(&format!("the error at its place\n{}", both.logs()), SOON, || {
        both.ours.process.log().contains("more.inc:1:1")
    });
    assert!(both.lab.node(0).space.has_address(added.into()));
}

/// Without addresses, as in a cloud: what a notify script does is all that there is.
fn electing(folder: &Path, priority: u8, node: &str) -> String {
    let tell = |word: &str| format!("/bin/sh -c 'echo {node} {word} >> {}/elected'", folder.display());
    format!(
        "global_defs {{\n  script_user root\n}}\nvrrp_instance CLOUD {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  \
         priority {priority}\n  notify_master \"{}\"\n  notify_backup \"{}\"\n}}\n",
        tell("master"),
        tell("backup")
    )
}

#[test]
fn a_router_without_addresses_elects_with_keepalived_and_tells_its_scripts() {
    let lab = Lab::new(2, 1);
    let folder = lab.scratch().path().to_owned();
    let told = || fs::read_to_string(folder.join("elected")).unwrap_or_default();
    let said = |line: &str, times: usize| told().lines().filter(|told| *told == line).count() == times;
    let theirs = Keepalived::start_file(&lab.node(1).space, lab.scratch(), &electing(&folder, 150, "theirs"));
    let mut ours = Agent::start_as_keepalived(lab.node(0), lab.scratch(), &electing(&folder, 100, "ours"));
    ours.wait_until_ready(SOON);
    wait_for("keepalived's script is told", SOON, || said("theirs master", 1));
    wait_for("ours is told that it is Backup", SOON, || said("ours backup", 1));
    drop(theirs);
    wait_for(&format!("ours takes over\n{}", ours.process.log()), SOON, || said("ours master", 1));
    let again = Keepalived::start_file(&lab.node(1).space, lab.scratch(), &electing(&folder, 150, "theirs"));
    wait_for(&format!("ours yields\n{}", ours.process.log()), SOON, || said("ours backup", 2));
    wait_for(&format!("keepalived is told\n{}", again.process.log()), SOON, || said("theirs master", 2));
    assert!(said("ours master", 1), "{}", told());
}
