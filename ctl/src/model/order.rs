//! What operators order for a while: an override, a mute, a drain of a server, what stays after a transfer.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::{ActorView, also_restarts, some};
use crate::clock::timestamp;
use crate::render::utc;

/// Why, by whom, since when, and until when.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct OrderView {
    pub reason: Option<String>,
    pub actor: Option<ActorView>,
    pub create_time: Option<Timestamp>,
    /// None = until it is ended.
    pub expire_time: Option<Timestamp>,
}

/// One that may survive a restart of the agent.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct HoldView {
    #[serde(flatten)]
    pub order: OrderView,
    /// Whether it is on disk and survives a restart of the agent.
    pub survives_restart: bool,
}

impl OrderView {
    pub(crate) fn new(
        reason: &str,
        actor: Option<&v1::Actor>,
        [created, expires]: [Option<&prost_types::Timestamp>; 2],
    ) -> Self {
        OrderView {
            reason: some(reason),
            actor: actor.map(ActorView::from),
            create_time: timestamp(created),
            expire_time: timestamp(expires),
        }
    }

    /// `until 2026-11-27T10:00:00Z`, or what else is said when it does not end by itself.
    pub(crate) fn until(&self, otherwise: &str) -> String {
        self.expire_time.map_or_else(|| otherwise.to_owned(), |time| format!("until {}", utc(time)))
    }

    /// ` by cert:alice: maintenance`.
    pub(crate) fn by(&self) -> String {
        let who = self.actor.as_ref().map(|actor| format!(" by {}", actor.principal)).unwrap_or_default();
        let why = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{who}{why}")
    }
}

impl HoldView {
    /// Until when, whether also over a restart, by whom and why.
    pub(crate) fn words(&self, otherwise: &str) -> String {
        format!("{}{}{}", self.order.until(otherwise), also_restarts(self.survives_restart), self.order.by())
    }
}

impl From<&v1::PreemptHold> for OrderView {
    fn from(hold: &v1::PreemptHold) -> Self {
        let times = [hold.create_time.as_ref(), hold.expire_time.as_ref()];
        OrderView::new(&hold.reason, hold.actor.as_ref(), times)
    }
}

impl From<&v1::CheckMute> for HoldView {
    fn from(mute: &v1::CheckMute) -> Self {
        let times = [mute.create_time.as_ref(), mute.expire_time.as_ref()];
        let order = OrderView::new(&mute.reason, mute.actor.as_ref(), times);
        HoldView { order, survives_restart: mute.survives_restart }
    }
}

impl From<&v1::ServerDrain> for HoldView {
    fn from(drain: &v1::ServerDrain) -> Self {
        let times = [drain.create_time.as_ref(), drain.expire_time.as_ref()];
        let order = OrderView::new(&drain.reason, drain.actor.as_ref(), times);
        HoldView { order, survives_restart: drain.survives_restart }
    }
}
