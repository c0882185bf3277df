//! Every key that is known is read, and documented.

use std::io;
use std::path::Path;

use super::*;
use crate::document::{Context, Source, parse};
use crate::keepalived::NoMachine;

const REFERENCE: &str = include_str!("../../REFERENCE.md");

/// Sections of the reference with the keys they must have.
fn documented() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("## `[[instance]]`", OWN.iter().chain(SHARED).copied().collect()),
        ("### An address as a table", ADDRESS.to_vec()),
        ("### `unicast`", UNICAST.iter().chain(PEER).copied().collect()),
        ("### `announce`", ANNOUNCE.to_vec()),
        ("### `track`", TRACK.to_vec()),
        ("## `[[group]]`", GROUP.to_vec()),
        ("## `[[check]]`", CHECK.iter().chain(ATTEMPTS).copied().collect()),
        ("### `damping`", DAMPING.to_vec()),
        ("### `[check.remedy]`", REMEDY.to_vec()),
        ("### Checks of a server", TARGET.to_vec()),
        ("#### `tls`, `starttls`", TLS.to_vec()),
        ("#### `icmp`", ICMP.to_vec()),
        ("#### `tcp_keepalive`", TCP_KEEPALIVE.iter().chain(KEEPALIVE).copied().collect()),
        ("#### `udp`", UDP.to_vec()),
        ("#### `http`", HTTP.to_vec()),
        ("#### `grpc`", GRPC.to_vec()),
        ("#### `dns`", DNS.to_vec()),
        ("#### `smtp`", SMTP.to_vec()),
        ("#### `tls`", TLS_CHECK.to_vec()),
        ("#### `script`", SCRIPT.to_vec()),
        ("#### `process`", PROCESS.to_vec()),
        ("#### `file`", FILE.to_vec()),
        ("#### `interface`", INTERFACE.to_vec()),
        ("#### `route`", ROUTE.to_vec()),
        ("#### `expr`", EXPR.to_vec()),
        ("## `[[pool]]`", POOL.to_vec()),
        ("### `[[pool.server]]`", SERVER.to_vec()),
        ("### `[pool.nginx]`", POOL_NGINX.to_vec()),
        ("## `[nginx]`", NGINX.to_vec()),
        ("## `[[notify]]`", NOTIFY.to_vec()),
        ("## `[mail]`", MAIL.to_vec()),
        ("## `[[peer]]`", CLUSTER_PEER.to_vec()),
        ("## `[cluster]`", CLUSTER.to_vec()),
        ("## `[node]`", NODE.to_vec()),
        ("## `[api]`", API.to_vec()),
        ("## `[journal]`", JOURNAL.to_vec()),
        ("## `[metrics]`", METRICS.to_vec()),
        ("## `[telemetry]`", TELEMETRY.to_vec()),
        ("## `[log]`", LOG.to_vec()),
        ("## `[realtime]`", REALTIME.to_vec()),
    ]
}

#[test]
fn the_reference_has_a_row_for_every_key_and_no_other() {
    for (heading, mut keys) in documented() {
        let (_, section) =
            REFERENCE.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
        let section = section.split("\n#").next().unwrap();
        let mut rows: Vec<&str> =
            section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        rows.sort_unstable();
        keys.sort_unstable();
        assert_eq!(rows, keys, "{heading}");
    }
    for section in SECTIONS {
        assert!(REFERENCE.contains(&format!("[{section}]")), "{section}");
    }
}

#[test]
fn the_example_of_all_keys_has_every_key() {
    const EXAMPLE: &str = include_str!("../../../../../deploy/examples/all-keys.toml");
    let words: std::collections::BTreeSet<&str> =
        EXAMPLE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    // `vrid` is short for another, the password and unicast exclude what the example shows.
    let left_out = ["vrid", "password", "unicast", "peers", "ttl", "minimum_ttl"];
    for (heading, keys) in documented() {
        let missing: Vec<&str> =
            keys.into_iter().filter(|key| !words.contains(key) && !left_out.contains(key)).collect();
        assert!(missing.is_empty(), "{heading}: {missing:?}");
    }
}

