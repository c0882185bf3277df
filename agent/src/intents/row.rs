//! A row as it is written. Another version of the agent may have written it, so it is read with distrust.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ha_engine::{Actor, InstanceId, Instant, Override, Priority, StandingOrder, Subject, Verdict};

use prost::Message;

use crate::clock;

/// What an intent is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum About {
    /// The drain of the node.
    Node,
    /// The override of an instance.
    Instance(Arc<str>),
    /// The mute of a check, by the name of its fact.
    Check(Arc<str>),
    /// The drain of a pool's server.
    Server(Arc<str>, Arc<str>),
}

/// One intent. Times are on both clocks: within one boot of the machine the decision clock counts, so that a step of the wall
/// clock neither ends nor prolongs anything; after another boot there is only the wall clock.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Row {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
    #[prost(string, tag = "2")]
    pub(super) principal: String,
    #[prost(string, repeated, tag = "3")]
    roles: Vec<String>,
    #[prost(string, tag = "4")]
    peer_address: String,
    #[prost(string, tag = "5")]
    request_id: String,
    /// Milliseconds since 1970.
    #[prost(uint64, tag = "6")]
    since_wall: u64,
    /// Nanoseconds of the decision clock.
    #[prost(uint64, tag = "7")]
    since_boot: u64,
    /// Milliseconds since 1970; 0 = until somebody ends it.
    #[prost(uint64, tag = "8")]
    expires_wall: u64,
    /// Nanoseconds of the decision clock.
    #[prost(uint64, tag = "9")]
    expires_boot: u64,
    /// The boot of the machine whose decision clock that is.
    #[prost(string, tag = "10")]
    boot: String,
    /// Of an override.
    #[prost(uint32, tag = "11")]
    pub(super) priority: u32,
    /// Of a mute: 1 = PASSING, 2 = FAILING, else UNKNOWN.
    #[prost(uint32, tag = "12")]
    verdict: u32,
    /// Of a mute.
    #[prost(sint32, optional, tag = "13")]
    pub(super) value: Option<i32>,
    /// The node that it is for: a disk may come from another one.
    #[prost(string, tag = "14")]
    pub(super) node: String,
}

impl About {
    /// The row's name.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Node => "drain".to_owned(),
            Self::Instance(name) => format!("override/{name}"),
            Self::Check(name) => format!("mute/{name}"),
            Self::Server(pool, server) => format!("server/{pool}/{server}"),
        }
    }

    /// `None` = another version's.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('/').unwrap_or((name, ""));
        match kind {
            "drain" if rest.is_empty() => Some(Self::Node),
            "override" => Some(Self::Instance(rest.into())),
            "mute" => Some(Self::Check(rest.into())),
            "server" => rest.split_once('/').map(|(pool, server)| Self::Server(pool.into(), server.into())),
            _ => None,
        }
    }

    pub(super) fn is_known(name: &str) -> bool {
        Self::parse(name).is_some()
    }

    /// Whom events name.
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Node => Subject::Node,
            Self::Instance(name) => Subject::Instance(InstanceId(0), Arc::clone(name)),
            Self::Check(name) => Subject::Check(Arc::clone(name)),
            Self::Server(pool, server) => Subject::Server(Arc::clone(pool), Arc::clone(server)),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("drain of the node"),
            Self::Instance(name) => write!(f, "override of {name}"),
            Self::Check(name) => write!(f, "mute of {name}"),
            Self::Server(pool, server) => write!(f, "drain of {server} in pool {pool}"),
        }
    }
}

