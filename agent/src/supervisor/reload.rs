//! SIGHUP and ReloadConfig: a new configuration is taken over whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ha_config::{Change, Configuration, Severity, changes};
use ha_engine::{Cause, Event, EventKind, Evidence, Subject};
use ha_probe::command::Commands;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::conditions::{CONFIGURATION, Conditions};
use super::configuration::{Loaded, Rejected};
use super::{checks, configuration, roles};
use crate::api::{Certificates, ConfigInfo, Roles};
use crate::configure::{Refused, Reload, Reloaded, Told};
use crate::journal::Journal;
use crate::telemetry::NodeCounts;
use crate::telemetry::logging::Levels;
use crate::{clock, driver, health, notify, peers, pools};

/// The configuration in force and everybody who must know of it.
pub(super) struct Reloader {
    pub(super) file: PathBuf,
    pub(super) current: Loaded,
    /// Runs scripts and remedies.
    pub(super) commands: Commands,
    pub(super) driver: driver::Handle,
    pub(super) checks: health::Handle,
    pub(super) notifications: notify::Handle,
    pub(super) pools: pools::Handle,
    pub(super) peers: peers::Handle,
    pub(super) journal: Arc<Journal>,
    pub(super) conditions: Arc<Conditions>,
    pub(super) counts: Arc<NodeCounts>,
    pub(super) info: watch::Sender<ConfigInfo>,
    pub(super) roles: watch::Sender<Arc<Roles>>,
    pub(super) log: Levels,
    pub(super) certificates: Option<Arc<Certificates>>,
}

impl Reloader {
    /// The first configuration has been taken over.
    pub(super) fn began(&self) {
        let digest = self.current.configuration.digest.as_str().into();
        let kind = EventKind::ConfigurationLoaded { digest };
        self.tell(kind, Cause::AgentStart, &Reload::default(), None);
        self.set_condition(true, "Loaded", "the configuration file is in force".to_owned());
    }

    /// Reads the file again and takes over what changed, or says what that would be.
    ///
    /// # Errors
    /// Why the file is not in force. The old configuration is.
    pub(super) async fn reload(&mut self, wish: &Reload) -> Result<Reloaded, Refused> {
        let before = &self.current.configuration.digest;
        if !wish.in_force.is_empty() && wish.in_force != *before {
            return Err(Refused::OtherInForce(before.clone()));
        }
        if let Some(certificates) = self.certificates.as_ref().filter(|_| !wish.dry_run) {
            super::certificates::refresh(certificates, &self.conditions);
        }
        let began = Instant::now();
        let outcome = match configuration::octets_of(&self.file) {
            Ok(octets) => configuration::judge(&self.file, &octets, &self.current.checks, &self.commands),
            Err(rejected) => return Err(self.reject(rejected, wish)),
        };
        if !wish.expected.is_empty() && wish.expected != outcome.digest {
            return Err(Refused::OtherFile(outcome.digest));
        }
        let loaded = outcome.loaded.clone();
        let changes = loaded.as_ref().map(|loaded| self.changes_to(loaded)).unwrap_or_default();
        if wish.dry_run {
            return Ok(Reloaded { judged: outcome.into_judged(), changes, took: Duration::ZERO });
        }
        outcome.told.iter().for_each(log);
        let Some(loaded) = loaded else { return Err(self.reject(outcome.rejected(), wish)) };
        self.take_over(loaded, &changes, wish).await?;
        Ok(Reloaded { judged: outcome.into_judged(), changes, took: began.elapsed() })
    }

    fn changes_to(&self, loaded: &Loaded) -> Vec<Change> {
        changes(&self.current.configuration, &loaded.configuration)
    }

