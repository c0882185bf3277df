//! Model × model → what a reload changes, for the log and for hactl. Decides nothing: the engine reconciles instances by
//! itself, and the agent knows which settings it can put in force while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ha_engine::{CheckPolicy, InstanceConfig, PoolConfig, ServerConfig};

use crate::model::{Check, ClusterPeer, Configuration, Notifier, Pool};

/// One difference between two configurations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Something that was not there before.
    Added {
        /// What it is.
        item: Item,
        /// Its name.
        name: String,
    },
    /// Something that is gone.
    Removed {
        /// What it was.
        item: Item,
        /// Its name.
        name: String,
    },
    /// Something that stays, with other values.
    Changed {
        /// What it is.
        item: Item,
        /// Its name.
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

/// What has a name in a configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Item {
    /// A virtual router.
    Instance,
    /// A check of `[[check]]`. The checks of a pool's servers belong to the pool.
    Check,
    /// A pool of servers.
    Pool,
    /// A receiver of notifications.
    Notify,
    /// Another node.
    Peer,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instance => "instance",
            Self::Check => "check",
            Self::Pool => "pool",
            Self::Notify => "notify",
            Self::Peer => "peer",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { item, name } => write!(f, "{item} {name} added"),
            Self::Removed { item, name } => write!(f, "{item} {name} removed"),
            Self::Changed { item, name, keys } => write!(f, "{item} {name} changed: {}", keys.join(", ")),
            Self::Setting { key, needs_restart: true } => {
                write!(f, "{key} changed, takes effect after a restart")
            }
            Self::Setting { key, needs_restart: false } => write!(f, "{key} changed"),
        }
    }
}

/// What differs between the configuration in force and the next one: settings, then everything that has a name, by name.
/// Empty when the model is the same, whatever the text looks like.
pub fn changes(old: &Configuration, new: &Configuration) -> Vec<Change> {
    let mut changes = setting_changes(old, new);
    compare(Item::Instance, &instances(old), &instances(new), instance_keys, &mut changes);
    compare(Item::Check, &own_checks(old), &own_checks(new), check_keys, &mut changes);
    compare(Item::Pool, &pools(old), &pools(new), pool_keys, &mut changes);
    compare(Item::Notify, &notifiers(old), &notifiers(new), notifier_keys, &mut changes);
    compare(Item::Peer, &peers(old), &peers(new), peer_keys, &mut changes);
    changes
}

fn instances(configuration: &Configuration) -> BTreeMap<&str, &InstanceConfig> {
    configuration.instances.iter().map(|instance| (&*instance.name, instance)).collect()
}

/// The checks that run once, by the name in the file.
fn own_checks(configuration: &Configuration) -> BTreeMap<&str, &Check> {
    configuration
        .checks
        .iter()
        .filter_map(|check| Some((check.policy.name.strip_prefix("checks/")?, check)))
        .collect()
}

/// A pool with the checks of its servers.
struct PoolAndChecks<'c> {
    pool: &'c Pool,
    checks: BTreeMap<&'c str, &'c Check>,
}

fn pools(configuration: &Configuration) -> BTreeMap<&str, PoolAndChecks<'_>> {
    let mut pools: BTreeMap<&str, PoolAndChecks<'_>> = BTreeMap::new();
    for pool in &configuration.pools {
        pools.insert(&pool.config.name, PoolAndChecks { pool, checks: BTreeMap::new() });
    }
    for check in &configuration.checks {
        let pool = check.policy.name.strip_prefix("pools/").and_then(|rest| rest.split('/').next());
        if let Some(of_pool) = pool.and_then(|pool| pools.get_mut(pool)) {
            of_pool.checks.insert(&check.policy.name, check);
        }
    }
    pools
}

fn notifiers(configuration: &Configuration) -> BTreeMap<&str, &Notifier> {
    configuration.notifiers.iter().map(|notifier| (notifier.name.as_str(), notifier)).collect()
}

fn peers(configuration: &Configuration) -> BTreeMap<&str, &ClusterPeer> {
    configuration.cluster.peers.iter().map(|peer| (peer.name.as_str(), peer)).collect()
}

/// What was added, removed and changed among all of one sort.
fn compare<T>(
    item: Item,
    before: &BTreeMap<&str, T>,
    after: &BTreeMap<&str, T>,
    keys_of: impl Fn(&T, &T) -> Vec<&'static str>,
    changes: &mut Vec<Change>,
) {
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    changes.extend(names.into_iter().filter_map(|key| {
        let name = key.to_owned();
        match (before.get(key), after.get(key)) {
            (None, _) => Some(Change::Added { item, name }),
            (_, None) => Some(Change::Removed { item, name }),
            (Some(before), Some(after)) => {
                let keys = keys_of(before, after);
                (!keys.is_empty()).then_some(Change::Changed { item, name, keys })
            }
        }
    }));
}

