//! keepalived's words: the lines of its notify FIFO, and the states in the arguments of its scripts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ha_config::NotifyState;
use ha_engine::{EventKind, StateName};

use super::notice::{Class, Notice};

/// The address of each server of each pool: lines name servers by address, events by name.
pub type Servers = BTreeMap<(String, String), SocketAddr>;

/// keepalived's word for what a subject turned to; our own for what it has no word for.
pub(super) const fn word(state: NotifyState) -> &'static str {
    match state {
        NotifyState::Active => "MASTER",
        NotifyState::Backup => "BACKUP",
        NotifyState::Fault => "FAULT",
        NotifyState::Stopped => "STOP",
        NotifyState::Passing => "UP",
        NotifyState::Failing => "DOWN",
    }
}

/// The line of a notice, with its end; `None` when keepalived has none for it.
pub(super) fn line(notice: &Notice, servers: &Servers) -> Option<String> {
    let Notice { name, .. } = notice;
    let state = notice.turned.map(word);
    match notice.class {
        Class::Instance => {
            let word = instance_word(notice)?;
            Some(format!("INSTANCE \"{name}\" {word} {}\n", notice.priority))
        }
        // A group has no priority.
        Class::Group => Some(format!("GROUP \"{name}\" {} 0\n", state?)),
        Class::Pool => Some(format!("VS {} {}\n", pool_name(name), state?)),
        Class::Server => {
            let (pool, server) = name.split_once('/')?;
            let known = servers.get(&(pool.to_owned(), server.to_owned()));
            let server = known.map_or_else(
                || format!("[{server}]:tcp:0"),
                |address| format!("[{}]:tcp:{}", address.ip(), address.port()),
            );
            Some(format!("RS {server} {} {}\n", pool_name(pool), state?))
        }
        Class::Node | Class::Check | Class::Notifier => None,
    }
}

/// A pool is what keepalived calls a virtual server group: it has a name instead of an address.
fn pool_name(pool: &str) -> String {
    format!("[{pool}]:tcp:0")
}

fn instance_word(notice: &Notice) -> Option<&'static str> {
    match &notice.record.event()?.kind {
        EventKind::InstanceRemoved => Some("DELETED"),
        EventKind::PriorityChanged { .. } => match notice.stands? {
            StateName::Active => Some("MASTER_PRIORITY"),
            StateName::Backup => Some("BACKUP_PRIORITY"),
            StateName::Initialize | StateName::Fault => None,
        },
        EventKind::DuplicateActiveBegan { .. } => {
            let evidence = notice.record.evidence()?;
            let ours = evidence.local_priority.map(|priority| priority.get());
            (evidence.peer_priority? < ours?).then_some("MASTER_RX_LOWER_PRI")
        }
        _ => notice.turned.map(word),
    }
}
