//! The configuration file: read, judged, its checks compiled, and its findings told.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use ha_config::{Configuration, Context, Finding, Severity};
use ha_probe::command::Commands;

use crate::health::{self, Check, Environment, Unusable};
use crate::notify;

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

/// A configuration that can be put in force: read, judged, and its checks compiled.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What the file says.
    pub(crate) configuration: Configuration,
    /// Its checks.
    pub(crate) checks: Arc<[Check]>,
}

/// Something to say about a file.
pub(super) struct Told {
    pub(super) severity: Severity,
    /// One line.
    pub(super) headline: String,
    /// With the line of the file, where there is one.
    pub(super) whole: String,
}

/// Reads and judges a file; hands everything that there is to say to `tell`. Checks that are configured as in `before` keep
/// what they know.
pub(super) fn read(
    file: &Path,
    before: &[Check],
    commands: &Commands,
    mut tell: impl FnMut(Told),
) -> Result<Loaded, Rejected> {
    let octets = read_bounded(file).map_err(|error| Rejected {
        first: format!("cannot read {}: {error}; name another file with --config", file.display()),
        count: 1,
    })?;
    let host_name = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let mut context = Context { host_name: &host_name, read_file: &mut read_secret };
    let outcome = ha_config::parse_bytes(file, &octets, &mut context);
    let mut told: Vec<Told> = outcome.findings.iter().map(Told::from).collect();
    let checks = outcome.model.as_ref().map(|configuration| {
        let environment = Environment { node: configuration.node_name.clone(), commands: commands.clone() };
        health::compile(&configuration.checks, before, &environment)
    });
    let checks = checks.transpose().unwrap_or_else(|unusable| {
        told.extend(unusable.iter().map(|unusable| Told::unusable(file, unusable)));
        None
    });
    let unusable = outcome.model.as_ref().map(|configuration| notify::Setup::from(configuration).unusable());
    told.extend(unusable.into_iter().flatten().map(|(name, why)| Told::unusable_notifier(file, &name, &why)));
    let errors = told.iter().filter(|told| told.severity == Severity::Error);
    let rejected = Rejected {
        count: errors.clone().count(),
        first: errors.map(|told| told.headline.clone()).next().unwrap_or_default(),
    };
    told.into_iter().for_each(&mut tell);
    if rejected.count > 0 {
        return Err(rejected);
    }
    let (configuration, checks) = outcome.model.zip(checks).ok_or(rejected)?;
    Ok(Loaded { configuration, checks })
}

impl From<&Finding> for Told {
    fn from(finding: &Finding) -> Self {
        Self { severity: finding.severity, headline: finding.headline(), whole: finding.to_string() }
    }
}

impl Told {
    fn unusable(file: &Path, unusable: &Unusable) -> Self {
        Self::error(format!("{}: error: {unusable}", file.display()))
    }

    fn unusable_notifier(file: &Path, name: &str, why: &str) -> Self {
        Self::error(format!("{}: error: [[notify]] `{name}` cannot be used: {why}", file.display()))
    }

    fn error(text: String) -> Self {
        Self { severity: Severity::Error, headline: text.clone(), whole: text }
    }
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
