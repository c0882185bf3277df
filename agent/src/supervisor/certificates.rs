//! The certificates of the control plane: judged with the configuration, loaded at start, taken over anew when their files
//! change, and told about before they expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ha_config::{ApiTls, Severity};
use tracing::{info, warn};

use super::conditions::{CERTIFICATE, Conditions};
use crate::api::{Certificates, EXPIRY_WARNING, Tcp, TlsError, TlsFiles};

/// How often the files are looked at.
const PAUSE: Duration = Duration::from_secs(10);

/// What the control plane needs for TLS.
pub(super) fn load(tls: &ApiTls) -> Result<Tcp, TlsError> {
    let certificates = Arc::new(Certificates::load(files(tls))?);
    Ok(Tcp { listen: tls.listen.clone(), certificates })
}

/// What keeps an agent from starting with these files, or others from talking to it: how bad, what, what to do, and the key of
/// `[api]` that it is about.
pub(super) fn findings(tls: &ApiTls) -> Vec<(&'static str, (Severity, String, String))> {
    match Certificates::examine(&files(tls)) {
        Err(errors) => {
            let told =
                |error: TlsError| (key_of(tls, &error), (Severity::Error, error.what(), error.remedy()));
            errors.into_iter().map(told).collect()
        }
        Ok(expires) if expires <= SystemTime::now() => {
            let what = format!("{} has expired: nobody talks to a node with it", tls.certificate.display());
            vec![("certificate", (Severity::Warning, what, "hactl pki issue node --replace".to_owned()))]
        }
        Ok(_) => Vec::new(),
    }
}

fn key_of(tls: &ApiTls, error: &TlsError) -> &'static str {
    match error.file() {
        file if file == tls.key => "key",
        file if file == tls.client_ca => "client_ca",
        file if Some(file) == tls.revoked.as_deref() => "revoked",
        _ => "certificate",
    }
}

fn files(tls: &ApiTls) -> TlsFiles {
    let ApiTls { certificate, key, client_ca, revoked, .. } = tls.clone();
    TlsFiles { certificate, key, client_ca, revoked }
}

/// Looks after certificates until the agent ends.
pub(super) fn watch_over(tcp: Tcp, conditions: &Arc<Conditions>) -> Arc<Certificates> {
    tokio::spawn(keep(Arc::clone(&tcp.certificates), Arc::clone(conditions)));
    tcp.certificates
}

async fn keep(certificates: Arc<Certificates>, conditions: Arc<Conditions>) {
    loop {
        refresh(&certificates, &conditions);
        // Cancelled here when the agent ends.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes over changed files; the old certificate stays in force when the new one cannot be used.
pub(super) fn refresh(certificates: &Certificates, conditions: &Conditions) {
    match certificates.refresh() {
        Ok(false) => {}
        Ok(true) => info!("control plane: the new certificate is in force; connections go on"),
        Err(error) => {
            warn!("control plane: the old certificate stays in force: {error}");
            return conditions.set(CERTIFICATE, false, "Unusable", error.to_string());
        }
    }
    let left = certificates.expires().duration_since(SystemTime::now()).unwrap_or_default();
    let (holds, reason) = match left {
        Duration::ZERO => (false, "Expired"),
        left if left < EXPIRY_WARNING => (false, "ExpiresSoon"),
        _ => (true, "Valid"),
    };
    let days = left.as_secs() / 86_400;
    let file = certificates.file().display();
    let message = match holds {
        true => format!("{file} is valid for {days} days"),
        false => format!(
            "{file} is valid for {days} days: hactl pki issue node --replace, then nothing more is needed"
        ),
    };
    // Told when it changes; a certificate that could not be replaced stays told until it was.
    conditions.set(CERTIFICATE, holds, reason, message);
}

#[cfg(test)]
mod tests;
