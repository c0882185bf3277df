//! Layer 5: what the program behind the port says.

use std::time::Duration;

use ha_probe::{
    Answers, BodyRules, Dns, Grpc, Http, HttpVersion, Outcome, Reason, RecordType, ResponseCode, Smtp,
    SmtpSecurity, Spec, StatusSet, Target, Tcp, Tls, TlsOptions,
};

use crate::{
    authority::{DAY, NAME},
    bed::{Bed, PAGE, Place, at, port},
    listeners::{Behaviour, listen},
    table::{Case, PASSED, Table, failed},
    transport::{LONG, SHORT},
};

/// What a slow server takes.
const DELAY: Duration = Duration::from_millis(300);

/// Each protocol by its word, its real server, and where that listens.
const PROTOCOLS: [(&str, &str, u16); 10] = [
    ("http", "nginx", port::HTTP),
    ("http 2", "haproxy", port::HTTP_2),
    ("https", "nginx", port::HTTPS),
    ("https 2", "nginx", port::HTTPS),
    ("grpc", "tonic-health", port::GRPC),
    ("dns, tcp", "dnsmasq", port::DNS),
    ("smtp", "postfix", port::SMTP),
    ("smtp, starttls", "postfix", port::SMTP),
    ("smtp, tls", "postfix", port::SMTPS),
    ("tls", "openssl", port::TLS),
];

/// The usual check of a protocol.
fn spec(bed: &Bed, protocol: &str, target: Target) -> Spec {
    let trusted = || bed.authority.trusted();
    let two = HttpVersion::Two;
    match protocol {
        "http" => Spec::Http(http(target)),
        "http 2" => Spec::Http(Http { version: two, ..http(target) }),
        "https" => Spec::Http(Http { tls: Some(trusted()), ..http(target) }),
        "https 2" => Spec::Http(Http { tls: Some(trusted()), version: two, ..http(target) }),
        "grpc" => grpc(target, "web"),
        "dns, tcp" => Spec::Dns(Dns { only_tcp: true, ..dns(target) }),
        "smtp" => smtp(target, SmtpSecurity::None),
        "smtp, starttls" => smtp(target, SmtpSecurity::StartTls(trusted())),
        "smtp, tls" => smtp(target, SmtpSecurity::Tls(trusted())),
        "tls" => Spec::Tls(Tls { target, tls: trusted() }),
        _ => unreachable!("{protocol} is not in the list of protocols"),
    }
}

pub(crate) fn http(target: Target) -> Http {
    Http {
        target,
        tls: None,
        version: HttpVersion::One,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        host: None,
        headers: Vec::new(),
        status: StatusSet::default(),
        body: BodyRules { matches: Some(format!("^{PAGE}$")), ..BodyRules::default() },
        body_limit: 65_536,
    }
}

pub(crate) fn dns(target: Target) -> Dns {
    Dns {
        target,
        name: "web.example.org".to_owned(),
        record_type: RecordType::A,
        code: ResponseCode::NO_ERROR,
        answers: Answers::These(vec!["192.0.2.80".to_owned()]),
        only_tcp: false,
    }
}

pub(crate) fn smtp(target: Target, security: SmtpSecurity) -> Spec {
    Spec::Smtp(Smtp { target, hello: "client.example.org".to_owned(), security })
}

fn grpc(target: Target, service: &str) -> Spec {
    Spec::Grpc(Grpc { target, tls: None, service: service.to_owned(), host: None })
}

/// The same situations for all.
pub(crate) async fn of_every_protocol(bed: &Bed, table: &mut Table) {
    const TIMEOUT: &[Outcome] = &[failed(Reason::Timeout)];
    // What an HTTP/2 stack or TLS sees first of a cut connection, the cut or the end, is the kernel's choice.
    const CUT: &[Outcome] = &[failed(Reason::Reset), failed(Reason::ClosedByPeer)];
    const GARBAGE: &[Outcome] = &[failed(Reason::Protocol)];
    // To DNS over TCP two letters are the length of an answer, which then does not come.
    let garbage = |kind: &str| {
        if kind.starts_with("dns") { (SHORT, TIMEOUT) } else { (LONG, GARBAGE) }
    };
    let own = |behaviour| at(listen(bed.node(), bed.address(), behaviour));
    for (kind, server, port) in PROTOCOLS {
        let slow = || own(Behaviour::Slow(port, DELAY));
        let good = format!("good: {server}");
        let cases: [(&str, Target, Duration, &[Outcome]); 10] = [
            (&good, bed.target(port), LONG, &[PASSED]),
            ("refused", bed.target(port::CLOSED), LONG, &[failed(Reason::Refused)]),
            ("dropped by nftables", bed.behind(Place::Silent, port), SHORT, TIMEOUT),
            ("rejected by nftables", bed.behind(Place::Rejected, port), LONG, &[failed(Reason::Unreachable)]),
            ("reset", own(Behaviour::Reset), LONG, CUT),
            ("closed", own(Behaviour::Close), LONG, CUT),
            ("never answers", own(Behaviour::Mute), SHORT, TIMEOUT),
            ("slow: 300 ms", slow(), LONG, &[PASSED]),
            ("too slow: 300 ms of 150", slow(), DELAY / 2, TIMEOUT),
            ("greets as SSH", own(Behaviour::Garbage), garbage(kind).0, garbage(kind).1),
        ];
        for (situation, target, within, expected) in cases {
            let spec = spec(bed, kind, target);
            table.attempt(Case { kind, situation, spec, within, expected, words: "" }).await;
        }
    }
}

