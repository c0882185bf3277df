//! What `[[check]]` becomes: defaults, kinds, targets, expressions, and which checks run.

use std::time::Duration;

use ha_config::{
    Change, Check, CheckKind, DnsAnswers, DnsRecord, Host, HttpVersion, Item, MatchExtent, ProcessMatch,
    SmtpSecurity, UdpReply, changes,
};
use ha_engine::{Damping, Expr, RemedyPolicy, Verdict};

use super::{address, model, outcome, web};

/// The only check of a file in which the instance tracks it.
fn check(keys: &str) -> Check {
    let text = format!("{}[[check]]\nname = 'x'\n{keys}\n", web("track = ['x']"));
    let mut checks = model(&text).checks;
    assert_eq!(checks.len(), 1);
    checks.remove(0)
}

const TCP: &str = "kind = 'tcp'\nhost = '10.0.0.1'\nport = 80\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_check_of_required_keys_has_the_documented_defaults() {
    let policy = check(TCP).policy;
    assert_eq!(&*policy.name, "checks/x");
    assert_eq!((policy.interval, policy.timeout), (seconds(2), seconds(2)));
    assert_eq!((policy.rise, policy.fall, policy.jitter_percent), (2, 3, 10));
    assert_eq!((policy.initial, policy.grace), (Verdict::Unknown, Duration::ZERO));
    assert_eq!((policy.backoff, policy.damping, policy.remedy, policy.rule), (None, None, None, None));
    assert!(!policy.watched);
}

#[test]
fn what_the_kernel_tells_is_believed_at_once_and_looked_at_seldom() {
    let keys = [
        "kind = 'process'\nprocess = 'nginx'",
        "kind = 'file'\npath = '/run/x'",
        "kind = 'interface'\ninterface = 'eth1'",
        "kind = 'route'\ndestination = '0.0.0.0/0'",
        "kind = 'tcp_keepalive'\nhost = '10.0.0.1'\nport = 80",
    ];
    for keys in keys {
        let policy = check(keys).policy;
        assert_eq!((policy.rise, policy.fall, policy.watched), (1, 1, true), "{keys}");
        assert_eq!((policy.interval, policy.timeout), (seconds(10), seconds(5)), "{keys}");
    }
}

#[test]
fn every_common_key_reaches_the_policy() {
    let keys = format!(
        "{TCP}interval = '500ms'\ntimeout = '100ms'\nrise = 5\nfall = 7\njitter = '0%'\ninitial = 'failing'\n\
         grace = '30s'\nbackoff = '1m'\ndamping = {{ within = '2m', hold = '20s', longest = '1h' }}\n\
         remedy = {{ command = ['/bin/systemctl', 'restart', 'nginx'], user = 'root', timeout = '20s', wait = '1s', rest = '5m' }}"
    );
    let check = check(&keys);
    let policy = check.policy;
    assert_eq!((policy.interval, policy.timeout), (Duration::from_millis(500), Duration::from_millis(100)));
    assert_eq!((policy.rise, policy.fall, policy.jitter_percent), (5, 7, 0));
    assert_eq!((policy.initial, policy.grace), (Verdict::Failing, seconds(30)));
    assert_eq!(policy.backoff, Some(seconds(60)));
    let damping = Damping { within: seconds(120), hold: seconds(20), longest: seconds(3600) };
    assert_eq!(policy.damping, Some(damping));
    let expected = RemedyPolicy { timeout: seconds(20), wait: seconds(1), rest: seconds(300) };
    assert_eq!(policy.remedy, Some(expected));
    let remedy = check.remedy.unwrap();
    assert_eq!(remedy.policy, expected);
    assert_eq!(remedy.command.argv, ["/bin/systemctl", "restart", "nginx"]);
    assert_eq!(remedy.command.user.as_deref(), Some("root"));
}

#[test]
fn damping_and_remedy_have_the_documented_defaults() {
    let check = check(&format!("{TCP}damping = {{}}\nremedy.command = ['/bin/true']"));
    let damping = Damping { within: seconds(60), hold: seconds(10), longest: seconds(600) };
    assert_eq!(check.policy.damping, Some(damping));
    let remedy = RemedyPolicy { timeout: seconds(10), wait: seconds(3), rest: seconds(60) };
    assert_eq!(check.policy.remedy, Some(remedy));
    assert_eq!(check.remedy.unwrap().command.user, None);
}

