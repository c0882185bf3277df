//! The kinds of checks: their words, other programs' words for them, and which keys each has.

use crate::keys;
use crate::report::Report;
use crate::section::Section;
use crate::value::{Value, shown};

/// What `kind` can say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Icmp,
    Tcp,
    TcpKeepalive,
    Udp,
    Http,
    Grpc,
    Dns,
    Smtp,
    Tls,
    Script,
    Process,
    File,
    Interface,
    Route,
    Expr,
}

const WORDS: &[(&str, Kind)] = &[
    ("icmp", Kind::Icmp),
    ("tcp", Kind::Tcp),
    ("tcp_keepalive", Kind::TcpKeepalive),
    ("udp", Kind::Udp),
    ("http", Kind::Http),
    ("grpc", Kind::Grpc),
    ("dns", Kind::Dns),
    ("smtp", Kind::Smtp),
    ("tls", Kind::Tls),
    ("script", Kind::Script),
    ("process", Kind::Process),
    ("file", Kind::File),
    ("interface", Kind::Interface),
    ("route", Kind::Route),
    ("expr", Kind::Expr),
];

/// What others call our kinds, in lower case.
const FOREIGN: &[(&str, &str)] = &[
    ("ping", "icmp"),
    ("ping_check", "icmp"),
    ("tcp_check", "tcp"),
    ("connect", "tcp"),
    ("udp_check", "udp"),
    ("http_get", "http"),
    ("https", "http\" with tls = true, or with url = \"https://…"),
    ("ssl_get", "http\" with tls = true, or with url = \"https://…"),
    ("dns_check", "dns"),
    ("smtp_check", "smtp"),
    ("ssl", "tls"),
    ("misc_check", "script"),
    ("command", "script"),
    ("exec", "script"),
    ("vrrp_script", "script"),
    ("pid", "process"),
    ("file_check", "file"),
    ("link", "interface"),
    ("any_of", "expr"),
    ("all_of", "expr"),
];

impl Kind {
    /// The word in the file.
    pub(crate) fn word(self) -> &'static str {
        WORDS.iter().find_map(|(word, kind)| (*kind == self).then_some(*word)).unwrap_or_default()
    }

    /// Whether it asks a server, so that it can be aimed at each server of a pool.
    pub(crate) fn asks_a_server(self) -> bool {
        !matches!(
            self,
            Self::Script | Self::Process | Self::File | Self::Interface | Self::Route | Self::Expr
        )
    }

    /// Whether the kernel tells, so that a single result is no noise.
    pub(crate) fn is_told_by_the_kernel(self) -> bool {
        matches!(self, Self::TcpKeepalive | Self::Process | Self::File | Self::Interface | Self::Route)
    }

    /// Its own keys, besides those that many kinds have.
    fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Icmp => keys::ICMP,
            Self::Tcp => &[],
            Self::TcpKeepalive => keys::TCP_KEEPALIVE,
            Self::Udp => keys::UDP,
            Self::Http => keys::HTTP,
            Self::Grpc => keys::GRPC,
            Self::Dns => keys::DNS,
            Self::Smtp => keys::SMTP,
            Self::Tls => keys::TLS_CHECK,
            Self::Script => keys::SCRIPT,
            Self::Process => keys::PROCESS,
            Self::File => keys::FILE,
            Self::Interface => keys::INTERFACE,
            Self::Route => keys::ROUTE,
            Self::Expr => keys::EXPR,
        }
    }

    /// All of its keys, in the order of the reference.
    fn keys(self) -> Vec<&'static str> {
        let attempts = if self == Self::Expr { &[] } else { keys::ATTEMPTS };
        let target = if self.asks_a_server() { keys::TARGET } else { &[] };
        let all = [keys::CHECK, attempts, target, self.own_keys()].concat();
        let has_ports = self != Self::Icmp;
        all.into_iter().filter(|key| has_ports || !matches!(*key, "port" | "connect_port")).collect()
    }
}

/// `kind`, which must be there: without it nothing else of a check can be understood.
pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Option<Kind> {
    let remedy = "add kind = \"http\", or one of the other kinds";
    section.required(report, "kind", remedy, word).map(|spot| spot.value)
}

fn word(value: &Value<'_>, report: &mut Report<'_>) -> Option<Kind> {
    let lower = value.inner.as_str().map(str::to_ascii_lowercase);
    let meant = FOREIGN.iter().find(|(foreign, _)| lower.as_deref() == Some(foreign));
    if let (Some((_, ours)), Some(text)) = (meant, value.inner.as_str()) {
        let message = format!("kind does not know {}", shown(text));
        report.error(&value.span, message, format!("write \"{ours}\""));
        return None;
    }
    value.word(report, WORDS)
}

/// Reports the keys that the kind does not have; those of all kinds are known when there is none.
pub(super) fn reject_unknown(section: &Section<'_>, kind: Option<Kind>, report: &mut Report<'_>) {
    let all = || WORDS.iter().map(|(_, kind)| *kind);
    let known = match kind {
        Some(kind) => kind.keys(),
        None => all().flat_map(Kind::keys).collect(),
    };
    section.reject_unknown(report, &known, |key| {
        let having: Vec<&str> =
            all().filter(|kind| kind.keys().contains(&key)).map(|kind| kind.word()).collect();
        match (kind, &having[..]) {
            (_, []) => keys::foreign_check_remedy(key),
            (Some(kind), _) if having.len() >= 8 => {
                Some(format!("kind \"{}\" has no such key; remove it", kind.word()))
            }
            (Some(kind), _) => Some(format!(
                "it belongs to kind {}, and this is \"{}\"",
                having.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "),
                kind.word()
            )),
            (None, _) => None,
        }
    });
}
