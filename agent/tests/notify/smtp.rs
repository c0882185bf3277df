//! A mail server of the tests' own: greets, speaks TLS and takes a login when it is told to, refuses whom it is told to, and
//! remembers mails and the order of what was said.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// How it behaves.
#[derive(Clone, Default)]
pub(crate) struct Manners {
    pub(crate) starttls: Option<Arc<rustls::ServerConfig>>,
    /// TLS from the first octet.
    pub(crate) implicit: bool,
    /// The only user, in base64 as AUTH PLAIN sends it.
    pub(crate) login: Option<String>,
    pub(crate) refuses: Vec<String>,
    /// Accepts connections and says nothing.
    pub(crate) silent: bool,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) was_secure: bool,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct State {
    manners: Mutex<Manners>,
    mails: Mutex<Vec<Mail>>,
    said: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) async fn start(manners: Manners) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), manners).await
    }

    pub(crate) async fn start_at(address: SocketAddr, manners: Manners) -> Self {
        // The port of a server that has just ended may be taken for a moment.
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { manners: Mutex::new(manners), ..State::default() });
        let own = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&own);
                tokio::spawn(async move {
                    let manners = state.manners.lock().unwrap().clone();
                    match manners.starttls.clone().filter(|_| manners.implicit) {
                        None => talk(stream, &state, &manners, false).await,
                        Some(config) => {
                            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                                talk(stream, &state, &manners, true).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, state, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.state.mails.lock().unwrap().clone()
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.state.said.lock().unwrap().clone()
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn talk(stream: impl Stream + 'static, state: &State, manners: &Manners, secure: bool) {
    if manners.silent {
        return std::future::pending().await;
    }
    let mut secure = secure;
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(stream));
    let (mut to, mut greeted) = (String::new(), false);
    loop {
        if !greeted {
            greeted = true;
            let _ = stream.write_all(b"220 mail.test ESMTP\r\n").await;
        }
        let Some(line) = line(&mut stream).await else { return };
        state.said.lock().unwrap().push(line.clone());
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" => {
                let offer = if manners.starttls.is_some() && !secure { "250-STARTTLS\r\n" } else { "" };
                let login = if manners.login.is_some() { "250-AUTH PLAIN\r\n" } else { "" };
                format!("250-mail.test\r\n{offer}{login}250 SIZE 1000000")
            }
            "STARTTLS" => {
                let _ = stream.write_all(b"220 go\r\n").await;
                let config = manners.starttls.clone().unwrap();
                let Ok(inner) = TlsAcceptor::from(config).accept(stream.into_inner()).await else { return };
                stream = BufReader::new(Box::new(inner));
                secure = true;
                continue;
            }
            "AUTH" => {
                let is_known = manners.login.as_ref().is_some_and(|login| line.ends_with(login));
                if is_known { "235 welcome".to_owned() } else { "535 who are you".to_owned() }
            }
            "MAIL"
                if manners.login.is_some()
                    && !state.said.lock().unwrap().iter().any(|line| line.starts_with("AUTH")) =>
            {
                "530 log in first".to_owned()
            }
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                if manners.refuses.contains(&to) {
                    "550 no such user".to_owned()
                } else {
                    "250 ok".to_owned()
                }
            }
            "DATA" => {
                let _ = stream.write_all(b"354 go on\r\n").await;
                let mut text = String::new();
                loop {
                    match self::line(&mut stream).await {
                        None => return,
                        Some(line) if line == "." => break,
                        Some(line) => text.push_str(&format!("{line}\n")),
                    }
                }
                state.mails.lock().unwrap().push(Mail { to: to.clone(), text, was_secure: secure });
                "250 taken".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 ok".to_owned(),
        };
        if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err()
            || stream.flush().await.is_err()
        {
            return;
        }
        if word == "QUIT" {
            return;
        }
    }
}

async fn line(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut line = String::new();
    (stream.read_line(&mut line).await.ok()? > 0).then(|| line.trim_end().to_owned())
}

/// A certificate for 127.0.0.1 from an authority of its own: the server's side, and the authority as PEM.
pub(crate) fn certificate() -> (Arc<rustls::ServerConfig>, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new([]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let own = own.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (Arc::new(config), root.pem())
}
