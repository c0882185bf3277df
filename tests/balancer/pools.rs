//! What is wanted is what gets the requests, with as little as possible done for it.

use std::fs;

use ha_balancer::{Desired, Form, Server, Sorry, Standing};

use crate::bed::{Answer, Bed, Extra, SOON, get, kinds, pool, server};
use ha_tests::wait_for;

use Answer::{From, Status};

#[test]
fn the_servers_that_are_wanted_get_the_requests_and_no_others() {
    let bed = Bed::with(&[1, 2, 3]);
    assert_eq!(kinds(bed.ask(8000, 60)), [From(1), From(2), From(3)]);
    assert_eq!(bed.seen("web"), (vec![1, 2, 3], Standing::Running));

    let applied = bed.apply(&[pool("web", &[1, 3]), pool("api", &[1])]).unwrap();
    assert_eq!((applied.written, applied.reloaded), (vec!["web".into()], true));
    assert_eq!(kinds(bed.ask(8000, 60)), [From(1), From(3)]);
    assert_eq!(kinds(bed.ask(8001, 20)), [From(1)]);
    assert_eq!(bed.seen("web"), (vec![1, 3], Standing::Running));
    assert_eq!(bed.names(), ["api.servers", "web.servers"], "nothing else is left in the folder");
}

#[test]
fn where_nothing_differs_nothing_is_written_and_nothing_reloaded_after_a_restart_of_the_agent_too() {
    let mut bed = Bed::with(&[1, 2]);
    let state = |bed: &Bed| (bed.identity("web"), bed.identity("api"), bed.workers(), bed.reloads());
    let before = state(&bed);
    for _ in 0..3 {
        let applied = bed.apply(&[pool("web", &[2, 1]), pool("api", &[1])]).unwrap();
        assert!(!applied.reloaded && applied.written.is_empty(), "{applied:?}");
        assert_eq!(state(&bed), before);
        bed.forget();
        assert_eq!(bed.seen("web"), (vec![1, 2], Standing::Running));
    }
}

#[test]
fn pools_that_change_together_share_one_reload() {
    let bed = Bed::with(&[1]);
    let before = bed.reloads();
    let applied = bed.apply(&[pool("web", &[2]), pool("api", &[3])]).unwrap();
    assert_eq!((applied.written.len(), bed.reloads() - before), (2, 1));
    assert_eq!((kinds(bed.ask(8000, 9)), kinds(bed.ask(8001, 9))), (vec![From(2)], vec![From(3)]));
}

#[test]
fn weights_drained_servers_sorry_servers_and_nobody_at_all() {
    let bed = Bed::with(&[1]);
    let weighted = |number, weight| Server { weight, ..server(number) };
    let sorry = Server { backup: true, ..server(3) };
    let apply = |servers: Vec<Server>| {
        let desired = Desired::new("web", servers).unwrap();
        let applied = bed.apply(std::slice::from_ref(&desired)).unwrap();
        assert!(applied.is_complete(), "{applied:?}");
        assert_eq!(bed.observe().pools["web"].servers, desired.servers());
        bed.ask(8000, 40)
    };
    let answers = apply(vec![weighted(1, 30), weighted(2, 10)]);
    let of_first = answers.iter().filter(|answer| **answer == From(1)).count();
    assert!((26..=34).contains(&of_first), "{of_first} of 40 with weight 30 of 40");
    assert_eq!(kinds(apply(vec![weighted(1, 0), weighted(2, 10)])), [From(2)], "drained");
    assert_eq!(kinds(apply(vec![server(1), sorry])), [From(1)], "the others are there");
    assert_eq!(kinds(apply(vec![weighted(1, 0), sorry])), [From(3)], "the others are drained");
    assert_eq!(kinds(apply(vec![sorry])), [From(3)], "the others are gone");
    assert_eq!(kinds(apply(vec![weighted(1, 0)])), [Status(502)], "all drained");
    assert_eq!(kinds(apply(vec![])), [Status(502)], "nobody");
    assert_eq!(kinds(apply(vec![server(2)])), [From(2)]);
}

