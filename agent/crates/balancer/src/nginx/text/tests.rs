//! Servers to lines and back.

use proptest::prelude::*;

use super::*;

fn server(address: &str, weight: u32, backup: bool) -> Server {
    Server { weight, backup, ..Server::new(address.parse().unwrap(), 80) }
}

type Change = fn(&mut PoolOptions);
type Case<'case> = (&'case [Server], Change, &'case [&'case str]);

fn lines(servers: &[Server], change: Change) -> Vec<String> {
    let mut options = PoolOptions::new("web");
    change(&mut options);
    let desired = Desired::new("web", servers.to_vec()).unwrap();
    render(&desired, &options).lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn each_kind_of_server_has_its_line() {
    let (one, six) = (server("192.0.2.1", 100, false), server("2001:db8::1", 1, false));
    let (drained, sorry) = (server("192.0.2.2", 0, false), server("192.0.2.9", 1, true));
    let usual = |_: &mut PoolOptions| {};
    let table: [Case<'_>; 10] = [
        (&[one], usual, &["server 192.0.2.1:80 weight=100 max_fails=0;"]),
        (&[six], usual, &["server [2001:db8::1]:80 weight=1 max_fails=0;"]),
        (&[one], |options| options.passive_checks = true, &["server 192.0.2.1:80 weight=100;"]),
        (&[drained], usual, &["server 192.0.2.2:80 down max_fails=0;"]),
        (
            &[one, sorry],
            usual,
            &[
                "server 192.0.2.1:80 weight=100 max_fails=0;",
                "server 192.0.2.9:80 weight=1 max_fails=0 backup; # sorry",
            ],
        ),
        // nginx: "no servers in upstream" when there are only backups.
        (&[sorry], usual, &["server 192.0.2.9:80 weight=1 max_fails=0; # sorry"]),
        (
            &[drained, sorry],
            usual,
            &[
                "server 192.0.2.2:80 down max_fails=0;",
                "server 192.0.2.9:80 weight=1 max_fails=0 backup; # sorry",
            ],
        ),
        (
            &[one, sorry],
            |options| options.sorry = Sorry::Alone,
            &["server 192.0.2.1:80 weight=100 max_fails=0;"],
        ),
        (
            &[drained, sorry],
            |options| options.sorry = Sorry::Alone,
            &["server 192.0.2.2:80 down max_fails=0;", "server 192.0.2.9:80 weight=1 max_fails=0; # sorry"],
        ),
        (
            &[],
            |options| options.form = Form::Upstream,
            &["upstream web {", "    server unix:/empty-pool down; # no server is left", "}"],
        ),
    ];
    for (servers, change, expected) in table {
        assert_eq!(lines(servers, change), expected);
    }
}

#[test]
fn weights_beyond_the_largest_are_scaled_in_proportion_and_never_to_nothing() {
    let table = [
        ((0, 65_535), 0),
        ((65_535, 65_535), 65_535),
        ((100, 200), 100),
        ((131_070, 131_070), 65_535),
        ((65_535, 131_070), 32_767),
        ((1, u32::MAX), 1),
        ((0, u32::MAX), 0),
        ((u32::MAX, u32::MAX), 65_535),
    ];
    for ((weight, largest), expected) in table {
        assert_eq!(scaled(weight, largest), expected, "{weight} of {largest}");
    }
}

#[test]
fn what_is_not_as_we_write_it_is_not_guessed_at() {
    let strange = [
        "server example.org:80;",
        "server 192.0.2.1:80 weight=1 max_conns=3;",
        "server 192.0.2.1:80 weight=x;",
        "server 192.0.2.1 weight=1;",
        "server 192.0.2.1:80 weight=1",
        "least_conn;",
        "server 192.0.2.1:80  weight=1;",
    ];
    for text in strange {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(parse("# nothing\n\n"), Some(vec![]));
}

fn any_server() -> impl Strategy<Value = Server> {
    let address = prop_oneof![any::<[u8; 4]>().prop_map(Into::into), any::<[u8; 16]>().prop_map(Into::into)];
    let weight = prop_oneof![0_u32..3, 0..=LARGEST_WEIGHT];
    (address, any::<u16>(), weight, any::<bool>()).prop_map(|(address, port, weight, backup)| Server {
        address,
        port,
        weight,
        backup,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_as_it_was(
        servers in prop::collection::vec(any_server(), 0..20), passive_checks: bool, is_upstream: bool, is_alone: bool
    ) {
        let form = if is_upstream { Form::Upstream } else { Form::Servers };
        let sorry = if is_alone { Sorry::Alone } else { Sorry::Standby };
        let options = PoolOptions { passive_checks, form, sorry, ..PoolOptions::new("web") };
        let desired = Desired::new("web", servers).unwrap();
        let read = parse(&render(&desired, &options)).expect("it is ours");
        prop_assert_eq!(read, written(desired.servers(), sorry));
    }

    #[test]
    fn nginx_is_never_told_of_an_upstream_that_it_must_refuse(
        servers in prop::collection::vec(any_server(), 0..6), is_alone: bool
    ) {
        let sorry = if is_alone { Sorry::Alone } else { Sorry::Standby };
        let options = PoolOptions { sorry, ..PoolOptions::new("web") };
        let text = render(&Desired::new("web", servers).unwrap(), &options);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("server ")).collect();
        prop_assert!(lines.iter().any(|line| !line.contains(" backup;")), "{}", text);
        prop_assert!(!is_alone || !text.contains("backup"), "{}", text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(server |[0-9a-f.:\\[\\]]{0,20}|weight=|down|;|#|\\{|\\}| |\n|\\PC){0,30}") {
        let _ = parse(&text);
    }
}
