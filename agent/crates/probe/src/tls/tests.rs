//! TLS servers of our own: good, expired, for another name, untrusted, and those that are no TLS servers at all.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::spec::Spec;
use crate::testing::pki::{Authority, DAY, Identity, Server, TestFile, Valid, tls};
use crate::testing::{LOOPBACK, PASSED, SHORT, at, attempt, closed, failed, tcp};

fn spec(address: SocketAddr, options: TlsOptions) -> Spec {
    let server_name = options.server_name.or(Some("web.example.org".to_owned()));
    Spec::Tls(Tls { target: at(address), tls: TlsOptions { server_name, ..options } })
}

async fn server(identity: &Identity) -> SocketAddr {
    tls(identity.server(Server::default()), |mut stream| async move {
        let _ = stream.read_u8().await;
    })
    .await
}

fn month() -> Valid {
    Valid::For(DAY * 30 + DAY / 2)
}

#[tokio::test]
async fn the_certificate_decides() {
    let authority = Authority::new();
    let good = authority.issue("web.example.org", month());
    let expired = authority.issue("web.example.org", Valid::Until(DAY));
    let future = authority.issue("web.example.org", Valid::From(DAY));
    let other = authority.issue("other.example.org", month());
    let stranger = Authority::called("stranger").issue("web.example.org", month());
    let namesake = Authority::new().issue("web.example.org", month());
    let own = Identity::self_signed("web.example.org", month());
    let cases = [
        (&good, PASSED, "TLS 1.3 TLS13_AES_256_GCM_SHA384, certificate until 20"),
        (&good, PASSED, "(30 days left)"),
        (&expired, failed(Reason::TlsExpired), "the certificate expired on 20"),
        (&future, failed(Reason::TlsOther), "is this node's clock right?"),
        (&other, failed(Reason::TlsName), "is for other.example.org, not for web.example.org"),
        (&stranger, failed(Reason::TlsUntrusted), "no authority that is trusted here"),
        (&namesake, failed(Reason::TlsUntrusted), "is not signed by the authority that is trusted here"),
        (&own, failed(Reason::TlsUntrusted), "is self-signed"),
    ];
    for (identity, outcome, words) in cases {
        let attempt = attempt(spec(server(identity).await, authority.trusted()), SHORT).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
    for identity in [&expired, &other, &stranger, &own] {
        let nobody_cares = TlsOptions { verify: false, ..TlsOptions::default() };
        let attempt = attempt(spec(server(identity).await, nobody_cares), SHORT).await;
        assert_eq!(attempt.outcome, PASSED, "{attempt:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_our_own_is_not_trusted_by_the_authorities_of_this_system() {
    let identity = Authority::new().issue("web.example.org", month());
    let spec = spec(server(&identity).await, TlsOptions::default());
    let Ok(_) = crate::Probe::new(spec.clone()) else { return };
    assert_eq!(attempt(spec, SHORT).await.outcome, failed(Reason::TlsUntrusted));
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_by_naming_it_and_its_dates_and_names_still_count() {
    let name = "web.example.org";
    let cases = [
        (Identity::self_signed(name, month()), PASSED),
        (Identity::self_signed(name, Valid::Until(DAY)), failed(Reason::TlsExpired)),
        (Identity::self_signed(name, Valid::From(DAY)), failed(Reason::TlsOther)),
        (Identity::self_signed("other.example.org", month()), failed(Reason::TlsName)),
    ];
    for (identity, outcome) in &cases {
        let options =
            TlsOptions { ca_file: Some(identity.certificate_file.0.clone()), ..TlsOptions::default() };
        let attempt = attempt(spec(server(identity).await, options), SHORT).await;
        assert_eq!(attempt.outcome, *outcome, "{attempt:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon_fails_before_it_ends() {
    let authority = Authority::new();
    let address = server(&authority.issue("web.example.org", month())).await;
    let cases = [
        (14, PASSED, "30 days left"),
        (31, failed(Reason::TlsExpiresSoon), "in 30 days; wanted at least 31 days"),
    ];
    for (days, outcome, words) in cases {
        let options = TlsOptions { expires_within: DAY * days, ..authority.trusted() };
        let attempt = attempt(spec(address, options), SHORT).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

#[tokio::test]
async fn an_address_is_verified_like_a_name() {
    let authority = Authority::new();
    for (name, outcome) in [("127.0.0.1", PASSED), ("127.0.0.2", failed(Reason::TlsName))] {
        let address = server(&authority.issue(name, month())).await;
        let spec = Spec::Tls(Tls { target: at(address), tls: authority.trusted() });
        assert_eq!(attempt(spec, SHORT).await.outcome, outcome);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_wants_one() {
    let authority = Authority::new();
    let identity = authority.issue("web.example.org", month());
    let client = authority.issue("agent.example.org", month());
    // In TLS 1.3 the server's refusal comes after the handshake.
    let options =
        Server { versions: &[&rustls::version::TLS12], clients: Some(&authority), ..Server::default() };
    let address = tls(identity.server(options), |_| async {}).await;
    let bare = attempt(spec(address, authority.trusted()), SHORT).await;
    assert_eq!(bare.outcome, failed(Reason::TlsOther), "{bare:?}");
    let shown = TlsOptions {
        certificate_file: Some(client.certificate_file.0.clone()),
        key_file: Some(client.key_file.0.clone()),
        ..authority.trusted()
    };
    let attempt = attempt(spec(address, shown), SHORT).await;
    assert_eq!(attempt.outcome, PASSED, "{attempt:?}");
    assert!(attempt.evidence.starts_with("TLS 1.2 "), "{attempt:?}");
}

#[tokio::test]
async fn who_does_not_speak_tls_is_told_apart() {
    let authority = Authority::new();
    let says = |text: &'static [u8]| {
        move |mut stream: TcpStream| async move {
            let _ = stream.write_all(text).await;
            let _ = stream.read(&mut [0; 1024]).await;
            tokio::time::sleep(SHORT * 2).await;
        }
    };
    let plain = tcp(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let silent = tcp(says(b"")).await;
    let half = tcp(says(b"\x16\x03\x03\x40\x00\x02")).await;
    let closes = tcp(|mut stream: TcpStream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    let resets = tcp(|stream: TcpStream| async move { stream.set_zero_linger().unwrap() }).await;
    let cases = [
        (plain, Reason::Protocol, "what came is not TLS"),
        (silent, Reason::Timeout, "in step tls"),
        (half, Reason::Timeout, "in step tls"),
        (closes, Reason::ClosedByPeer, "closed the connection in the TLS handshake"),
        (resets, Reason::Reset, "connection reset by peer"),
        (closed().await, Reason::Refused, "connection refused"),
    ];
    for (address, reason, words) in cases {
        let attempt = attempt(spec(address, authority.trusted()), SHORT).await;
        assert_eq!(attempt.outcome, failed(reason), "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

#[tokio::test]
async fn a_trace_shows_where_the_time_went() {
    let authority = Authority::new();
    let address = server(&authority.issue("web.example.org", month())).await;
    let attempt = attempt(spec(address, authority.trusted()), SHORT).await;
    let names: Vec<&str> = attempt.steps.iter().map(|step| step.name).collect();
    assert_eq!(names, ["connect", "tls"]);
    assert_eq!(attempt.steps[0].detail, address.to_string());
    assert!(attempt.steps[1].detail.starts_with("TLS 1.3"), "{attempt:?}");
}

#[test]
fn the_dates_of_a_certificate_are_those_that_were_asked_for() {
    let certificate = Authority::new().certificate;
    let validity = validity(&certificate).expect("rcgen makes certificates");
    assert_eq!(
        (date(validity.not_before), date(validity.not_after)),
        ("1975-01-01".into(), "4096-01-01".into())
    );
    for length in 0..certificate.len() {
        // A cut certificate may still show its dates, but must not panic.
        let _ = super::validity(&certificate[..length]);
    }
}

#[test]
fn a_wrong_parameter_is_named() {
    let authority = Authority::new();
    let one = authority.issue("one", month());
    let other = authority.issue("other", month());
    let empty = TestFile::new("nothing\n");
    let file = |file: &TestFile| Some(file.0.clone());
    let trusted = || authority.trusted();
    let cases = [
        (
            TlsOptions { ca_file: Some("/no/such/file".into()), ..trusted() },
            "ca_file: cannot read /no/such/file: No such",
        ),
        (TlsOptions { ca_file: file(&empty), ..trusted() }, "has no PEM block `CERTIFICATE`"),
        (TlsOptions { key_file: file(&one.key_file), ..trusted() }, "certificate_file: is missing"),
        (TlsOptions { certificate_file: file(&one.certificate_file), ..trusted() }, "key_file: is missing"),
        (
            TlsOptions { certificate_file: file(&one.certificate_file), key_file: file(&empty), ..trusted() },
            "key_file: ",
        ),
        (
            TlsOptions {
                certificate_file: file(&one.certificate_file),
                key_file: file(&other.key_file),
                ..trusted()
            },
            "does not go with",
        ),
        (TlsOptions { server_name: Some("a b".to_owned()), ..trusted() }, "server_name: "),
    ];
    for (options, words) in cases {
        let spec = Tls { target: at((LOOPBACK, 443).into()), tls: options };
        let message = Compiled::new(&spec).expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
        assert!(!message.contains("BEGIN"), "{message}");
    }
}
