//! Pools in virtual time: what operators read, and what must hold at every instant.

mod balancers;
mod floors;
mod operators;
mod quorums;
mod reload;
mod weights;
mod whatever;

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use core::time::Duration;

use super::*;
use crate::event::{Actor, EventKind};
use crate::fixtures::Random;
use crate::track::Verdict;

/// Pools, their clock, and the sets that balancers were told.
struct World {
    pools: Pools,
    now: Instant,
    lines: Vec<String>,
    sets: BTreeMap<String, Desired>,
    facts: BTreeMap<String, Fact>,
}

const START: u64 = 1_000_000;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A server with one check, which `World::check` names as it does.
fn server(name: &str) -> ServerConfig {
    let host = name.bytes().map(u32::from).sum::<u32>();
    ServerConfig {
        name: name.into(),
        address: [10, 0, (host >> 8) as u8, host as u8].into(),
        port: 80,
        weight: 1,
        checks: vec![check(name)],
        weight_from: None,
    }
}

fn check(server: &str) -> Arc<str> {
    format!("pools/web/servers/{server}/checks/http").into()
}

/// A pool of such servers: quorum 1, no floor, nothing else.
fn pool(servers: &[&str]) -> PoolConfig {
    PoolConfig {
        name: "web".into(),
        servers: servers.iter().map(|name| server(name)).collect(),
        quorum: 1,
        hysteresis: 0,
        sorry: None,
        floor: Floor::Servers(0),
        slow_start: None,
        scope: PoolScope::Always,
    }
}

fn sorry() -> Option<SorryServer> {
    Some(SorryServer { address: [127, 0, 0, 1].into(), port: 8080 })
}

fn actor() -> Arc<Actor> {
    Arc::new(Actor { principal: "ann".into(), ..Actor::default() })
}

impl World {
    fn new(configs: &[PoolConfig]) -> Self {
        let (pools, now) = (Pools::new(), at(START));
        let mut world = Self { pools, now, lines: vec![], sets: BTreeMap::new(), facts: BTreeMap::new() };
        world.give(PoolInput::Reconfigure(configs));
        world
    }

    /// Every server of the pool passes.
    fn passing(config: &PoolConfig) -> Self {
        let mut world = Self::new(core::slice::from_ref(config));
        config.servers.iter().for_each(|server| world.up(&server.name));
        world.pass(millis(5000));
        world.lines.clear();
        world
    }

    fn give(&mut self, input: PoolInput<'_>) {
        let outputs: Vec<PoolOutput> = self.pools.handle(self.now, input).collect();
        for output in outputs {
            let line = match output {
                PoolOutput::Desired(desired) => {
                    let line = format!("{} uses {}", desired.pool, shown(&desired));
                    self.sets.insert(desired.pool.to_string(), desired);
                    line
                }
                PoolOutput::Removed(pool) => {
                    self.sets.remove(&*pool);
                    format!("{pool} is removed")
                }
                PoolOutput::Fact(fact) => {
                    let line =
                        format!("{} is {} {}", fact.name, fact.verdict.as_str(), fact.value.unwrap_or(-1));
                    self.facts.insert(fact.name.to_string(), fact);
                    line
                }
                PoolOutput::FactRemoved(name) => {
                    self.facts.remove(&*name);
                    format!("{name} is gone")
                }
                PoolOutput::Event(event) => {
                    let subject = match (&event.subject, &event.kind) {
                        (crate::Subject::Server(_, server), EventKind::Pool(_)) => server.to_string(),
                        (crate::Subject::Pool(pool), EventKind::Pool(_) | EventKind::Balancer(_)) => {
                            pool.to_string()
                        }
                        _ => panic!("{event:?}"),
                    };
                    format!("{} {subject} [{}]: {event}", event.type_name(), event.cause.as_str())
                }
                PoolOutput::Answer(answer) => format!("answer {answer:?}"),
            };
            self.lines.push(line);
        }
    }

