//! CPU time of each thread of a process, to the nanosecond: which part of a daemon works.

use std::{collections::BTreeMap, fs, time::Duration};

use nix::unistd::Pid;

/// CPU time by name of thread; threads of one name are added.
pub(crate) fn processor_times(process: Pid) -> BTreeMap<String, Duration> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut times = BTreeMap::new();
    for task in tasks {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let nanos = read("schedstat").split_whitespace().next().and_then(|text| text.parse().ok());
        *times.entry(read("comm").trim().to_owned()).or_default() +=
            Duration::from_nanos(nanos.unwrap_or_default());
    }
    times
}

/// What each thread used between two readings, in percent of one core, busiest first, as text.
pub(crate) fn shares(
    before: &BTreeMap<String, Duration>,
    after: &BTreeMap<String, Duration>,
    time: Duration,
) -> String {
    let used = |(name, now): (&String, &Duration)| {
        let then = before.get(name).copied().unwrap_or_default();
        (name.clone(), now.saturating_sub(then).as_secs_f64() / time.as_secs_f64() * 100.0)
    };
    let mut shares: Vec<(String, f64)> = after.iter().map(used).filter(|(_, share)| *share >= 0.05).collect();
    shares.sort_by(|one, other| other.1.total_cmp(&one.1));
    shares.iter().map(|(name, share)| format!("{name} {share:.1} %")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_of_the_time_between() {
        let at = |vrrp: u64| BTreeMap::from([("vrrp".to_owned(), Duration::from_millis(vrrp))]);
        assert_eq!(shares(&at(100), &at(350), Duration::from_secs(1)), "vrrp 25.0 %");
    }

    #[test]
    fn our_own_threads_have_used_something() {
        let times = processor_times(Pid::this());
        assert!(times.values().any(|time| *time > Duration::ZERO), "{times:?}");
    }
}
