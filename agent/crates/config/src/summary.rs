//! What a configuration does, as text for a human: every instance with what it tracks, every check, pool and notifier.

use std::fmt;
use std::time::Duration;

use ha_engine::{CheckPolicy, Floor, InstanceConfig, PoolConfig, PoolScope, Track, TrackEffect, Transport};

use crate::address::described;
use crate::duration::human;
use crate::model::{Check, CheckKind, Configuration, Notifier, NotifyChannel, NotifyScope, Pool};

/// Prints a configuration in short, one thing a line with what belongs to it below; without a final line break. The checks
/// of pools' servers are counted, not listed.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'c>(pub &'c Configuration);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Configuration { node_name, instances, checks, pools, notifiers, cluster, .. } = self.0;
        write!(f, "node {node_name}")?;
        let peers = &cluster.peers;
        peers.iter().try_for_each(|peer| write!(f, "\npeer {}: {}", peer.name, peer.endpoint))?;
        instances.iter().try_for_each(|instance| show_instance(instance, f))?;
        let own = checks.iter().filter(|check| check.policy.name.starts_with("checks/"));
        own.clone().try_for_each(|check| show_check(check, f))?;
        pools.iter().try_for_each(|pool| show_pool(pool, checks, f))?;
        notifiers.iter().try_for_each(|notifier| show_notifier(notifier, f))
    }
}

fn show_instance(instance: &InstanceConfig, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let addresses: Vec<String> = instance.addresses.iter().map(described).collect();
    write!(
        f,
        "\ninstance {}: {} on {}, VRID {}, priority {}, every {}",
        instance.name,
        addresses.join(" "),
        instance.interface,
        instance.virtual_router_id.get(),
        instance.priority.get(),
        human(instance.interval.duration())
    )?;
    if let Transport::Unicast { peers, .. } = &instance.transport {
        let peers: Vec<String> = peers.iter().map(|peer| peer.address.to_string()).collect();
        write!(f, "\n    unicast to {}", peers.join(" "))?;
    }
    if let Some(group) = &instance.group {
        write!(f, "\n    in group {group}")?;
    }
    instance.tracks.iter().try_for_each(|track| write!(f, "\n    {} {}", track.fact, effect(track)))
}

/// What an entry of `track` does.
fn effect(track: &Track) -> String {
    match track.effect {
        TrackEffect::Fault { reverse: false } => "failing means Fault".to_owned(),
        TrackEffect::Fault { reverse: true } => "passing means Fault".to_owned(),
        TrackEffect::Weight { weight, reverse: false } if weight > 0 => format!("passing adds {weight}"),
        TrackEffect::Weight { weight, reverse: false } => format!("failing subtracts {}", weight.abs()),
        TrackEffect::Weight { weight, reverse: true } if weight > 0 => format!("passing subtracts {weight}"),
        TrackEffect::Weight { weight, reverse: true } => format!("failing adds {}", weight.abs()),
        TrackEffect::Value { factor } => format!("adds its number times {factor}"),
        TrackEffect::ValueFault => "a number other than 0 means Fault".to_owned(),
    }
}

fn show_check(check: &Check, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Check { policy, kind, remedy } = check;
    let name = policy.name.strip_prefix("checks/").unwrap_or(&policy.name);
    match kind {
        CheckKind::Expr => write!(f, "\ncheck {name}: {}", check.looks_at())?,
        kind => write!(f, "\ncheck {name}: {} {kind}, {}", kind.as_str(), rhythm(policy))?,
    }
    match remedy {
        Some(remedy) => {
            let program = remedy.command.argv.first().map_or("", String::as_str);
            write!(f, "\n    before it falls: {program}, then {} of waiting", human(remedy.policy.wait))
        }
        None => Ok(()),
    }
}

fn rhythm(policy: &CheckPolicy) -> String {
    let CheckPolicy { interval, timeout, rise, fall, .. } = policy;
    format!("every {} within {}, rise {rise}, fall {fall}", human(*interval), human(*timeout))
}

fn show_pool(pool: &Pool, checks: &[Check], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let PoolConfig { name, servers, quorum, hysteresis, sorry, floor, slow_start, scope } = &pool.config;
    let prefix = format!("pools/{name}/");
    let checks = checks.iter().filter(|check| check.policy.name.starts_with(&prefix)).count();
    write!(f, "\npool {name}: {} servers, {checks} checks of theirs, quorum {quorum}", servers.len())?;
    if *hysteresis > 0 {
        write!(f, " ± {hysteresis}")?;
    }
    match floor {
        Floor::Servers(0) => {}
        Floor::Servers(count) => write!(f, ", {count} always stay in")?,
        Floor::Percent(share) => write!(f, ", {share}% always stay in")?,
    }
    if let Some(time) = slow_start.filter(|time| *time > Duration::ZERO) {
        write!(f, ", slow start over {}", human(time))?;
    }
    if let Some(sorry) = sorry {
        write!(f, ", sorry server {}", std::net::SocketAddr::new(sorry.address, sorry.port))?;
    }
    if let PoolScope::WhenActive(instance) = scope {
        write!(f, "\n    only while {instance} is Active here")?;
    }
    match &pool.balancer {
        Some(crate::model::Balancer::Nginx(nginx)) => write!(f, "\n    nginx: {}", nginx.file.display()),
        None => Ok(()),
    }
}

fn show_notifier(notifier: &Notifier, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let how = match &notifier.channel {
        NotifyChannel::Command(notify) => notify.command.argv.first().cloned().unwrap_or_default(),
        NotifyChannel::Fifo(fifo) => format!("pipe {}", fifo.path.display()),
        NotifyChannel::Webhook(_) => "webhook".to_owned(),
        NotifyChannel::Mail { to } => format!("mail to {}", to.join(" ")),
    };
    let on: Vec<String> = notifier.on.iter().map(ToString::to_string).collect();
    write!(f, "\nnotify {}: {how}, on {}", notifier.name, on.join(" "))?;
    let states: Vec<&str> = notifier.states.iter().map(|state| state.as_str()).collect();
    if states.is_empty() { Ok(()) } else { write!(f, ", only {}", states.join(" ")) }
}

/// As it is written in the file.
impl fmt::Display for NotifyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, name) = match self {
            Self::Node => return f.write_str("node"),
            Self::Servers(Some(pool)) => return write!(f, "pools/{pool}/servers"),
            Self::Servers(None) => ("servers", &None),
            Self::Instances(name) => ("instances", name),
            Self::Groups(name) => ("groups", name),
            Self::Checks(name) => ("checks", name),
            Self::Pools(name) => ("pools", name),
        };
        f.write_str(class)?;
        name.as_ref().map_or(Ok(()), |name| write!(f, "/{name}"))
    }
}
