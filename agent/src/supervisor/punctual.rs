//! Memory that stays, and real time, as far as the kernel permits; what it refuses is a condition of the node.

use tracing::warn;

use super::conditions::{Conditions, MEMORY, REALTIME};

pub(super) fn lock_memory(realtime: &ha_config::Realtime, conditions: &Conditions) {
    if !realtime.lock_memory {
        return conditions.set(MEMORY, false, "Disabled", "realtime.lock_memory is false".to_owned());
    }
    match ha_dataplane::lock_memory() {
        Ok(()) => conditions.set(MEMORY, true, "Locked", "the process stays in memory".to_owned()),
        Err(error) => {
            warn!("adverts may be late when memory is short: {error}");
            conditions.set(MEMORY, false, "Refused", error.to_string());
        }
    }
}

pub(super) fn note_realtime(
    priority: Option<u8>,
    refused: Option<ha_dataplane::Error>,
    conditions: &Conditions,
) {
    match (priority, refused) {
        (None, _) => conditions.set(REALTIME, false, "Disabled", "realtime.scheduling is false".to_owned()),
        (Some(_), Some(error)) => {
            warn!("adverts may be late on a busy machine: {error}");
            conditions.set(REALTIME, false, "Refused", error.to_string());
        }
        (Some(priority), None) => {
            conditions.set(REALTIME, true, "Granted", format!("SCHED_FIFO, priority {priority}"));
        }
    }
}
