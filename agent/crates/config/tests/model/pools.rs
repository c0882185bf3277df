//! What `[[pool]]` becomes: servers, the checks that run for each of them, and the balancer.

use std::time::Duration;

use ha_config::{
    Balancer, Change, CheckKind, Configuration, Host, Item, Nginx, NginxForm, NginxPool, NginxSorry, changes,
};
use ha_engine::{Expr, Floor, PoolConfig, PoolScope, ServerConfig, SorryServer};

use super::{address, model, outcome, web};

const HTTP: &str = "[[check]]\nname = 'http'\nkind = 'http'\npath = '/health'\n";

fn pool(keys: &str, servers: &[&str]) -> String {
    let servers: String = servers.iter().map(|server| format!("[[pool.server]]\n{server}\n")).collect();
    format!("[[pool]]\nname = 'web'\nchecks = ['http']\n{keys}\n{servers}")
}

fn names(configuration: &Configuration) -> Vec<&str> {
    configuration.checks.iter().map(|check| &*check.policy.name).collect()
}

#[test]
fn a_pool_of_required_keys_has_the_documented_defaults() {
    let configuration = model(&(web("") + HTTP + &pool("", &["address = '10.0.1.1'\nport = 80"])));
    let expected = PoolConfig {
        name: "web".into(),
        servers: vec![ServerConfig {
            name: "10.0.1.1:80".into(),
            address: address("10.0.1.1"),
            port: 80,
            weight: 1,
            checks: vec!["pools/web/servers/10.0.1.1:80/checks/http".into()],
            weight_from: None,
        }],
        quorum: 1,
        hysteresis: 0,
        sorry: None,
        floor: Floor::Servers(0),
        slow_start: None,
        scope: PoolScope::Always,
    };
    assert_eq!(configuration.pools[0].config, expected);
    assert_eq!(configuration.pools[0].balancer, None);
    assert_eq!(configuration.nginx, Nginx::default());
}

#[test]
fn every_key_of_a_pool_reaches_the_model() {
    let keys = "quorum = 3\nhysteresis = 1\nfloor = '50%'\nslow_start = '30s'\nport = 8080\nonly_while_active = 'web'";
    let servers =
        ["name = 'a'\naddress = '10.0.1.1'\nweight = 2", "address = '2001:db8::1'\nport = 81\nweight = 2"];
    let configuration = model(&(web("") + HTTP + &pool(keys, &servers)));
    let pool = &configuration.pools[0].config;
    assert_eq!((pool.quorum, pool.hysteresis, pool.floor), (3, 1, Floor::Percent(50)));
    assert_eq!(
        (pool.slow_start, &pool.scope),
        (Some(Duration::from_secs(30)), &PoolScope::WhenActive("web".into()))
    );
    assert_eq!((&*pool.servers[0].name, pool.servers[0].port, pool.servers[0].weight), ("a", 8080, 2));
    assert_eq!((&*pool.servers[1].name, pool.servers[1].port), ("[2001:db8::1]:81", 81));
    let sorry = "sorry_server = '10.0.1.9:80'";
    let configuration = model(&(web("") + HTTP + &super::pools::pool(sorry, &servers[1..])));
    let expected = SorryServer { address: address("10.0.1.9"), port: 80 };
    assert_eq!(configuration.pools[0].config.sorry, Some(expected));
}

#[test]
fn a_check_of_a_pool_runs_once_for_each_server_at_its_address_and_port() {
    let servers =
        ["name = 'a'\naddress = '10.0.1.1'\nport = 80", "name = 'b'\naddress = '10.0.1.2'\nport = 81"];
    let text = web("")
        + "[[check]]\nname = 'http'\nkind = 'http'\nurl = 'https://www.example.org/health'\n"
        + &pool("", &servers);
    let configuration = model(&text);
    assert_eq!(names(&configuration), ["pools/web/servers/a/checks/http", "pools/web/servers/b/checks/http"]);
    for (check, (to, port)) in configuration.checks.iter().zip([("10.0.1.1", 80), ("10.0.1.2", 81)]) {
        let target = check.kind.target().unwrap();
        assert_eq!(target.host, Host::Name("www.example.org".to_owned()));
        assert_eq!(
            (target.connect_address, target.port, target.connect_port),
            (Some(address(to)), port, None)
        );
    }
    let targets: Vec<u64> = configuration.checks.iter().map(|check| check.policy.target).collect();
    assert_ne!(targets[0], targets[1]);
}

