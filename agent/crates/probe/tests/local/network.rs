//! Interface and route checks in a network namespace of the test's own. Needs root.

use std::process::Command;
use std::time::{Duration, Instant};

use ha_probe::{Interface, Outcome, Probe, Reason, Route, Spec};

use crate::fixture::{attempt, enter_own_network, ip, is_root, next, silence};

const DOWN: Outcome = Outcome::Failed(Reason::Down);
const MISSING: Outcome = Outcome::Failed(Reason::Missing);
const WRONG: Outcome = Outcome::Failed(Reason::WrongAnswer);

/// Runs a test in an empty namespace.
fn alone(test: impl Future<Output = ()>) {
    if !is_root() {
        return eprintln!("skipped: a namespace needs root");
    }
    enter_own_network();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn link(name: &str) -> Probe {
    Probe::new(Spec::Interface(Interface { name: name.to_owned() })).unwrap()
}

/// "10.0.0.0/8 via 10.1.0.2 dev a table 100", the last three when wanted.
fn route(text: &str) -> Probe {
    let mut words = text.split_whitespace();
    let (address, length) = words.next().unwrap().split_once('/').unwrap();
    let destination = (address.parse().unwrap(), length.parse().unwrap());
    let mut route = Route { destination, gateway: None, interface: None, table: 254 };
    while let (Some(word), Some(value)) = (words.next(), words.next()) {
        match word {
            "via" => route.gateway = Some(value.parse().unwrap()),
            "dev" => route.interface = Some(value.to_owned()),
            _ => route.table = value.parse().unwrap(),
        }
    }
    Probe::new(Spec::Route(route)).unwrap()
}

/// Two links, each with an end in a namespace of nobody's.
fn plug_in() {
    for (name, address) in [("one", "10.1.0.1/24"), ("two", "10.2.0.1/24")] {
        ip(&format!("link add {name} type veth peer name {name}-peer"));
        ip(&format!("link set {name}-peer up"));
        ip(&format!("link set {name} up"));
        ip(&format!("address add {address} dev {name}"));
    }
    ip("address add 2001:db8:1::1/64 dev one nodad");
}

#[test]
fn a_link_is_up_when_it_is_set_up_and_has_a_carrier() {
    alone(async {
        plug_in();
        let probe = link("one");
        let (mut told, mut evidence) = (Vec::new(), Vec::new());
        for change in [
            "",
            "link set one-peer down",
            "link set one down",
            "link set one up",
            "link set one-peer up",
            "link del one",
        ] {
            if !change.is_empty() {
                ip(change);
            }
            let attempt = attempt(&probe).await;
            told.push(attempt.outcome);
            evidence.push(attempt.evidence);
        }
        assert_eq!(told, [Outcome::Passed, DOWN, DOWN, DOWN, Outcome::Passed, MISSING]);
        let no_carrier = "one is up, but has no carrier";
        let up = "one is up and running";
        assert_eq!(evidence, [up, no_carrier, "one was set down", no_carrier, up, "there is no link one"]);
    });
}

#[test]
fn changes_of_a_link_are_told_by_the_kernel() {
    alone(async {
        let mut watch = link("one").watch().unwrap();
        next(&mut watch, MISSING).await;
        plug_in();
        next(&mut watch, Outcome::Passed).await;
        ip("link set two down");
        silence(&mut watch).await;
        for (change, outcome) in [
            ("link set one-peer down", DOWN),
            ("link set one-peer up", Outcome::Passed),
            ("link set one down", DOWN),
            ("link set one up", Outcome::Passed),
            ("link del one", MISSING),
        ] {
            ip(change);
            let (took, _) = next(&mut watch, outcome).await;
            println!("{change}: told after {took:?}");
        }
    });
}

#[test]
fn a_route_is_there_only_as_it_is_wanted() {
    alone(async {
        plug_in();
        ip("route add default via 10.1.0.2");
        ip("route add 10.9.0.0/16 nexthop via 10.1.0.3 nexthop via 10.2.0.3");
        ip("route add 10.9.9.0/24 via 10.2.0.4 table 100");
        ip("route add unreachable 10.8.0.0/16");
        ip("route add 2001:db8:9::/48 via 2001:db8:1::2");
        ip("route add default via 2001:db8:1::3");
        let cases = [
            ("0.0.0.0/0", Outcome::Passed, "route to 0.0.0.0/0 in table 254 leads via 10.1.0.2 dev one"),
            ("0.0.0.0/0 via 10.1.0.2 dev one", Outcome::Passed, "via 10.1.0.2 dev one"),
            ("0.0.0.0/0 via 10.1.0.9", WRONG, "leads via 10.1.0.2 dev one, via 10.1.0.9 wanted"),
            ("0.0.0.0/0 dev two", WRONG, ", dev two wanted"),
            ("0.0.0.0/0 dev nothing", WRONG, ", dev nothing wanted"),
            ("10.9.0.0/16", Outcome::Passed, "via 10.1.0.3 dev one"),
            ("10.9.0.0/16 via 10.2.0.3", Outcome::Passed, "via 10.2.0.3 dev two"),
            (
                "10.9.0.0/16 via 10.2.0.3 dev one",
                WRONG,
                "leads via 10.1.0.3 dev one, leads via 10.2.0.3 dev two,",
            ),
            ("10.9.9.0/24", MISSING, "no route to 10.9.9.0/24 in table 254"),
            ("10.9.9.0/24 table 100", Outcome::Passed, "in table 100"),
            ("10.9.9.0/24 table 101", MISSING, "in table 101"),
            ("10.8.0.0/16", DOWN, "is `unreachable`"),
            ("10.1.0.0/24 dev one", Outcome::Passed, "leads dev one"),
            ("::/0", Outcome::Passed, "via 2001:db8:1::3 dev one"),
            ("2001:db8:9::/48 via 2001:db8:1::2 dev one", Outcome::Passed, "dev one"),
            ("2001:db8:8::/48", MISSING, "no route"),
        ];
        for (text, outcome, evidence) in cases {
            let attempt = attempt(&route(text)).await;
            println!("{text:45} {:?} {}", attempt.outcome, attempt.evidence);
            assert_eq!(attempt.outcome, outcome, "{text}: {}", attempt.evidence);
            assert!(attempt.evidence.contains(evidence), "{text}: {}", attempt.evidence);
        }
    });
}

#[test]
fn changes_of_a_route_are_told_by_the_kernel() {
    alone(async {
        plug_in();
        let mut watch = route("0.0.0.0/0 via 10.1.0.2").watch().unwrap();
        next(&mut watch, MISSING).await;
        ip("route add 10.9.0.0/16 via 10.1.0.2");
        silence(&mut watch).await;
        for (change, outcome) in [
            ("route add default via 10.1.0.2", Outcome::Passed),
            ("route replace default via 10.2.0.2", WRONG),
            ("route replace default via 10.1.0.2", Outcome::Passed),
            ("link set one-peer down", DOWN),
            ("link set one-peer up", Outcome::Passed),
            // The kernel takes the route with the link and says nothing of it.
            ("link set one down", MISSING),
            ("link set one up", MISSING),
            ("route add default via 10.1.0.2", Outcome::Passed),
            ("route del default", MISSING),
        ] {
            ip(change);
            if (change, outcome) == ("link set one up", MISSING) {
                silence(&mut watch).await;
                continue;
            }
            let (took, evidence) = next(&mut watch, outcome).await;
            println!("{change}: told after {took:?}: {evidence}");
        }
    });
}

#[test]
fn many_routes_that_change_cost_a_bounded_share_and_the_right_one_is_told() {
    const ROUTES: usize = 20_000;
    alone(async {
        plug_in();
        let batch: String = (0..ROUTES)
            .map(|number| format!("route add 20.{}.{}.0/24 via 10.1.0.2\n", number >> 8, number & 255))
            .collect();
        let probe = route("20.78.31.0/24");
        let mut watch = probe.watch().unwrap();
        next(&mut watch, MISSING).await;
        let begun = Instant::now();
        let feed = tokio::task::spawn_blocking(move || {
            let mut child =
                Command::new("ip").args(["-batch", "-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
            std::io::Write::write_all(child.stdin.as_mut().unwrap(), batch.as_bytes()).unwrap();
            child.wait().unwrap()
        });
        let found = tokio::time::timeout(Duration::from_secs(60), watch.next()).await.unwrap();
        assert_eq!(found.outcome, Outcome::Passed, "{}", found.evidence);
        assert!(feed.await.unwrap().success());
        println!("the last of {ROUTES} routes is told after {:?}", begun.elapsed());
        println!("a look at {ROUTES} routes takes {:?}", attempt(&probe).await.latency);
    });
}
