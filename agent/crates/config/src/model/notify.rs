//! Who is told of what happens, and how.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::target::{Command, Host, Secret, TlsOptions};

/// `[[notify]]`: one receiver of events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notifier {
    /// Unique on the node.
    pub name: String,
    /// What it is told of; at least one.
    pub on: Vec<NotifyScope>,
    /// Only what turned to one of these; empty (default) = whatever it turned to.
    pub states: Vec<NotifyState>,
    /// Only events of these types, as `hactl events --type` takes them: `"instance.state_changed"`, `"check.remedy_*"`,
    /// `"vip.*"`; empty (default) = transitions.
    pub types: Vec<String>,
    /// How it is told.
    pub channel: NotifyChannel,
    /// For one delivery, 100 ms ..= 5 min; default 10 s (mail: 30 s).
    pub timeout: Duration,
    /// For how long a delivery that fails is tried again (webhook and mail), 0 ..= 24 h; default 1 h.
    pub retry_for: Duration,
    /// Events that wait at most; the oldest is dropped and counted, 1..=65 536; default 1024.
    pub queue: u32,
}

/// What a receiver is told of: a whole class of subjects, or one by its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NotifyScope {
    /// The node itself and its links: `"node"`.
    Node,
    /// Virtual routers and their addresses: `"instances"` or `"instances/NAME"`.
    Instances(Option<String>),
    /// Sync groups: `"groups"` or `"groups/NAME"`.
    Groups(Option<String>),
    /// Checks of `[[check]]`: `"checks"` or `"checks/NAME"`.
    Checks(Option<String>),
    /// Pools, without their servers: `"pools"` or `"pools/NAME"`.
    Pools(Option<String>),
    /// Servers of pools: `"servers"` or, those of one pool, `"pools/NAME/servers"`.
    Servers(Option<String>),
}

/// What a subject turned to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NotifyState {
    /// An instance or a group holds its addresses.
    Active,
    /// It waits.
    Backup,
    /// It cannot take part.
    Fault,
    /// It was stopped or removed.
    Stopped,
    /// A check, a pool or a server passes.
    Passing,
    /// It fails.
    Failing,
}

impl NotifyState {
    /// The word in the file, which is that of the control plane.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stopped => "STOPPED",
            Self::Passing => "PASSING",
            Self::Failing => "FAILING",
        }
    }
}

/// How a receiver is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotifyChannel {
    /// A program is run for each event.
    Command(NotifyCommand),
    /// A line in keepalived's format is written to a named pipe.
    Fifo(Fifo),
    /// A JSON document is posted.
    Webhook(Webhook),
    /// A mail is sent through `[mail]`.
    Mail {
        /// Receivers; at least one.
        to: Vec<String>,
    },
}

/// A program that is run for each event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotifyCommand {
    /// The program, its arguments and its user.
    pub command: Command,
    /// Whether keepalived's four arguments (what, name, state, priority) are appended; default true.
    pub arguments: bool,
    /// Whether what it leaves running stays, so that it may start a service; default false.
    pub leave_running: bool,
}

/// A named pipe that takes lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fifo {
    /// Its absolute path. Made when it is missing; otherwise it must belong to root or to the agent's user.
    pub path: PathBuf,
    /// Lines for changes of priority, too (`MASTER_PRIORITY`, `BACKUP_PRIORITY`); default false.
    pub priorities: bool,
}

/// A URL that takes JSON documents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    /// `https://` or `http://` with host, maybe port, path and query; without credentials. Many receivers take it as the
    /// only proof of who posts, so that it is never shown.
    pub url: Secret,
    /// Key of the HMAC-SHA256 signature; `None` = unsigned.
    pub secret: Option<Secret>,
    /// TLS of an `https://` URL.
    pub tls: TlsOptions,
}

/// `[mail]`: the server that takes our mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    /// Its address or host name.
    pub host: Host,
    /// Its port; default 587 with STARTTLS, 465 with TLS, otherwise 25.
    pub port: u16,
    /// How the connection is protected; default STARTTLS.
    pub security: MailSecurity,
    /// Certificate rules.
    pub tls: TlsOptions,
    /// Login, when the server wants one.
    pub login: Option<MailLogin>,
    /// Sender of the mails.
    pub from: String,
    /// The name in EHLO; `None` = the node's name.
    pub hello: Option<String>,
    /// Own address to send from; `None` = the kernel chooses.
    pub source: Option<IpAddr>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum MailSecurity {
    /// STARTTLS must succeed before anything is sent.
    #[default]
    Starttls,
    /// STARTTLS when the server offers it, in clear otherwise; with a login it is as [`Self::Starttls`].
    Opportunistic,
    /// TLS from the first octet.
    Tls,
    /// In clear.
    None,
}

/// Who we are for the mail server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailLogin {
    /// Name.
    pub user: String,
    /// Password, from a file.
    pub password: Secret,
}
