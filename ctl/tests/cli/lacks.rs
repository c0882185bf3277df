//! Nodes that answer, and leave something out: the answer says what, is not complete, and ends with 4. And things that
//! are not there: what comes nearest is named.

use ha_proto::v1::instance::State;
use ha_proto::v1::node_view::Contact::Reachable;
use tonic::Code;

use crate::support::{Cluster, VIP, refused};

/// a, b and c as an election needs them, each with a value of its own and one that all share.
fn cluster() -> Cluster {
    let cluster = Cluster::new();
    for (index, agent) in cluster.agents.iter().enumerate() {
        let mut world = agent.world();
        world.instances[0].source_address = format!("10.0.0.{}", index + 1);
        let value = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let (name, priority) = (world.name.clone(), (150 - index).to_string());
        world.values = vec![
            value("node.name", &name),
            value("instance.web.priority", &priority),
            value("instance.web.version", if index == 2 { "2" } else { "3" }),
        ];
    }
    cluster
}

#[test]
fn an_answer_that_lacks_something_says_what_and_is_partial() {
    let cluster = cluster();
    let file = cluster.directory.path().join("bundle");
    let lines = [
        ("simulate fail a".to_owned(), "ROUTER_LEFT_OUT"),
        ("config diff --against a".to_owned(), "CONFIG_TRUNCATED"),
        ("config show".to_owned(), "CONFIG_TRUNCATED"),
        ("changes --node-timeout 1500ms".to_owned(), "NODE_TIMEOUT"),
        (format!("vip outages {VIP} --node-timeout 1500ms"), "NODE_TIMEOUT"),
        (format!("support --file {}1.tar.gz --node-timeout 1500ms", file.display()), "NODE_TIMEOUT"),
    ];
    {
        let mut world = cluster.agents[2].world();
        world.instances[0].source_address.clear();
        world.values_fit = Some(1);
        world.history_hangs = true;
    }
    for (line, reason) in &lines {
        // That two configurations differ counts more than that a third one is cut.
        let code = if line.starts_with("config diff") { 3 } else { 4 };
        let run = cluster.hactl(line).ends(code);
        let told = run.err.lines().any(|told| told.starts_with("missing: c: ") && told.contains(reason));
        assert!(told, "{line}\n{}", run.err);
        let json = cluster.hactl(&format!("{} -o json", line.replace("1.tar", "2.tar"))).ends(code).json();
        assert_eq!(json["complete"], false, "{line}");
        let missing = &json["missing"][0];
        assert_eq!(
            (missing["node"].as_str(), missing["reason"].as_str()),
            (Some("c"), Some(*reason)),
            "{line}"
        );
    }
    let run = cluster.hactl("config diff --against a -n c").ends(4);
    assert!(
        run.out.contains("c against a: the same"),
        "what was cut off is not known to differ: {}",
        run.out
    );
    let run = cluster.hactl("simulate fail a").ends(4);
    assert!(!run.out.contains("nothing is lost\n"), "{}", run.out);
    // Whoever is content with a majority has one.
    cluster.hactl("simulate fail a --require majority").ends(0);
}

#[test]
fn a_node_that_does_not_tell_its_configuration_takes_nothing_from_the_others() {
    let cluster = cluster();
    cluster.b().world().refuse_config = Some(refused(Code::PermissionDenied, "ROLE_MISSING", "bob may not"));
    let file = cluster.directory.path().join("x.toml");
    std::fs::write(&file, "").unwrap();
    for line in ["config show", "config diff", &format!("config validate {}", file.display())] {
        let run = cluster.hactl(line).ends(4);
        assert!(run.err.contains("missing: ") && run.err.contains("bob may not"), "{line}: {}", run.err);
        let names = |node: &str| run.out.split(|c: char| !c.is_alphanumeric()).any(|word| word == node);
        assert!(names("a") && names("c"), "{line}: {}", run.out);
    }
    // What is to be done on all is done on none.
    let run = cluster.hactl("config reload --yes").ends(6);
    assert!(run.err.contains("on b: bob may not"), "{}", run.err);
    cluster.hactl("config show -n b").ends(6);
}

#[test]
fn nodes_are_compared_with_one_that_n_does_not_name() {
    let cluster = cluster();
    let run = cluster.hactl("config diff --against a -n b").ends(3);
    assert_eq!(run.out, "b against a: 1 difference\n  instance.web.priority = 149, there 150\n");
    let run = cluster.hactl("config diff --against a -n a").ends(2);
    assert!(run.err.contains("there is no other node to compare with a"), "{}", run.err);
}

