//! Certificates and keys as files: written whole or not at all, keys for their owner alone, nothing overwritten by accident.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::CertificateView;
use super::authority::FILE_NAME;
use crate::exit::Exit;
use crate::failure::Failure;

/// The folder's list of what is revoked.
const LIST_NAME: &str = "revoked.pem";

/// A certificate is for everybody, a key for its owner.
const CERTIFICATE_MODE: u32 = 0o644;
const KEY_MODE: u32 = 0o600;

/// Makes the folder, for its owner alone, if it is not there.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| cannot("make", folder, &error))
}

/// A name that is a file's name and a segment of a resource name as well.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let good = !name.is_empty() && name.len() <= 63 && name.chars().all(allowed) && !name.starts_with('.');
    match good && name != FILE_NAME {
        true => Ok(()),
        false => Err(Failure::usage(
            format!("{name:?} cannot be the name of a certificate"),
            "use 1 to 63 letters, digits, '-', '_', '.' and '@'; ca is the authority's",
        )),
    }
}

/// The authority's certificate and key.
pub(super) fn read_authority(folder: &Path) -> Result<(String, String), Failure> {
    let (certificate, key) = paths(folder, FILE_NAME);
    Ok((read(&certificate)?, read(&key)?))
}

/// Writes a certificate and its key.
pub(super) fn write_pair(
    folder: &Path,
    name: &str,
    certificate: &str,
    key: &str,
    replace: bool,
) -> Result<CertificateView, Failure> {
    let (certificate_file, key_file) = paths(folder, name);
    for file in [&certificate_file, &key_file] {
        if !replace && file.symlink_metadata().is_ok() {
            return Err(exists(file));
        }
    }
    // The key first: a certificate without its key would be found by a later run and be of no use.
    write(&key_file, key, KEY_MODE)?;
    write(&certificate_file, certificate, CERTIFICATE_MODE)?;
    let mut view = view(&certificate_file, certificate)?;
    view.key_file = Some(key_file.display().to_string());
    Ok(view)
}

/// What is revoked: serial numbers, and when, in seconds since 1970.
pub(super) type Revoked = BTreeMap<Vec<u8>, i64>;

/// What the folder's list says is revoked; nothing without one.
pub(super) fn revoked(folder: &Path) -> Result<Revoked, Failure> {
    let file = folder.join(LIST_NAME);
    if !file.try_exists().unwrap_or(true) {
        return Ok(Revoked::new());
    }
    let text = read(&file)?;
    let unreadable = |why: String| {
        let message = format!("{} is no list of revoked certificates: {why}", file.display());
        Failure::usage(
            message,
            "nothing was changed; put it right or move it away, and revoke all that it held again",
        )
    };
    let pem = Pem::iter_from_buffer(text.as_bytes()).next();
    let pem = pem.ok_or_else(|| unreadable("there is no PEM in it".to_owned()))?;
    let pem = pem.map_err(|error| unreadable(error.to_string()))?;
    let (_, list) =
        CertificateRevocationList::from_der(&pem.contents).map_err(|error| unreadable(error.to_string()))?;
    let each = list.iter_revoked_certificates();
    Ok(each.map(|one| (one.raw_serial().to_vec(), one.revocation_date.timestamp())).collect())
}

/// Writes the list of what is revoked.
pub(super) fn write_revoked(folder: &Path, list: &str) -> Result<(), Failure> {
    write(&folder.join(LIST_NAME), list, CERTIFICATE_MODE)
}

/// The serial number of a certificate in the folder.
pub(super) fn serial(folder: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    let (file, _) = paths(folder, name);
    let text = read(&file)
        .map_err(|failure| Failure { remedy: "hactl pki list shows what there is".into(), ..failure })?;
    Ok(parsed(&file, &text)?.1)
}

/// All certificates in the folder, the authority's first, then by name.
pub(super) fn certificates(folder: &Path) -> Result<Vec<CertificateView>, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let (revoked, mut views) = (revoked(folder)?, Vec::new());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "crt")) {
        let text = read(&file)?;
        let mut view = view(&file, &text)?;
        view.revoked = revoked.contains_key(&parsed(&file, &text)?.1);
        views.push(view);
    }
    views.sort_by(|one, other| (one.usage != "ca", &one.name).cmp(&(other.usage != "ca", &other.name)));
    Ok(views)
}

fn paths(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")))
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let mut failure = cannot("read", path, error);
    if error.kind() == io::ErrorKind::NotFound {
        failure.remedy = "hactl pki init makes an authority; --folder says where it is".into();
    }
    failure
}

/// Beside its place first, so that whoever reads it finds the old or the new one, whole.
fn write(file: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let beside = file.with_extension("new");
    let written = || -> io::Result<()> {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut new = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, file)
    };
    written().map_err(|error| cannot("write", file, &error))
}

/// One certificate.
pub(super) fn certificate(file: &Path) -> Result<CertificateView, Failure> {
    view(file, &read(file)?)
}

/// A certificate's PEM, and its serial number.
fn parsed(file: &Path, text: &str) -> Result<(Pem, Vec<u8>), Failure> {
    let pem = Pem::iter_from_buffer(text.as_bytes())
        .find_map(Result::ok)
        .ok_or_else(|| no_certificate(file, "there is no PEM in it"))?;
    let serial =
        pem.parse_x509().map_err(|error| no_certificate(file, &error.to_string()))?.raw_serial().to_vec();
    Ok((pem, serial))
}

fn no_certificate(file: &Path, why: &str) -> Failure {
    let message = format!("{} is no certificate: {why}", file.display());
    Failure::usage(message, "move it out of the folder, or issue it again with --replace")
}

fn view(file: &Path, text: &str) -> Result<CertificateView, Failure> {
    let (pem, _) = parsed(file, text)?;
    let certificate = pem.parse_x509().map_err(|error| no_certificate(file, &error.to_string()))?;
    let names = names(&certificate);
    let common_name = certificate.subject().iter_common_name().find_map(|name| name.as_str().ok());
    Ok(CertificateView {
        usage: usage(&certificate, &names),
        name: common_name.unwrap_or_default().to_owned(),
        holds: names.iter().map(|name| shown(name).to_owned()).collect(),
        not_before: Timestamp::from_second(certificate.validity().not_before.timestamp()).ok(),
        not_after: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok(),
        revoked: false,
        file: file.display().to_string(),
        key_file: None,
        fingerprint: Sha256::digest(&pem.contents).iter().map(|octet| format!("{octet:02x}")).collect(),
    })
}

fn usage(certificate: &X509Certificate<'_>, names: &[String]) -> &'static str {
    let has = |prefix: &str| names.iter().any(|name| name.starts_with(prefix));
    match () {
        () if certificate.is_ca() => "ca",
        () if has("ha-agent://node/") => "node",
        () if has("ha-agent://client/") => "client",
        () => "other",
    }
}

/// The subject alternative names as texts.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
            _ => {
                <[u8; 16]>::try_from(*octets).ok().map(|octets| std::net::Ipv6Addr::from(octets).to_string())
            }
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(text).collect()
}

/// A role without the scheme that all have.
fn shown(name: &str) -> &str {
    name.strip_prefix("ha-agent://").unwrap_or(name)
}

fn exists(file: &Path) -> Failure {
    let message = format!("{} is there already", file.display());
    let remedy =
        "nothing was changed; --replace issues it anew, and the agent or client must then read the new one";
    Failure::local(Exit::Refused, "FAILED_PRECONDITION", "FILE_EXISTS", message, remedy)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {what} {}: {error}", path.display());
    Failure::local(Exit::Usage, "IO", "FILE", message, "check the path and your permissions")
}
