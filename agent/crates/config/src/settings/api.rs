//! `[api]`: who may ask the control plane, and where.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::DeValue;

use crate::model::{Api, ApiLimits, ApiTls, Principal};
use crate::report::Report;
use crate::section::Section;
use crate::size::size;
use crate::value::{Value, shown};

/// Reads the section; what is wrong is reported and stands at its default.
pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Api {
    let default = Api::default();
    Api {
        socket: section.read(report, "socket", socket_path).value_or(default.socket),
        admins: section.read(report, "admins", principals).value_or(default.admins),
        operators: section.read(report, "operators", principals).value_or(default.operators),
        readers: section.read(report, "readers", principals).value_or(default.readers),
        history: section
            .read(report, "history", |v, r| v.integer(r, 16..=1_048_576))
            .value_or(default.history),
        limits: read_limits(section, report),
        tls: read_tls(section, report),
    }
}

fn read_limits(section: &Section<'_>, report: &mut Report<'_>) -> ApiLimits {
    let default = ApiLimits::default();
    let mut number = |key, range: RangeInclusive<usize>, default| {
        section.read(report, key, |value, report| value.integer(report, range)).value_or(default)
    };
    ApiLimits {
        connections: number("connections", 8..=4096, default.connections),
        tls_connections: number("tls_connections", 8..=4096, default.tls_connections),
        certificate_connections: number("certificate_connections", 2..=4096, default.certificate_connections),
        watches: number("watches", 8..=16_384, default.watches),
        calls: section.read(report, "calls", |v, r| v.integer(r, 8..=1024)).value_or(default.calls),
        unread_answers: section.read(report, "unread_answers", size).value_or(default.unread_answers),
    }
}

fn socket_path(value: &Value<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    /// `sun_path` has 108 octets and ends with a NUL.
    const LONGEST: usize = 107;
    let text = value.text(report)?;
    if !text.starts_with('/') || text.ends_with('/') {
        let message = format!("socket {} is no absolute path of a file", shown(text));
        report.error(&value.span, message, "write a path such as \"/run/ha-agent/api.sock\"");
        return None;
    }
    if text.len() > LONGEST {
        let message = format!("socket is {} octets long", text.len());
        report.error(&value.span, message, format!("unix sockets allow {LONGEST}; choose a shorter path"));
        return None;
    }
    Some(PathBuf::from(text))
}

/// The control plane over TCP: addresses, the three files that it cannot do without, and what is revoked.
fn read_tls(section: &Section<'_>, report: &mut Report<'_>) -> Option<ApiTls> {
    let listen = section.read(report, "listen", |value, report| value.list(report, listen_address));
    let files = ["certificate", "key", "client_ca"].map(|key| (key, section.read(report, key, file_path)));
    let revoked = ("revoked", section.read(report, "revoked", file_path));
    let Some(addresses) = listen.value() else {
        let idle = files.iter().chain([&revoked]).filter(|(_, file)| !file.is_absent() && listen.is_absent());
        for (key, _) in idle {
            let span = section.get(key).map_or(0..0, |value| value.span());
            let message = format!("{key} is given, but the agent listens on no address");
            report.warning(&span, message, "add listen = [\"ADDRESS:7443\"], or remove it");
        }
        return None;
    };
    for (key, _) in files.iter().filter(|(_, file)| file.is_absent()) {
        let span = section.get("listen").map_or(0..0, |value| value.span());
        let message =
            format!("listen needs {key}: the control plane is offered over TLS with certificates only");
        report.error(&span, message, "hactl pki init and hactl pki issue node make all three files");
    }
    let [certificate, key, client_ca] = files.map(|(_, file)| file.value().cloned());
    Some(ApiTls {
        listen: addresses.iter().map(|(address, _)| *address).collect(),
        certificate: certificate?,
        key: key?,
        client_ca: client_ca?,
        revoked: revoked.1.value().cloned(),
    })
}

fn listen_address(value: &Value<'_>, report: &mut Report<'_>) -> Option<SocketAddr> {
    let text = value.text(report)?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Some(address),
        _ => {
            let message = format!("listen {} is no address with a port", shown(text));
            report.error(
                &value.span,
                message,
                "write an address such as \"192.0.2.1:7443\" or \"[::]:7443\"",
            );
            None
        }
    }
}

fn file_path(value: &Value<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = value.text(report)?;
    if !text.starts_with('/') || text.ends_with('/') {
        let message = format!("{} {} is no absolute path of a file", value.key, shown(text));
        report.error(&value.span, message, "write a path such as \"/etc/ha-agent/pki/node-a.crt\"");
        return None;
    }
    Some(PathBuf::from(text))
}

fn principals(value: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<Principal>> {
    let list = value.list(report, principal)?;
    Some(list.into_iter().map(|(principal, _)| principal).collect())
}

fn principal(value: &Value<'_>, report: &mut Report<'_>) -> Option<Principal> {
    if let DeValue::Integer(_) = value.inner {
        return value.integer(report, 0..=u32::MAX - 1).map(|uid| Principal::User(uid.to_string()));
    }
    let text = value.text(report)?;
    if let Some(name) = text.strip_prefix("cert:").filter(|name| !name.is_empty()) {
        return Some(Principal::Certificate(name.to_owned()));
    }
    let name = text.strip_prefix('@').unwrap_or(text);
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '/' | '@')) {
        let message = format!("{} {} is no user or group", value.key, shown(text));
        report.error(
            &value.span,
            message,
            "write \"user\", \"@group\", a number, or \"cert:NAME\" for a certificate",
        );
        return None;
    }
    let name = name.to_owned();
    Some(if text.starts_with('@') { Principal::Group(name) } else { Principal::User(name) })
}
