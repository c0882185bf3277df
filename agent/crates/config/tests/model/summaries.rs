//! What a configuration does, for a human.

use ha_config::Summary;

use super::{model, web};

#[test]
fn a_summary_shows_instances_with_tracks_checks_pools_and_notifiers() {
    let text = web("priority = 150\ngroup = 'edge'\nunicast.peers = ['10.0.0.2']\n\
         track = ['nginx', { check = 'any', weight = -20 }, { pool = 'web', weight = 10, reverse = true }]")
        + &web("priority = 150\ngroup = 'edge'")
            .replace("web", "db")
            .replace("51", "52")
            .replace(".10", ".11")
        + "[[check]]\nname = 'nginx'\nkind = 'process'\nprocess = 'nginx'\n\
           remedy.command = ['/usr/bin/systemctl', 'restart', 'nginx']\n\
           [[check]]\nname = 'up'\nkind = 'icmp'\nhost = '2001:db8::1'\n\
           [[check]]\nname = 'any'\nkind = 'expr'\nany_of = ['up', 'nginx']\n\
           [[check]]\nname = 'http'\nkind = 'http'\nurl = 'http://www.example.org/health?key=canary'\n\
           [[pool]]\nname = 'web'\nchecks = ['http']\nport = 80\nfloor = '50%'\nslow_start = '30s'\nonly_while_active = 'web'\nnginx = {}\n\
           [[pool.server]]\naddress = '10.0.1.1'\n[[pool.server]]\naddress = '10.0.1.2'\n\
           [[notify]]\nname = 'on-call'\nmail = 'admin@example.org'\non = ['instances', 'pools/web/servers']\nstates = 'FAULT'\n\
           [mail]\nhost = 'mail'\nfrom = 'a@example.org'\n";
    let expected = "node this-host
instance web: 10.0.0.10/32 on eth0, VRID 51, priority 150, every 1s
    unicast to 10.0.0.2
    in group edge
    checks/nginx failing means Fault
    checks/any failing subtracts 20
    pools/web passing subtracts 10
instance db: 10.0.0.11/32 on eth0, VRID 52, priority 150, every 1s
    in group edge
    checks/any failing subtracts 20
    pools/web passing subtracts 10
check nginx: process nginx, every 10s within 5s, rise 1, fall 1
    before it falls: /usr/bin/systemctl, then 3s of waiting
check up: icmp 2001:db8::1, every 2s within 2s, rise 2, fall 3
check any: any of up nginx
pool web: 2 servers, 2 checks of theirs, quorum 1, 50% always stay in, slow start over 30s
    only while web is Active here
    nginx: /etc/nginx/ha-agent/web.servers
notify on-call: mail to admin@example.org, on instances pools/web/servers, only FAULT";
    assert_eq!(Summary(&model(&text)).to_string(), expected);
}

#[test]
fn a_check_shows_what_it_looks_at_and_no_secret() {
    let table = [
        ("kind = 'tcp'\nhost = '10.0.0.1'\nport = 80", "10.0.0.1:80"),
        ("kind = 'tcp'\nhost = '2001:db8::1'\nport = 80", "[2001:db8::1]:80"),
        ("kind = 'tcp'\nhost = 'www'\nport = 80\nconnect_address = '10.0.0.1'", "www:80 at 10.0.0.1:80"),
        ("kind = 'tcp'\nhost = 'www'\nport = 80\nconnect_port = 81", "www:80 at www:81"),
        ("kind = 'http'\nurl = 'https://www/a?canary'", "https://www/a"),
        ("kind = 'http'\nurl = 'http://[2001:db8::1]/'", "http://[2001:db8::1]/"),
        (
            "kind = 'http'\nurl = 'http://www:81/'\nconnect_address = '10.0.0.1'",
            "http://www:81/ at 10.0.0.1:81",
        ),
        ("kind = 'grpc'\nhost = 'a'\nport = 1", "a:1"),
        ("kind = 'grpc'\nhost = 'a'\nport = 1\nservice = 's'", "s of a:1"),
        ("kind = 'dns'\nhost = 'a'\nquery = 'b'\nrecord = 'AAAA'", "AAAA b at a:53"),
        ("kind = 'script'\ncommand = ['/bin/x', 'canary']", "/bin/x …"),
        ("kind = 'process'\ncommand_line = '/bin/x canary'", "/bin/x"),
        ("kind = 'file'\npath = '/run/x'", "/run/x"),
        ("kind = 'interface'\ninterface = 'eth1'", "eth1"),
        ("kind = 'route'\ndestination = '0.0.0.0/0'", "0.0.0.0/0"),
        (
            "kind = 'route'\ndestination = '::/0'\ngateway = 'fe80::1'\ninterface = 'eth0'\ntable = 7",
            "::/0 via fe80::1 through eth0 in table 7",
        ),
    ];
    for (keys, expected) in table {
        let configuration = model(&format!("{}[[check]]\nname = 'x'\n{keys}\n", web("track = ['x']")));
        assert_eq!(configuration.checks[0].looks_at(), expected);
    }
}