#[test]
fn a_target_says_where_it_goes_and_from_where() {
    let keys = "kind = 'tcp'\nhost = 'WWW.Example.org.'\nport = 80\nconnect_address = '10.0.0.2'\nconnect_port = 8080\n\
                source = '10.0.0.9'\ninterface = 'eth1'\nmark = 7";
    let check = check(keys);
    let target = check.kind.target().unwrap();
    assert_eq!((&target.host, target.port), (&Host::Name("www.example.org".to_owned()), 80));
    assert_eq!((target.connect_address, target.connect_port), (Some(address("10.0.0.2")), Some(8080)));
    assert_eq!(target.origin.source, Some(address("10.0.0.9")));
    assert_eq!((target.origin.interface.as_deref(), target.origin.mark), (Some("eth1"), Some(7)));
}

#[test]
fn the_usual_port_is_taken_where_a_kind_has_one() {
    let table = [
        ("kind = 'http'", 80),
        ("kind = 'http'\ntls = true", 443),
        ("kind = 'dns'\nquery = '.'", 53),
        ("kind = 'smtp'", 25),
        ("kind = 'smtp'\nstarttls = true", 25),
        ("kind = 'smtp'\ntls = true", 465),
        ("kind = 'tls'", 443),
        ("kind = 'icmp'", 0),
    ];
    for (keys, port) in table {
        let check = check(&format!("{keys}\nhost = '[2001:db8::1]'"));
        let target = check.kind.target().unwrap();
        assert_eq!((target.port, &target.host), (port, &Host::Address(address("2001:db8::1"))), "{keys}");
    }
}

#[test]
fn an_http_check_of_required_keys_has_the_documented_defaults() {
    let CheckKind::Http(http) = check("kind = 'http'\nhost = '10.0.0.1'").kind else { panic!() };
    assert_eq!((&*http.method, &*http.path, http.version), ("GET", "/", HttpVersion::Http1));
    assert_eq!((http.tls, http.headers, http.status), (None, vec![], vec![(200, 299)]));
    assert_eq!(
        (http.body_matches, http.body_lacks, http.body_sha256, http.body_md5),
        (None, None, None, None)
    );
    assert_eq!(http.body_limit, 65_536);
}

#[test]
fn a_url_is_short_for_tls_host_port_and_path() {
    let table = [
        ("http://10.0.0.1", false, 80, "/"),
        ("http://10.0.0.1:8080", false, 8080, "/"),
        ("https://10.0.0.1/a?b=c", true, 443, "/a?b=c"),
        ("https://10.0.0.1:8443?b", true, 8443, "/?b"),
        ("http://[2001:db8::1]:81/x", false, 81, "/x"),
    ];
    for (url, tls, port, path) in table {
        let CheckKind::Http(http) = check(&format!("kind = 'http'\nurl = '{url}'")).kind else { panic!() };
        assert_eq!((http.tls.is_some(), http.target.port, &*http.path), (tls, port, path), "{url}");
    }
}

#[test]
fn every_key_of_an_http_check_reaches_the_model() {
    let digest = "ab".repeat(32);
    let keys = format!(
        "kind = 'http'\nhost = 'www'\nhttp_version = '2'\nmethod = 'POST'\npath = '/x'\n\
         headers = {{ Accept = 'text/plain', Authorization = {{ file = 'vrrp-password' }} }}\n\
         status = [204, '300-399']\nbody_matches = 'a+'\nbody_lacks = '(?i)error'\nbody_sha256 = '{digest}'\nbody_limit = 10\n\
         tls = {{ verify = false, server_name = 'other', certificate_file = 'c.pem', key_file = 'vrrp-password', expires_within = '14d' }}"
    );
    let CheckKind::Http(http) = check(&keys).kind else { panic!() };
    assert_eq!((&*http.method, &*http.path, http.version), ("POST", "/x", HttpVersion::Http2));
    let headers: Vec<(&str, &str)> =
        http.headers.iter().map(|(name, value)| (&**name, value.expose())).collect();
    assert_eq!(headers, [("Accept", "text/plain"), ("Authorization", "s3cret")]);
    assert_eq!(http.status, [(204, 204), (300, 399)]);
    assert_eq!((http.body_matches.as_deref(), http.body_lacks.as_deref()), (Some("a+"), Some("(?i)error")));
    assert_eq!((http.body_sha256, http.body_limit), (Some([0xab; 32]), 10));
    let tls = http.tls.unwrap();
    assert!(!tls.verify);
    assert_eq!(tls.server_name.as_deref(), Some("other"));
    assert_eq!(tls.certificate_file.unwrap().to_str(), Some("etc/c.pem"));
    assert_eq!(tls.key_file.unwrap().to_str(), Some("etc/vrrp-password"));
    assert_eq!(tls.expires_within, seconds(14 * 86_400));
}

