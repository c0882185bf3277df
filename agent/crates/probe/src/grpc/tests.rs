//! Health services of our own, right and wrong, and servers that are none.

use std::net::SocketAddr;

use ::http::{HeaderMap, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::*;
use crate::attempt::Outcome as Result_;
use crate::spec::Spec;
use crate::testing::pki::{Authority, DAY, Server, Valid, tls};
use crate::testing::{LOOPBACK, PASSED, SHORT, at, attempt, closed, failed, tcp};

/// What a server answers: HTTP status, content type, message, trailers.
type Script = (u16, &'static str, &'static [u8], &'static [(&'static str, &'static str)]);

const OK: &[(&str, &str)] = &[("grpc-status", "0")];

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, (status, kind, message, trailers): Script) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!((request.uri().path(), request.method()), (PATH, &Method::POST));
        let mut head = Response::builder().status(status).header("content-type", kind);
        let mut map = HeaderMap::new();
        for (name, value) in trailers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        if message.is_empty() {
            // Trailers-Only (gRPC over HTTP/2, Responses).
            head.headers_mut().unwrap().extend(map);
            respond.send_response(head.body(()).unwrap(), true).unwrap();
        } else {
            let mut send = respond.send_response(head.body(()).unwrap(), false).unwrap();
            send.send_data(Bytes::from_static(message), false).unwrap();
            send.send_trailers(map).unwrap();
        }
    }
}

fn spec(address: SocketAddr, service: &str) -> Grpc {
    Grpc { target: at(address), tls: None, service: service.to_owned(), host: None }
}

#[tokio::test]
async fn the_service_says_how_it_is() {
    const GRPC: &str = "application/grpc+proto";
    let status = failed(Reason::WrongStatus);
    let protocol = failed(Reason::Protocol);
    let cases: [(&str, Script, Result_, &str); 11] = [
        ("", (200, GRPC, &[0, 0, 0, 0, 2, 8, 1], OK), PASSED, "the server is SERVING"),
        ("web", (200, GRPC, &[0, 0, 0, 0, 2, 8, 1], OK), PASSED, "web is SERVING"),
        ("web", (200, GRPC, &[0, 0, 0, 0, 2, 8, 2], OK), status, "web is NOT_SERVING"),
        ("web", (200, GRPC, &[0, 0, 0, 0, 0], OK), status, "web is UNKNOWN"),
        (
            "web",
            (200, GRPC, &[], &[("grpc-status", "5")]),
            status,
            "grpc-status NOT_FOUND: the server does not know web",
        ),
        (
            "",
            (200, GRPC, &[], &[("grpc-status", "12")]),
            status,
            "UNIMPLEMENTED: the server has no grpc.health.v1.Health",
        ),
        (
            "",
            (200, GRPC, &[], &[("grpc-status", "14"), ("grpc-message", "later")]),
            status,
            "UNAVAILABLE: later",
        ),
        ("", (404, "text/html", b"<html>", &[]), status, "HTTP status 404; wanted 200"),
        ("", (200, "text/html", b"<html>", OK), protocol, "the answer is not gRPC"),
        ("", (200, GRPC, &[0, 0, 0, 0, 9, 8, 1], OK), protocol, "not a HealthCheckResponse"),
        ("", (200, GRPC, &[0, 0, 0, 0, 2, 8, 1], &[]), protocol, "no grpc-status"),
    ];
    for (service, script, outcome, words) in cases {
        let address = tcp(move |stream| serve(stream, script)).await;
        let attempt = attempt(Spec::Grpc(spec(address, service)), SHORT).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
        assert!(attempt.evidence.ends_with(words), "{attempt:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_the_end() {
    static LONG: [u8; 65_000] = [0; 65_000];
    let address = tcp(|stream| serve(stream, (200, "application/grpc", &LONG, OK))).await;
    let attempt = attempt(Spec::Grpc(spec(address, "")), SHORT).await;
    assert_eq!(attempt.outcome, failed(Reason::Protocol), "{attempt:?}");
}

#[tokio::test]
async fn health_is_asked_over_tls_too() {
    let authority = Authority::new();
    let identity = authority.issue("web.example.org", Valid::For(DAY * 9));
    let config = identity.server(Server { protocols: &["h2"], ..Server::default() });
    let script: Script = (200, "application/grpc", &[0, 0, 0, 0, 2, 8, 1], OK);
    let address = tls(config, move |stream| serve(stream, script)).await;
    for (host, outcome) in [("web.example.org:443", PASSED), ("other", failed(Reason::TlsName))] {
        let spec = Grpc { tls: Some(authority.trusted()), host: Some(host.to_owned()), ..spec(address, "") };
        let attempt = attempt(Spec::Grpc(spec), SHORT).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
    }
}

#[tokio::test]
async fn a_dead_and_a_silent_server_are_told_apart() {
    let silent = tcp(|stream| async move {
        tokio::time::sleep(SHORT * 2).await;
        drop(stream);
    });
    for (address, reason) in [(closed().await, Reason::Refused), (silent.await, Reason::Timeout)] {
        let attempt = attempt(Spec::Grpc(spec(address, "")), SHORT).await;
        assert_eq!(attempt.outcome, failed(reason), "{attempt:?}");
    }
}

#[test]
fn a_wrong_parameter_is_named() {
    let good = spec((LOOPBACK, 50051).into(), "");
    let long = Grpc { service: "a".repeat(1025), ..good.clone() };
    let host = Grpc { host: Some("a b".to_owned()), ..good };
    for (spec, parameter) in [(long, "service"), (host, "host")] {
        assert_eq!(Compiled::new(spec).expect_err(parameter).parameter, parameter);
    }
}
