//! The gate on its own: roles, deadlines, panics.

use std::convert::Infallible;

use http::HeaderValue;

use super::super::roles::{METHODS, Principals};
use super::*;

/// How a method is answered to a user, by services that answer everything with OK.
async fn answer_to(user: Option<u32>, method: &str) -> Code {
    let only = |user| Principals { users: [user].into(), ..Principals::default() };
    let roles = Roles { readers: only(1), operators: only(2), admins: only(3) };
    let layer = GateLayer::new(watch::channel(Arc::new(roles)).1, Arc::default(), None, auditor(), room());
    let mut gated = layer
        .layer(tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty()))));
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = method.parse().unwrap();
    if let Some(user) = user {
        request.extensions_mut().insert(Peer::Unix { user, group: 99 });
    }
    let response = gated.call(request).await.unwrap();
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

fn room() -> Unsent {
    Unsent::new(1 << 20, Arc::default())
}

#[tokio::test]
async fn every_method_is_answered_to_exactly_the_roles_that_the_table_names() {
    let users = [
        (0, Some(Role::Admin)),
        (1, Some(Role::Reader)),
        (2, Some(Role::Operator)),
        (3, Some(Role::Admin)),
        (4, None),
    ];
    let unmapped = ("/ha.agent.v1.NodeService/Unmapped", Role::Admin);
    for (method, needed) in METHODS.iter().copied().chain([unmapped]) {
        for (user, role) in users {
            let expected = if role >= Some(needed) { Code::Ok } else { Code::PermissionDenied };
            assert_eq!(answer_to(Some(user), method).await, expected, "{method} as {role:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_in_time_is_answered_for() {
    let layer = GateLayer::new(watch::channel(Arc::default()).1, Arc::default(), None, auditor(), room());
    let mut gated = layer.layer(tower::service_fn(async |_: Request<Body>| {
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    }));
    let mut request = Request::new(Body::empty());
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("5S"));
    request.extensions_mut().insert(Peer::Unix { user: 0, group: 0 });
    let began = Instant::now();
    let response = gated.call(request).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed(), Duration::from_millis(4900));
}

#[tokio::test]
async fn a_caller_whom_the_kernel_did_not_name_is_never_let_in() {
    for (method, _) in METHODS {
        assert_eq!(answer_to(None, method).await, Code::Internal, "{method}");
    }
}

#[test]
fn a_timeout_is_read_in_every_unit_and_nonsense_is_ignored() {
    let table = [
        ("1S", Some(Duration::from_millis(950))),
        ("20m", Some(Duration::from_millis(17))),
        ("2H", Some(Duration::from_millis(7_199_900))),
        ("5000u", Some(Duration::from_millis(2))),
        ("60000000n", Some(Duration::from_millis(57))),
        ("1m", Some(Duration::ZERO)),
        ("", None),
        ("S", None),
        ("1", None),
        ("-1S", None),
        ("123456789S", None),
        ("1é", None),
    ];
    for (text, expected) in table {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_bytes(text.as_bytes()).unwrap());
        assert_eq!(timeout(&headers), expected, "{text}");
    }
}

#[test]
fn a_trace_id_is_taken_only_when_it_is_one() {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let zeros = "0".repeat(32);
    let table = [
        (format!("00-{id}-00f067aa0ba902b7-01"), Some(id)),
        (format!("00-{zeros}-00f067aa0ba902b7-01"), None),
        ("00-short-00f067aa0ba902b7-01".to_owned(), None),
        ("nonsense".to_owned(), None),
    ];
    for (text, expected) in table {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_str(&text).unwrap());
        assert_eq!(trace_id(&headers), expected, "{text}");
    }
}

fn auditor() -> Arc<Auditor> {
    Auditor::new(crate::journal::Journal::new("a", 16))
}