#[test]
fn a_check_without_a_host_is_asked_by_the_servers_address() {
    let servers = ["name = 'a'\naddress = '10.0.1.1'\nport = 80"];
    let text = web("") + "[[check]]\nname = 'http'\nkind = 'tcp'\nport = 9000\n" + &pool("", &servers);
    let target = model(&text).checks[0].kind.target().unwrap().clone();
    assert_eq!((target.host, target.port), (Host::Address(address("10.0.1.1")), 9000));
    let ping = web("") + "[[check]]\nname = 'http'\nkind = 'icmp'\n" + &pool("", &servers);
    assert_eq!(model(&ping).checks[0].kind.target().unwrap().port, 0);
}

#[test]
fn a_check_that_says_where_it_connects_runs_once() {
    let server = "name = 'a'\naddress = '10.0.1.1'\nport = 80\nchecks = ['manager', 'up']";
    let text = web("")
        + HTTP
        + "[[check]]\nname = 'manager'\nkind = 'http'\nhost = 'www'\nconnect_address = '10.9.0.1'\n\
           [[check]]\nname = 'up'\nkind = 'interface'\ninterface = 'eth1'\n"
        + &pool("", &[server, "name = 'b'\naddress = '10.0.1.2'\nport = 80"]);
    let configuration = model(&text);
    assert_eq!(names(&configuration), ["checks/manager", "checks/up", "pools/web/servers/b/checks/http"]);
    let servers = &configuration.pools[0].config.servers;
    assert_eq!(servers[0].checks, ["checks/manager".into(), "checks/up".into()]);
    assert_eq!(servers[1].checks, ["pools/web/servers/b/checks/http".into()]);
}

#[test]
fn a_script_with_placeholders_runs_for_each_server_with_its_values() {
    let check = "[[check]]\nname = 'http'\nkind = 'script'\n\
                 command = ['/usr/lib/check', '{address}', 'port={port}', '{pool}/{server}']\n\
                 remedy.command = ['/usr/lib/mend', '{server}']\n";
    let text = web("") + check + &pool("", &["name = 'a'\naddress = '2001:db8::1'\nport = 80"]);
    let check = &model(&text).checks[0];
    let CheckKind::Script(script) = &check.kind else { panic!() };
    assert_eq!(script.command.argv, ["/usr/lib/check", "2001:db8::1", "port=80", "web/a"]);
    assert_eq!(check.remedy.as_ref().unwrap().command.argv, ["/usr/lib/mend", "a"]);
}

#[test]
fn an_expression_of_checks_of_servers_runs_for_each_server() {
    let text = web("")
        + HTTP
        + "[[check]]\nname = 'any'\nkind = 'expr'\nany_of = ['http', 'up']\n\
           [[check]]\nname = 'up'\nkind = 'interface'\ninterface = 'eth1'\n"
        + &pool("", &["name = 'a'\naddress = '10.0.1.1'\nport = 80"]).replace("['http']", "['any']");
    let configuration = model(&text);
    let expected = ["checks/up", "pools/web/servers/a/checks/http", "pools/web/servers/a/checks/any"];
    assert_eq!(names(&configuration), expected);
    let rule = Expr::AnyOf(vec!["pools/web/servers/a/checks/http".into(), "checks/up".into()]);
    assert_eq!(configuration.checks[2].policy.rule, Some(rule));
}

#[test]
fn a_check_can_serve_an_instance_and_a_pool_at_once() {
    let check = "[[check]]\nname = 'http'\nkind = 'http'\nhost = '127.0.0.1'\n";
    let text = web("track = ['http', { pool = 'web', weight = 5 }]")
        + check
        + &pool("", &["name = 'a'\naddress = '10.0.1.1'\nport = 80"]);
    let configuration = model(&text);
    assert_eq!(names(&configuration), ["checks/http", "pools/web/servers/a/checks/http"]);
    let tracked: Vec<&str> = configuration.instances[0].tracks.iter().map(|track| &*track.fact).collect();
    assert_eq!(tracked, ["checks/http", "pools/web"]);
}

#[test]
fn a_weight_can_come_from_a_check() {
    let check =
        "[[check]]\nname = 'http'\nkind = 'script'\ncommand = ['/x', '{server}']\nvalue_from_exit = true\n";
    let text = web("")
        + check
        + &pool("weight_from = 'http'\nquorum = 50", &["name = 'a'\naddress = '10.0.1.1'\nport = 80"]);
    let fact = "pools/web/servers/a/checks/http";
    assert_eq!(model(&text).pools[0].config.servers[0].weight_from.as_deref(), Some(fact));
}

