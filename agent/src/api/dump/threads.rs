//! The threads: whether each answers, and what the kernel says of them.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tonic::Status;

use super::super::shared::Shared;
use super::super::snapshots::View;
use super::Entry;
use super::sections::{ago, lateness, millis};
use crate::{clock, health, pools};

/// More threads than an agent has.
const MOST: usize = 256;

type Answer<T> = Result<Arc<View<T>>, Status>;

impl Shared {
    /// Those that have something to say for themselves: how long they took to, or that they did not.
    pub(super) fn threads(
        &self,
        vrrp: &Answer<crate::driver::Snapshot>,
        checks: &Answer<health::Snapshot>,
        pools: &Answer<pools::Snapshot>,
    ) -> impl Iterator<Item = Entry> + use<> {
        let heartbeat = ago((self.options.dataplane)().heartbeat, clock::now());
        let vrrp = match vrrp {
            Ok(view) => json!({
                "answered_in_ms": millis(view.took()),
                "heartbeat_ago_s": heartbeat,
                "late_max_ms": millis(Duration::from_nanos(view.snapshot.lateness.maximum)),
                "late_us": lateness(&view.snapshot.lateness),
                "discarded": view.snapshot.discarded.iter().map(|(_, _, count)| count).sum::<u64>(),
            }),
            Err(status) => json!({ "silent": status.message(), "heartbeat_ago_s": heartbeat }),
        };
        let checks = match checks {
            Ok(view) => json!({
                "answered_in_ms": millis(view.took()),
                "late_max_ms": millis(Duration::from_nanos(view.snapshot.delays.maximum)),
                "late_us": lateness(&view.snapshot.delays),
            }),
            Err(status) => json!({ "silent": status.message() }),
        };
        let pools = match pools {
            Ok(view) => json!({ "answered_in_ms": millis(view.took()) }),
            Err(status) => json!({ "silent": status.message() }),
        };
        [("vrrp", vrrp), ("checks", checks), ("pools", pools)]
            .into_iter()
            .map(|(name, values)| Entry::new("thread", name, values))
    }
}

/// All threads of the process, as proc(5) has them.
pub(super) fn of_the_process() -> impl Iterator<Item = Entry> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().take(MOST);
    tasks.filter_map(|task| {
        let line = fs::read_to_string(task.path().join("stat")).ok()?;
        of_stat(&line)
    })
}

/// One line of `stat`: the name stands in brackets and may hold any characters, what follows are numbers.
fn of_stat(line: &str) -> Option<Entry> {
    /// `sysconf(_SC_CLK_TCK)` on Linux.
    const TICKS: f64 = 100.0;
    let (tid, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
    let seconds = |field: usize| number(field).map(|ticks| ticks as f64 / TICKS);
    let values = json!({
        "tid": tid.parse::<u32>().ok()?,
        "state": fields.first()?,
        "user_s": seconds(14),
        "system_s": seconds(15),
        "priority": number(18),
        "realtime_priority": number(40),
        "policy": number(41),
        "cpu": number(39),
    });
    Some(Entry::new("os_thread", name, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_read_whatever_its_name() {
        let numbers = "S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 -51 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 1 50 1 39";
        let entry = of_stat(&format!("42 (a) b (c) {numbers}")).unwrap();
        assert_eq!((entry.section, entry.name.as_str()), ("os_thread", "a) b (c"));
        assert_eq!(
            entry.values,
            json!({
                "tid": 42, "state": "S", "user_s": 2.5, "system_s": 0.5, "priority": -51,
                "realtime_priority": 50, "policy": 1, "cpu": 1
            })
        );
        assert!(of_stat("nonsense").is_none() && of_stat("").is_none());
    }

    #[test]
    fn this_process_has_threads() {
        assert!(of_the_process().count() >= 1);
    }
}