    /// Says that the file is not taken over; a dry run says it to its caller only.
    fn reject(&self, rejected: Rejected, wish: &Reload) -> Refused {
        let Rejected { first, count } = &rejected;
        if !wish.dry_run {
            self.counts.reloaded(false);
            error!("the new configuration is not taken over, the old one stays in force: {rejected}");
            let message = format!("{} is not in force: {rejected}", self.file.display());
            self.set_condition(false, "Rejected", message);
            let kind = EventKind::ConfigurationRejected { error: first.as_str().into(), count: *count };
            self.tell(kind, Cause::ConfigReload, wish, None);
        }
        Refused::Rejected { first: first.clone(), count: *count }
    }

    async fn take_over(&mut self, loaded: Loaded, changes: &[Change], wish: &Reload) -> Result<(), Refused> {
        let configuration = &loaded.configuration;
        changes.iter().for_each(|change| info!("reload: {change}"));
        let instances: Arc<[_]> = configuration.instances.clone().into();
        let stopping = |_| Refused::Stopping;
        self.driver.reconfigure(instances).await.map_err(stopping)?;
        // Instances first: nothing that they no longer track must disturb them.
        self.checks.reconfigure(Arc::clone(&loaded.checks)).await.map_err(|_| Refused::Stopping)?;
        self.pools.reconfigure(checks::wanted_pools(configuration)).await.map_err(|_| Refused::Stopping)?;
        self.peers.set_split_brain(configuration.cluster.split_brain);
        self.peers.reconfigure(configuration.cluster.peers.clone().into());
        self.notifications.reconfigure((&**configuration).into()).await;
        let (resolved, unknown) = roles::resolve(&configuration.api);
        unknown.iter().for_each(|unknown| warn!("{unknown}"));
        self.roles.send_replace(Arc::new(resolved));
        self.log.configure(configuration.log.level.as_str());
        self.info.send_replace(info_of(configuration, &self.file));
        let before = std::mem::replace(&mut self.current, loaded);
        self.counts.reloaded(true);
        let digest = self.current.configuration.digest.as_str().into();
        let kind = EventKind::ConfigurationLoaded { digest };
        self.tell(kind, Cause::ConfigReload, wish, Some(&before.configuration.digest));
        let waiting =
            changes.iter().filter(|change| matches!(change, Change::Setting { needs_restart: true, .. }));
        let waiting: Vec<String> = waiting.map(ToString::to_string).collect();
        match waiting.is_empty() {
            true => self.set_condition(true, "Loaded", "the configuration file is in force".to_owned()),
            false => self.set_condition(false, "RestartNeeded", waiting.join("; ")),
        }
        Ok(())
    }

    fn set_condition(&self, holds: bool, reason: &str, message: String) {
        self.conditions.set(CONFIGURATION, holds, reason, message);
    }

    /// Tells the journal: who wanted it and why, and what was in force before.
    fn tell(&self, kind: EventKind, cause: Cause, wish: &Reload, before: Option<&str>) {
        let reason = Some(wish.reason.as_str()).filter(|reason| !reason.is_empty()).map(str::to_owned);
        let before = before.map(|digest| format!("before: configuration {digest:.12}"));
        let detail: Vec<String> = reason.into_iter().chain(before).collect();
        let detail = (!detail.is_empty()).then(|| detail.join("; ").into());
        self.journal.append(Box::new(Event {
            at: clock::now(),
            subject: Subject::Node,
            kind,
            cause,
            evidence: Evidence { detail, ..Evidence::default() },
            actor: wish.actor.clone(),
        }));
    }
}

fn log(told: &Told) {
    match told.severity {
        Severity::Error => error!("{}", told.headline),
        Severity::Warning => warn!("{}", told.headline),
    }
}

/// What the control plane shows of a configuration that is in force from now on.
pub(super) fn info_of(configuration: &Arc<Configuration>, file: &Path) -> ConfigInfo {
    ConfigInfo {
        configuration: Arc::clone(configuration),
        file: file.to_owned(),
        digest: configuration.digest.clone(),
        loaded: SystemTime::now(),
    }
}