#[test]
fn a_secret_header_is_not_shown_by_debug() {
    let keys = "kind = 'http'\nhost = 'www'\nheaders = { Authorization = { file = 'vrrp-password' } }";
    assert!(!format!("{:?}", check(keys)).contains("s3cret"));
}

#[test]
fn the_other_network_kinds_have_the_documented_defaults() {
    let CheckKind::Icmp(icmp) = check("kind = 'icmp'\nhost = 'a'").kind else { panic!() };
    assert_eq!((icmp.count, icmp.tolerated_loss_percent, icmp.size), (1, 0, 56));
    let CheckKind::TcpKeepalive(held) = check("kind = 'tcp_keepalive'\nhost = 'a'\nport = 1").kind else {
        panic!()
    };
    assert_eq!((held.idle, held.probe_interval, held.probe_count), (seconds(5), seconds(1), 3));
    assert_eq!((held.user_timeout, held.retry), (seconds(8), seconds(1)));
    let CheckKind::Udp(udp) = check("kind = 'udp'\nhost = 'a'\nport = 1").kind else { panic!() };
    assert_eq!((udp.payload, udp.reply), (vec![], None));
    let CheckKind::Grpc(grpc) = check("kind = 'grpc'\nhost = 'a'\nport = 1").kind else { panic!() };
    assert_eq!((grpc.tls, &*grpc.service), (None, ""));
    let CheckKind::Dns(dns) = check("kind = 'dns'\nhost = 'a'\nquery = 'b.c.'").kind else { panic!() };
    assert_eq!((&*dns.query, dns.record, dns.tcp), ("b.c", DnsRecord::A, false));
    assert_eq!((dns.response_code, dns.answers), (0, DnsAnswers::Some));
    let CheckKind::Smtp(smtp) = check("kind = 'smtp'\nhost = 'a'").kind else { panic!() };
    assert_eq!((smtp.hello, smtp.security), (None, SmtpSecurity::None));
    let CheckKind::Tls(tls) = check("kind = 'tls'\nhost = 'a'").kind else { panic!() };
    assert_eq!((tls.tls.verify, tls.tls.expires_within), (true, Duration::ZERO));
}

#[test]
fn a_datagram_is_text_or_hexadecimal_and_so_is_its_answer() {
    let udp = |keys: &str| match check(&format!("kind = 'udp'\nhost = 'a'\nport = 1\n{keys}")).kind {
        CheckKind::Udp(udp) => udp,
        other => panic!("{other:?}"),
    };
    assert_eq!(udp("payload = 'ping'").payload, b"ping");
    let hex = udp("payload_hex = '00 ff'\nreply_hex = '0a??'");
    assert_eq!((hex.payload, hex.reply), (vec![0, 255], Some(UdpReply::Octets(vec![Some(10), None]))));
    assert_eq!(udp("reply_required = true").reply, Some(UdpReply::Any));
    assert_eq!(udp("reply_matches = '^pong'").reply, Some(UdpReply::Matches("^pong".to_owned())));
}

