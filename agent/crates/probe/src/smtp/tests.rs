//! Mail servers of our own: right, refusing, rude, endless.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::spec::Spec;
use crate::testing::pki::{Authority, DAY, Server, Valid, tls};
use crate::testing::{LOOPBACK, PASSED, SHORT, at, attempt, closed, failed, tcp};

const CAPABLE: &str = "250-mail.example.org\r\n250-PIPELINING\r\n250 STARTTLS\r\n";

fn spec(address: SocketAddr, security: SmtpSecurity) -> Spec {
    Spec::Smtp(Smtp { target: at(address), hello: "agent.example.org".to_owned(), security })
}

/// Greets and answers EHLO and HELO as told; the commands it heard.
async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    banner: &str,
    ehlo: &str,
    helo: &str,
) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut heard = Vec::new();
    let mut answer = banner.to_owned();
    loop {
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return heard;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return heard;
        }
        answer = match line.split_whitespace().next() {
            Some("EHLO") => ehlo.to_owned(),
            Some("HELO") => helo.to_owned(),
            Some("STARTTLS") => "220 go ahead\r\n".to_owned(),
            Some("QUIT") => "221 bye\r\n".to_owned(),
            _ => "500 what?\r\n".to_owned(),
        };
        let is_starttls = line.starts_with("STARTTLS");
        heard.push(line);
        if is_starttls {
            let _ = stream.write_all(answer.as_bytes()).await;
            return heard;
        }
    }
}

async fn server(banner: &'static str, ehlo: &'static str, helo: &'static str) -> SocketAddr {
    tcp(move |mut stream: TcpStream| async move {
        converse(&mut stream, banner, ehlo, helo).await;
    })
    .await
}

#[tokio::test]
async fn greeting_and_ehlo_decide() {
    let wrong = failed(Reason::WrongAnswer);
    let cases = [
        ("220 mail ESMTP\r\n", CAPABLE, "", PASSED, "220 mail ESMTP, 3 lines in answer to EHLO"),
        ("220-one\r\n220 two\r\n", "250 mail\r\n", "", PASSED, "220 one, 1 lines in answer to EHLO"),
        ("220 mail\r\n", "502 what?\r\n", "250 mail\r\n", PASSED, "220 mail, 1 lines"),
        ("220 mail\r\n", "502 what?\r\n", "550 no\r\n", wrong, "the answer to HELO is 550 no; wanted 250"),
        ("220 mail\r\n", "421 too busy\r\n", "", wrong, "the answer to EHLO is 421 too busy; wanted 250"),
        ("554 go away\r\n", "", "", wrong, "the greeting is 554 go away; wanted 220"),
        (
            "SSH-2.0-OpenSSH\r\n",
            "",
            "",
            failed(Reason::Protocol),
            "the greeting is not SMTP: SSH-2.0-OpenSSH",
        ),
        ("", "", "", failed(Reason::Timeout), "in step banner"),
        ("220 mail\r\n", "", "", failed(Reason::Timeout), "in step ehlo"),
    ];
    for (banner, ehlo, helo, outcome, words) in cases {
        let attempt = attempt(spec(server(banner, ehlo, helo).await, SmtpSecurity::None), SHORT).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

#[tokio::test]
async fn the_server_is_told_goodbye() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let address = tcp(move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move { sender.send(converse(&mut stream, "220 mail\r\n", CAPABLE, "").await).unwrap() }
    })
    .await;
    assert_eq!(attempt(spec(address, SmtpSecurity::None), SHORT).await.outcome, PASSED);
    assert_eq!(receiver.recv().await.unwrap(), ["EHLO agent.example.org\r\n", "QUIT\r\n"]);
}

#[tokio::test]
async fn starttls_must_be_offered_and_the_certificate_good() {
    let authority = Authority::new();
    let identity = authority.issue("127.0.0.1", Valid::For(DAY * 9));
    let stranger = authority.issue("other.example.org", Valid::For(DAY * 9));
    let secure = |identity: &crate::testing::pki::Identity| {
        let acceptor = TlsAcceptor::from(Arc::new(identity.server(Server::default())));
        tcp(move |mut stream: TcpStream| {
            let acceptor = acceptor.clone();
            async move {
                converse(&mut stream, "220 mail\r\n", CAPABLE, "").await;
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                // After the handshake it does not greet again (RFC 3207 §4.2).
                converse(&mut stream, "", "250 mail\r\n", "").await;
            }
        })
    };
    let eager = tcp(|mut stream: TcpStream| async move {
        stream.write_all(b"220 mail\r\n250 STARTTLS\r\n220 go ahead\r\n250 injected\r\n").await.unwrap();
        tokio::time::sleep(SHORT).await;
    });
    let cases = [
        (secure(&identity).await, PASSED, "220 mail, 1 lines"),
        (secure(&stranger).await, failed(Reason::TlsName), "is for other.example.org"),
        (
            server("220 mail\r\n", "250 mail\r\n", "").await,
            failed(Reason::WrongAnswer),
            "does not offer STARTTLS",
        ),
        (eager.await, failed(Reason::Protocol), "the server spoke before the TLS handshake"),
    ];
    for (address, outcome, words) in cases {
        let attempt = attempt(spec(address, SmtpSecurity::StartTls(authority.trusted())), SHORT).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

#[tokio::test]
async fn tls_from_the_first_octet_is_spoken_when_asked_for() {
    let authority = Authority::new();
    let identity = authority.issue("127.0.0.1", Valid::For(DAY * 9));
    let address = tls(identity.server(Server::default()), |mut stream| async move {
        converse(&mut stream, "220 mail\r\n", CAPABLE, "").await;
    })
    .await;
    assert_eq!(attempt(spec(address, SmtpSecurity::Tls(authority.trusted())), SHORT).await.outcome, PASSED);
}

#[tokio::test]
async fn hostile_servers_get_no_more_than_the_time_and_a_bounded_number_of_octets() {
    let endless = |text: &'static [u8]| {
        tcp(move |mut stream: TcpStream| async move { while stream.write_all(text).await.is_ok() {} })
    };
    let closes = tcp(|_| async {});
    let cases = [
        (endless(b"220-more\r\n").await, Reason::TooLarge, "the greeting has no end"),
        (endless(&[b'2'; 4096]).await, Reason::TooLarge, "the greeting has no end"),
        (endless(&[0; 64]).await, Reason::TooLarge, "the greeting has no end"),
        (closes.await, Reason::ClosedByPeer, "cannot read the greeting: the peer closed the connection"),
        (closed().await, Reason::Refused, "connection refused"),
    ];
    for (address, reason, words) in cases {
        let attempt = attempt(spec(address, SmtpSecurity::None), SHORT).await;
        assert_eq!(attempt.outcome, failed(reason), "{attempt:?}");
        assert!(attempt.evidence.contains(words), "{attempt:?}");
    }
}

#[test]
fn a_wrong_parameter_is_named() {
    for hello in ["", "a b", "a\r\nRCPT", &"a".repeat(256)] {
        let spec =
            Smtp { target: at((LOOPBACK, 25).into()), hello: hello.to_owned(), security: SmtpSecurity::None };
        assert_eq!(Compiled::new(&spec).expect_err(hello).parameter, "hello");
    }
}
