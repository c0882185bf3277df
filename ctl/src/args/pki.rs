//! `hactl pki …` as clap reads it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `hactl pki …`
#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Makes a certificate authority for one cluster: ca.crt for everybody, ca.key for nobody else.
    Init {
        #[command(flatten)]
        #[allow(missing_docs)]
        folder: Folder,
        /// What the authority is called in certificates.
        #[arg(long, default_value = "ha-agent cluster")]
        name: String,
        /// How long it is valid, in days, 1..36500.
        #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Issues a certificate with its key.
    #[command(subcommand)]
    Issue(IssueCommand),
    /// Adds certificates to revoked.pem, the list of what agents no longer accept: give it to all of them (the key api.revoked names it).
    Revoke {
        /// Names of certificates in the folder.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        folder: Folder,
    },
    /// The certificates in the folder: for whom, until when, whether revoked.
    List {
        #[command(flatten)]
        #[allow(missing_docs)]
        folder: Folder,
    },
}

/// `hactl pki issue …`
#[derive(Debug, Subcommand)]
pub(crate) enum IssueCommand {
    /// For an agent: it serves the control plane with it, and calls its peers.
    Node {
        /// The node's name, as in its configuration.
        name: String,
        /// A host name or address that clients and peers reach it by (repeat for more).
        #[arg(long = "address", value_name = "HOST", required = true)]
        addresses: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        common: Common,
    },
    /// For somebody who calls agents: a person, an orchestration system.
    Client {
        /// Who it is; written into every event that it causes.
        name: String,
        /// What it may do.
        #[arg(long, value_enum)]
        role: CertificateRole,
        #[command(flatten)]
        #[allow(missing_docs)]
        common: Common,
    },
}

/// Where the authority and its certificates are kept.
#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// The folder of the authority and its certificates.
    #[arg(long = "folder", value_name = "DIR", default_value = "pki", env = "HACTL_PKI")]
    pub path: PathBuf,
}

/// What all certificates have.
#[derive(Debug, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folder: Folder,
    /// How long it is valid, in days, 1..3650.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Replace a certificate and key of this name that are there already.
    #[arg(long)]
    pub replace: bool,
}

/// What the holder of a certificate may do; each includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CertificateRole {
    /// Look.
    Reader,
    /// Move addresses and change priorities.
    Operator,
    /// Everything.
    Admin,
}

impl CertificateRole {
    /// The word in certificates.
    pub(crate) fn word(self) -> &'static str {
        match self {
            CertificateRole::Reader => "reader",
            CertificateRole::Operator => "operator",
            CertificateRole::Admin => "admin",
        }
    }
}
