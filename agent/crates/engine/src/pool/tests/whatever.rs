//! Whatever happens, in any order, with configurations at the edges of what they can say.

use super::*;

fn any_pool(random: &mut Random, name: u64) -> PoolConfig {
    let names: Vec<String> = (0..random.below(6)).map(|number| format!("s{number}")).collect();
    let servers: Vec<&str> = names.iter().map(String::as_str).collect();
    let edge = |random: &mut Random| [0, 1, 2, 3, u32::MAX][random.below(5) as usize];
    let mut config = pool(&servers);
    config.name = format!("pool{name}").into();
    config.quorum = edge(random);
    config.hysteresis = edge(random);
    config.sorry = sorry().filter(|_| random.below(2) == 0);
    config.floor = match random.below(2) {
        0 => Floor::Servers(edge(random)),
        _ => Floor::Percent(random.below(256) as u8),
    };
    config.slow_start =
        (random.below(2) == 0).then(|| [millis(0), millis(900), Duration::MAX][random.below(3) as usize]);
    if random.below(3) == 0 {
        config.scope = PoolScope::WhenActive("edge".into());
    }
    for server in &mut config.servers {
        server.weight = edge(random);
        server.weight_from = server.checks.first().cloned().filter(|_| random.below(3) == 0);
        if random.below(6) == 0 {
            server.checks.clear();
        }
    }
    config
}

#[test]
fn whatever_happens_sets_are_new_whole_and_never_empty_unless_configured() {
    let (mut sets, mut events) = (0_u64, 0_u64);
    for seed in 1..300 {
        let mut random = Random(seed * 0x9e37_79b9);
        let (mut pools, mut now, mut generation) = (Pools::new(), at(seed), 0);
        let mut configs: Vec<PoolConfig> = vec![];
        for _ in 0..400 {
            let server: Arc<str> = format!("s{}", random.below(7)).into();
            let pool: Arc<str> = format!("pool{}", random.below(4)).into();
            let expires = (random.below(2) == 0).then(|| now.after(millis(random.below(900))));
            let (reason, actor, dry_run) = ("".into(), actor(), random.below(4) == 0);
            let allow_below_floor = random.below(2) == 0;
            let verdict = [Verdict::Passing, Verdict::Failing, Verdict::Unknown][random.below(3) as usize];
            let value = (random.below(3) == 0).then(|| [-1, 0, 1, i32::MAX][random.below(4) as usize]);
            let input = match random.below(16) {
                0 => {
                    configs = (0..random.below(4)).map(|name| any_pool(&mut random, name)).collect();
                    PoolInput::Reconfigure(&configs)
                }
                1 => PoolInput::Drain {
                    pool,
                    server,
                    reason,
                    actor,
                    expires,
                    survives: false,
                    allow_below_floor,
                    dry_run,
                },
                2 => PoolInput::Undrain { pool, server, actor, dry_run },
                3 => PoolInput::InstanceState { instance: "edge".into(), active: random.below(2) == 0 },
                4 => PoolInput::FactRemoved(check(&server)),
                5 => {
                    let result = if random.below(2) == 0 { Ok(()) } else { Err("no".into()) };
                    let running = (random.below(2) == 0).then(Vec::new);
                    let generation = random.below(generation + 2);
                    PoolInput::Balanced(Balanced { pool, generation, at: now, result, running })
                }
                _ => {
                    let (name, detail, since) = (check(&server), "".into(), now);
                    PoolInput::Fact(Fact {
                        name,
                        verdict,
                        value,
                        detail,
                        since,
                        damped: random.below(9) == 0,
                    })
                }
            };
            for input in [input, PoolInput::Deadline] {
                for output in pools.handle(now, input) {
                    match output {
                        PoolOutput::Desired(desired) => {
                            assert!(desired.generation > generation, "generations grow");
                            generation = desired.generation;
                            sets += 1;
                        }
                        PoolOutput::Event(_) => events += 1,
                        _ => {}
                    }
                }
            }
            assert!(pools.next_deadline().is_none_or(|due| due > now));
            for status in pools.statuses() {
                let usable =
                    status.servers.iter().filter(|server| server.drain.is_none() && !server.sorry).count();
                let least = (status.floor as usize).min(usable) as u32;
                assert!(!status.enabled || status.used >= least, "{status:?}");
                let sorry_is_due = status.config.sorry.is_some() && status.verdict == Verdict::Failing;
                assert_eq!(status.sorry_in, sorry_is_due && status.floor == 0, "{status:?}");
                assert!(!status.sorry_in || !status.enabled || status.used == 1);
            }
            now = match pools.next_deadline() {
                Some(due) if random.below(3) == 0 => now.max(due),
                _ => now.after(millis(random.below(700))),
            };
        }
    }
    assert!(sets > 10_000 && events > 10_000, "{sets} sets, {events} events");
}
