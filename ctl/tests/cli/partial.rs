//! Partial views, all of them: each of three nodes up, away, hung before or behind its API, or refusing, in every
//! combination. Never OK unless all answered, always the right exit code, and one node-timeout in all.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use ha_proto::v1::instance::State;
use tonic::Code;

use crate::double::Agent;
use crate::support::{Cluster, Directory, Run, VIP, hactl, refused};

/// What a node may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Up,
    /// Nobody listens.
    Away,
    /// The kernel takes the connection, and nobody ever reads from it.
    Deaf,
    /// It speaks HTTP/2 and answers no call.
    Hung,
    /// It answers each call with a refusal.
    Refusing,
}

const KINDS: [Kind; 5] = [Kind::Up, Kind::Away, Kind::Deaf, Kind::Hung, Kind::Refusing];
const NODE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Three nodes, each in all its kinds at once, under endpoints of their own.
struct Zoo {
    directory: Directory,
    _agents: Vec<Agent>,
    _deaf: Vec<UnixListener>,
}

impl Zoo {
    fn new() -> Zoo {
        let directory = Directory::new();
        let (mut agents, mut deaf) = (Vec::new(), Vec::new());
        let nodes = [("a", State::Active, 150), ("b", State::Backup, 120), ("c", State::Backup, 100)];
        for (name, state, priority) in nodes {
            for kind in [Kind::Up, Kind::Hung, Kind::Refusing] {
                let folder = directory.path().join(format!("{kind:?}"));
                std::fs::create_dir_all(&folder).unwrap();
                let agent = Agent::start(&folder, name);
                let mut world = agent.world();
                world.add("web", VIP, state, priority);
                world.hangs = kind == Kind::Hung;
                world.refusal = (kind == Kind::Refusing)
                    .then(|| refused(Code::PermissionDenied, "ROLE_MISSING", "uid 1000 has no role"));
                drop(world);
                agents.push(agent);
            }
            let folder = directory.path().join(format!("{:?}", Kind::Deaf));
            std::fs::create_dir_all(&folder).unwrap();
            deaf.push(UnixListener::bind(folder.join(format!("{name}.sock"))).unwrap());
        }
        Zoo { directory, _agents: agents, _deaf: deaf }
    }

    fn run(&self, line: &str, kinds: [Kind; 3]) -> Run {
        let mut command = hactl();
        command.args(line.split(' ')).arg("--node-timeout").arg(format!("{}ms", NODE_TIMEOUT.as_millis()));
        for (name, kind) in ["a", "b", "c"].iter().zip(kinds) {
            let path: PathBuf = self.directory.path().join(format!("{kind:?}/{name}.sock"));
            command.arg("--endpoint").arg(format!("unix:{}", path.display()));
        }
        Run::of(command)
    }
}

/// The exit code that the contract wants: 0 when all answered, 4 when some did, and otherwise what they have in common.
fn wanted(kinds: [Kind; 3]) -> i32 {
    let code = |kind: &Kind| match kind {
        Kind::Up => 0,
        Kind::Away => 5,
        Kind::Deaf | Kind::Hung => 8,
        Kind::Refusing => 6,
    };
    let codes: Vec<i32> = kinds.iter().map(code).collect();
    match codes.iter().filter(|code| **code == 0).count() {
        3 => 0,
        0 if codes.iter().all(|code| *code == codes[0]) => codes[0],
        0 => 5,
        _ => 4,
    }
}

fn combinations() -> Vec<[Kind; 3]> {
    let pairs = KINDS.iter().flat_map(|a| KINDS.iter().map(move |b| (*a, *b)));
    pairs.flat_map(|(a, b)| KINDS.iter().map(move |c| [a, b, *c])).collect()
}

/// Runs `judge` on every combination, some at the same time: most of them wait.
fn each(judge: impl Fn([Kind; 3]) + Sync) {
    let left = Mutex::new(combinations());
    assert_eq!(left.lock().unwrap().len(), 125);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some(kinds) = { left.lock().unwrap().pop() } {
                    judge(kinds);
                }
            });
        }
    });
}

#[test]
fn no_partial_view_is_ok_and_each_has_its_exit_code_within_one_node_timeout() {
    let zoo = Zoo::new();
    each(|kinds| {
        let run = zoo.run("status -o json", kinds);
        let (code, took) = (run.code, run.took);
        assert_eq!(code, wanted(kinds), "{kinds:?}\n{}\n{}", run.out, run.err);
        let answer = run.json();
        let up = kinds.iter().filter(|kind| **kind == Kind::Up).count();
        let verdict = match (up, kinds[0]) {
            (3, _) => "OK",
            (0, _) => "UNKNOWN",
            (_, Kind::Up) => "DEGRADED", // the Active one is in the picture
            _ => "UNKNOWN",
        };
        assert_eq!(answer["verdict"], verdict, "{kinds:?}");
        assert_eq!(answer["complete"], up == 3, "{kinds:?}");
        assert_eq!(answer["nodes"].as_array().unwrap().len(), 3, "{kinds:?}");
        assert!(took < NODE_TIMEOUT * 2, "{kinds:?} took {took:?}");
    });
}

#[test]
fn lists_histories_and_addresses_say_who_is_missing_within_one_node_timeout() {
    let zoo = Zoo::new();
    let lines = ["vip list -o json", "events --last 5 -o json", "node list -o json", "check list -o json"];
    let all = [
        [Kind::Up, Kind::Hung, Kind::Deaf],
        [Kind::Hung, Kind::Up, Kind::Refusing],
        [Kind::Deaf, Kind::Away, Kind::Up],
        [Kind::Hung, Kind::Deaf, Kind::Hung],
    ];
    let zoo = &zoo;
    std::thread::scope(|scope| {
        for (line, kinds) in lines.iter().flat_map(|line| all.map(|kinds| (line, kinds))) {
            scope.spawn(move || {
                let run = zoo.run(line, kinds);
                assert_eq!(run.code, wanted(kinds), "{line} {kinds:?}\n{}\n{}", run.out, run.err);
                assert_eq!(run.json()["complete"], false, "{line} {kinds:?}");
                assert!(run.took < NODE_TIMEOUT * 2, "{line} {kinds:?} took {:?}", run.took);
            });
        }
    });
}

#[test]
fn a_history_that_hangs_costs_no_second_timeout_and_not_the_answer() {
    let cluster = Cluster::new();
    cluster.a().world().history_hangs = true;
    let timeout = format!("--node-timeout {}ms", NODE_TIMEOUT.as_millis());
    let run = cluster.hactl(&format!("vip get {VIP} {timeout}")).ends(0);
    assert!(run.out.contains("verdict OK  (3/3 nodes answered)"), "{}", run.out);
    assert!(run.took < NODE_TIMEOUT * 2, "{:?}", run.took);
    let run = cluster.hactl(&format!("vip outages {VIP} {timeout}")).ends(4);
    assert!(run.err.contains("missing: a: "), "{}", run.err);
    assert!(run.took < NODE_TIMEOUT * 2, "{:?}", run.took);
}
