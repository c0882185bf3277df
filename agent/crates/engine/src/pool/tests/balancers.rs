//! What balancers answer.

use super::*;

fn balanced(world: &World, generation: u64, result: Result<(), &str>) -> Balanced {
    let set = &world.sets["web"];
    let running = set.servers.iter().map(|server| RunningServer {
        address: server.address,
        port: server.port,
        weight: server.weight,
    });
    Balanced {
        pool: "web".into(),
        generation,
        at: world.now,
        result: result.map_err(Arc::from),
        running: Some(running.collect()),
    }
}

#[test]
fn what_was_taken_over_is_told_once_and_what_runs_is_shown() {
    let mut world = World::passing(&pool(&["a", "b"]));
    let generation = world.status().generation;
    assert_eq!(world.status().servers[0].running_weight, None);
    world.pass(millis(40));
    world.give(PoolInput::Balanced(balanced(&world, generation, Ok(()))));
    world.give(PoolInput::Balanced(balanced(&world, generation, Ok(()))));
    assert_eq!(
        world.lines(),
        ["balancer.applied web [CHECK_CHANGED]: the balancer runs set 1 with 2 servers, after 5.040s"]
    );
    let status = world.status();
    assert_eq!(status.servers[0].running_weight, Some(1));
    assert_eq!((status.balancer.generation, status.balancer.read_back), (Some(generation), true));
    let unread = Balanced { running: None, ..balanced(&world, generation, Ok(())) };
    world.give(PoolInput::Balanced(unread));
    let status = world.status();
    assert_eq!((status.servers[0].running_weight, status.balancer.read_back), (None, false));
}

#[test]
fn a_complaint_is_told_once_and_its_end_is_told() {
    let mut world = World::passing(&pool(&["a", "b"]));
    let generation = world.status().generation;
    for _ in 0..3 {
        let complaint = Err("nginx -t: unknown directive; mend nginx.conf");
        world.give(PoolInput::Balanced(balanced(&world, generation, complaint)));
    }
    assert_eq!(
        world.lines(),
        [
            "balancer.failed web [BALANCER_FAILED]: the balancer did not take over the servers: nginx -t: unknown directive; mend nginx.conf"
        ]
    );
    assert!(world.status().balancer.error.is_some());
    world.give(PoolInput::Balanced(balanced(&world, generation, Ok(()))));
    assert_eq!(world.events(), ["balancer.applied web"]);
    assert_eq!(world.status().balancer.error, None);
}

#[test]
fn an_answer_about_an_older_set_is_no_answer_about_the_newest() {
    let mut world = World::passing(&pool(&["a", "b"]));
    let older = world.status().generation;
    world.down("a");
    world.lines();
    world.give(PoolInput::Balanced(balanced(&world, older, Ok(()))));
    assert!(world.lines().is_empty());
    assert_eq!(world.status().balancer.generation, Some(older));
    world.give(PoolInput::Balanced(balanced(&world, older + 1, Ok(()))));
    assert_eq!(world.events(), ["balancer.applied web"]);
    world.give(PoolInput::Balanced(balanced(&world, older + 9, Err("from the future"))));
    assert!(world.lines().is_empty());
}