impl Row {
    /// Of a drain, of the node or of a server; what else a row may hold is empty.
    pub(crate) fn of_order(order: &StandingOrder) -> Self {
        Self {
            reason: order.reason.to_string(),
            principal: order.actor.principal.clone(),
            roles: order.actor.roles.clone(),
            peer_address: order.actor.peer_address.clone(),
            request_id: order.actor.request_id.clone(),
            since_wall: millis(clock::wall(order.since)),
            since_boot: order.since.as_nanos(),
            expires_wall: order.expires.map_or(0, |expires| millis(clock::wall(expires)).max(1)),
            expires_boot: order.expires.map_or(0, Instant::as_nanos),
            boot: boot().to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn of_override(own: &Override) -> Self {
        Self { priority: own.priority.get().into(), ..Self::of_order(&own.order) }
    }

    pub(crate) fn of_mute(mute: &StandingOrder, verdict: Verdict, value: Option<i32>) -> Self {
        let verdict = match verdict {
            Verdict::Passing => 1,
            Verdict::Failing => 2,
            Verdict::Unknown => 0,
        };
        Self { verdict, value, ..Self::of_order(mute) }
    }

    /// As it stands on the disk of this node.
    pub(super) fn octets(&self, node: &str) -> Vec<u8> {
        Self { node: node.to_owned(), ..self.clone() }.encode_to_vec()
    }

    /// Why, whose, since when, until when.
    pub(super) fn order(&self) -> StandingOrder {
        let (reason, actor) = (self.reason.as_str().into(), self.actor());
        StandingOrder { reason, actor, since: self.since(), expires: self.expires(), survives: true }
    }

    pub(super) fn actor(&self) -> Arc<Actor> {
        Arc::new(Actor {
            principal: self.principal.clone(),
            roles: self.roles.clone(),
            peer_address: self.peer_address.clone(),
            request_id: self.request_id.clone(),
            trace_id: String::new(),
        })
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self.verdict {
            1 => Verdict::Passing,
            2 => Verdict::Failing,
            _ => Verdict::Unknown,
        }
    }

    /// What an override may have; `None` = no override can say that.
    pub(super) fn priority(&self) -> Option<Priority> {
        let priority = u8::try_from(self.priority).ok().and_then(Priority::new);
        priority.filter(|priority| !priority.is_owner())
    }

    /// Since when; the boot of the machine when it is older than that.
    pub(super) fn since(&self) -> Instant {
        match self.boot == boot() {
            true => Instant::from_nanos(self.since_boot),
            false => clock::instant(UNIX_EPOCH + Duration::from_millis(self.since_wall)),
        }
    }

    /// When it ends; `None` = when somebody ends it. Never later than the time that it was given from now on, so that a wall
    /// clock that was set back prolongs it by that at most.
    pub(super) fn expires(&self) -> Option<Instant> {
        if self.expires_wall == 0 {
            return None;
        }
        if self.boot == boot() {
            return Some(Instant::from_nanos(self.expires_boot));
        }
        let given = Duration::from_millis(self.expires_wall.saturating_sub(self.since_wall));
        let at = clock::instant(UNIX_EPOCH + Duration::from_millis(self.expires_wall));
        Some(at.min(clock::now().after(given)))
    }

    /// Whether both say the same wish of the same person, whatever clocks made of its times.
    pub(super) fn is_of_the_same_wish(&self, other: &Self) -> bool {
        const TOLERANCE: Duration = Duration::from_secs(2);
        let ends_alike = match (self.expires(), other.expires()) {
            (Some(own), Some(other)) => own.since(other).max(other.since(own)) <= TOLERANCE,
            (own, other) => own == other,
        };
        let without_times = |row: &Self| {
            let times =
                Self { since_wall: 0, since_boot: 0, expires_wall: 0, expires_boot: 0, ..row.clone() };
            Self { boot: String::new(), node: String::new(), ..times }
        };
        ends_alike && without_times(self) == without_times(other)
    }

    /// When it was set and when it ends, for people.
    pub(super) fn times(&self) -> (Arc<str>, Arc<str>) {
        (in_words(self.since_wall), in_words(self.expires_wall))
    }
}

fn in_words(millis: u64) -> Arc<str> {
    let time =
        i64::try_from(millis / 1000).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map(|time| time.to_string()).unwrap_or_default().into()
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The id of this boot of the machine; when the kernel does not tell, no two processes are of the same.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        match told.trim() {
            "" => format!("unknown-{}", millis(SystemTime::now())),
            id => id.to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn row(expires: Option<Duration>) -> Row {
        let now = clock::now();
        let expires = expires.map(|lasts| now.after(lasts));
        let (reason, actor) = ("work".into(), Arc::default());
        Row::of_order(&StandingOrder { reason, actor, since: now, expires, survives: true })
    }

    #[test]
    fn names_say_what_a_row_is_about_and_others_are_another_versions() {
        let abouts = [
            About::Node,
            About::Instance("web".into()),
            About::Check("pools/web/servers/a:80/checks/http".into()),
            About::Server("web".into(), "10.0.0.7:80".into()),
        ];
        for about in abouts {
            assert_eq!(About::parse(&about.name()), Some(about));
        }
        for name in ["", "drain/x", "server/web", "hold/web"] {
            assert_eq!(About::parse(name), None, "{name}");
        }
    }

    #[test]
    fn within_a_boot_the_decision_clock_counts_and_a_step_of_the_wall_clock_does_nothing() {
        let mut row = row(Some(HOUR));
        let expires = row.expires();
        // As if the wall clock had been an hour ahead when it was written.
        row.expires_wall += 3_600_000;
        row.since_wall += 3_600_000;
        assert_eq!(row.expires(), expires);
    }

    #[test]
    fn after_another_boot_the_wall_clock_counts_and_the_time_that_was_given_is_the_limit() {
        let left = |row: &Row| row.expires().unwrap().since(clock::now()).as_secs_f64().round();
        let other = |edit: fn(&mut Row)| {
            let mut row =
                Row { boot: "another".to_owned(), since_boot: 1, expires_boot: 2, ..row(Some(HOUR)) };
            edit(&mut row);
            row
        };
        assert_eq!(left(&other(|_| {})), 3600.0);
        // It was set half an hour ago.
        let older = other(|row| {
            (row.since_wall, row.expires_wall) = (row.since_wall - 1_800_000, row.expires_wall - 1_800_000)
        });
        assert_eq!(left(&older), 1800.0);
        // The clock was set back by three hours meanwhile.
        let back = other(|row| {
            (row.since_wall, row.expires_wall) = (row.since_wall + 10_800_000, row.expires_wall + 10_800_000)
        });
        assert_eq!(left(&back), 3600.0);
        // It is over.
        let over = other(|row| {
            (row.since_wall, row.expires_wall) = (row.since_wall - 7_200_000, row.expires_wall - 7_200_000)
        });
        assert!(over.expires().unwrap() <= clock::now());
        assert_eq!(row(None).expires(), None);
    }
}
