//! What a valid configuration becomes: values, defaults, inheritance, changes, examples and the reference.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ha_config::{
    ApiLimits, Change, Configuration, Context, Item, LogFormat, LogLevel, NoMachine, Outcome, Principal,
    Source, changes, parse,
};
#[path = "model/checks.rs"]
mod checks;
#[path = "model/effective.rs"]
mod effective;
#[path = "model/notifiers.rs"]
mod notifiers;
#[path = "model/pools.rs"]
mod pools;
#[path = "model/summaries.rs"]
mod summaries;
#[path = "model/tracks.rs"]
mod tracks;

use ha_engine::{
    AddressLease, AddressLostPolicy, AnnouncePolicy, ChecksumForm, Family, Password, Peer, Protocol,
    Transport,
};

fn outcome(text: &str) -> Outcome {
    let mut read_file = |path: &Path| match path.to_str() {
        Some("etc/vrrp-password" | "/etc/ha-agent/webhook-key" | "/etc/ha-agent/mail-password") => {
            Ok("s3cret\n".to_owned())
        }
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let mut context = Context { host_name: "this-host", read_file: &mut read_file, machine: &mut NoMachine };
    parse(&Source { path: Path::new("etc/ha-agent.toml"), text }, &mut context)
}

fn model(text: &str) -> Configuration {
    let outcome = outcome(text);
    let printed: Vec<String> = outcome.findings.iter().map(ToString::to_string).collect();
    assert!(printed.is_empty(), "{}", printed.join("\n"));
    outcome.model.unwrap()
}

fn web(more: &str) -> String {
    let required = "interface = 'eth0'\nvirtual_router_id = 51\naddresses = ['10.0.0.10']";
    format!("[[instance]]\nname = 'web'\n{required}\n{more}\n")
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_instance_of_required_keys_has_the_documented_defaults() {
    let configuration = model(&web(""));
    let instance = &configuration.instances[0];
    assert_eq!((&*instance.name, &*instance.interface), ("web", "eth0"));
    assert_eq!((instance.virtual_router_id.get(), instance.priority.get()), (51, 100));
    assert_eq!(instance.family, Family::Ipv4);
    assert_eq!(instance.protocol, Protocol::V3 { checksum: ChecksumForm::PseudoHeader });
    assert_eq!(instance.interval.duration(), Duration::from_secs(1));
    assert_eq!(instance.longest_adopted_interval, Duration::from_secs(10));
    assert_eq!(instance.addresses[0].to_string(), "10.0.0.10/32");
    assert!(instance.preempt);
    assert_eq!((instance.preempt_delay, instance.startup_delay), (Duration::ZERO, Duration::ZERO));
    assert_eq!(instance.transport, Transport::Multicast { allowed_sources: vec![] });
    assert_eq!(instance.source, None);
    assert_eq!(instance.announce, AnnouncePolicy::default());
    assert_eq!(instance.address_lost, AddressLostPolicy::Restore);
    assert_eq!(instance.lease, AddressLease::Auto);
    assert!(!instance.virtual_mac);
}

#[test]
fn settings_that_are_not_set_have_the_documented_defaults() {
    let configuration = model(&web(""));
    assert_eq!(configuration.node_name, "this-host");
    assert_eq!(configuration.api.socket, Path::new("/run/ha-agent/api.sock"));
    assert_eq!(configuration.api.admins, [Principal::User("root".to_owned())]);
    assert!(configuration.api.operators.is_empty() && configuration.api.readers.is_empty());
    assert_eq!(configuration.api.history, 16_384);
    assert_eq!(
        configuration.api.limits,
        ApiLimits {
            connections: 64,
            tls_connections: 64,
            certificate_connections: 16,
            calls: 32,
            watches: 256,
            unread_answers: 64 << 20
        }
    );
    assert_eq!(configuration.metrics.listen, None);
    assert_eq!(configuration.telemetry.endpoint, None);
    assert_eq!(configuration.telemetry.interval, Duration::from_secs(10));
    assert_eq!(configuration.telemetry.timeout, Duration::from_secs(5));
    assert_eq!((configuration.log.level, configuration.log.format), (LogLevel::Info, LogFormat::Auto));
    assert!(configuration.realtime.scheduling && configuration.realtime.lock_memory);
    assert_eq!(configuration.realtime.priority, 50);
}

#[test]
fn every_key_of_an_instance_reaches_the_model() {
    let text = web(
        "priority = 200\nadvertisement_interval = '100ms'\nlongest_adopted_interval = '2s'\npreempt = false\n\
         startup_delay = '1m30s'\nchecksum = 'message-only'\nsource = '10.0.0.1'\nallowed_sources = ['10.0.0.2']\n\
         announce = { repeat = 3, interval = '20ms', delay = '0s', refresh = '1m' }\naddress_lost = 'release'\n\
         address_lease = 'off'\nvirtual_mac = true\n",
    );
    let instance = &model(&text).instances[0];
    assert_eq!(instance.priority.get(), 200);
    assert_eq!(instance.interval.as_centiseconds(), 10);
    assert_eq!(instance.longest_adopted_interval, Duration::from_secs(2));
    assert!(!instance.preempt);
    assert_eq!(instance.startup_delay, Duration::from_secs(90));
    assert_eq!(instance.protocol, Protocol::V3 { checksum: ChecksumForm::MessageOnly });
    assert_eq!(instance.source, Some(address("10.0.0.1")));
    assert_eq!(instance.transport, Transport::Multicast { allowed_sources: vec![address("10.0.0.2")] });
    let announce = &instance.announce;
    assert_eq!((announce.repeat, announce.interval), (3, Duration::from_millis(20)));
    assert_eq!((announce.delay, announce.refresh), (Duration::ZERO, Duration::from_secs(60)));
    assert_eq!(instance.address_lost, AddressLostPolicy::Release);
    assert_eq!(instance.lease, AddressLease::Off);
    assert!(instance.virtual_mac);
}

#[test]
fn unicast_peers_are_addresses_or_tables() {
    let text =
        web("unicast = { peers = ['10.0.0.2', { address = '10.1.0.3', minimum_ttl = 254 }], ttl = 64 }");
    let peers = vec![
        Peer { address: address("10.0.0.2"), minimum_ttl: 255 },
        Peer { address: address("10.1.0.3"), minimum_ttl: 254 },
    ];
    assert_eq!(model(&text).instances[0].transport, Transport::Unicast { peers, ttl: 64 });
}

#[test]
fn an_address_is_text_or_a_table_with_its_link_and_whether_it_is_advertised() {
    let text = "[[instance]]\nname = 'web'\ninterface = 'eth0'\nvrid = 51\naddresses = ['10.0.0.10', \
                { address = '10.0.0.11/24', interface = 'eth0' }, { address = '192.0.2.1/24', interface = 'eth1' }, \
                { address = 'fd00::1/64', advertised = false }, { address = 'fd00::2', interface = 'eth2', advertised = false }]\n";
    let configuration = model(text);
    let addresses = &configuration.instances[0].addresses;
    let seen: Vec<_> =
        addresses.iter().map(|own| (own.to_string(), own.interface.as_deref(), own.advertised)).collect();
    let expected = [
        ("10.0.0.10/32", None, true),
        // The instance's own link is no other.
        ("10.0.0.11/24", None, true),
        ("192.0.2.1/24", Some("eth1"), true),
        ("fd00::1/64", None, false),
        ("fd00::2/128", Some("eth2"), false),
    ];
    assert_eq!(seen, expected.map(|(text, link, advertised)| (text.to_owned(), link, advertised)));
    let values = ha_config::effective(&configuration);
    let shown = values.iter().find(|value| value.key == "instance.web.addresses").unwrap();
    let written = r#"["10.0.0.10/32", "10.0.0.11/24", { address = "192.0.2.1/24", interface = "eth1" }, { address = "fd00::1/64", advertised = false }, { address = "fd00::2/128", interface = "eth2", advertised = false }]"#;
    assert_eq!(shown.value, written);
    // What is shown can be written.
    let again = model(&web("").replace("['10.0.0.10']", written));
    assert_eq!(again.instances[0].addresses, *addresses);
    let summary = ha_config::Summary(&configuration).to_string();
    let addresses = "10.0.0.10/32 10.0.0.11/24 192.0.2.1/24 (on eth1) fd00::1/64 (not advertised) fd00::2/128 (on eth2, not advertised)";
    assert!(summary.contains(addresses), "{summary}");
}

#[test]
fn more_addresses_than_an_advert_carries_need_not_be_advertised() {
    let more: String = (0..300)
        .map(|number| {
            format!("{{ address = '10.1.{}.{}', advertised = false }}, ", number / 200, number % 200 + 1)
        })
        .collect();
    let configuration = model(&web("").replace("['10.0.0.10']", &format!("[{more}'10.0.0.10']")));
    assert_eq!(configuration.instances[0].addresses.len(), 301);
    assert_eq!(configuration.instances[0].advertised().count(), 1);
}

#[test]
fn a_password_file_is_read_beside_the_configuration() {
    let text = web("version = 2\npassword_file = 'vrrp-password'");
    assert_eq!(model(&text).instances[0].protocol, Protocol::V2 { password: Password::new("s3cret") });
}

#[test]
fn a_lease_is_a_number_of_seconds_or_a_duration_of_whole_seconds() {
    for lease in ["2", "'2s'"] {
        let instance = &model(&web(&format!("address_lease = {lease}"))).instances[0];
        assert_eq!(instance.lease, AddressLease::Seconds(2));
    }
}

#[test]
fn the_adopted_interval_is_bounded_by_what_an_advert_can_say() {
    let instance = &model(&web("advertisement_interval = '10s'")).instances[0];
    assert_eq!(instance.longest_adopted_interval, Duration::from_millis(40_950));
    let version_2 = &model(&web("version = 2\nadvertisement_interval = '200s'")).instances[0];
    assert_eq!(version_2.longest_adopted_interval, Duration::from_secs(200));
}

#[test]
fn an_instance_inherits_what_it_does_not_set() {
    let defaults = "[defaults]\npriority = 10\nannounce = { repeat = 2, delay = '1s' }\nunicast = { peers = ['10.0.0.2'] }\n";
    let own = web("priority = 20\nannounce = { repeat = 9 }\nallowed_sources = ['10.0.0.3']");
    let instance = &model(&format!("{defaults}{own}")).instances[0];
    assert_eq!(instance.priority.get(), 20);
    assert_eq!((instance.announce.repeat, instance.announce.delay), (9, Duration::from_secs(1)));
    // Its own list of sources sets the inherited peers aside.
    assert_eq!(instance.transport, Transport::Multicast { allowed_sources: vec![address("10.0.0.3")] });
}

#[test]
fn the_same_router_id_and_link_local_address_serve_both_families_and_several_links() {
    let instance = |name: &str, interface: &str, address: &str| {
        format!(
            "[[instance]]\nname = '{name}'\ninterface = '{interface}'\nvrid = 7\naddresses = ['{address}']\n"
        )
    };
    let text = instance("a", "eth0", "10.0.0.1")
        + &instance("b", "eth0", "fe80::7")
        + &instance("c", "eth1", "10.0.1.1")
        + &instance("d", "eth1", "fe80::7");
    assert_eq!(model(&text).instances.len(), 4);
}

#[test]
fn the_owner_may_send_from_its_own_virtual_address() {
    assert!(model(&web("priority = 255\nsource = '10.0.0.10'")).instances[0].priority.is_owner());
}

#[test]
fn the_digest_is_the_sha_256_of_the_text() {
    // printf '' | sha256sum
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(outcome("").model.unwrap().digest, empty);
}

#[test]
fn changes_name_what_a_reload_touches_and_nothing_else() {
    let old = web("priority = 100") + &web("").replace("web", "db").replace("51", "52").replace(".10", ".11");
    let new = web("priority = 101\npreempt = false\n# a comment")
        + &web("").replace("web", "mail").replace("51", "53").replace(".10", ".12")
        + "[log]\nlevel = 'debug'\n[api]\nhistory = 100\n";
    let changes = changes(&model(&old), &model(&new));
    let expected = [
        Change::Setting { key: "api.history", needs_restart: true },
        Change::Setting { key: "log.level", needs_restart: false },
        Change::Removed { item: Item::Instance, name: "db".to_owned() },
        Change::Added { item: Item::Instance, name: "mail".to_owned() },
        Change::Changed { item: Item::Instance, name: "web".to_owned(), keys: vec!["priority", "preempt"] },
    ];
    assert_eq!(changes, expected);
    assert_eq!(changes[4].to_string(), "instance web changed: priority, preempt");
}

#[test]
fn another_text_of_the_same_model_changes_nothing() {
    let reordered =
        "[[instance]]\naddresses = [ '10.0.0.10/32' ]\nvrid = 0x33\ninterface = \"eth0\"\nname = 'web'\n";
    let (old, new) = (model(&web("")), model(reordered));
    assert_ne!(old.digest, new.digest);
    assert_eq!(changes(&old, &new), []);
}

#[test]
fn ten_thousand_instances_fit_into_one_file() {
    let mut text = String::from("[defaults]\nadvertisement_interval = '100ms'\n");
    for index in 0..10_000 {
        let (link, id) = (index / 250, index % 250 + 1);
        text.push_str(&format!(
            "[[instance]]\nname = 'router-{index}'\ninterface = 'eth{link}'\nvirtual_router_id = {id}\n\
             priority = 150\naddresses = ['10.{link}.0.{id}/32']\n"
        ));
    }
    assert_eq!(model(&text).instances.len(), 10_000);
}

#[test]
fn every_example_parses_without_findings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/examples");
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let examples: Vec<PathBuf> = entries.filter(is_toml).collect();
    assert!(examples.len() >= 9);
    for path in examples {
        println!("{}", path.display());
        assert!(!model(&std::fs::read_to_string(path).unwrap()).instances.is_empty());
    }
}

/// The checks and pools of the example of all keys, with their required keys only.
const REQUIRED_KEYS: &str = r#"
[[check]]
name = "http"
kind = "http"
host = "127.0.0.1"

[[check]]
name = "nginx"
kind = "process"
process = "nginx"
remedy.command = ["/usr/bin/systemctl", "restart", "nginx"]

[[check]]
name = "ping"
kind = "icmp"
host = "10.0.0.254"

[[check]]
name = "database"
kind = "tcp"
host = "10.0.2.1"
port = 5432

[[check]]
name = "session"
kind = "tcp_keepalive"
host = "10.0.2.1"
port = 5432

[[check]]
name = "syslog"
kind = "udp"
host = "10.0.2.2"
port = 514

[[check]]
name = "backend"
kind = "grpc"
host = "10.0.2.3"
port = 50051

[[check]]
name = "resolver"
kind = "dns"
host = "10.0.2.4"
query = "www.example.org"

[[check]]
name = "mail"
kind = "smtp"
host = "10.0.2.5"

[[check]]
name = "certificate"
kind = "tls"
host = "10.0.2.6"

[[check]]
name = "load"
kind = "script"
command = ["/usr/local/lib/ha-agent/load"]
value_from_exit = true

[[check]]
name = "maintenance"
kind = "file"
path = "/run/ha-agent/maintenance"
missing = 0

[[check]]
name = "uplink"
kind = "interface"
interface = "eth1"

[[check]]
name = "internet"
kind = "route"
destination = "0.0.0.0/0"

[[check]]
name = "most"
kind = "expr"
at_least = 2
of = ["ping", "database", "session", "syslog", "backend", "resolver", "mail", "certificate", "internet"]

[[pool]]
name = "web"
checks = ["http-of-server"]
sorry_server = "10.0.1.9:80"
only_while_active = "web"
nginx = {}
[[pool.server]]
address = "10.0.1.1"
port = 80
[[pool.server]]
address = "10.0.1.2"
port = 80

[[check]]
name = "http-of-server"
kind = "http"

[[notify]]
name = "on-call"
mail = "on-call@example.org"

[[notify]]
name = "script"
on = ["instances", "checks/most"]
command = ["/usr/local/lib/ha-agent/tell"]

[[notify]]
name = "pipe"
fifo = "/run/ha-agent/events"

[[notify]]
name = "chat"
webhook = "https://hooks.example.org/ha-agent"

[mail]
host = "mail.example.org"
from = "ha-agent@example.org"
"#;

#[test]
fn the_example_of_all_keys_shows_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/examples/all-keys.toml");
    let mut shown = model(&std::fs::read_to_string(path).unwrap());
    let mut defaults =
        model(&(web("track = ['http', 'nginx', 'load', 'maintenance', 'uplink']") + REQUIRED_KEYS));
    defaults.instances[0].tracks = [].into();
    shown.instances.truncate(1);
    shown.instances[0].source = None;
    shown.instances[0].tracks = [].into();
    shown.instances[0].group = None;
    shown.metrics.listen = None;
    shown.telemetry.endpoint = None;
    shown.cluster.peers.clear();
    defaults.node_name = "node-a".to_owned();
    defaults.digest = shown.digest.clone();
    assert_eq!(shown, defaults);
}
