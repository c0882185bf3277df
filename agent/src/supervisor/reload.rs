//! SIGHUP: a new configuration is taken over whole or not at all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use ha_config::{Change, Configuration, Severity, changes};
use ha_engine::{Cause, Event, EventKind, Evidence, Subject};
use ha_probe::command::Commands;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::conditions::{CONFIGURATION, Conditions};
use super::configuration::{Loaded, Told};
use super::{checks, configuration, roles};
use crate::api::{Certificates, ConfigInfo, Roles};
use crate::journal::Journal;
use crate::telemetry::NodeCounts;
use crate::{clock, driver, health, notify, pools};

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
    pub(super) journal: Arc<Journal>,
    pub(super) conditions: Arc<Conditions>,
    pub(super) counts: Arc<NodeCounts>,
    pub(super) info: watch::Sender<ConfigInfo>,
    pub(super) roles: watch::Sender<Arc<Roles>>,
    pub(super) certificates: Option<Arc<Certificates>>,
}

impl Reloader {
    /// The first configuration has been taken over.
    pub(super) fn began(&self) {
        self.tell(
            EventKind::ConfigurationLoaded { digest: self.current.configuration.digest.as_str().into() },
            Cause::AgentStart,
        );
        self.set_condition(true, "Loaded", "the configuration file is in force".to_owned());
    }

    /// Reads the file again and takes over what changed.
    pub(super) async fn reload(&mut self) {
        if let Some(certificates) = &self.certificates {
            super::certificates::refresh(certificates, &self.conditions);
        }
        let tell = |told: Told| match told.severity {
            Severity::Error => error!("{}", told.headline),
            Severity::Warning => warn!("{}", told.headline),
        };
        let read = configuration::read(&self.file, &self.current.checks, &self.commands, tell);
        match read {
            Ok(loaded) => self.take_over(loaded).await,
            Err(rejected) => {
                self.counts.reloaded(false);
                error!("the new configuration is not taken over, the old one stays in force: {rejected}");
                let message = format!("{} is not in force: {rejected}", self.file.display());
                self.set_condition(false, "Rejected", message);
                let error = rejected.first.as_str().into();
                self.tell(
                    EventKind::ConfigurationRejected { error, count: rejected.count },
                    Cause::ConfigReload,
                );
            }
        }
    }

    async fn take_over(&mut self, loaded: Loaded) {
        let configuration = &loaded.configuration;
        let changes = changes(&self.current.configuration, configuration);
        changes.iter().for_each(|change| info!("reload: {change}"));
        let waiting =
            changes.iter().filter(|change| matches!(change, Change::Setting { needs_restart: true, .. }));
        let waiting: Vec<String> = waiting.map(ToString::to_string).collect();
        let instances: Arc<[_]> = configuration.instances.clone().into();
        if self.driver.reconfigure(instances).await.is_err() {
            return;
        }
        // Instances first: nothing that they no longer track must disturb them.
        if self.checks.reconfigure(Arc::clone(&loaded.checks)).await.is_err() {
            return;
        }
        if self.pools.reconfigure(checks::wanted_pools(configuration)).await.is_err() {
            return;
        }
        self.notifications.reconfigure(configuration.into()).await;
        let (resolved, unknown) = roles::resolve(&configuration.api);
        unknown.iter().for_each(|unknown| warn!("{unknown}"));
        self.roles.send_replace(Arc::new(resolved));
        self.info.send_replace(info_of(configuration));
        self.current = loaded;
        self.counts.reloaded(true);
        self.tell(
            EventKind::ConfigurationLoaded { digest: self.current.configuration.digest.as_str().into() },
            Cause::ConfigReload,
        );
        match waiting.is_empty() {
            true => self.set_condition(true, "Loaded", "the configuration file is in force".to_owned()),
            false => self.set_condition(false, "RestartNeeded", waiting.join("; ")),
        }
    }

    fn set_condition(&self, holds: bool, reason: &str, message: String) {
        self.conditions.set(CONFIGURATION, holds, reason, message);
    }

    fn tell(&self, kind: EventKind, cause: Cause) {
        self.journal.append(Box::new(Event {
            at: clock::now(),
            subject: Subject::Node,
            kind,
            cause,
            evidence: Evidence::default(),
            actor: None,
        }));
    }
}

/// What the control plane shows of a configuration that is in force from now on.
pub(super) fn info_of(configuration: &Configuration) -> ConfigInfo {
    ConfigInfo { digest: configuration.digest.clone(), loaded: SystemTime::now() }
}