/// The program answers, but not as it should.
pub(crate) async fn wrong_answers(bed: &Bed, table: &mut Table) {
    let web = || http(bed.target(port::HTTP));
    let lacks = BodyRules { lacks: Some("well".to_owned()), ..BodyRules::default() };
    let names = || dns(bed.target(port::DNS));
    let another = Answers::These(vec!["192.0.2.81".to_owned()]);
    let (status, wrong, protocol) = (Reason::WrongStatus, Reason::WrongAnswer, Reason::Protocol);
    let nobody = "nobody.example.org".to_owned();
    let cases = [
        ("http", "503", Spec::Http(Http { path: "/ill".to_owned(), ..web() }), status, "503"),
        ("http", "503: haproxy, server dead", Spec::Http(http(bed.target(port::NO_SERVER))), status, "503"),
        ("http", "another page", Spec::Http(Http { body: lacks, ..web() }), wrong, PAGE),
        ("http", "speaks TLS", Spec::Http(http(bed.target(port::HTTPS))), status, "400"),
        ("http", "is a mail server", Spec::Http(http(bed.target(port::SMTP))), protocol, ""),
        ("https", "does not speak TLS", spec(bed, "https", bed.target(port::HTTP)), protocol, ""),
        ("grpc", "NOT_SERVING", grpc(bed.target(port::GRPC), "api"), status, "NOT_SERVING"),
        ("grpc", "unknown service", grpc(bed.target(port::GRPC), "nothing"), status, "NOT_FOUND"),
        ("grpc", "is haproxy", grpc(bed.target(port::HTTP_2), "web"), protocol, ""),
        ("dns", "another address", Spec::Dns(Dns { answers: another, ..names() }), wrong, "192.0.2.80"),
        ("dns", "no such name", Spec::Dns(Dns { name: nobody, ..names() }), wrong, "NXDOMAIN"),
        ("dns", "refused", Spec::Dns(dns(bed.target(port::CLOSED))), Reason::Refused, ""),
        ("smtp", "is nginx", smtp(bed.target(port::HTTP), SmtpSecurity::None), Reason::Timeout, ""),
    ];
    let good = Case {
        kind: "dns",
        situation: "good: dnsmasq",
        spec: Spec::Dns(names()),
        within: LONG,
        expected: &[PASSED],
        words: "192.0.2.80",
    };
    table.attempt(good).await;
    for (kind, situation, spec, reason, words) in cases {
        let within = if reason == Reason::Timeout { SHORT } else { LONG };
        table.attempt(Case { kind, situation, spec, within, expected: &[failed(reason)], words }).await;
    }
}

/// TLS of each sort, from `openssl s_server`.
pub(crate) async fn certificates(bed: &Bed, table: &mut Table) {
    let trusted = || bed.authority.trusted();
    let other = TlsOptions { server_name: Some("other.example.org".to_owned()), ..trusted() };
    let soon = TlsOptions { expires_within: 7 * DAY, ..trusted() };
    let system = TlsOptions { ca_file: None, ..trusted() };
    let unverified = TlsOptions { verify: false, ..trusted() };
    let cases = [
        ("expired", port::EXPIRED, trusted(), failed(Reason::TlsExpired), "expired"),
        ("expires in 3 days, 7 wanted", port::EXPIRES_SOON, soon, failed(Reason::TlsExpiresSoon), ""),
        ("another name", port::TLS, other, failed(Reason::TlsName), NAME),
        ("untrusted", port::UNTRUSTED, trusted(), failed(Reason::TlsUntrusted), ""),
        ("unknown to this system", port::TLS, system, failed(Reason::TlsUntrusted), ""),
        ("untrusted, not verified", port::UNTRUSTED, unverified, PASSED, ""),
    ];
    for (situation, port, tls, outcome, words) in cases {
        let spec = Spec::Tls(Tls { target: bed.target(port), tls: tls.clone() });
        table.attempt(Case { kind: "tls", situation, spec, within: LONG, expected: &[outcome], words }).await;
    }
    for (situation, port, reason) in [
        ("expired", port::EXPIRED, Reason::TlsExpired),
        ("another name", port::TLS, Reason::TlsName),
        ("untrusted", port::UNTRUSTED, Reason::TlsUntrusted),
    ] {
        let host = if reason == Reason::TlsName { "other.example.org" } else { NAME };
        let tls = Some(TlsOptions { server_name: Some(host.to_owned()), ..trusted() });
        let spec = Spec::Http(Http { tls, ..http(bed.target(port)) });
        let expected = &[failed(reason)];
        table.attempt(Case { kind: "https", situation, spec, within: LONG, expected, words: "" }).await;
    }
}

/// nginx stopped as a whole: its kernel goes on accepting.
pub(crate) async fn stopped(bed: &Bed, table: &mut Table) {
    bed.nginx.freeze();
    let target = || bed.target(port::HTTP);
    let cases = [
        ("tcp", Spec::Tcp(Tcp { target: target() }), LONG, PASSED),
        ("http", spec(bed, "http", target()), SHORT, failed(Reason::Timeout)),
        ("https 2", spec(bed, "https 2", bed.target(port::HTTPS)), SHORT, failed(Reason::Timeout)),
        ("tls", spec(bed, "tls", bed.target(port::HTTPS)), SHORT, failed(Reason::Timeout)),
    ];
    for (kind, spec, within, outcome) in cases {
        let situation = "nginx stopped (SIGSTOP)";
        table.attempt(Case { kind, situation, spec, within, expected: &[outcome], words: "" }).await;
    }
    bed.nginx.thaw();
}
