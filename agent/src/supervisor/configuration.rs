//! The configuration file: read, judged, its checks compiled, and its findings told.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use ha_config::{Configuration, Context, Machine, NoMachine, Severity, Source, finding_at};
use ha_probe::command::Commands;

use super::certificates;
use crate::configure::{Judged, Told};
use crate::health::{self, Check, Environment};
use crate::{notify, regular};

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
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// What the file says.
    pub(crate) configuration: Arc<Configuration>,
    /// Its checks.
    pub(crate) checks: Arc<[Check]>,
}

/// What came of a text.
pub(super) struct Outcome {
    /// By place, everything that there is to say.
    pub(super) told: Vec<Told>,
    /// SHA-256 of its octets, in hex.
    pub(super) digest: String,
    /// There when nothing forbids it.
    pub(super) loaded: Option<Loaded>,
}

impl Outcome {
    /// What stands in the way, when something does.
    pub(super) fn rejected(&self) -> Rejected {
        let errors = self.told.iter().filter(|told| told.severity == Severity::Error);
        Rejected {
            count: errors.clone().count(),
            first: errors.map(|told| told.headline.clone()).next().unwrap_or_default(),
        }
    }

    /// The files that `[api]` names. Not for a reload: then those in force stay so, and that is told.
    fn judge_certificates(&mut self, file: &Path, octets: &[u8]) {
        let tls = self.loaded.as_ref().and_then(|loaded| loaded.configuration.api.tls.as_ref());
        let found = tls.map(certificates::findings).unwrap_or_default();
        let text = str::from_utf8(octets).unwrap_or_default();
        for (key, said) in found {
            // The file beside a keepalived.conf may name them: then there is no place in this one.
            let finding = finding_at(&Source { path: file, text }, "api", key, said.clone());
            let told = finding.as_ref().map_or_else(|| Told::about_no_place(file, said), Told::from);
            if told.severity == Severity::Error {
                self.loaded = None;
            }
            self.told.push(told);
        }
        self.told.sort_by_key(|told| (told.place.is_none(), told.place));
    }

    /// For the control plane.
    pub(super) fn into_judged(self) -> Judged {
        let configuration = self.loaded.map(|loaded| loaded.configuration);
        Judged { told: self.told, configuration, digest: self.digest }
    }
}

/// Reads and judges a file and what an agent needs besides to start with it; hands everything that there is to say to `tell`.
pub(super) fn read(file: &Path, commands: &Commands, tell: impl FnMut(Told)) -> Result<Loaded, Rejected> {
    let octets = octets_of(file)?;
    let mut outcome = judge(file, &octets, &[], commands);
    outcome.judge_certificates(file, &octets);
    let rejected = outcome.rejected();
    outcome.told.into_iter().for_each(tell);
    outcome.loaded.ok_or(rejected)
}

/// What the file consists of.
pub(super) fn octets_of(file: &Path) -> Result<Vec<u8>, Rejected> {
    read_bounded(file).map_err(|error| Rejected {
        first: format!("cannot read {}: {error}; name another file with --config", file.display()),
        count: 1,
    })
}

/// Judges octets as those of a file of this node. Checks that are configured as in `before` keep what they know.
pub(super) fn judge(file: &Path, octets: &[u8], before: &[Check], commands: &Commands) -> Outcome {
    judge_on(&mut Here::default(), file, octets, before, commands)
}

/// Judges octets that somebody sends, as those of this node's file: they include none of its files.
pub(super) fn judge_from_afar(file: &Path, octets: &[u8], commands: &Commands) -> Outcome {
    judge_on(&mut Here { is_asked_from_afar: true }, file, octets, &[], commands)
}

fn judge_on(here: &mut Here, file: &Path, octets: &[u8], before: &[Check], commands: &Commands) -> Outcome {
    let host_name = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let mut context = Context { host_name: &host_name, read_file: &mut read_secret, machine: here };
    let outcome = ha_config::parse_bytes(file, octets, &mut context);
    let mut told: Vec<Told> = outcome.findings.iter().map(Told::from).collect();
    let checks = outcome.model.as_ref().map(|configuration| {
        let environment = Environment { node: configuration.node_name.clone(), commands: commands.clone() };
        health::compile(&configuration.checks, before, &environment)
    });
    let checks = checks.transpose().unwrap_or_else(|unusable| {
        told.extend(unusable.iter().map(|unusable| Told::error(file, unusable.to_string())));
        None
    });
    let unusable = outcome.model.as_ref().map(|configuration| notify::Setup::from(configuration).unusable());
    let unusable = unusable.into_iter().flatten();
    told.extend(
        unusable.map(|(name, why)| Told::error(file, format!("[[notify]] `{name}` cannot be used: {why}"))),
    );
    // That of a keepalived.conf is of what it includes as well.
    let digest = outcome.model.as_ref().map_or_else(|| digest(octets), |model| model.digest.clone());
    let usable = told.iter().all(|told| told.severity != Severity::Error);
    let loaded = outcome.model.zip(checks).filter(|_| usable);
    let loaded =
        loaded.map(|(configuration, checks)| Loaded { configuration: Arc::new(configuration), checks });
    Outcome { told, digest, loaded }
}

fn digest(octets: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, octets);
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// One octet more than the largest configuration, so that a longer one is found out without being read whole. May be a pipe.
fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(ha_config::LARGEST_TEXT).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    std::fs::File::open(file)?.take(limit).read_to_end(&mut octets)?;
    Ok(octets)
}

/// This node, for a keepalived.conf.
#[derive(Default)]
struct Here {
    is_asked_from_afar: bool,
}

impl Machine for Here {
    fn read(&mut self, path: &Path) -> std::io::Result<String> {
        if self.is_asked_from_afar {
            return NoMachine.read(path);
        }
        let octets = regular::read(regular::open(path)?, ha_config::LARGEST_TEXT)?;
        // Comments of old files are in whatever their writers had.
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    fn list(&mut self, folder: &Path) -> std::io::Result<Vec<String>> {
        if self.is_asked_from_afar {
            return NoMachine.list(folder);
        }
        let names =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn has_user(&mut self, name: &str) -> Option<bool> {
        nix::unistd::User::from_name(name).ok().map(|user| user.is_some())
    }

    fn has_program(&mut self, program: &str) -> Option<bool> {
        const MAY_RUN: u32 = 0o111;
        let mut is_unknown = self.is_asked_from_afar;
        let is_there = ha_config::program_files(program).iter().any(|file| match file.metadata() {
            Ok(found) => found.is_file() && found.mode() & MAY_RUN != 0,
            Err(error) => {
                is_unknown |= error.kind() == std::io::ErrorKind::PermissionDenied;
                false
            }
        });
        (!is_unknown).then_some(is_there)
    }
}

/// A file that a configuration names holds a secret: only its owner may read it, and the owner is root or we.
fn read_secret(file: &Path) -> std::io::Result<String> {
    const MOST: usize = 4096;
    let open = regular::open(file)?;
    let found = open.metadata()?;
    let refuse = |why: String| Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why));
    if found.mode() & 0o077 != 0 {
        return refuse(format!("others can read it; chmod 600 {}", file.display()));
    }
    if found.uid() != 0 && found.uid() != nix::unistd::geteuid().as_raw() {
        return refuse(format!("it belongs to user {}, neither root nor the agent's user", found.uid()));
    }
    String::from_utf8(regular::read(open, MOST)?).map_err(|_| std::io::Error::other("it is not UTF-8"))
}
