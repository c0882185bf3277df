//! The files of a node, and name servers that answer, refuse and hang.

use super::*;
use crate::testing::{SHORT, udp};

/// Knows names below `known.example`: `a.known.example` has an IPv4 address, `b.known.example` an IPv6 address.
fn answer(query: &[u8]) -> Vec<Vec<u8>> {
    let name = String::from_utf8_lossy(&query[12..query.len() - 4]).into_owned();
    let kind = query[query.len() - 3];
    let mut message = query.to_vec();
    message[2] |= 0x80;
    let data: &[u8] = match (name.as_str(), kind) {
        ("\u{1}a\u{5}known\u{7}example\0", 1) => &[192, 0, 2, 7],
        ("\u{1}b\u{5}known\u{7}example\0", 28) => &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ("\u{1}a\u{5}known\u{7}example\0" | "\u{1}b\u{5}known\u{7}example\0", _) => return vec![message],
        _ => {
            message[3] |= 3;
            return vec![message];
        }
    };
    message[7] = 1;
    message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 30, 0, data.len() as u8]);
    message.extend(data);
    vec![message]
}

async fn resolved(resolver: &Resolver, name: &str, wanted: Wanted) -> Result<Vec<String>, String> {
    let begun = Instant::now();
    let resolved = resolver.resolve(name, wanted, begun + SHORT).await;
    // Generous: a machine that is busy with other things fails nothing.
    assert!(begun.elapsed() < SHORT + Duration::from_secs(5), "{:?}", begun.elapsed());
    resolved.map(|resolved| resolved.addresses.iter().map(IpAddr::to_string).collect())
}

#[test]
fn resolv_conf_is_read_as_the_c_library_reads_it() {
    let text = "# comment\nsearch a.example b.example\nnameserver 192.0.2.1\nnameserver 2001:db8::1 \nnameserver\n\
                nameserver nonsense\nnameserver 192.0.2.3\nnameserver 192.0.2.4\noptions rotate ndots:2\ndomain c.example";
    let resolver = Resolver::new(String::new(), text);
    let servers: Vec<String> = resolver.servers.iter().map(SocketAddr::to_string).collect();
    assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53"]);
    assert_eq!(resolver.candidates("a.b"), ["a.b.c.example", "a.b"]);
    assert_eq!(resolver.candidates("a.b.d"), ["a.b.d", "a.b.d.c.example"]);
    let empty = Resolver::new(String::new(), "");
    assert_eq!(empty.servers, [SocketAddr::from(([127, 0, 0, 1], 53))]);
}

#[tokio::test]
async fn hosts_and_localhost_need_no_server() {
    let hosts =
        "127.0.0.1 localhost\n2001:db8::1 Web web.example # web.other\n192.0.2.1\tweb\nnonsense web\n";
    let resolver = Resolver { hosts: hosts.to_owned(), ..Resolver::default() };
    let cases: [(&str, Wanted, &[&str]); 6] = [
        ("web", Wanted::Either, &["192.0.2.1", "2001:db8::1"]),
        ("web", Wanted::V6, &["2001:db8::1"]),
        ("web.example", Wanted::Either, &["2001:db8::1"]),
        ("localhost", Wanted::V4, &["127.0.0.1"]),
        ("localhost", Wanted::V6, &["::1"]),
        ("a.localhost", Wanted::Either, &["127.0.0.1", "::1"]),
    ];
    for (name, wanted, addresses) in cases {
        let found = resolved(&resolver, name, wanted).await.unwrap_or_else(|text| panic!("{name}: {text}"));
        assert_eq!(found, addresses, "{name}");
    }
    assert!(resolved(&resolver, "web.other", Wanted::V4).await.is_err());
}

#[tokio::test]
async fn a_name_is_resolved_by_the_first_server_that_answers() {
    let (silent, dead, good) = (udp(|_| Vec::new()).await, crate::testing::closed().await, udp(answer).await);
    let resolver = |servers: &[SocketAddr]| Resolver {
        servers: servers.to_vec(),
        domains: vec!["known.example".to_owned()],
        dots: 1,
        hosts: String::new(),
    };
    let fine: Result<Vec<String>, String> = Ok(vec!["192.0.2.7".to_owned()]);
    for servers in [&[good][..], &[dead, good], &[silent, good]] {
        assert_eq!(
            resolved(&resolver(servers), "a.known.example", Wanted::Either).await,
            fine,
            "{servers:?}"
        );
    }
    assert_eq!(resolved(&resolver(&[good]), "a", Wanted::Either).await, fine);
    let second = resolved(&resolver(&[good]), "b.known.example", Wanted::Either).await;
    assert_eq!(second, Ok(vec!["2001:db8::1".to_owned()]));
    for (servers, name, words) in [
        (&[good][..], "c.known.example", "`c.known.example` has no address"),
        (&[silent], "a.known.example", "does not answer"),
        (&[dead], "a.known.example", "connection refused"),
    ] {
        let complaint = resolved(&resolver(servers), name, Wanted::V4).await.unwrap_err();
        assert!(complaint.contains(words), "{complaint}");
    }
}