    fn fact(&mut self, server: &str, verdict: Verdict, value: Option<i32>, damped: bool) {
        let detail = match verdict {
            Verdict::Failing => "REFUSED",
            _ => "200 OK",
        };
        let (name, detail) = (check(server), detail.into());
        self.give(PoolInput::Fact(Fact { name, verdict, value, detail, since: self.now, damped }));
    }

    fn up(&mut self, server: &str) {
        self.fact(server, Verdict::Passing, None, false);
    }

    fn down(&mut self, server: &str) {
        self.fact(server, Verdict::Failing, None, false);
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while let Some(due) = self.pools.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.give(PoolInput::Deadline);
            assert!(self.pools.next_deadline().is_none_or(|next| next > self.now));
        }
        self.now = end;
    }

    fn drain(&mut self, server: &str, lasts: Option<Duration>, allow_below_floor: bool) {
        let expires = lasts.map(|lasts| self.now.after(lasts));
        let (pool, server, reason, actor) = ("web".into(), server.into(), "new kernel".into(), actor());
        let (survives, dry_run) = (false, false);
        self.give(PoolInput::Drain {
            pool,
            server,
            reason,
            actor,
            expires,
            survives,
            allow_below_floor,
            dry_run,
        });
    }

    fn status(&self) -> PoolStatus {
        self.pools.status("web").unwrap()
    }

    fn states(&self) -> Vec<&'static str> {
        self.status().servers.iter().map(|server| server.state.as_str()).collect()
    }

    /// Of the servers in the set that get sessions.
    fn used(&self) -> Vec<String> {
        let set = &self.sets["web"];
        set.servers.iter().filter(|server| server.weight > 0).map(|server| server.name.to_string()).collect()
    }

    fn lines(&mut self) -> Vec<String> {
        core::mem::take(&mut self.lines)
    }

    /// The types of the events since the last call, with whom they are about.
    fn events(&mut self) -> Vec<String> {
        let lines = self.lines();
        let events = lines.iter().filter(|line| line.contains('['));
        events.map(|line| line.split(" [").next().unwrap().to_string()).collect()
    }
}

/// `a:1 b:0`.
fn shown(desired: &Desired) -> String {
    let servers: Vec<_> =
        desired.servers.iter().map(|server| format!("{}:{}", server.name, server.weight)).collect();
    if desired.enabled { servers.join(" ") } else { "nothing here".into() }
}

#[test]
fn a_failed_server_leaves_and_a_recovered_one_returns_and_each_step_is_told() {
    let mut world = World::passing(&pool(&["a", "b", "c"]));
    world.down("b");
    assert_eq!(
        world.lines(),
        [
            "pool.server_left b [CHECK_CHANGED]: server fails and is out; 2 of 3 servers are in (pools/web/servers/b/checks/http, REFUSED)",
            "web uses a:1 c:1",
            "pools/web is PASSING 2",
        ]
    );
    assert_eq!(world.states(), ["UP", "DOWN", "UP"]);
    let status = world.status();
    assert_eq!((&*status.servers[1].detail, status.used), ("REFUSED", 2));
    assert_eq!(status.servers[1].failing_checks, [check("b")]);
    world.up("b");
    assert_eq!(
        world.lines(),
        [
            "pool.server_returned b [CHECK_CHANGED]: server passes again and is in; 3 of 3 servers are in (pools/web/servers/b/checks/http, 200 OK)",
            "web uses a:1 b:1 c:1",
            "pools/web is PASSING 3",
        ]
    );
    world.up("b");
    assert!(world.lines().is_empty(), "nothing changed");
}