#[test]
fn nginx_accepts_every_kind_of_line_with_every_balancing_method() {
    let six = Server { weight: 65_535, ..Server::new("2001:db8::1".parse().unwrap(), 65_535) };
    let drained = Server { weight: 0, ..server(2) };
    let sorry = Server { backup: true, ..server(3) };
    let pools =
        [vec![], vec![six], vec![drained], vec![six, drained, sorry], vec![drained, sorry], vec![sorry]];
    for method in ["", "least_conn;", "ip_hash;", "random two;", "hash $uri;"] {
        let mut bed = Bed::running(&Extra { web: method, ..Extra::default() });
        let alone = ["ip_hash;", "random two;", "hash $uri;"].contains(&method);
        bed.set_options(|options| {
            let web = options.pools.get_mut("web").unwrap();
            web.sorry = if alone { Sorry::Alone } else { Sorry::Standby };
        });
        for servers in &pools {
            let applied = bed.apply(&[Desired::new("web", servers.clone()).unwrap()]).unwrap();
            assert!(applied.is_complete(), "{method} {servers:?}: {applied:?}");
        }
    }
}

#[test]
fn a_whole_upstream_can_be_written_for_an_operator_who_has_none() {
    let mut bed = Bed::new(&Extra::default());
    bed.set_options(|options| options.pools.get_mut("web").unwrap().form = Form::Upstream);
    fs::write(bed.file("api"), "server 127.0.1.1:80;\n").unwrap();
    let text = fs::read_to_string(bed.scratch.file("nginx.conf")).unwrap();
    let text = text.replace("upstream web {  include pools/web.servers; }", "include pools/web.servers;");
    assert!(text.contains("\ninclude pools/web.servers;"), "{text}");
    bed.scratch.write("nginx.conf", &text);
    // Before nginx's first start, as an operator would.
    bed.apply(&[pool("web", &[2])]).unwrap_err();
    bed.start();
    assert_eq!(kinds(bed.ask(8000, 9)), [From(2)]);
    bed.apply(&[pool("web", &[3])]).unwrap();
    assert_eq!((kinds(bed.ask(8000, 9)), bed.seen("web")), (vec![From(3)], (vec![3], Standing::Running)));
}

#[test]
fn workers_that_finish_old_connections_are_counted() {
    use std::io::Write as _;
    let bed = Bed::with(&[1]);
    let held = bed.space.run(|| {
        let mut held = std::net::TcpStream::connect("127.0.0.1:8000").unwrap();
        held.write_all(b"GET / HTTP/1.0\r\nX: ").unwrap();
        held
    });
    // The connection is with a worker, not only in the queue, once that has answered others that came later.
    assert_eq!(kinds(bed.ask(8000, 50)), [From(1)]);
    bed.apply(&[pool("web", &[2])]).unwrap();
    let seen = bed.observe();
    assert_eq!((seen.workers, seen.shutting_down), (2, 1), "{seen:?}");
    assert_eq!(bed.space.run(|| get(8000)), From(2));
    drop(held);
    wait_for("the old worker's end", SOON, || bed.observe().shutting_down == 0);
}

#[test]
fn nginx_reloaded_restarted_or_short_of_workers_by_somebody_else_needs_no_reload_of_ours() {
    let mut bed = Bed::with(&[1, 2]);
    let wanted = [pool("web", &[1, 2]), pool("api", &[1])];
    let check = |bed: &Bed, what: &str| {
        let before = bed.reloads();
        assert_eq!(bed.seen("web"), (vec![1, 2], Standing::Running), "{what}");
        let applied = bed.apply(&wanted).unwrap();
        assert!(!applied.reloaded && applied.written.is_empty(), "{what}: {applied:?}");
        assert_eq!(bed.reloads(), before, "{what}");
    };
    bed.reload_by_somebody_else();
    check(&bed, "reloaded");
    bed.kill_workers();
    check(&bed, "new workers");
    bed.kill_nginx();
    bed.start();
    check(&bed, "killed and started");
    bed.stop_nginx();
    bed.start();
    bed.forget();
    check(&bed, "stopped and started, the agent too");
}
