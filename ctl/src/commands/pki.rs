//! `hactl pki init`, `issue`, `revoke` and `list`: certificates for the control plane over TCP. Works on files alone; asks no node.

mod authority;
mod files;

use jiff::Timestamp;
use serde::Serialize;

use self::authority::{Authority, Subject};
use crate::args::{Common, Folder, IssueCommand, PkiCommand};
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Report, Times};

/// A certificate in the folder.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct CertificateView {
    /// `ca`, `node`, `client`, or `other`.
    pub usage: &'static str,
    /// The common name.
    pub name: String,
    /// Host names, addresses and roles.
    pub holds: Vec<String>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    /// Whether it is in the folder's list of what is revoked.
    pub revoked: bool,
    pub file: String,
    /// Its key, when this run has made one.
    pub key_file: Option<String>,
    /// SHA-256 over the certificate, hex.
    pub fingerprint: String,
}

impl Item for CertificateView {
    const KIND: &'static str = "Certificate";
    const NONE: &'static str = "no certificate: hactl pki init and hactl pki issue make them";

    fn name(&self) -> String {
        self.file.clone()
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["CERTIFICATE", "FOR", "VALID UNTIL", "HOLDS", "FILE"];
        if wide {
            headers.extend(["VALID FROM", "SHA-256"]);
        }
        headers
    }

    fn cells(&self, wide: bool, times: &Times) -> Vec<Cell> {
        let expired = self.not_after.is_some_and(|end| end < Timestamp::now());
        let mut cells = vec![
            Cell::painted(Paint::Bold, &self.name),
            Cell::new(self.usage),
            match self.revoked {
                true => Cell::painted(Paint::Bad, "REVOKED"),
                false => Cell::painted(
                    if expired { Paint::Bad } else { Paint::Plain },
                    times.maybe(self.not_after),
                ),
            },
            Cell::new(self.holds.join(" ")),
            Cell::new(&self.file),
        ];
        if wide {
            cells.extend([Cell::new(times.maybe(self.not_before)), Cell::new(&self.fingerprint)]);
        }
        cells
    }
}

/// Does what the user asked for.
///
/// # Errors
/// What stopped it.
pub(crate) fn run(context: &Context, command: PkiCommand) -> Result<Exit, Stop> {
    let certificates = match command {
        PkiCommand::Init { folder, name, days } => vec![init(&folder, &name, days)?],
        PkiCommand::Issue(IssueCommand::Node { name, addresses, common }) => {
            vec![issue(&common, &name, &Subject::Node { addresses })?]
        }
        PkiCommand::Issue(IssueCommand::Client { name, role, common }) => {
            vec![issue(&common, &name, &Subject::Client { role })?]
        }
        PkiCommand::Revoke { names, folder } => revoke(&folder, &names)?,
        PkiCommand::List { folder } => files::certificates(&folder.path)?,
    };
    let mut answer = Report::new("CertificateList");
    answer.items = certificates;
    context.print(&answer, None)?;
    Ok(Exit::Done)
}

/// What stands in a certificate that hactl uses.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn own_certificate(file: &std::path::Path) -> Result<CertificateView, Failure> {
    files::certificate(file)
}

fn init(folder: &Folder, name: &str, days: u32) -> Result<CertificateView, Failure> {
    let (certificate, key) = Authority::create(name, days)?;
    files::make_folder(&folder.path)?;
    files::write_pair(&folder.path, authority::FILE_NAME, &certificate, &key, false)
}

fn issue(common: &Common, name: &str, subject: &Subject) -> Result<CertificateView, Failure> {
    files::check_name(name)?;
    let (certificate, key) = files::read_authority(&common.folder.path)?;
    let (certificate, key) = Authority::load(&certificate, &key)?.issue(name, subject, common.days)?;
    files::write_pair(&common.folder.path, name, &certificate, &key, common.replace)
}

fn revoke(folder: &Folder, names: &[String]) -> Result<Vec<CertificateView>, Failure> {
    let (certificate, key) = files::read_authority(&folder.path)?;
    let authority = Authority::load(&certificate, &key)?;
    let mut revoked = files::revoked(&folder.path)?;
    let now = Timestamp::now().as_second();
    for name in names {
        files::check_name(name)?;
        revoked.entry(files::serial(&folder.path, name)?).or_insert(now);
    }
    files::write_revoked(&folder.path, &authority.revoke(&revoked, now)?)?;
    let mut views = files::certificates(&folder.path)?;
    views.retain(|view| view.revoked);
    Ok(views)
}
