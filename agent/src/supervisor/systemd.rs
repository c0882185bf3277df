//! What systemd wants to hear: ready, reloading, stopping, and that the `vrrp` thread lives. Without systemd nothing happens.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::driver;

/// Whether anybody hears what is told here.
pub(super) fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// What `systemctl status` shows until something else is said, after the end too.
pub(super) fn status(line: &str) {
    // A line that is none would be several of systemd's own words.
    let line: String = line.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    tell(&[NotifyState::Status(&line)]);
}

/// `Type=notify-reload` wants the monotonic time with it.
pub(super) fn reloading() {
    let micros = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .ok()
        .map(|time| i128::from(time.tv_sec()) * 1_000_000 + i128::from(time.tv_nsec()) / 1000);
    tell(&[NotifyState::Reloading, NotifyState::MonotonicUsec(micros.unwrap_or_default())]);
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The end may take so long, whatever the unit's limit is.
pub(super) fn stopping_within(limit: Duration) {
    let micros = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
}

/// Another process is the service from now on.
pub(super) fn hand_on(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Feeds the watchdog as long as the `vrrp` thread answers. For ever; without a watchdog it has nothing to do.
pub(super) async fn feed_watchdog(driver: driver::Handle) {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut ticks = interval((period / 2).max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if matches!(timeout(period / 2, driver.ping()).await, Ok(Ok(()))) {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}
