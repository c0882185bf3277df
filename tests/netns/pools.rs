//! Pools behind real nginx: what clients get when servers fail, all of them fail, or the address is elsewhere.

use std::{fs, time::Duration};

use ha_tests::{Agent, AgentInstance, Lab, Nginx, http_ask, wait_for, wait_until};

use crate::common::SOON;

const SORRY_PORT: u16 = 8090;

/// Balancers on nodes 0 and 1, web servers on nodes 2 and 3.
struct Bed {
    // First, so that they end before their network.
    agents: Vec<Agent>,
    balancers: Vec<Nginx>,
    servers: Vec<Nginx>,
    lab: Lab,
}

impl Bed {
    fn new(pool: &str) -> Self {
        let lab = Lab::new(4, 1);
        let sorry = format!("server {{ listen 127.0.0.1:{SORRY_PORT}; return 200 \"sorry\\n\"; }}");
        for node in [0, 1] {
            lab.node(node).space.ip("link set lo up");
        }
        let balancers = [0, 1].map(|node| Nginx::balance(&lab, lab.node(node), &sorry));
        let servers = [2, 3].map(|node| Nginx::serve(&lab, lab.node(node), "hello"));
        let agents = [0, 1].map(|node| agent(&lab, node, pool));
        let bed = Self { agents: agents.into(), balancers: balancers.into(), servers: servers.into(), lab };
        wait_for("node 0 as holder", SOON, || bed.lab.holders(bed.lab.vip4(0, 1)) == [0]);
        wait_for("both servers", SOON, || bed.used_by(0) == ["n2", "n3"]);
        bed.wait_for_page("hello");
        bed
    }

    /// The servers that are in the list of a balancer.
    fn used_by(&self, balancer: usize) -> Vec<String> {
        let list = Nginx::list_on(&self.lab, self.lab.node(balancer));
        let text = fs::read_to_string(list).unwrap_or_default();
        let is_used = |node: &usize| {
            let server = format!("{}:{}", self.lab.node(*node).address4(0), Nginx::PORT);
            text.lines().any(|line| line.contains(&server) && !line.contains("down"))
        };
        [2, 3].iter().filter(|node| is_used(node)).map(|node| format!("n{node}")).collect()
    }

    /// What a client gets from the virtual address; `None` when there is no whole answer.
    fn page(&self) -> Option<String> {
        let address = (self.lab.vip4(0, 1), 80).into();
        let answer = self.lab.client.run(|| http_ask(address, "/", Duration::from_secs(2)));
        answer.map(|(status, body)| if status == 200 { body.trim().to_owned() } else { status.to_string() })
    }

    /// Until this is all that clients get: ten times in a row.
    #[track_caller]
    fn wait_for_page(&self, wanted: &str) {
        let mut last = None;
        let got = wait_until(SOON, || {
            (0..10).all(|_| {
                last = self.page();
                last.as_deref() == Some(wanted)
            })
        });
        assert!(got, "clients get {last:?} instead of {wanted:?}");
    }

    /// Takes both web servers away.
    fn kill_all(&mut self) {
        self.servers.iter_mut().for_each(|server| server.process.kill());
    }

    fn restart_all(&mut self) {
        let lab = &self.lab;
        self.servers = [2, 3].map(|node| Nginx::serve(lab, lab.node(node), "hello")).into();
    }
}

fn agent(lab: &Lab, node: usize, pool: &str) -> Agent {
    let place = lab.node(node);
    let router = AgentInstance {
        interval: "100ms".to_owned(),
        ..AgentInstance::new(51, if node == 0 { 200 } else { 100 }, &[lab.vip4(0, 1).into()])
    };
    let servers: String = [2, 3]
        .map(|server| {
            format!("[[pool.server]]\nname = \"n{server}\"\naddress = \"{}\"\n", lab.node(server).address4(0))
        })
        .concat();
    let body = format!(
        "{}{}[[check]]\nname = \"page\"\nkind = \"http\"\npath = \"/\"\nbody_matches = \"hello\"\ninterval = \"200ms\"\n\
         timeout = \"150ms\"\nfall = 2\nrise = 2\n\
         [[pool]]\nname = \"app\"\nchecks = [\"page\"]\nport = {}\n{pool}\nnginx = {{ file = \"{}\" }}\n{servers}",
        Nginx::settings_on(lab, place),
        router.toml(),
        Nginx::PORT,
        Nginx::list_on(lab, place).display()
    );
    let mut agent = Agent::start_with(place, lab.scratch(), &body);
    agent.wait_until_ready(SOON);
    agent
}

#[test]
fn a_server_that_answers_wrongly_leaves_and_nobody_gets_its_page_any_more() {
    let bed = Bed::new("");
    bed.servers[0].reconfigure(&Nginx::page("oops"));
    wait_for("n2 to leave", SOON, || bed.used_by(0) == ["n3"]);
    bed.wait_for_page("hello");
    let said =
        bed.agents[0].wait_for_event("check.changed", SOON, |event| event.0.to_string().contains("FAILING"));
    assert!(said.text("message").contains("body"), "{said:?}");
    bed.servers[0].reconfigure(&Nginx::page("hello"));
    wait_for("n2 to return", SOON, || bed.used_by(0) == ["n2", "n3"]);
}

#[test]
fn a_floor_keeps_the_last_server_in_and_an_event_says_so() {
    let mut bed = Bed::new("floor = 1");
    bed.kill_all();
    bed.agents[0].wait_for_event("pool.floor_reached", SOON, |_| true);
    wait_for("one server", SOON, || bed.used_by(0).len() == 1);
    bed.wait_for_page("502");
    bed.restart_all();
    wait_for("both servers", SOON, || bed.used_by(0) == ["n2", "n3"]);
    bed.wait_for_page("hello");
}

#[test]
fn a_sorry_server_answers_while_no_server_works_and_no_longer() {
    let mut bed = Bed::new(&format!("sorry_server = \"127.0.0.1:{SORRY_PORT}\""));
    bed.kill_all();
    bed.wait_for_page("sorry");
    bed.agents[0].wait_for_event("pool.sorry_in", SOON, |_| true);
    bed.restart_all();
    bed.wait_for_page("hello");
    bed.agents[0].wait_for_event("pool.sorry_out", SOON, |_| true);
}

#[test]
fn a_pool_that_goes_with_an_address_is_where_the_address_is() {
    let mut bed = Bed::new("only_while_active = \"router-51\"");
    assert_eq!(bed.used_by(1), Vec::<String>::new(), "the Backup balances as well");
    bed.lab.cut_off(bed.lab.node(0));
    wait_for("node 1 to hold the address", SOON, || bed.lab.holders(bed.lab.vip4(0, 1)).contains(&1));
    wait_for("node 1 to balance", SOON, || bed.used_by(1) == ["n2", "n3"]);
    bed.wait_for_page("hello");
    bed.lab.reconnect(bed.lab.node(0));
    wait_for("node 0 to hold the address", SOON, || bed.lab.holders(bed.lab.vip4(0, 1)) == [0]);
    wait_for("node 1 to stop balancing", SOON, || bed.used_by(1).is_empty());
    bed.wait_for_page("hello");
    assert!(bed.balancers.iter_mut().all(|balancer| balancer.process.is_running()));
}