#[test]
fn what_is_not_there_is_told_with_what_comes_nearest() {
    let cluster = cluster();
    for agent in &cluster.agents {
        agent.world().add("database", "10.0.0.20", State::Backup, 100);
    }
    for (line, told) in [
        ("instance get wbe", "did you mean web?"),
        ("instance get a/databse", "did you mean a/database?"),
        ("explain d/database", "did you mean a/database or b/database or c/database?"),
        ("vip get 10.0.0.11", "did you mean 10.0.0.10?"),
        ("node get A", "did you mean a?"),
        ("drain d --yes", "did you mean a or b or c?"),
        ("simulate priority a/wbe 7", "did you mean a/web?"),
        ("check get nginx", "next: hactl check list shows what there is"),
        ("config diff --against d", "did you mean a or b or c?"),
    ] {
        let run = cluster.hactl(line).ends(2);
        assert!(run.err.contains(told), "{line}: {}", run.err);
    }
}

#[test]
fn a_name_of_n_that_no_node_has_is_a_mistake_and_no_empty_answer() {
    let mut cluster = cluster();
    let lines = ["status", "instance list", "vip list", "changes", "events", "config show", "verify"];
    for line in lines.iter().chain(&["doctor", "support"]) {
        let run = cluster.hactl(&format!("{line} -n a,d")).ends(2);
        assert!(run.err.contains("node d is on none of the nodes asked"), "{line}: {}", run.err);
        assert_eq!(run.out, "", "{line}");
    }
    for line in lines {
        cluster.hactl(&format!("{line} -n *")).ends(0);
    }
    cluster.agents[2].end();
    for line in ["status", "instance list", "events"] {
        // It may be the one that does not answer.
        let run = cluster.hactl(&format!("{line} -n d")).ends(4);
        assert!(run.err.contains("d is on none of the nodes that answered"), "{line}: {}", run.err);
    }
}

#[test]
fn a_node_that_does_not_answer_and_is_known_by_name_is_told_by_what_is_wrong_with_it() {
    let mut cluster = cluster();
    cluster.b().world().hears("c", Reachable, State::Backup, 100);
    cluster.b().world().dials("c", cluster.agents[2].endpoint());
    cluster.agents[2].end();
    for line in [
        "node get c",
        "drain c --yes",
        "simulate fail c",
        "instance list -n c",
        "events -n c",
        "instance get c/web",
        "instance priority set c/web 10 --yes",
    ] {
        let run = cluster.hactl(line).ends(5);
        assert!(run.err.contains("error: c: ") && run.err.contains("next: "), "{line}: {}", run.err);
    }
    // A longer name may be meant otherwise.
    cluster.hactl("node get cc").ends(4);
}

#[test]
fn an_empty_list_is_said_to_be_one() {
    let mut cluster = cluster();
    for (line, none) in [
        ("check list --failing", "no check fails\n"),
        ("check list", "no check is configured\n"),
        ("pool list", "no pool is configured\n"),
        ("events --cause CHECK_CHANGED", "no such event\n"),
        ("changes", "nothing was changed in this time, and nothing is overridden, muted or drained\n"),
    ] {
        assert_eq!(cluster.hactl(line).ends(0).err, none, "{line}");
        assert_eq!(cluster.hactl(&format!("{line} -q")).ends(0).err, "", "{line}");
    }
    cluster.agents[2].end();
    let run = cluster.hactl("check list --failing").ends(4);
    assert!(run.err.ends_with("no check fails, as far as the nodes that answered tell\n"), "{}", run.err);
}

#[test]
fn a_partial_look_at_kernels_never_says_ok() {
    let mut cluster = cluster();
    cluster.agents[2].end();
    let run = cluster.hactl("verify").ends(4);
    assert!(run.out.starts_with("desired and kernel agree on the nodes that answered  (2/3"), "{}", run.out);
    assert!(!run.out.contains("OK"), "{}", run.out);
    cluster.hactl("verify --require majority").ends(0);
}

#[test]
fn a_transfer_of_what_nobody_holds_and_the_end_of_none_are_told_as_that() {
    let cluster = cluster();
    let run = cluster.hactl("instance transfer web --end --yes").ends(7);
    assert!(run.err.contains("no node is kept from preempting web: there is nothing to end"), "{}", run.err);
    cluster.a().world().become_state("web", State::Backup);
    let run = cluster.hactl("instance transfer web --yes").ends(7);
    assert!(run.err.contains("no node that answered is ACTIVE for web"), "{}", run.err);
}

#[test]
fn each_line_of_a_plan_says_that_it_is_one() {
    let cluster = cluster();
    let run = cluster.hactl("config reload --dry-run").ends(0);
    let nothing =
        |node: &str| format!("would reload the configuration of {node}: nothing that is in force changes\n");
    assert_eq!(run.out, ["a", "b", "c"].map(nothing).concat());
}