#[test]
fn nginx_and_its_pools_have_the_documented_defaults_and_every_key_reaches_the_model() {
    let servers = ["address = '10.0.1.1'\nport = 80"];
    let configuration = model(&(web("") + HTTP + &pool("nginx = {}", &servers)));
    let usual = NginxPool {
        file: "/etc/nginx/ha-agent/web.servers".into(),
        form: NginxForm::Servers,
        sorry: NginxSorry::Standby,
        passive_checks: false,
    };
    assert_eq!(configuration.pools[0].balancer, Some(Balancer::Nginx(usual)));
    let text = web("")
        + HTTP
        + &pool(
            "nginx = { file = '/x', form = 'upstream', sorry = 'alone', passive_checks = true }",
            &servers,
        )
        + "[nginx]\nprogram = '/n'\nconfiguration = '/c'\nprefix = '/p/'\npid_file = '/i'\ntest = ['/t']\nreload = ['/r', 'x']\n\
           command_timeout = '1s'\nreload_timeout = '2s'\n";
    let configuration = model(&text);
    let own = NginxPool {
        file: "/x".into(),
        form: NginxForm::Upstream,
        sorry: NginxSorry::Alone,
        passive_checks: true,
    };
    assert_eq!(configuration.pools[0].balancer, Some(Balancer::Nginx(own)));
    let nginx = Nginx {
        program: "/n".into(),
        configuration: Some("/c".into()),
        prefix: Some("/p/".into()),
        pid_file: "/i".into(),
        test: Some(vec!["/t".to_owned()]),
        reload: Some(vec!["/r".to_owned(), "x".to_owned()]),
        command_timeout: Duration::from_secs(1),
        reload_timeout: Duration::from_secs(2),
    };
    assert_eq!(configuration.nginx, nginx);
}

#[test]
fn changes_of_a_pool_name_its_keys_and_count_its_checks_to_it() {
    let file = |keys: &str, check: &str, second: &str| {
        let servers = ["name = 'a'\naddress = '10.0.1.1'\nport = 80", second];
        web("") + HTTP + check + "\n" + &pool(keys, &servers)
    };
    let second = "name = 'b'\naddress = '10.0.1.2'\nport = 80";
    let old = model(&file("", "", second));
    let changed = |keys| [Change::Changed { item: Item::Pool, name: "web".to_owned(), keys }];
    assert_eq!(changes(&old, &model(&file("floor = 1", "", second))), changed(vec!["floor"]));
    assert_eq!(changes(&old, &model(&file("", "fall = 9", second))), changed(vec!["checks"]));
    let moved = second.replace("80", "81");
    assert_eq!(changes(&old, &model(&file("", "", &moved))), changed(vec!["server", "checks"]));
    assert_eq!(changes(&old, &model(&file("nginx = {}", "", second))), changed(vec!["nginx"]));
    assert_eq!(changes(&old, &model(&file("# comment", "", second))), []);
}

#[test]
fn ten_thousand_servers_with_a_check_each_fit_into_one_pool() {
    let servers: Vec<String> = (0..10_000)
        .map(|index| format!("address = '127.0.{}.{}'\nport = 80", index / 250, index % 250 + 1))
        .collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let check = "[[check]]\nname = 'http'\nkind = 'tcp'\ninterval = '1s'\n";
    let configuration = model(&(web("") + check + &pool("", &servers)));
    assert_eq!((configuration.checks.len(), configuration.pools[0].config.servers.len()), (10_000, 10_000));
}

#[test]
fn checks_times_servers_beyond_the_bound_are_refused_without_building_them() {
    let server = |index: u32| format!("address = '10.{}.{}.1'\nport = 80", index / 256, index % 256);
    let servers: Vec<String> = (0..16_000).map(server).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let checks: String =
        (0..60).map(|index| format!("[[check]]\nname = 'c{index}'\nkind = 'tcp'\n")).collect();
    let names: Vec<String> = (0..60).map(|index| format!("'c{index}'")).collect();
    let text =
        web("") + &checks + &pool("", &servers).replace("['http']", &format!("[{}]", names.join(", ")));
    let outcome = outcome(&text);
    assert_eq!(outcome.errors(), 1);
    assert_eq!(
        outcome.findings[0].message,
        "there are more than 16384 checks, those of pools' servers included"
    );
}
