//! Advertisement interval, adoption bound and address lease of one instance.

use std::time::Duration;

use ha_engine::{AddressLease, AdvertisementInterval, Priority, Version};

use super::Draft;
use crate::duration::human;
use crate::model::Realtime;
use crate::report::Report;

/// Below this, a process of normal priority can miss its deadline on a busy machine.
const NEEDS_REALTIME: Duration = Duration::from_millis(100);
/// The highest interval that VRRPv3 can say: 4095 centiseconds.
const LONGEST_V3: Duration = Duration::from_millis(40_950);
/// An expired address is removed up to this much late.
const KERNEL_SLACK: Duration = Duration::from_millis(250);

impl Draft {
    /// The advertisement interval, when the version can say it.
    pub(super) fn interval(
        &self,
        version: Version,
        realtime: &Realtime,
        report: &mut Report<'_>,
    ) -> Option<AdvertisementInterval> {
        let Some(spot) = self.shared.interval.spot() else {
            // Reported already, when it is not absent.
            return self.shared.interval.is_absent().then_some(AdvertisementInterval::DEFAULT);
        };
        let interval = AdvertisementInterval::new(version, spot.value);
        if interval.is_none() {
            let written = human(spot.value);
            let message = format!("VRRP version {} cannot say an interval of {written}", version.number());
            report.error(&spot.span, message, interval_remedy(version, spot.value));
        } else if spot.value < NEEDS_REALTIME && !realtime.scheduling {
            let message = format!("adverts every {} without realtime scheduling", human(spot.value));
            let remedy = "set scheduling = true in [realtime], or a busy machine causes takeovers";
            report.warning(&spot.span, message, remedy);
        }
        interval
    }

    /// The bound for adopted intervals: at least the own interval, at most what VRRPv3 can say.
    pub(super) fn longest_adopted_interval(
        &self,
        version: Version,
        interval: Option<AdvertisementInterval>,
        report: &mut Report<'_>,
    ) -> Option<Duration> {
        let own = interval?.duration();
        if version == Version::V2 {
            if let Some(spot) = self.shared.longest_adopted_interval.own() {
                let message = "VRRP version 2 never adopts an interval";
                report.warning(&spot.span, message, "remove longest_adopted_interval, or set version = 3");
            }
            return Some(own);
        }
        match self.shared.longest_adopted_interval.spot() {
            None => Some((own * 10).min(LONGEST_V3)),
            Some(spot) if (own..=LONGEST_V3).contains(&spot.value) => Some(spot.value),
            Some(spot) => {
                let message = format!("longest_adopted_interval {} is out of range", human(spot.value));
                let remedy = format!(
                    "use \"{}\", the own interval of {}, to \"{}\"",
                    human(own),
                    self.title,
                    human(LONGEST_V3)
                );
                report.error(&spot.span, message, remedy);
                None
            }
        }
    }

    /// The address lease; warns when it leaves two holders of an address for longer than it has to.
    pub(super) fn lease(
        &self,
        version: Version,
        interval: Option<AdvertisementInterval>,
        report: &mut Report<'_>,
    ) -> AddressLease {
        let lease = self.shared.lease.value_or_default();
        let (Some(spot), Some(interval)) = (self.shared.lease.spot(), interval) else {
            return lease;
        };
        let AddressLease::Seconds(seconds) = lease else {
            return lease;
        };
        let held = Duration::from_secs(u64::from(seconds));
        let automatic = AddressLease::Auto.lifetime(interval).unwrap_or_default();
        let quickest = Priority::new(254).unwrap_or(Priority::OWNER);
        let taken_over = interval.active_down_interval(version, quickest);
        let overlap = (held + KERNEL_SLACK).saturating_sub(taken_over);
        if held > automatic && !overlap.is_zero() {
            let message = format!(
                "a lease of {} outlasts a peer's Active_Down_Interval of {}: after a crash two nodes hold the \
                 addresses for up to {}",
                human(held),
                rounded(taken_over),
                rounded(overlap)
            );
            report.warning(
                &spot.span,
                message,
                format!("write \"auto\", which is {} here", human(automatic)),
            );
        }
        lease
    }
}

/// For reading, to the millisecond.
fn rounded(duration: Duration) -> String {
    human(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}

fn interval_remedy(version: Version, interval: Duration) -> String {
    match version {
        Version::V2 if interval < LONGEST_V3 => {
            "use whole seconds from \"1s\" to \"255s\", or set version = 3 for \"10ms\" and more".to_owned()
        }
        Version::V2 => "use whole seconds from \"1s\" to \"255s\"".to_owned(),
        Version::V3 => "use \"10ms\" to \"40.95s\" in steps of 10ms".to_owned(),
    }
}
