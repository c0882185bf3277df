//! Events as mail, through one server. What happens while a mail is under way, or while the server is not to be reached, comes
//! together in the next one, so that a flapping router does not fill a mailbox.

mod text;

use std::sync::Arc;

use ha_config::{MailSecurity, TlsOptions};
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, Identity, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;

use super::queue::Waiting;
use super::serve::{Channel, Delivery};
use crate::journal::Journal;

/// The way to the receivers of one notifier.
pub(super) struct Mail {
    journal: Arc<Journal>,
    server: ha_config::Mail,
    from: Mailbox,
    to: Vec<Mailbox>,
    hello: ClientId,
    credentials: Option<Credentials>,
    /// Receivers that the mail under way has reached or that refused it.
    settled: Vec<Mailbox>,
}

/// So many events come in one mail.
const MOST_EVENTS: usize = 50;

impl Mail {
    /// # Errors
    /// What of the configuration cannot be used.
    pub(super) fn new(
        server: &ha_config::Mail,
        to: &[String],
        journal: Arc<Journal>,
    ) -> Result<Self, String> {
        let hello = server.hello.clone().unwrap_or_else(|| journal.node().to_string());
        let login = server.login.as_ref();
        Ok(Self {
            from: mailbox(&server.from)?,
            to: to.iter().map(|to| mailbox(to)).collect::<Result<_, _>>()?,
            hello: ClientId::Domain(hello),
            credentials: login
                .map(|login| Credentials::new(login.user.clone(), login.password.expose().to_owned())),
            server: server.clone(),
            settled: Vec::new(),
            journal,
        })
    }

    async fn send(&mut self, batch: &[Waiting]) -> Result<(), Failure> {
        let message = text::message(&self.journal, &self.from, &self.to, batch).map_err(Failure::never)?;
        let octets = message.formatted();
        let mut connection = self.connect().await?;
        let mut refusal = None;
        for to in self.to.clone() {
            if self.settled.contains(&to) {
                continue;
            }
            let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()]);
            let envelope = envelope.map_err(|error| Failure::never(error.to_string()))?;
            match connection.send(&envelope, &octets).await {
                Ok(_) => self.settled.push(to),
                // One receiver's refusal must not keep the mail from the others.
                Err(error) if error.is_permanent() => {
                    refusal = Some(format!("the server refuses mail to {}: {}", to.email, words(&error)));
                    self.settled.push(to);
                    connection = self.connect().await?;
                }
                Err(error) => return Err(failure("send a mail", &error)),
            }
        }
        // Everything is said; a server that does not say goodbye does not matter.
        let _ = connection.quit().await;
        self.settled.clear();
        refusal.map_or(Ok(()), |why| Err(Failure::never(why)))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let server = &self.server;
        let host = server.host.to_string();
        let tls = match server.security {
            MailSecurity::None => None,
            _ => Some(tls(&server.tls, &host).map_err(Failure::again)?),
        };
        let implicit = tls.clone().filter(|_| server.security == MailSecurity::Tls);
        let address = (host.as_str(), server.port);
        let connected =
            AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, implicit, server.source).await;
        let what = format!("connect to {host} port {}", server.port);
        let mut connection = connected.map_err(|error| failure(&what, &error))?;
        if let Some(tls) = tls
            && self.wants_starttls(&connection)
        {
            let secured = connection.starttls(tls, &self.hello).await;
            secured.map_err(|error| failure("speak TLS with the mail server", &error))?;
        }
        if let Some(credentials) = &self.credentials {
            let known = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            known.map_err(|error| failure("log in at the mail server", &error).at_most_again())?;
        }
        Ok(connection)
    }

    /// A login never goes over a connection in clear that could have been protected.
    fn wants_starttls(&self, connection: &AsyncSmtpConnection) -> bool {
        match self.server.security {
            MailSecurity::Starttls => true,
            MailSecurity::Opportunistic => connection.can_starttls() || self.credentials.is_some(),
            MailSecurity::Tls | MailSecurity::None => false,
        }
    }
}

impl Channel for Mail {
    fn most(&self) -> usize {
        MOST_EVENTS
    }

    async fn deliver(&mut self, batch: &[Waiting]) -> Delivery {
        match self.send(batch).await {
            Ok(()) => Delivery::Done,
            Err(Failure { why, is_final: true }) => Delivery::Never(why),
            Err(Failure { why, is_final: false }) => Delivery::Again(why),
        }
    }

    /// Not while some receivers have had what was to be sent to all.
    fn may_grow(&self) -> bool {
        self.settled.is_empty()
    }
}

/// Whether mail can be sent as configured, as far as that can be told without sending.
///
/// # Errors
/// What of the configuration cannot be used.
pub(super) fn check(server: &ha_config::Mail, to: &[String]) -> Result<(), String> {
    mailbox(&server.from)?;
    to.iter().try_for_each(|to| mailbox(to).map(|_| ()))?;
    match server.security {
        MailSecurity::None => Ok(()),
        _ => tls(&server.tls, &server.host.to_string()).map(|_| ()),
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|error| format!("`{text}` is no mail address: {error}"))
}

/// Why a mail did not leave.
struct Failure {
    why: String,
    is_final: bool,
}

impl Failure {
    fn again(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_final: false }
    }

    fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_final: true }
    }

    /// A wrong password can be put right at the server.
    fn at_most_again(self) -> Self {
        Self { is_final: false, ..self }
    }
}

fn failure(what: &str, error: &Error) -> Failure {
    Failure { why: format!("cannot {what}: {}", words(error)), is_final: error.is_permanent() }
}

/// The error and what led to it, in one line.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    ha_probe::escaped(text.as_bytes(), 200)
}

fn tls(options: &TlsOptions, host: &str) -> Result<TlsParameters, String> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let name = options.server_name.clone().unwrap_or_else(|| host.to_owned());
    let mut builder = TlsParameters::builder(name).dangerous_accept_invalid_certs(!options.verify);
    if let Some(path) = &options.ca_file {
        let certificate = Certificate::from_pem(&read(path)?).map_err(|error| words(&error))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    if let (Some(chain), Some(key)) = (&options.certificate_file, &options.key_file) {
        let identity = Identity::from_pem(&read(chain)?, &read(key)?).map_err(|error| words(&error))?;
        builder = builder.identify_with(identity);
    }
    builder.build().map_err(|error| words(&error))
}