#[test]
fn a_wrong_value_of_any_key_is_found_so_that_every_key_is_read() {
    let announce: Vec<String> = ANNOUNCE.iter().map(|key| format!("announce.{key}")).collect();
    let unicast: Vec<String> = UNICAST.iter().map(|key| format!("unicast.{key}")).collect();
    let sections = [
        ("node", NODE),
        ("api", API),
        ("journal", JOURNAL),
        ("metrics", METRICS),
        ("telemetry", TELEMETRY),
        ("log", LOG),
        ("realtime", REALTIME),
        ("defaults", SHARED),
        ("[instance]", OWN),
        ("[instance]", SHARED),
        ("[group]", GROUP),
        ("[pool]", POOL),
        ("nginx", NGINX),
        ("mail", MAIL),
    ];
    let of_sections =
        sections.iter().flat_map(|(section, keys)| keys.iter().map(move |key| (*section, *key)));
    let nested = announce.iter().chain(&unicast).map(|key| ("[instance]", key.as_str()));
    for (section, key) in of_sections.chain(nested) {
        assert_found(&format!("[{section}]\n{key} = 1979-05-27\n"), key);
    }
    for key in ADDRESS {
        assert_found(&format!("[[instance]]\naddresses = [{{ {key} = 1979-05-27 }}]\n"), key);
    }
    for key in PEER {
        assert_found(&format!("[[instance]]\nunicast.peers = [{{ {key} = 1979-05-27 }}]\n"), key);
    }
    let channels: [(&str, &[&str]); 4] = [
        (
            "command",
            &[
                "name",
                "on",
                "states",
                "types",
                "user",
                "arguments",
                "leave_running",
                "timeout",
                "retry_for",
                "queue",
            ],
        ),
        ("fifo", &["priorities"]),
        ("webhook", &["secret_file", "tls"]),
        ("mail", &[]),
    ];
    for (channel, keys) in channels {
        assert_found(&format!("[[notify]]\n{channel} = 1979-05-27\n"), channel);
        for key in keys {
            assert_found(&format!("[[notify]]\n{key} = 1979-05-27\n{channel} = 'x'\n"), key);
        }
    }
    for key in POOL_NGINX {
        assert_found(&format!("[[pool]]\nnginx.{key} = 1979-05-27\n"), key);
    }
    for key in SERVER {
        assert_found(&format!("[[pool]]\nserver = [{{ {key} = 1979-05-27 }}]\n"), key);
    }
    for key in TRACK {
        assert_found(&format!("[[instance]]\ntrack = [{{ {key} = 1979-05-27 }}]\n"), key);
    }
}

#[test]
fn a_wrong_value_of_any_key_of_a_check_is_found_so_that_every_key_is_read() {
    let kinds = [
        ("icmp", [ATTEMPTS, &["host", "connect_address", "source", "interface", "mark"], ICMP].concat()),
        ("tcp", TARGET.to_vec()),
        ("tcp_keepalive", TCP_KEEPALIVE.to_vec()),
        ("udp", [TARGET, UDP].concat()),
        ("http", [ATTEMPTS, TARGET, HTTP].concat()),
        ("grpc", GRPC.to_vec()),
        ("dns", DNS.to_vec()),
        ("smtp", SMTP.to_vec()),
        ("tls", TLS_CHECK.to_vec()),
        ("script", [ATTEMPTS, SCRIPT].concat()),
        ("process", PROCESS.to_vec()),
        ("file", FILE.to_vec()),
        ("interface", INTERFACE.to_vec()),
        ("route", ROUTE.to_vec()),
        ("expr", EXPR.to_vec()),
    ];
    assert_found("[[check]]\nname = 1979-05-27", "name");
    assert_found("[[check]]\nkind = 1979-05-27", "kind");
    for (kind, keys) in kinds {
        for key in keys {
            assert_found(&format!("[[check]]\n{key} = 1979-05-27\nkind = '{kind}'\n"), key);
        }
    }
    let nested = [
        ("tcp_keepalive", "keepalive", KEEPALIVE),
        ("http", "tls", TLS),
        ("smtp", "starttls", TLS),
        ("tcp", "damping", DAMPING),
        ("tcp", "remedy", REMEDY),
    ];
    for (kind, table, keys) in nested {
        for key in keys {
            assert_found(&format!("[[check]]\n{table}.{key} = 1979-05-27\nkind = '{kind}'\n"), key);
        }
    }
}

fn assert_found(text: &str, key: &str) {
    let mut read_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let mut context = Context { host_name: "a", read_file: &mut read_file, machine: &mut NoMachine };
    let outcome = parse(&Source { path: Path::new("x"), text }, &mut context);
    let last = key.rsplit('.').next().unwrap();
    let expected = format!("{last} is a datetime");
    let found = outcome.findings.iter().any(|finding| finding.line == 2 && finding.message == expected);
    assert!(found, "{text}{:#?}", outcome.findings);
}