#[test]
fn a_server_is_up_only_when_all_its_checks_pass() {
    let mut config = pool(&["a", "b"]);
    config.servers[0].checks = vec!["x".into(), "y".into(), check("a")];
    let mut world = World::new(&[config]);
    let fact = |world: &mut World, name: &str, verdict| {
        let (name, detail, since) = (name.into(), "".into(), world.now);
        world.give(PoolInput::Fact(Fact { name, verdict, value: None, detail, since, damped: false }));
    };
    for (name, verdict, state) in [
        ("x", Verdict::Passing, "UNKNOWN"),
        ("y", Verdict::Passing, "UNKNOWN"),
        (&*check("a"), Verdict::Passing, "UP"),
        ("y", Verdict::Failing, "DOWN"),
        ("x", Verdict::Unknown, "DOWN"),
        ("y", Verdict::Passing, "UNKNOWN"),
        ("x", Verdict::Passing, "UP"),
        ("elsewhere", Verdict::Failing, "UP"),
    ] {
        fact(&mut world, name, verdict);
        assert_eq!(world.states()[0], state, "{name} {verdict:?}");
    }
    world.give(PoolInput::FactRemoved("x".into()));
    assert_eq!(world.states()[0], "UNKNOWN", "unknown is not failed");
}

#[test]
fn servers_that_are_not_known_yet_are_in_but_the_first_set_waits_three_seconds_for_them() {
    let mut world = World::new(&[pool(&["a", "b", "c"])]);
    assert_eq!(world.states(), ["UNKNOWN", "UNKNOWN", "UNKNOWN"]);
    world.up("a");
    world.down("b");
    assert!(world.sets.is_empty());
    world.pass(millis(2999));
    assert!(world.sets.is_empty());
    world.pass(millis(1));
    assert_eq!(world.used(), ["a", "c"]);
    let mut world = World::new(&[pool(&["a", "b"])]);
    world.down("a");
    world.up("b");
    assert_eq!(world.used(), ["b"], "all are known: it is not waited");
}

#[test]
fn a_pool_of_an_instance_is_used_only_while_that_is_active() {
    let scope = PoolScope::WhenActive("edge".into());
    let mut world = World::new(&[PoolConfig { scope, ..pool(&["a", "b"]) }]);
    world.up("a");
    world.up("b");
    let lines = world.lines();
    assert!(lines.contains(&"web uses nothing here".to_string()), "{lines:?}");
    assert_eq!(world.facts["pools/web"].verdict, Verdict::Passing, "its verdict is known everywhere");
    world.give(PoolInput::InstanceState { instance: "other".into(), active: true });
    world.give(PoolInput::InstanceState { instance: "edge".into(), active: true });
    assert_eq!(world.lines(), ["web uses a:1 b:1"]);
    world.give(PoolInput::InstanceState { instance: "edge".into(), active: false });
    world.down("a");
    world.give(PoolInput::InstanceState { instance: "edge".into(), active: true });
    let lines = world.lines();
    assert_eq!((&*lines[0], lines.last().unwrap().as_str()), ("web uses nothing here", "web uses b:1"));
}

#[test]
fn servers_that_fail_together_are_told_as_one_mass_failure() {
    let mut world = World::passing(&pool(&["a", "b", "c", "d"]));
    world.down("a");
    world.pass(millis(11_000));
    world.down("b");
    assert!(!world.events().iter().any(|event| event.contains("mass")), "half of them, but not at once");
    world.up("a");
    world.up("b");
    world.events();
    world.down("a");
    world.pass(millis(9000));
    world.down("b");
    world.down("c");
    let told: Vec<_> = world.lines().into_iter().filter(|line| line.contains("mass_failure")).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("2 of 4 servers failed at once: look for what they have in common"), "{told:?}");
}

#[test]
fn the_same_inputs_make_the_same_sets_and_nothing_is_told_twice() {
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = || {
        let mut random = Random(0x9001);
        let mut world = World::new(&[PoolConfig { floor: Floor::Percent(30), ..pool(&names) }]);
        for _ in 0..2000 {
            let server = names[random.below(20) as usize];
            let verdict = [Verdict::Passing, Verdict::Failing, Verdict::Unknown][random.below(3) as usize];
            world.fact(server, verdict, None, false);
            world.pass(millis(random.below(50)));
        }
        let sets: Vec<_> = world.lines.iter().filter(|line| line.contains(" uses ")).collect();
        assert!(sets.len() > 200 && sets.windows(2).all(|pair| pair[0] != pair[1]), "{sets:?}");
        world.lines
    };
    assert_eq!(run(), run());
}