/// The keys whose values differ.
fn differing<const N: usize>(compared: [(&'static str, bool); N]) -> Vec<&'static str> {
    compared.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

/// The exhaustive pattern makes a new field of the model fail to compile here until it is compared.
fn check_keys(before: &&Check, after: &&Check) -> Vec<&'static str> {
    let Check { policy, kind, remedy } = *before;
    let CheckPolicy {
        name: _,
        target: _, // follows from the kind
        interval,
        timeout,
        rise,
        fall,
        jitter_percent,
        initial,
        grace,
        backoff,
        damping,
        remedy: _, // compared with its command
        rule,
        watched: _, // follows from the kind
    } = policy;
    let now = &after.policy;
    differing([
        ("kind or its keys", *kind != after.kind || *rule != now.rule),
        ("interval", *interval != now.interval),
        ("timeout", *timeout != now.timeout),
        ("rise", *rise != now.rise),
        ("fall", *fall != now.fall),
        ("jitter", *jitter_percent != now.jitter_percent),
        ("initial", *initial != now.initial),
        ("grace", *grace != now.grace),
        ("backoff", *backoff != now.backoff),
        ("damping", *damping != now.damping),
        ("remedy", *remedy != after.remedy),
    ])
}

/// The exhaustive pattern makes a new field of the model fail to compile here until it is compared.
fn notifier_keys(before: &&Notifier, after: &&Notifier) -> Vec<&'static str> {
    let Notifier { name: _, on, states, types, channel, timeout, retry_for, queue } = *before;
    differing([
        ("on", *on != after.on),
        ("states", *states != after.states),
        ("types", *types != after.types),
        ("command, fifo, webhook or mail", *channel != after.channel),
        ("timeout", *timeout != after.timeout),
        ("retry_for", *retry_for != after.retry_for),
        ("queue", *queue != after.queue),
    ])
}

/// The exhaustive pattern makes a new field of the model fail to compile here until it is compared.
fn peer_keys(before: &&ClusterPeer, after: &&ClusterPeer) -> Vec<&'static str> {
    let ClusterPeer { name: _, endpoint } = *before;
    differing([("endpoint", *endpoint != after.endpoint)])
}

fn checks_of(servers: &[ServerConfig]) -> impl Iterator<Item = &[Arc<str>]> {
    servers.iter().map(|server| &server.checks[..])
}

/// The exhaustive pattern makes a new field of the model fail to compile here until it is compared.
fn pool_keys(before: &PoolAndChecks<'_>, after: &PoolAndChecks<'_>) -> Vec<&'static str> {
    let Pool { config, balancer } = before.pool;
    let PoolConfig { name: _, servers, quorum, hysteresis, sorry, floor, slow_start, scope } = config;
    let now = &after.pool.config;
    let weight_from = |server: &ServerConfig| server.weight_from.clone();
    let plain = |server: &ServerConfig| (server.name.clone(), server.address, server.port, server.weight);
    differing([
        ("server", !servers.iter().map(plain).eq(now.servers.iter().map(plain))),
        ("checks", before.checks != after.checks || checks_of(servers).ne(checks_of(&now.servers))),
        ("quorum", *quorum != now.quorum),
        ("hysteresis", *hysteresis != now.hysteresis),
        ("floor", *floor != now.floor),
        ("slow_start", *slow_start != now.slow_start),
        ("sorry_server", *sorry != now.sorry),
        ("only_while_active", *scope != now.scope),
        ("weight_from", !servers.iter().map(weight_from).eq(now.servers.iter().map(weight_from))),
        ("nginx", *balancer != after.pool.balancer),
    ])
}

/// The exhaustive pattern makes a new field of the model fail to compile here until it is compared.
fn instance_keys(before: &&InstanceConfig, after: &&InstanceConfig) -> Vec<&'static str> {
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
    } = *before;
    differing([
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
    ])
}

/// Where the control plane listens beside its socket.
fn listen(configuration: &Configuration) -> Option<&[SocketAddr]> {
    configuration.api.tls.as_ref().map(|tls| &*tls.listen)
}

/// The files of the control plane's TLS.
fn files(configuration: &Configuration) -> Option<([&Path; 3], Option<&Path>)> {
    let tls = configuration.api.tls.as_ref()?;
    Some(([&*tls.certificate, &*tls.key, &*tls.client_ca], tls.revoked.as_deref()))
}

/// Who may call can change in flight; what was opened or allocated at start cannot.
fn setting_changes(old: &Configuration, new: &Configuration) -> Vec<Change> {
    let compared = [
        ("node.name", old.node_name != new.node_name, true),
        ("api.socket", old.api.socket != new.api.socket, true),
        ("api.admins", old.api.admins != new.api.admins, false),
        ("api.operators", old.api.operators != new.api.operators, false),
        ("api.readers", old.api.readers != new.api.readers, false),
        ("api.listen", listen(old) != listen(new), true),
        ("api.certificate, api.key, api.client_ca or api.revoked", files(old) != files(new), true),
        ("api.history", old.api.history != new.api.history, true),
        ("a limit of api", old.api.limits != new.api.limits, true),
        ("journal", old.journal != new.journal, true),
        ("metrics.listen", old.metrics != new.metrics, true),
        ("telemetry.endpoint", old.telemetry.endpoint != new.telemetry.endpoint, true),
        ("telemetry.metrics", old.telemetry.metrics != new.telemetry.metrics, true),
        ("telemetry.traces", old.telemetry.traces != new.telemetry.traces, true),
        ("telemetry.logs", old.telemetry.logs != new.telemetry.logs, true),
        ("telemetry.interval", old.telemetry.interval != new.telemetry.interval, true),
        ("telemetry.timeout", old.telemetry.timeout != new.telemetry.timeout, true),
        ("cluster.split_brain", old.cluster.split_brain != new.cluster.split_brain, false),
        ("cluster.stop_timeout", old.cluster.stop_timeout != new.cluster.stop_timeout, false),
        ("mail", old.mail != new.mail, false),
        ("nginx", old.nginx != new.nginx, false),
        ("log.level", old.log.level != new.log.level, false),
        ("log.format", old.log.format != new.log.format, true),
        ("realtime.scheduling", old.realtime.scheduling != new.realtime.scheduling, true),
        ("realtime.lock_memory", old.realtime.lock_memory != new.realtime.lock_memory, true),
        ("realtime.priority", old.realtime.priority != new.realtime.priority, true),
    ];
    let changed = compared.into_iter().filter(|(_, differs, _)| *differs);
    changed.map(|(key, _, needs_restart)| Change::Setting { key, needs_restart }).collect()
}
