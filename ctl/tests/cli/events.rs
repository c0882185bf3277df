//! The past of all nodes in one order, and the present as one stream.

use std::process::Stdio;
use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::instance::State;
use ha_proto::v1::node_view::Contact::Reachable;
use ha_proto::v1::watch_events_response::Payload;

use crate::support::{Cluster, Following, Run, at, eventually, hactl, transition};

fn note(node: &str, text: &str) -> v1::Event {
    v1::Event { message: text.to_owned(), ..transition(node, "", "", v1::Cause::ConfigReload) }
}

/// The messages of printed events, in their order.
fn messages(run: &Run) -> Vec<String> {
    run.lines()
        .iter()
        .filter(|line| line["kind"] == "Event")
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_last_events_of_all_nodes_are_merged_by_time_less_the_clock_offset() {
    let cluster = Cluster::new();
    cluster.b().world().clock_ahead = 100; // its events say 100 s more than ours
    for number in 0..10 {
        cluster.a().emit(at(note("a", &format!("a{number}")), number * 10_000));
        cluster.b().emit(at(note("b", &format!("b{number}")), number * 10_000 + 105_000));
    }
    let run = cluster.hactl("events --last 7 -o jsonl").ends(0);
    assert_eq!(messages(&run), ["b6", "a7", "b7", "a8", "b8", "a9", "b9"]);
    let json = cluster.hactl("events --last 2 -o json").ends(0).json();
    assert_eq!(json["items"].as_array().unwrap().len(), 2);
    assert!(json["resume_token"].as_str().unwrap().contains("a=a1/10"), "{}", json["resume_token"]);
    let table = cluster.hactl("events --last 1").ends(0).out;
    assert_eq!(table.lines().count(), 2, "{table}");
}

#[test]
fn a_takeover_comes_after_the_release_although_the_clocks_say_otherwise() {
    let cluster = Cluster::new();
    cluster.a().emit(at(transition("a", "ACTIVE", "INITIALIZE", v1::Cause::AgentStop), 1_000));
    cluster.b().emit(at(transition("b", "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero), 940));
    let run = cluster.hactl("events --last 10 --no-headers").ends(0);
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(lines[0].contains("ACTIVE → INITIALIZE") && lines[1].contains("BACKUP → ACTIVE"), "{}", run.out);
    assert!(!run.out.contains('~'), "{}", run.out);
}

#[test]
fn an_order_that_the_clocks_cannot_decide_is_marked() {
    let cluster = Cluster::new();
    cluster.a().emit(at(note("a", "one"), 1_000));
    cluster.b().emit(at(note("b", "two"), 1_000));
    let run = cluster.hactl("events --last 10 --no-headers").ends(0);
    let marks: Vec<bool> = run.out.lines().map(|line| line.starts_with('~')).collect();
    assert_eq!(marks, [false, true], "{}", run.out);
}

#[test]
fn filters_reach_the_agents() {
    let cluster = Cluster::new();
    cluster.a().emit(at(transition("a", "BACKUP", "ACTIVE", v1::Cause::ActiveDownTimer), 1_000));
    cluster.a().emit(at(note("a", "reloaded"), 2_000));
    let elsewhere = v1::Event { subject: "nodes/b/instances/db".to_owned(), ..note("b", "other") };
    cluster.b().emit(at(elsewhere, 3_000));
    let vip = v1::Event {
        subject: "nodes/b/vips/10.0.0.10".to_owned(),
        r#type: "vip.announced".to_owned(),
        ..note("b", "announced")
    };
    cluster.b().emit(at(vip, 4_000));
    let count = |filter: &str| {
        let run = cluster.hactl(&format!("events {filter} -o jsonl")).ends(0);
        messages(&run)
    };
    assert_eq!(count("--cause active-down-timer").len(), 1);
    assert_eq!(count("--type vip.*"), ["announced"]);
    assert_eq!(count("--instance web").len(), 2);
    assert_eq!(count("--instance b/web").len(), 0);
    assert_eq!(count("--vip 10.0.0.10"), ["", "reloaded", "announced"]);
    assert_eq!(count("-n b"), ["other", "announced"]);
    assert_eq!(count("--since 2023-11-14T22:13:22Z --until 2023-11-14T22:13:23Z"), ["reloaded", "other"]);
    assert_eq!(count("--request none").len(), 0);
}

#[test]
fn history_with_a_missing_node_says_so() {
    let mut cluster = Cluster::new();
    cluster.agents[2].end();
    cluster.a().emit(at(note("a", "one"), 0));
    let json = cluster.hactl("events --last 5 -o json").ends(4).json();
    assert_eq!(json["complete"], false);
    assert_eq!(json["items"].as_array().unwrap().len(), 1);
}

#[test]
fn history_gives_a_hung_node_the_name_that_its_peers_know() {
    let cluster = Cluster::new();
    cluster.b().world().hears("c", Reachable, State::Backup, 100);
    cluster.b().world().dials("c", cluster.agents[2].endpoint());
    cluster.agents[2].world().hangs = true;
    let run = cluster.hactl("events --last 5 --node-timeout 700ms").ends(4);
    assert!(run.err.contains("missing: c: "), "{}", run.err);
    let json = cluster.hactl("events --last 5 -o json --node-timeout 700ms").ends(4).json();
    assert_eq!(json["nodes"][2]["node"], "c", "{json:#}");
    // Who is known by name and not wanted is not missed.
    cluster.hactl("events --last 5 -n a* --node-timeout 700ms").ends(0);
    let following =
        Following::start(cluster.command(&["events", "-f", "-o", "jsonl", "--node-timeout", "700ms"]));
    following.wait_out(r#""node":"c""#);
    following.interrupt();
}

fn follow(cluster: &Cluster, line: &str) -> Following {
    let words: Vec<&str> = line.split_whitespace().collect();
    let following = Following::start(cluster.command(&words));
    eventually("all streams are open", || cluster.agents.iter().all(|agent| agent.world().watches > 0));
    following
}

#[test]
fn following_shows_the_past_and_then_what_happens() {
    let cluster = Cluster::new();
    cluster.a().emit(note("a", "before"));
    let following = follow(&cluster, "events --last 5 -f");
    following.wait_out("before");
    cluster.a().emit(note("a", "first"));
    following.wait_out("first");
    cluster.b().emit(note("b", "second"));
    following.wait_out("second");
    let (code, rest) = following.interrupt();
    assert_eq!((code, rest.len()), (0, 0), "{rest:?}");
}

#[test]
fn following_puts_events_that_arrive_together_into_their_order() {
    let cluster = Cluster::new();
    let following = follow(&cluster, "events -f -o jsonl");
    // b's takeover arrives first, and by its clock it was first.
    cluster.b().emit(at(transition("b", "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero), 990));
    std::thread::sleep(Duration::from_millis(20));
    cluster.a().emit(at(transition("a", "ACTIVE", "INITIALIZE", v1::Cause::AgentStop), 1_000));
    assert!(following.wait_out("\"Event\"").contains("AGENT_STOP"));
    assert!(following.wait_out("\"Event\"").contains("PEER_PRIORITY_ZERO"));
    assert_eq!(following.interrupt().0, 0);
}

#[test]
fn a_broken_stream_goes_on_with_its_token_and_loses_nothing() {
    let cluster = Cluster::new();
    let following = follow(&cluster, "events -f");
    cluster.b().emit(note("b", "one"));
    following.wait_out("one");
    {
        let mut world = cluster.b().world();
        world.break_streams();
        world.emit(note("b", "two"));
        world.emit(note("b", "three"));
    }
    assert!(following.wait_err("node lost").contains("b: the agent is stopping; trying again"));
    following.wait_err("node back");
    following.wait_out("two");
    following.wait_out("three");
    cluster.b().emit(note("b", "four"));
    following.wait_out("four");
    let (code, rest) = following.interrupt();
    assert_eq!((code, rest.len()), (0, 0), "{rest:?}");
}

#[test]
fn a_stream_is_dead_after_three_missed_heartbeats() {
    let cluster = Cluster::new();
    let following = follow(&cluster, "events -f");
    cluster.b().world().heartbeats_stop = true;
    let lost = following.wait_err("node lost");
    assert!(lost.contains("3 heartbeats did not come: silent for 300ms"), "{lost}");
    cluster.b().world().heartbeats_stop = false;
    following.wait_err("node back");
    cluster.b().emit(note("b", "again"));
    following.wait_out("again");
    assert_eq!(following.interrupt().0, 0);
}

#[test]
fn a_restart_is_told_and_what_history_still_has_is_filled_in() {
    let mut cluster = Cluster::new();
    let following = follow(&cluster, "events -f -o jsonl");
    cluster.b().emit(note("b", "one"));
    following.wait_out("one");
    let b = cluster.agents.remove(1);
    let b = b.restart("b2");
    b.emit(note("b", "after the restart"));
    assert!(
        following
            .wait_err("resync required")
            .contains("its history before that is not kept: events may be missing")
    );
    following.wait_out("after the restart");
    b.emit(note("b", "live again"));
    following.wait_out("live again");
    let (code, rest) = following.interrupt();
    assert_eq!(code, 9, "data may have been lost");
    let end: serde_json::Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!(end["kind"], "End");
    assert!(end["resume_token"].as_str().unwrap().contains("b=b2/2"), "{end}");
}

#[test]
fn a_lag_is_told_with_what_is_lost_and_ends_with_9() {
    let cluster = Cluster::new();
    let following = follow(&cluster, "events -f -o jsonl");
    {
        let mut world = cluster.a().world();
        world.special.push(Payload::Lagged(v1::Lagged {
            first_lost_sequence: 7,
            last_lost_sequence: 9,
            lost_count: 3,
        }));
        world
            .special
            .push(Payload::GoingAway(v1::GoingAway { reason: "upgrade".to_owned(), retry_delay: None }));
        world.touch();
    }
    assert!(following.wait_err("lagged").contains("3 events were dropped"));
    assert!(following.wait_err("going away").contains("upgrade"));
    let notice: serde_json::Value = serde_json::from_str(&following.wait_out("\"Notice\"")).unwrap();
    assert_eq!(
        (notice["notice"].as_str(), notice["first_lost_sequence"].as_i64()),
        (Some("LAGGED"), Some(7))
    );
    assert_eq!(following.interrupt().0, 9);
}

#[test]
fn a_node_that_was_away_at_the_start_joins_with_what_it_did_since() {
    let mut cluster = Cluster::new();
    cluster.agents[2].end();
    let words = ["events", "-f"];
    let following = Following::start(cluster.command(&words));
    eventually("the others are watched", || {
        cluster.agents[..2].iter().all(|agent| agent.world().watches > 0)
    });
    following.wait_err("node lost");
    let c = cluster.agents.remove(2);
    c.emit(note("c", "while nobody could look"));
    let _c = c.restart("c1");
    following.wait_err("node back");
    following.wait_out("while nobody could look");
    let (code, _) = following.interrupt();
    assert_eq!(code, 0);
}

#[test]
fn following_ends_with_9_when_all_nodes_stay_away() {
    let mut cluster = Cluster::new();
    let following = follow(&cluster, "events -f --timeout 3s");
    for agent in &mut cluster.agents {
        agent.end();
    }
    following.wait_err("no node is left to follow");
    assert_eq!(following.end().0, 9);
}

#[test]
fn following_nobody_ends_with_5_at_once() {
    let mut cluster = Cluster::new();
    for agent in &mut cluster.agents {
        agent.end();
    }
    cluster.hactl("events -f").ends(5);
}

#[test]
fn a_token_gives_exactly_what_came_after_it() {
    let cluster = Cluster::new();
    cluster.a().emit(note("a", "old a"));
    cluster.b().emit(note("b", "old b"));
    let token =
        cluster.hactl("events --last 1 -o json").ends(0).json()["resume_token"].as_str().unwrap().to_owned();
    assert_eq!(messages(&cluster.hactl(&format!("events --resume {token} -o jsonl")).ends(0)), [""; 0]);
    cluster.a().emit(note("a", "new a"));
    std::thread::sleep(Duration::from_millis(20));
    cluster.b().emit(note("b", "new b"));
    let run = cluster.hactl(&format!("events --resume {token} -o jsonl")).ends(0);
    assert_eq!(messages(&run), ["new a", "new b"]);
    cluster.hactl_words(&["events", "--resume", "a=%"]).ends(2);
    let run = cluster.hactl("events --resume 0c7e46e3.12").ends(2);
    assert!(run.err.contains("does not say of which node it is"), "{}", run.err);
}

#[test]
fn a_reader_of_the_stream_that_goes_away_ends_it_quietly() {
    let cluster = Cluster::new();
    let mut command = cluster.command(&["events", "-f"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("all streams are open", || cluster.agents.iter().all(|agent| agent.world().watches > 0));
    drop(child.stdout.take());
    cluster.a().emit(note("a", "nobody reads this"));
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}

#[test]
fn a_refused_stream_ends_with_6() {
    let cluster = Cluster::new();
    let endpoint = cluster.a().endpoint();
    cluster.a().world().refuse_watch =
        Some(crate::support::refused(tonic::Code::PermissionDenied, "ROLE_MISSING", "not for you"));
    let mut command = hactl();
    command.args(["events", "-f", "--endpoint", &endpoint]);
    let run = Run::of(command).ends(6);
    assert!(run.err.contains("stream refused: a: not for you (ROLE_MISSING)"), "{}", run.err);
}

/// Who becomes and stops being Active, in the order of the lines.
fn moves(run: &Run) -> Vec<String> {
    let events = run.lines().into_iter().filter(|line| line["kind"] == "Event");
    let text = |event: &serde_json::Value, field: &str| event[field].as_str().unwrap().to_owned();
    events.map(|event| text(&event, "node") + " " + &text(&event, "current_state")).collect()
}

/// The address goes round three nodes whose clocks are 2 s apart: each releases, and the next takes over 10 ms later.
/// `apart` says how far each clock was from the true time when that happened.
fn round_of_handovers(cluster: &Cluster, rounds: i64, pause_ms: i64, apart_ms: [i64; 3]) -> Vec<String> {
    let nodes = ["a", "b", "c"];
    let mut expected = Vec::new();
    for round in 0..rounds {
        let (from, to) = ((round % 3) as usize, ((round + 1) % 3) as usize);
        let true_time = round * pause_ms;
        let release = transition(nodes[from], "ACTIVE", "BACKUP", v1::Cause::AdminTransfer);
        cluster.agents[from].emit(at(release, true_time + apart_ms[from]));
        let takeover = transition(nodes[to], "BACKUP", "ACTIVE", v1::Cause::PeerPriorityZero);
        cluster.agents[to].emit(at(takeover, true_time + 10 + apart_ms[to]));
        expected.extend([format!("{} BACKUP", nodes[from]), format!("{} ACTIVE", nodes[to])]);
    }
    expected
}

#[test]
fn the_last_50_events_of_nodes_whose_clocks_are_2_s_apart_are_in_the_order_of_cause_and_effect() {
    let cluster = Cluster::new();
    (cluster.agents[1].world().clock_ahead, cluster.agents[2].world().clock_ahead) = (2, -2);
    let expected = round_of_handovers(&cluster, 40, 50, [0, 2_000, -2_000]);
    let run = cluster.hactl("events --last 50 -o jsonl").ends(0);
    assert_eq!(moves(&run), expected[expected.len() - 50..]);
}

#[test]
fn cause_and_effect_keep_their_order_although_the_clocks_were_set_right_only_afterwards() {
    let cluster = Cluster::new();
    // Nothing that is measured now tells that they were 2 s apart that night.
    let expected = round_of_handovers(&cluster, 30, 30_000, [0, -2_000, 2_000]);
    let run = cluster.hactl("events --last 50 -o jsonl").ends(0);
    assert_eq!(moves(&run), expected[expected.len() - 50..]);
}

#[test]
fn a_command_runs_for_each_event_in_order_and_nothing_that_a_node_says_becomes_a_command() {
    let cluster = Cluster::new();
    for number in 0..5 {
        let evil = note("a", &format!("$(touch {}/evil) `id` {number}", cluster.directory.path().display()));
        cluster.a().emit(at(evil, number));
    }
    let file = cluster.directory.path().join("seen");
    let command =
        format!("echo \"$HACTL_EVENT_NODE $HACTL_EVENT_MESSAGE\" >> {f}; cat >> {f}", f = file.display());
    cluster.hactl_words(&["events", "--last", "5", "--exec", &command]).ends(0);
    let seen = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines.len(), 10, "{seen}");
    assert!(lines[0].starts_with("a $(touch") && lines[8].ends_with(" 4"), "{seen}");
    let event: serde_json::Value = serde_json::from_str(lines[9]).unwrap();
    assert_eq!(event["name"], "nodes/a/events/a1.5");
    assert!(!cluster.directory.path().join("evil").exists());
}

#[test]
fn a_command_that_fails_is_told_and_one_that_follows_runs_for_what_happens() {
    let cluster = Cluster::new();
    cluster.a().emit(note("a", "one"));
    let run = cluster.hactl_words(&["events", "--last", "1", "--exec", "exit 3"]).ends(1);
    assert!(run.err.contains("exec: exit 3 on a/a1.1: exit status: 3"), "{}", run.err);
    assert!(run.err.contains("EXEC_FAILED"), "{}", run.err);
    let file = cluster.directory.path().join("followed");
    let command = format!("echo $HACTL_EVENT_MESSAGE >> {}", file.display());
    let following = Following::start(cluster.command(&["events", "-f", "--exec", &command]));
    eventually("all streams are open", || cluster.agents.iter().all(|agent| agent.world().watches > 0));
    cluster.b().emit(note("b", "two"));
    following.wait_out("two");
    eventually("the command has run", || std::fs::read_to_string(&file).is_ok_and(|text| text == "two\n"));
    assert_eq!(following.interrupt().0, 0);
}

#[test]
fn a_type_that_there_is_not_is_a_mistake_and_no_empty_answer() {
    let cluster = Cluster::new();
    let run = cluster.hactl("events --type instance.state_chnaged").ends(2);
    assert!(run.err.contains("there is no event type instance.state_chnaged"), "{}", run.err);
    assert!(run.err.contains("did you mean instance.state_changed?"), "{}", run.err);
    let run = cluster.hactl("events --type vip.lost").ends(0);
    assert!(run.err.contains("no such event"), "{}", run.err);
    // What a newer agent has and this hactl does not know.
    cluster.a().emit(v1::Event { r#type: "future.came".to_owned(), ..Default::default() });
    let run = cluster.hactl("events --type future.came").ends(0);
    assert!(run.out.contains("future.came"), "{}", run.out);
}
