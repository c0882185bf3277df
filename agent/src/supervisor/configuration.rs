//! The configuration file: read, judged, and its findings told on standard error.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ha_config::{Configuration, Context, Finding};

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) struct Rejected {
    /// The first error, with its place.
    pub(crate) first: String,
    /// How many errors there are.
    pub(crate) count: usize,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error{}, the first: {}", self.count, if self.count == 1 { "" } else { "s" }, self.first)
    }
}

/// Reads and judges a file; hands every finding to `tell`.
pub(super) fn read(file: &Path, mut tell: impl FnMut(&Finding)) -> Result<Configuration, Rejected> {
    let octets = read_bounded(file).map_err(|error| Rejected {
        first: format!("cannot read {}: {error}; name another file with --config", file.display()),
        count: 1,
    })?;
    let host_name = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let mut context = Context { host_name: &host_name, read_file: &mut read_secret };
    let outcome = ha_config::parse_bytes(file, &octets, &mut context);
    outcome.findings.iter().for_each(&mut tell);
    let errors = outcome.findings.iter().filter(|finding| finding.severity == ha_config::Severity::Error);
    let first = errors.clone().next().map(Finding::headline);
    outcome.model.ok_or_else(|| Rejected { first: first.unwrap_or_default(), count: errors.count() })
}

/// One octet more than the largest configuration, so that a longer one is found out without being read whole.
fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(ha_config::LARGEST_TEXT).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    std::fs::File::open(file)?.take(limit).read_to_end(&mut octets)?;
    Ok(octets)
}

/// A file that a configuration names holds a secret: only its owner may read it, and the owner is root or we.
fn read_secret(file: &Path) -> std::io::Result<String> {
    const LIMIT: u64 = 4096;
    let open = std::fs::File::open(file)?;
    let found = open.metadata()?;
    let refuse = |why: String| Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why));
    if !found.is_file() {
        return refuse("it is not a regular file".to_owned());
    }
    if found.mode() & 0o077 != 0 {
        return refuse(format!("others can read it; chmod 600 {}", file.display()));
    }
    if found.uid() != 0 && found.uid() != nix::unistd::geteuid().as_raw() {
        return refuse(format!("it belongs to user {}, neither root nor the agent's user", found.uid()));
    }
    let mut text = String::new();
    open.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}
