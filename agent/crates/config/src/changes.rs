//! Model × model → what a reload changes, for the log and for hactl. Decides nothing: the engine reconciles instances by
//! itself, and the agent knows which settings it can put in force while it runs.

use std::collections::BTreeMap;
use std::fmt;

use ha_engine::InstanceConfig;

use crate::model::Configuration;

/// One difference between two configurations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// An instance that was not there before.
    Added {
        /// The instance.
        name: String,
    },
    /// An instance that is gone.
    Removed {
        /// The instance.
        name: String,
    },
    /// An instance that stays, with other values.
    Changed {
        /// The instance.
        name: String,
        /// The keys of the file whose values differ, in the order of `REFERENCE.md`; never their values.
        keys: Vec<&'static str>,
    },
    /// A setting of the agent itself.
    Setting {
        /// The key, as `section.key`.
        key: &'static str,
        /// Whether it only takes effect when the agent is started anew.
        needs_restart: bool,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { name } => write!(f, "instance {name} added"),
            Self::Removed { name } => write!(f, "instance {name} removed"),
            Self::Changed { name, keys } => write!(f, "instance {name} changed: {}", keys.join(", ")),
            Self::Setting { key, needs_restart: true } => {
                write!(f, "{key} changed, takes effect after a restart")
            }
            Self::Setting { key, needs_restart: false } => write!(f, "{key} changed"),
        }
    }
}

/// What differs between the configuration in force and the next one: settings, then instances by name. Empty when the
/// model is the same, whatever the text looks like.
pub fn changes(old: &Configuration, new: &Configuration) -> Vec<Change> {
    let mut changes = setting_changes(old, new);
    let before = by_name(old);
    let after = by_name(new);
    let names: std::collections::BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    changes.extend(
        names.into_iter().filter_map(|name| instance_change(name, before.get(name), after.get(name))),
    );
    changes
}

fn by_name(configuration: &Configuration) -> BTreeMap<&str, &InstanceConfig> {
    configuration.instances.iter().map(|instance| (&*instance.name, instance)).collect()
}

fn instance_change(
    name: &str,
    before: Option<&&InstanceConfig>,
    after: Option<&&InstanceConfig>,
) -> Option<Change> {
    let name = name.to_owned();
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Added { name }),
        (Some(_), None) => Some(Change::Removed { name }),
        (Some(before), Some(after)) => {
            let keys = changed_keys(before, after);
            (!keys.is_empty()).then_some(Change::Changed { name, keys })
        }
    }
}

/// The exhaustive pattern makes a new field of the model fail to compile here until it is compared.
fn changed_keys(before: &InstanceConfig, after: &InstanceConfig) -> Vec<&'static str> {
    let InstanceConfig {
        name: _,
        interface,
        virtual_router_id,
        family: _, // follows from the addresses
        protocol,
        priority,
        interval,
        longest_adopted_interval,
        addresses,
        preempt,
        preempt_delay,
        startup_delay,
        transport,
        source,
        announce,
        address_lost,
        lease,
        virtual_mac,
        tracks,
        group,
    } = before;
    let compared = [
        ("interface", *interface != after.interface),
        ("virtual_router_id", *virtual_router_id != after.virtual_router_id),
        ("priority", *priority != after.priority),
        ("addresses", *addresses != after.addresses),
        ("version, checksum or password", *protocol != after.protocol),
        ("advertisement_interval", *interval != after.interval),
        ("longest_adopted_interval", *longest_adopted_interval != after.longest_adopted_interval),
        ("preempt", *preempt != after.preempt),
        ("preempt_delay", *preempt_delay != after.preempt_delay),
        ("startup_delay", *startup_delay != after.startup_delay),
        ("source", *source != after.source),
        ("allowed_sources or unicast", *transport != after.transport),
        ("announce", *announce != after.announce),
        ("address_lost", *address_lost != after.address_lost),
        ("address_lease", *lease != after.lease),
        ("virtual_mac", *virtual_mac != after.virtual_mac),
        ("track", *tracks != after.tracks),
        ("group", *group != after.group),
    ];
    compared.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

/// Who may call can change in flight; what was opened or allocated at start cannot.
fn setting_changes(old: &Configuration, new: &Configuration) -> Vec<Change> {
    let compared = [
        ("node.name", old.node_name != new.node_name, true),
        ("api.socket", old.api.socket != new.api.socket, true),
        ("api.admins", old.api.admins != new.api.admins, false),
        ("api.operators", old.api.operators != new.api.operators, false),
        ("api.readers", old.api.readers != new.api.readers, false),
        ("api.history", old.api.history != new.api.history, true),
        ("metrics.listen", old.metrics != new.metrics, true),
        ("telemetry.endpoint", old.telemetry.endpoint != new.telemetry.endpoint, true),
        ("telemetry.metrics", old.telemetry.metrics != new.telemetry.metrics, true),
        ("telemetry.traces", old.telemetry.traces != new.telemetry.traces, true),
        ("telemetry.logs", old.telemetry.logs != new.telemetry.logs, true),
        ("telemetry.interval", old.telemetry.interval != new.telemetry.interval, true),
        ("telemetry.timeout", old.telemetry.timeout != new.telemetry.timeout, true),
        ("log.level", old.log.level != new.log.level, true),
        ("log.format", old.log.format != new.log.format, true),
        ("realtime.scheduling", old.realtime.scheduling != new.realtime.scheduling, true),
        ("realtime.lock_memory", old.realtime.lock_memory != new.realtime.lock_memory, true),
        ("realtime.priority", old.realtime.priority != new.realtime.priority, true),
    ];
    let changed = compared.into_iter().filter(|(_, differs, _)| *differs);
    changed.map(|(key, _, needs_restart)| Change::Setting { key, needs_restart }).collect()
}
