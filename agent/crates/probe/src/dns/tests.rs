//! Name servers of our own: right, wrong, silent, forged, broken, long.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::message::Unusable;
use super::*;
use crate::spec::Spec;
use crate::testing::{LOOPBACK, PASSED, SHORT, at, attempt, closed, failed, udp};

const A: u16 = 1;
const MX: u16 = 15;
const TXT: u16 = 16;

/// An answer to `query`: flags, RCODE and records of the asked name.
fn answer(query: &[u8], flags: u8, code: u8, records: &[(u16, &[u8])]) -> Vec<u8> {
    let count = u16::try_from(records.len()).unwrap().to_be_bytes();
    let mut message = query.to_vec();
    message[2] |= 0x80 | flags;
    message[3] = 0x80 | code;
    message[6..8].copy_from_slice(&count);
    for (kind, data) in records {
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(*data);
    }
    message
}

fn spec(server: SocketAddr, answers: Answers) -> Dns {
    Dns {
        target: at(server),
        name: "web.example.org".to_owned(),
        record_type: RecordType::A,
        code: ResponseCode::NO_ERROR,
        answers,
        only_tcp: false,
    }
}

fn these(texts: &[&str]) -> Answers {
    Answers::These(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[tokio::test]
async fn the_answer_decides() {
    let one: &[(u16, &[u8])] = &[(A, &[192, 0, 2, 7]), (A, &[192, 0, 2, 8])];
    let cases = [
        (0, one, Answers::Any, PASSED, "NOERROR, 192.0.2.7, 192.0.2.8"),
        (0, one, these(&["192.0.2.8"]), PASSED, "NOERROR, 192.0.2.7, 192.0.2.8"),
        (
            0,
            one,
            these(&["192.0.2.9"]),
            failed(Reason::WrongAnswer),
            "NOERROR, 192.0.2.7, 192.0.2.8; missing 192.0.2.9",
        ),
        (0, &[], Answers::Any, PASSED, "NOERROR, no answer"),
        (0, &[], Answers::Some, failed(Reason::WrongAnswer), "NOERROR, no answer; missing A"),
        (2, &[], Answers::Any, failed(Reason::WrongAnswer), "SERVFAIL, no answer; wanted NOERROR"),
        (3, &[], Answers::Any, failed(Reason::WrongAnswer), "NXDOMAIN, no answer; wanted NOERROR"),
    ];
    for (code, records, wanted, outcome, evidence) in cases {
        let server = udp(move |query| vec![answer(query, 0, code, records)]).await;
        let attempt = attempt(Spec::Dns(spec(server, wanted)), SHORT).await;
        assert_eq!((attempt.outcome, attempt.evidence.as_str()), (outcome, evidence));
    }
}

#[tokio::test]
async fn a_wanted_response_code_other_than_noerror_passes() {
    let server = udp(|query| vec![answer(query, 0, 3, &[])]).await;
    let attempt =
        attempt(Spec::Dns(Dns { code: ResponseCode::NAME_ERROR, ..spec(server, Answers::Any) }), SHORT).await;
    assert_eq!(attempt.outcome, PASSED, "{}", attempt.evidence);
}

#[tokio::test]
async fn forged_answers_are_ignored_and_told() {
    let server = udp(|query| {
        let mut forged = answer(query, 0, 0, &[(A, &[198, 51, 100, 66])]);
        forged[0] ^= 1;
        let other = {
            let mut other = answer(query, 0, 0, &[(A, &[198, 51, 100, 66])]);
            other[14] ^= 1;
            other
        };
        vec![forged, other, b"x".to_vec(), answer(query, 0, 0, &[(A, &[192, 0, 2, 7])])]
    });
    let attempt = attempt(Spec::Dns(spec(server.await, these(&["192.0.2.7"]))), SHORT).await;
    assert_eq!(attempt.outcome, PASSED);
    assert!(
        attempt.evidence.ends_with("; 3 answers that do not belong to the question were ignored"),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn a_dead_a_silent_and_a_broken_server_are_told_apart() {
    let silent = udp(|_| Vec::new()).await;
    let broken = udp(|query| vec![[&answer(query, 0, 0, &[(A, &[1, 2, 3, 4])])[..40]].concat()]).await;
    let short = udp(|query| vec![answer(query, 0, 0, &[(A, &[1, 2, 3])])]).await;
    let cases = [
        (closed().await, Reason::Refused, "cannot get an answer from"),
        (silent, Reason::Timeout, "no answer from"),
        (broken, Reason::Protocol, "is not a DNS message"),
        (short, Reason::Protocol, "is not a DNS message"),
    ];
    for (server, reason, words) in cases {
        let attempt = attempt(Spec::Dns(spec(server, Answers::Any)), SHORT).await;
        assert_eq!(attempt.outcome, failed(reason), "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

/// Both transports on one port; over UDP it only says that the answer does not fit.
async fn truncating_server() -> SocketAddr {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let truncated = [answer(&buffer[..length], 0x02, 0, &[]), vec![1, 2]].concat();
            socket.send_to(&truncated, from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut query = vec![0; length.into()];
            stream.read_exact(&mut query).await.unwrap();
            let data: &[u8] = &[192, 0, 2, 7];
            let full = answer(&query, 0, 0, &[(A, data); 400]);
            stream.write_u16(u16::try_from(full.len()).unwrap()).await.unwrap();
            stream.write_all(&full).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let server = truncating_server().await;
    for only_tcp in [false, true] {
        let spec = Dns { only_tcp, ..spec(server, these(&["192.0.2.7"])) };
        let attempt = attempt(Spec::Dns(spec), SHORT).await;
        assert_eq!(attempt.evidence, "NOERROR, 192.0.2.7, 192.0.2.7, 192.0.2.7 and 397 more");
        assert_eq!(attempt.outcome, PASSED);
        assert!(attempt.steps.iter().any(|step| step.name == "connect"), "{:?}", attempt.steps);
    }
}

#[tokio::test]
async fn a_server_that_floods_with_strays_gets_no_more_than_the_time() {
    let socket = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    let server = socket.local_addr().unwrap();
    let flood = tokio::spawn(async move {
        let mut buffer = [0; 512];
        let (_, from) = socket.recv_from(&mut buffer).await.unwrap();
        while socket.send_to(b"noise", from).await.is_ok() {}
    });
    let attempt = attempt(Spec::Dns(spec(server, Answers::Any)), Duration::from_millis(200)).await;
    flood.abort();
    assert!(matches!(attempt.outcome, crate::Outcome::Failed(Reason::Timeout)), "{attempt:?}");
}

#[test]
fn data_is_told_as_in_a_zone_file() {
    let name: &[u8] = b"\x02Ns\x07example\xc0\x10";
    let question = Question::new("web.example.org", RecordType::A).unwrap();
    let query = question.message(7);
    let cases: [(u16, Vec<u8>, &str); 8] = [
        (2, name.to_vec(), "ns.example.example.org"),
        (5, b"\xc0\x0c".to_vec(), "web.example.org"),
        (MX, b"\0\x0a\x04mail\0".to_vec(), "10 mail"),
        (TXT, b"\x03a b\x02c\"".to_vec(), "a bc\""),
        (33, b"\0\x01\0\x02\x1f\x90\0".to_vec(), "1 2 8080 ."),
        (6, b"\x01a\0\x01b\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05".to_vec(), "a b 1 2 3 4 5"),
        (28, [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1]].concat(), "2001:db8::1"),
        (12, b"\x03a.b\x02\x01\xff\0".to_vec(), "a\\.b.\\001\\255"),
    ];
    for (kind, data, text) in cases {
        let response = Response::parse(&answer(&query, 0, 0, &[(kind, &data)]), 7, &question);
        let record = response.expect(text).answers.pop().expect(text);
        assert_eq!(record.data.to_string(), text);
    }
}

#[test]
fn names_that_loop_lead_forward_or_are_too_long_end_the_message() {
    let question = Question::new("web.example.org", RecordType::A).unwrap();
    let query = question.message(7);
    let at = |offset: usize| 0xc000 | u16::try_from(query.len() + 12 + offset).unwrap();
    let to_itself = at(0).to_be_bytes().to_vec();
    let forward = [at(4).to_be_bytes().to_vec(), vec![1, b'a', 0, 0]].concat();
    let long = b"\x3f".iter().chain(&[b'a'; 63]).copied().collect::<Vec<u8>>().repeat(4);
    for data in [to_itself, forward, [long, vec![0]].concat(), vec![0x80, 0], vec![], vec![0xc0]] {
        let answer = answer(&query, 0, 0, &[(5, &data)]);
        assert_eq!(Response::parse(&answer, 7, &question), Err(Unusable::Malformed), "{data:x?}");
    }
}

#[test]
fn a_wrong_parameter_is_named() {
    let label = "a".repeat(64);
    let server = (LOOPBACK, 53).into();
    let invalid = |dns: Dns| Compiled::new(dns).map(|_| ()).map_err(|invalid| invalid.parameter);
    let named = |name: &str| Dns { name: name.to_owned(), ..spec(server, Answers::Any) };
    for name in [".", "a", "a.", "example.org"] {
        assert_eq!(invalid(named(name)), Ok(()), "{name}");
    }
    for name in ["", "a..b", &label, &"a.".repeat(128), "\u{e9}.org"] {
        let expected = if name.is_empty() { Ok(()) } else { Err("name") };
        assert_eq!(invalid(named(name)), expected, "{name}");
    }
    assert_eq!(invalid(spec(server, these(&[]))), Err("answers"));
    assert_eq!(invalid(spec((LOOPBACK, 0).into(), Answers::Any)), Err("port"));
    assert!("AXFR".parse::<RecordType>().is_err());
}
