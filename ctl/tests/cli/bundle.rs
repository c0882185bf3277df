//! `hactl support`: what is in the bundle, and what is not.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ha_proto::v1;

use crate::support::{Cluster, Run, transition};

/// The texts of a bundle by name, without its folder.
fn contents(file: &Path) -> BTreeMap<String, String> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()));
    let mut found = BTreeMap::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let (folder, name) = path.split_once('/').unwrap();
        assert!(folder.starts_with("hactl-support-"), "{path}");
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        found.insert(name.to_owned(), text);
    }
    found
}

fn support(cluster: &Cluster, file: &Path, flags: &str) -> Run {
    cluster.hactl(&format!("support --file {} {flags}", file.display()))
}

#[test]
fn a_bundle_has_the_clusters_view_and_history_and_is_for_its_owner_alone() {
    let cluster = Cluster::new();
    cluster.a().emit(transition("a", "BACKUP", "ACTIVE", v1::Cause::ActiveDownTimer));
    let file = cluster.directory.path().join("bundle.tar.gz");
    let run = support(&cluster, &file, "").ends(0);
    assert!(run.out.contains("bundle.tar.gz"), "{}", run.out);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let found = contents(&file);
    let json = |name: &str| -> serde_json::Value { serde_json::from_str(&found[name]).unwrap() };
    assert_eq!(json("status.json")["verdict"], "OK");
    assert_eq!(json("nodes.json").as_array().unwrap().len(), 3);
    assert_eq!(json("instances.json").as_array().unwrap().len(), 3);
    assert!(found["events.jsonl"].contains("ACTIVE_DOWN_TIMER"), "{}", found["events.jsonl"]);
    assert!(found["local/uname.txt"].starts_with("Linux"), "{:?}", found.keys());
    // It is never written over.
    let run = support(&cluster, &file, "").ends(2);
    assert!(run.err.contains("choose another --file"), "{}", run.err);
    let other = cluster.directory.path().join("other.tar.gz");
    cluster.b().world().dump_is_cut = true;
    support(&cluster, &other, "--no-local").ends(0);
    let found = contents(&other);
    assert!(!found.keys().any(|name| name.starts_with("local/")));
    assert!(found["b/state.jsonl"].contains("vrrp.requests"), "{}", found["b/state.jsonl"]);
    assert!(found["b/state-missing.txt"].contains("the end is missing"), "{}", found["b/state-missing.txt"]);
    assert!(!found.contains_key("a/state-missing.txt"));
}

#[test]
fn what_programs_and_servers_said_is_in_it_without_what_looks_like_a_secret() {
    let cluster = Cluster::new();
    let said = "login failed: password=hunter2, Authorization: Bearer s3cr3t-t0k3n at https://bob:pw0rd@db/";
    let event = v1::Event {
        message: said.to_owned(),
        evidence: Some(v1::Evidence { detail: said.to_owned(), ..v1::Evidence::default() }),
        ..transition("a", "ACTIVE", "FAULT", v1::Cause::CheckChanged)
    };
    cluster.a().emit(event);
    let file = cluster.directory.path().join("bundle.tar.gz");
    support(&cluster, &file, "").ends(0);
    let found = contents(&file);
    assert!(found["events.jsonl"].contains("login failed: password=***"), "{}", found["events.jsonl"]);
    for secret in ["hunter2", "s3cr3t-t0k3n", "pw0rd"] {
        assert!(found.values().all(|text| !text.contains(secret)), "{secret}");
    }
}

#[test]
fn a_bundle_is_written_although_nodes_are_missing_and_says_which() {
    let mut cluster = Cluster::new();
    cluster.agents[2].end();
    cluster.b().world().history_hangs = true;
    let file = cluster.directory.path().join("bundle.tar.gz");
    let run = support(&cluster, &file, "--node-timeout 700ms").ends(4);
    assert!(run.err.contains("missing: "), "{}", run.err);
    let found = contents(&file);
    assert!(found["status.json"].contains("UNREACHABLE"));
    assert!(found["missing.json"].contains("NODE_TIMEOUT"), "{}", found["missing.json"]);
    for agent in &mut cluster.agents {
        agent.end();
    }
    let file = cluster.directory.path().join("nobody.tar.gz");
    support(&cluster, &file, "").ends(4);
    assert!(contents(&file)["status.json"].contains("UNKNOWN"));
}
