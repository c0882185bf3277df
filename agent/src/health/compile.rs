//! Configured checks → checks that can be run. What only the probe can judge (patterns, certificates, digests) is an error
//! of the configuration like any other: nothing of it is then taken over.

mod spec;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ha_config::{CheckKind, SmtpSecurity};
use ha_engine::CheckPolicy;
use ha_probe::command::{Command, Commands, Leftovers, Limits};
use ha_probe::{Invalid, Probe};

use spec::Compiler;

/// A check that can be run.
#[derive(Clone, Debug)]
pub struct Check {
    /// When it runs, and what its results mean.
    pub(super) policy: Arc<CheckPolicy>,
    /// The word in the configuration.
    pub(super) kind: &'static str,
    /// What it looks at, for people.
    pub(super) target: Arc<str>,
    /// `None` = it follows from other checks.
    pub(super) probe: Option<Arc<Probe>>,
    pub(super) remedy: Option<Arc<Command>>,
    configured: Arc<CheckKind>,
}

/// A check that cannot be run as it is configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unusable {
    /// The name of its fact.
    pub check: Arc<str>,
    /// The key of the configuration, and what is wrong with its value.
    pub why: Invalid,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.why)
    }
}

/// What checks need of the node and of its configuration.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The node's name, with which mail servers are greeted.
    pub node: String,
    /// Runs scripts and remedies; a clone of the one that runs them.
    pub commands: Commands,
}

/// Compiles all checks. Those that `before` has with the same configuration keep what they know, such as the addresses of
/// names; files with certificates are read again.
///
/// # Errors
/// All checks that cannot be run.
pub fn compile(
    configured: &[ha_config::Check],
    before: &[Check],
    environment: &Environment,
) -> Result<Arc<[Check]>, Vec<Unusable>> {
    let known: HashMap<&str, &Check> = before.iter().map(|check| (&*check.policy.name, check)).collect();
    let compiler = Compiler::new(environment);
    let (mut checks, mut unusable) = (Vec::with_capacity(configured.len()), Vec::new());
    for check in configured {
        let before = known.get(&*check.policy.name);
        let before = before.filter(|before| *before.configured == check.kind && !reads_files(&check.kind));
        match compile_one(check, before.copied(), &compiler) {
            Ok(check) => checks.push(check),
            Err(why) => unusable.push(Unusable { check: Arc::clone(&check.policy.name), why }),
        }
    }
    if unusable.is_empty() { Ok(checks.into()) } else { Err(unusable) }
}

/// Certificates may be new although their files are called the same.
fn reads_files(kind: &CheckKind) -> bool {
    let tls = match kind {
        CheckKind::Http(kind) => kind.tls.as_ref(),
        CheckKind::Grpc(kind) => kind.tls.as_ref(),
        CheckKind::Tls(kind) => Some(&kind.tls),
        CheckKind::Smtp(kind) => match &kind.security {
            SmtpSecurity::Starttls(tls) | SmtpSecurity::Tls(tls) => Some(tls),
            SmtpSecurity::None => None,
        },
        _ => None,
    };
    tls.is_some_and(|tls| tls.ca_file.is_some() || tls.certificate_file.is_some())
}

fn compile_one(
    check: &ha_config::Check,
    before: Option<&Check>,
    compiler: &Compiler<'_>,
) -> Result<Check, Invalid> {
    let (probe, target, configured) = match before {
        Some(before) => (before.probe.clone(), Arc::clone(&before.target), Arc::clone(&before.configured)),
        None => {
            let spec = compiler.spec(check)?;
            let probe = spec.map(Probe::new).transpose()?.map(Arc::new);
            (probe, check.looks_at().into(), Arc::new(check.kind.clone()))
        }
    };
    Ok(Check {
        policy: Arc::new(check.policy.clone()),
        kind: check.kind.as_str(),
        target,
        probe,
        remedy: check.remedy.as_ref().map(|remedy| Arc::new(remedy_of(remedy, &check.policy.name))),
        configured,
    })
}

/// What a remedy starts may stay: that is what it is for.
fn remedy_of(remedy: &ha_config::Remedy, check: &str) -> Command {
    Command {
        limits: Limits::REMEDY,
        leftovers: Leftovers::Stay,
        ..command_of(&remedy.command, check, remedy.policy.timeout)
    }
}

/// A command of a check. Root must be said.
fn command_of(command: &ha_config::Command, check: &str, timeout: Duration) -> Command {
    Command {
        user: command.user.clone(),
        allow_root: command.user.as_deref().is_some_and(|user| user == "root" || user == "0"),
        environment: vec![("HA_CHECK".to_owned(), check.to_owned())],
        ..Command::new(command.argv.iter().cloned(), timeout)
    }
}
