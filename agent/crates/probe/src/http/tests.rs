//! Web servers of our own: right, wrong, slow, silent, hostile; over HTTP/1.1 and HTTP/2, in clear and over TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::Response;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::request::default_authority;
use super::*;
use crate::probe::Probe;
use crate::spec::Spec;
use crate::testing::pki::{Authority, DAY, Server, Valid, tls};
use crate::testing::{LOOPBACK, PASSED, SHORT, at, attempt, closed, failed, page, tcp};

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => request.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// Answers each request with `answer`, and then waits for the client to go.
async fn serving(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer: Arc<[u8]> = Arc::from(answer.into());
    tcp(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.read(&mut [0]).await;
        }
    })
    .await
}

#[tokio::test]
async fn the_status_decides() {
    let cases = [
        ("200 OK", PASSED, "GET /health answered 200"),
        ("204 No Content", PASSED, "GET /health answered 204"),
        (
            "301 Moved\r\nLocation: /health",
            failed(Reason::WrongStatus),
            "GET /health answered 301; wanted 200-299",
        ),
        ("503 Unavailable", failed(Reason::WrongStatus), "GET /health answered 503; wanted 200-299"),
    ];
    for (status, outcome, evidence) in cases {
        let address = serving(format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nabc")).await;
        let attempt = attempt(Spec::Http(page(address)), SHORT).await;
        assert_eq!((attempt.outcome, attempt.evidence.as_str()), (outcome, evidence));
    }
    let address = serving("HTTP/1.1 301 Moved\r\n\r\n").await;
    let spec = Http { status: "200,301".parse().unwrap(), ..page(address) };
    assert_eq!(attempt(Spec::Http(spec), SHORT).await.outcome, PASSED);
}

#[tokio::test]
async fn the_body_decides() {
    let sha256: [u8; 32] = Sha256::digest(b"all is well").into();
    let md5 =
        [0x5c, 0x6e, 0x0b, 0xd1, 0x8a, 0x7a, 0x0e, 0x4e, 0x3e, 0x1a, 0x54, 0x6a, 0x29, 0x5b, 0x4e, 0x8f];
    let rules = BodyRules::default;
    let wrong = failed(Reason::WrongAnswer);
    let cases = [
        (BodyRules { matches: text("^all.*well$"), ..rules() }, PASSED, "answered 200"),
        (
            BodyRules { matches: text("ill"), ..rules() },
            wrong,
            "`body_matches` is not found in the body: 11 octets, all is well",
        ),
        (BodyRules { lacks: text("ill"), ..rules() }, PASSED, "answered 200"),
        (BodyRules { lacks: text("well"), ..rules() }, wrong, "`body_lacks` is found in the body"),
        (BodyRules { sha256: Some(sha256), ..rules() }, PASSED, "answered 200"),
        (BodyRules { sha256: Some([0; 32]), ..rules() }, wrong, "the body has another SHA-256"),
        (BodyRules { md5: Some(md5), ..rules() }, wrong, "the body has another MD5"),
    ];
    let plain = serving("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well").await;
    let chunked = serving(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n7\r\nis well\r\n0\r\n\r\n",
    )
    .await;
    for (body, outcome, words) in cases {
        for address in [plain, chunked] {
            let attempt = attempt(Spec::Http(Http { body: body.clone(), ..page(address) }), SHORT).await;
            assert_eq!(attempt.outcome, outcome, "{attempt:?}");
            assert!(attempt.evidence.contains(words), "{attempt:?}");
        }
    }
    let known: [u8; 16] = md5::Md5::digest(b"all is well").into();
    let spec = Http { body: BodyRules { md5: Some(known), ..rules() }, ..page(plain) };
    assert_eq!(attempt(Spec::Http(spec), SHORT).await.outcome, PASSED);
}

#[tokio::test]
async fn the_request_is_as_configured() {
    let seen: Arc<Mutex<String>> = Arc::default();
    let address = {
        let seen = Arc::clone(&seen);
        tcp(move |mut stream| {
            let seen = Arc::clone(&seen);
            async move {
                *seen.lock().unwrap() = read_request(&mut stream).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            }
        })
        .await
    };
    let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
    let configured = Http {
        method: "HEAD".to_owned(),
        host: text("web.example.org:8080"),
        headers: vec![header("Authorization", "canary"), header("User-Agent", "mine")],
        ..page(address)
    };
    let debug = format!("{configured:?}");
    assert!(!debug.contains("Authorization: canary") && debug.contains("Authorization: ***"), "{debug}");
    let attempt = attempt(Spec::Http(configured), SHORT).await;
    assert_eq!(attempt.outcome, PASSED, "{attempt:?}");
    assert!(!format!("{attempt:?}").contains("canary"), "{attempt:?}");
    let expected = "HEAD /health?token=canary HTTP/1.1\r\nhost: web.example.org:8080\r\nconnection: close\r\n\
                    authorization: canary\r\nuser-agent: mine\r\naccept: */*\r\n\r\n";
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn servers_that_fail_below_http_are_told_apart() {
    let silent = tcp(|mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        sleep(SHORT * 2).await;
    })
    .await;
    let closes = tcp(|mut stream: TcpStream| async move { drop(read_request(&mut stream).await) }).await;
    let resets = tcp(|mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let half = serving("HTTP/1.1 200 OK\r\nContent-Le").await;
    let short = tcp(|mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
    })
    .await;
    let cases = [
        (closed().await, Reason::Refused, "connection refused"),
        (silent, Reason::Timeout, "in step first_byte"),
        (closes, Reason::ClosedByPeer, "closed the connection before its answer was complete"),
        (resets, Reason::Reset, "cannot read the answer: connection reset by peer"),
        (half, Reason::Timeout, "in step head"),
        (short, Reason::ClosedByPeer, "closed the connection before its answer was complete"),
        (serving("SSH-2.0-OpenSSH\r\n").await, Reason::Protocol, "what came is not HTTP/1"),
        (serving("HTTP/1.1 200 OK\r\nbroken\r\n\r\n").await, Reason::Protocol, "breaks the rules of HTTP"),
    ];
    for (address, reason, words) in cases {
        let spec = Http { body: BodyRules { matches: text("abc"), ..BodyRules::default() }, ..page(address) };
        let attempt = attempt(Spec::Http(spec), SHORT).await;
        assert_eq!(attempt.outcome, failed(reason), "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

/// Sends `begin` and then `more` for ever, with a pause in between.
async fn endless(begin: &'static str, more: &'static [u8], pause: Duration) -> SocketAddr {
    tcp(move |mut stream| async move {
        read_request(&mut stream).await;
        let mut sent = stream.write_all(begin.as_bytes()).await;
        while sent.is_ok() {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            sent = stream.write_all(more).await;
        }
    })
    .await
}

#[tokio::test]
async fn hostile_servers_get_no_more_than_the_time_and_a_bounded_number_of_octets() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static ZEROS: [u8; 65_536] = [0; 65_536];
    let no_pause = Duration::ZERO;
    let slow = Duration::from_millis(20);
    let cases = [
        (
            endless("HTTP/1.1 200 OK\r\n", b"x-header: x\r\n", no_pause).await,
            Reason::TooLarge,
            "longer than 64 KiB",
        ),
        (
            endless("", b"HTTP/1.1 100 Continue\r\n\r\n", no_pause).await,
            Reason::TooLarge,
            "interim responses",
        ),
        (endless(HEAD, &ZEROS, no_pause).await, Reason::TooLarge, "its body is longer than 65536 octets"),
        (
            endless(CHUNKED, b"1\r\nx\r\n", no_pause).await,
            Reason::TooLarge,
            "its body is longer than 65536 octets",
        ),
        (endless(CHUNKED, b"0\r\nx: y\r\nz", no_pause).await, Reason::TooLarge, "more than any answer needs"),
        (endless("HTTP/1.1 200 OK\r\nx: ", b"x", slow).await, Reason::Timeout, "in step head"),
        (endless(HEAD, b"x", slow).await, Reason::Timeout, "in step body"),
    ];
    for (address, reason, words) in cases {
        let spec =
            Http { body: BodyRules { lacks: text("canary"), ..BodyRules::default() }, ..page(address) };
        let attempt = attempt(Spec::Http(spec), Duration::from_secs(2)).await;
        assert_eq!(attempt.outcome, failed(reason), "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

#[tokio::test]
async fn what_is_compressed_stays_compressed() {
    // 1 GiB of zeros would unfold from a few such octets; here they are only octets.
    let address = serving(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00".to_vec(),
    )
    .await;
    let spec = Http {
        body: BodyRules { matches: text(r"(?-u)^\x1f\x8b\x08\x00$"), ..BodyRules::default() },
        ..page(address)
    };
    assert_eq!(attempt(Spec::Http(spec), SHORT).await.outcome, PASSED);
}

#[tokio::test]
async fn the_beginning_of_a_long_body_may_match() {
    let address = endless("HTTP/1.1 200 OK\r\n\r\nall is well ", &[b'x'; 4096], Duration::ZERO).await;
    let spec = Http {
        body: BodyRules { matches: text("well"), ..BodyRules::default() },
        body_limit: 8192,
        ..page(address)
    };
    assert_eq!(attempt(Spec::Http(spec), SHORT).await.outcome, PASSED);
}

#[tokio::test]
async fn dropping_an_attempt_closes_its_connection() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let address = tcp(move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move {
            read_request(&mut stream).await;
            sender.send("asked").unwrap();
            let end = stream.read(&mut [0]).await;
            sender
                .send(if end.is_err() || end.is_ok_and(|length| length == 0) { "gone" } else { "more" })
                .unwrap();
        }
    })
    .await;
    let probe = Probe::new(Spec::Http(page(address))).unwrap();
    let far = tokio::time::Instant::now() + DAY;
    assert!(timeout(SHORT, probe.attempt(far, false)).await.is_err(), "nobody answers");
    assert_eq!(receiver.recv().await, Some("asked"));
    assert_eq!(timeout(SHORT, receiver.recv()).await.expect("at once"), Some("gone"));
}

/// Serves HTTP/2: the body in pieces, after a status.
async fn serve_two(stream: impl AsyncRead + AsyncWrite + Unpin, status: u16, pieces: &[&'static [u8]]) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/health");
        let head = Response::builder().status(status).body(()).unwrap();
        let mut send = respond.send_response(head, pieces.is_empty()).unwrap();
        for (index, piece) in pieces.iter().enumerate() {
            let _ = send.send_data(Bytes::from_static(piece), index + 1 == pieces.len());
        }
    }
}

#[tokio::test]
async fn http_2_is_spoken_in_clear_by_prior_knowledge() {
    const WELL: &[&[u8]] = &[b"all is", b" well"];
    const ILL: &[&[u8]] = &[b"all is ill"];
    let cases = [
        (200, WELL, PASSED, "GET /health answered 200"),
        (503, &[], failed(Reason::WrongStatus), "GET /health answered 503; wanted 200-299"),
        (200, ILL, failed(Reason::WrongAnswer), "`body_matches` is not found"),
    ];
    for (status, pieces, outcome, words) in cases {
        let address = tcp(move |stream| serve_two(stream, status, pieces)).await;
        let body = BodyRules { matches: text("well"), ..BodyRules::default() };
        let spec = Http { version: HttpVersion::Two, body, ..page(address) };
        let attempt = attempt(Spec::Http(spec), SHORT).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

#[tokio::test]
async fn an_endless_http_2_body_is_cut() {
    let address = tcp(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        send.send_data(Bytes::from(vec![0; 1 << 22]), false).unwrap();
        let _ = connection.accept().await;
    })
    .await;
    let body = BodyRules { lacks: text("x"), ..BodyRules::default() };
    let spec = Http { version: HttpVersion::Two, body, ..page(address) };
    assert_eq!(attempt(Spec::Http(spec), SHORT).await.outcome, failed(Reason::TooLarge));
}

#[tokio::test]
async fn http_2_to_who_does_not_speak_it_fails_in_time() {
    let refuses = tcp(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        respond.send_reset(h2::Reason::REFUSED_STREAM);
        let _ = connection.accept().await;
    })
    .await;
    let one = serving("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let closes = tcp(|_| async {}).await;
    for (address, reasons) in [
        // It hangs up on what it does not understand; which of the two is seen first is chance.
        (one, &[Reason::Protocol, Reason::Reset][..]),
        (closes, &[Reason::ClosedByPeer, Reason::Reset]),
        (refuses, &[Reason::ClosedByPeer]),
    ] {
        let spec = Http { version: HttpVersion::Two, ..page(address) };
        let attempt = attempt(Spec::Http(spec), SHORT).await;
        assert!(reasons.iter().any(|reason| attempt.outcome == failed(*reason)), "{attempt:?}");
    }
}

#[tokio::test]
async fn https_verifies_the_server_and_agrees_on_the_version() {
    let authority = Authority::new();
    let identity = authority.issue("web.example.org", Valid::For(DAY * 9));
    let server = |protocols| identity.server(Server { protocols, ..Server::default() });
    let one = tls(server(&["http/1.1"]), |mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall is well").await;
        let _ = stream.shutdown().await;
    })
    .await;
    let two = tls(server(&["h2"]), |stream| serve_two(stream, 200, &[b"all is well"])).await;
    let neither = tls(server(&[]), |mut stream| async move { drop(read_request(&mut stream).await) }).await;
    let (first, second) = (HttpVersion::One, HttpVersion::Two);
    let cases = [
        (one, first, "web.example.org", PASSED),
        (two, second, "web.example.org:8443", PASSED),
        (one, second, "web.example.org", failed(Reason::TlsOther)),
        (neither, second, "web.example.org", failed(Reason::Protocol)),
        (one, first, "other.example.org", failed(Reason::TlsName)),
    ];
    for (address, version, host, outcome) in cases {
        let body = BodyRules { matches: text("well"), ..BodyRules::default() };
        let spec = Http { tls: Some(authority.trusted()), version, host: text(host), body, ..page(address) };
        let attempt = attempt(Spec::Http(spec), SHORT).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
    }
}

#[tokio::test]
async fn a_missing_client_certificate_is_told_in_tls_1_3_too() {
    let authority = Authority::new();
    let identity = authority.issue("127.0.0.1", Valid::For(DAY * 9));
    let options =
        Server { versions: &[&rustls::version::TLS13], clients: Some(&authority), ..Server::default() };
    let address = tls(identity.server(options), |_| async {}).await;
    let spec = Http { tls: Some(authority.trusted()), ..page(address) };
    let attempt = attempt(Spec::Http(spec), SHORT).await;
    assert_eq!(attempt.outcome, failed(Reason::TlsOther), "{attempt:?}");
    assert!(attempt.evidence.contains("it wants a client certificate"), "{attempt:?}");
}

#[tokio::test]
async fn a_trace_shows_where_the_time_went() {
    let address = tcp(|mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        for piece in ["HTTP/1.1 200", " OK\r\n\r\nall is ", "well"] {
            sleep(Duration::from_millis(20)).await;
            stream.write_all(piece.as_bytes()).await.unwrap();
        }
    })
    .await;
    let spec = Http { body: BodyRules { matches: text("well"), ..BodyRules::default() }, ..page(address) };
    let attempt = attempt(Spec::Http(spec), SHORT).await;
    let steps: Vec<&str> = attempt.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["connect", "request", "first_byte", "head", "body"]);
    assert!(attempt.steps[2].took >= Duration::from_millis(15), "{attempt:?}");
    let sum: Duration = attempt.steps.iter().map(|step| step.took).sum();
    assert!(sum <= attempt.latency + Duration::from_millis(5), "{attempt:?}");
}

#[test]
fn a_wrong_parameter_is_named() {
    let good = page((LOOPBACK, 80).into());
    let header = |name: &str, value: &str| vec![Header { name: name.to_owned(), value: value.to_owned() }];
    let cases = [
        (Http { method: "GET /".to_owned(), ..good.clone() }, "method"),
        (Http { method: "CONNECT".to_owned(), ..good.clone() }, "method"),
        (Http { path: "health".to_owned(), ..good.clone() }, "path"),
        (Http { path: "/a b".to_owned(), ..good.clone() }, "path"),
        (Http { path: "/a\r\nx: y".to_owned(), ..good.clone() }, "path"),
        (Http { path: "/a#b".to_owned(), ..good.clone() }, "path"),
        (Http { host: text("a b"), ..good.clone() }, "host"),
        (Http { host: text("user@web"), ..good.clone() }, "host"),
        (Http { headers: header("Host", "web"), ..good.clone() }, "headers"),
        (Http { headers: header("a b", "c"), ..good.clone() }, "headers"),
        (Http { headers: header("a", "canary\r\nb: c"), ..good.clone() }, "headers"),
        (
            Http { body: BodyRules { matches: text("("), ..BodyRules::default() }, ..good.clone() },
            "body_matches",
        ),
        (Http { body: BodyRules { lacks: text("("), ..BodyRules::default() }, ..good.clone() }, "body_lacks"),
        (Http { body_limit: 0, ..good.clone() }, "body_limit"),
        (Http { body_limit: (1 << 20) + 1, ..good.clone() }, "body_limit"),
    ];
    for (spec, parameter) in cases {
        let invalid = Compiled::new(&spec).expect_err(parameter);
        assert_eq!(invalid.parameter, parameter);
        assert!(!invalid.message.contains("canary"), "{invalid}");
    }
    assert!(Compiled::new(&good).is_ok());
}

#[test]
fn the_usual_port_is_not_named_in_the_host() {
    let six: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    for (address, is_tls, authority) in [
        (SocketAddr::from((LOOPBACK, 80)), false, "127.0.0.1"),
        ((LOOPBACK, 80).into(), true, "127.0.0.1:80"),
        ((LOOPBACK, 443).into(), true, "127.0.0.1"),
        (six, false, "[2001:db8::1]"),
        (six, true, "[2001:db8::1]:80"),
    ] {
        assert_eq!(default_authority(&at(address), is_tls), authority);
    }
}
