//! What a virtual router tracks, and what its sync group makes of it.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::{Clock, timestamp};
use crate::model::{some, verdict_word};
use crate::names;
use crate::span::Span;

/// Something that is tracked. The fields mean what `ha.agent.v1.TrackedFact` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct TrackView {
    pub name: String,
    /// As the configuration and the contributions call it: `checks/http`.
    pub fact: String,
    pub effect: &'static str,
    pub weight: i32,
    pub reverse: bool,
    pub verdict: &'static str,
    pub counted_verdict: &'static str,
    pub value: i32,
    pub delta: i32,
    pub faulty: bool,
    pub undecided: bool,
    pub detail: Option<String>,
    pub last_change_time: Option<Timestamp>,
    /// How long the verdict has been this, by the node's own clock.
    pub verdict_age: Option<Span>,
}

impl TrackView {
    /// From the API's message, and the clock of the node that sent it.
    pub(crate) fn new(fact: &v1::TrackedFact, clock: Clock, now: Timestamp) -> Self {
        let below = fact.name.split('/').skip(2).collect::<Vec<_>>().join("/");
        TrackView {
            name: fact.name.clone(),
            fact: if below.is_empty() { fact.name.clone() } else { below },
            effect: fact.effect().as_str_name().trim_start_matches("EFFECT_"),
            weight: fact.weight,
            reverse: fact.reverse,
            verdict: verdict_word(fact.verdict()),
            counted_verdict: verdict_word(fact.counted_verdict()),
            value: fact.value,
            delta: fact.delta,
            faulty: fact.faulty,
            undecided: fact.undecided,
            detail: some(&fact.detail),
            last_change_time: timestamp(fact.last_change_time.as_ref()),
            verdict_age: clock.age(fact.last_change_time.as_ref(), now),
        }
    }

    /// What it is worth by its configuration: `-30 while failing`.
    pub(crate) fn rule(&self) -> String {
        let when = if self.weight > 0 { "passing" } else { "failing" };
        match (self.effect, self.reverse) {
            ("FAULT", false) => "failing means FAULT".to_owned(),
            ("FAULT", true) => "passing means FAULT".to_owned(),
            ("WEIGHT", false) => format!("{:+} while {when}", self.weight),
            ("WEIGHT", true) => format!("{:+} while {when}", -i64::from(self.weight)),
            ("VALUE", _) => format!("its value {} times {}", self.value, self.weight),
            ("VALUE_FAULT", _) => format!("its value {}, other than 0 means FAULT", self.value),
            (effect, _) => effect.to_owned(),
        }
    }

    /// The verdict, and in small what counts instead of it.
    pub(crate) fn standing(&self) -> String {
        let counts = if self.verdict == self.counted_verdict {
            String::new()
        } else {
            format!(" ({} goes on counting)", self.counted_verdict)
        };
        let age = self.verdict_age.map(|age| format!(" {age}")).unwrap_or_default();
        format!("{}{age}{counts}", self.verdict)
    }
}

/// A member of a sync group, as its node sees it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct GroupMemberView {
    pub instance: String,
    pub state: &'static str,
    pub wish: &'static str,
    /// Why it does not want to be Active, or is in Fault.
    pub because: Option<String>,
}

/// The sync group of a virtual router on its node.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct GroupView {
    pub name: String,
    pub members: Vec<GroupMemberView>,
}

impl GroupView {
    /// From the members among a node's virtual routers; the group's name as in `sync_group`.
    pub(crate) fn of<'a>(group: &str, instances: impl Iterator<Item = &'a v1::Instance>) -> Self {
        let members =
            instances.filter(|instance| instance.sync_group == group).map(|instance| GroupMemberView {
                instance: names::last(&instance.name).to_owned(),
                state: instance.state().as_str_name().trim_start_matches("STATE_"),
                wish: wish_word(instance.wish()),
                because: some(&because(instance)),
            });
        GroupView { name: names::last(group).to_owned(), members: members.collect() }
    }

    /// The members that keep the others from being Active.
    pub(crate) fn awaited(&self) -> Vec<&GroupMemberView> {
        self.members.iter().filter(|member| member.wish != "ACTIVE").collect()
    }
}

fn because(instance: &v1::Instance) -> String {
    match instance.wish() {
        v1::instance::Wish::Fault => instance.fault_reasons.join("; "),
        v1::instance::Wish::Backup => match instance.observed_active_address.as_str() {
            "" => "listens for an Active router".to_owned(),
            address => {
                let priority =
                    instance.observed_active_priority.map(|priority| format!(" (prio {priority})"));
                format!("hears {address}{}", priority.unwrap_or_default())
            }
        },
        v1::instance::Wish::Wait => "has not started".to_owned(),
        v1::instance::Wish::Active | v1::instance::Wish::Unspecified => String::new(),
    }
}

/// The word of a wish.
pub(crate) fn wish_word(wish: v1::instance::Wish) -> &'static str {
    match wish {
        v1::instance::Wish::Unspecified => "",
        wish => wish.as_str_name().trim_start_matches("WISH_"),
    }
}