#[test]
fn the_local_kinds_have_the_documented_defaults() {
    let process = |keys: &str| match check(&format!("kind = 'process'\n{keys}")).kind {
        CheckKind::Process(process) => process,
        other => panic!("{other:?}"),
    };
    let nginx = process("process = 'nginx'");
    assert_eq!(nginx.process, ProcessMatch::Name("nginx".to_owned()));
    assert_eq!((nginx.extent, nginx.minimum, nginx.maximum), (MatchExtent::Whole, 1, None));
    let none = process("command_line = '/usr/bin/backup --all'\nmaximum = 0");
    assert_eq!(none.process, ProcessMatch::CommandLine("/usr/bin/backup --all".to_owned()));
    assert_eq!((none.minimum, none.maximum), (0, Some(0)));
    let CheckKind::File(file) = check("kind = 'file'\npath = '/run/x'\nmaximum = -1").kind else { panic!() };
    assert_eq!((file.minimum, file.maximum, file.missing), (None, Some(-1), None));
    let CheckKind::Route(route) = check("kind = 'route'\ndestination = '::/0'").kind else { panic!() };
    assert_eq!((route.destination, route.gateway, route.table), ((address("::"), 0), None, 254));
    let CheckKind::Script(script) = check("kind = 'script'\ncommand = ['/bin/x', '']").kind else { panic!() };
    assert_eq!((script.command.argv.len(), script.value_from_exit), (2, false));
}

#[test]
fn an_expression_names_facts_and_runs_what_it_names() {
    let text = web("track = ['any']")
        + "[[check]]\nname = 'any'\nkind = 'expr'\nany_of = ['two', 'ping']\n\
           [[check]]\nname = 'two'\nkind = 'expr'\nat_least = 1\nof = ['web', 'ping']\n\
           [[check]]\nname = 'ping'\nkind = 'icmp'\nhost = 'a'\n\
           [[check]]\nname = 'web'\nkind = 'http'\nhost = 'a'\n";
    let checks = model(&text).checks;
    let names: Vec<&str> = checks.iter().map(|check| &*check.policy.name).collect();
    assert_eq!(names, ["checks/any", "checks/two", "checks/ping", "checks/web"]);
    assert_eq!(checks[0].policy.rule, Some(Expr::AnyOf(vec!["checks/two".into(), "checks/ping".into()])));
    assert_eq!(
        checks[1].policy.rule,
        Some(Expr::AtLeast(1, vec!["checks/web".into(), "checks/ping".into()]))
    );
}

#[test]
fn another_target_is_another_number_and_the_same_target_the_same() {
    let one = check(TCP).policy.target;
    assert_eq!(one, check(&format!("{TCP}interval = '5s'\nfall = 9")).policy.target);
    assert_ne!(one, check(&TCP.replace("80", "81")).policy.target);
    let header = |value: &str| {
        check(&format!("kind = 'http'\nhost = 'a'\nheaders = {{ X-Key = '{value}' }}")).policy.target
    };
    assert_ne!(header("one"), header("two"));
}

#[test]
fn changes_of_checks_are_named_and_others_are_not_touched() {
    let file = |first: &str| {
        let second = format!("[[check]]\nname = 'y'\n{TCP}");
        format!("{}[[check]]\nname = 'x'\n{TCP}{first}\n{second}", web("track = ['x', 'y']"))
    };
    let (old, new) = (model(&file("")), model(&file("fall = 9\nconnect_port = 81")));
    let expected =
        Change::Changed { item: Item::Check, name: "x".to_owned(), keys: vec!["kind or its keys", "fall"] };
    assert_eq!(changes(&old, &new), [expected]);
    let rotated = model(&file("# a comment"));
    assert_eq!(changes(&old, &rotated), []);
}

#[test]
fn ten_thousand_checks_fit_into_one_file() {
    let mut text = web("") + "[[check]]\nname = 'all'\nkind = 'expr'\nat_least = 1\nof = ['c0']\n";
    for index in 0..10_000 {
        let (high, low) = (index / 250, index % 250 + 1);
        text.push_str(&format!(
            "[[check]]\nname = 'c{index}'\nkind = 'tcp'\nhost = '127.0.{high}.{low}'\nport = 80\ninterval = '1s'\n"
        ));
    }
    let outcome = outcome(&text);
    assert_eq!(outcome.errors(), 0);
    assert_eq!(outcome.model.unwrap().checks.len(), 10_001);
}

#[test]
fn more_checks_than_a_node_can_run_are_refused() {
    let check = |index: u32| format!("[[check]]\nname = 'c{index}'\nkind = 'icmp'\nhost = '127.0.0.1'\n");
    let text: String = web("") + &(0..16_385).map(check).collect::<String>();
    let outcome = outcome(&text);
    assert_eq!(outcome.errors(), 1);
    let error = outcome.findings.iter().find(|finding| finding.message.contains("16384")).unwrap();
    assert_eq!(error.message, "there are more than 16384 checks, those of pools' servers included");
}
