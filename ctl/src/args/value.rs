//! The values of arguments: targets, times to live, points in time, causes, addresses.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ha_proto::v1::Cause;
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::model::InstanceView;
use crate::span::Span;

/// `instance` or `node/instance`. The resource name `nodes/{node}/instances/{instance}` is understood as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The node, when given.
    pub node: Option<String>,
    /// The virtual router.
    pub instance: String,
}

impl Target {
    /// Whether it means this virtual router of this node.
    pub(crate) fn matches(&self, node: &str, instance: &str) -> bool {
        self.instance == instance && self.node.as_deref().is_none_or(|wanted| wanted == node)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let segments: Vec<&str> = text.split('/').collect();
        let (node, instance) = match segments.as_slice() {
            [instance] => (None, *instance),
            [node, instance] | ["nodes", node, "instances", instance] => {
                (Some((*node).to_owned()), *instance)
            }
            _ => return Err("give instance or node/instance".to_owned()),
        };
        if instance.is_empty() || node.as_deref() == Some("") {
            return Err("give instance or node/instance".to_owned());
        }
        Ok(Target { node, instance: instance.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node}/{}", self.instance),
            None => f.write_str(&self.instance),
        }
    }
}

/// What is to be explained: virtual routers by name, or those that own an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExplainTarget {
    /// By name.
    Instance(Target),
    /// By address.
    Vip(IpAddr),
}

impl ExplainTarget {
    /// Whether it means this virtual router.
    pub(crate) fn matches(&self, router: &InstanceView) -> bool {
        match self {
            ExplainTarget::Instance(target) => target.matches(&router.node, &router.instance),
            ExplainTarget::Vip(address) => router.vips.iter().any(|vip| vip.parse() == Ok(*address)),
        }
    }
}

impl FromStr for ExplainTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match address(text) {
            Ok(address) => Ok(ExplainTarget::Vip(address)),
            Err(_) => Ok(ExplainTarget::Instance(text.parse()?)),
        }
    }
}

impl fmt::Display for ExplainTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExplainTarget::Instance(target) => write!(f, "instance {target}"),
            ExplainTarget::Vip(address) => write!(f, "{address}"),
        }
    }
}

/// How long an override lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ttl {
    /// Until it is cleared.
    Never,
    /// For this long.
    For(Span),
}

impl Ttl {
    /// `for 1h`, or `never`, which says who ends it.
    pub(crate) fn in_words(self, never: &str) -> String {
        match self {
            Ttl::Never => never.to_owned(),
            Ttl::For(span) => format!("for {span}"),
        }
    }

    /// As the API has it: absent = until it is ended.
    pub(crate) fn to_proto(self) -> Option<prost_types::Duration> {
        match self {
            Ttl::Never => None,
            Ttl::For(span) => Some(span.to_proto()),
        }
    }
}

impl FromStr for Ttl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "never" {
            return Ok(Ttl::Never);
        }
        let span: Span = text.parse()?;
        let seconds = span.nanos() / 1_000_000_000;
        if !(1..=365 * 86_400).contains(&seconds) {
            return Err("must be from 1s to 365d, or never".to_owned());
        }
        Ok(Ttl::For(span))
    }
}

/// A point in time as a user writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// This long before now.
    Ago(Span),
    /// Exactly then.
    At(Timestamp),
    /// Then, in the zone that times are printed in.
    Civil(civil::DateTime),
    /// Today then, in the zone that times are printed in.
    Today(civil::Time),
}

impl When {
    /// The point in time that is meant, seen from `now` in `zone`.
    ///
    /// # Errors
    /// When it lies outside what can be represented.
    pub(crate) fn resolve(&self, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
        let out_of_range = |error: jiff::Error| format!("this time cannot be used: {error}");
        match self {
            When::Ago(span) => now.checked_sub(span.to_duration()).map_err(out_of_range),
            When::At(timestamp) => Ok(*timestamp),
            When::Civil(at) => Ok(at.to_zoned(zone.clone()).map_err(out_of_range)?.timestamp()),
            When::Today(time) => {
                let today = now.to_zoned(zone.clone()).date();
                Ok(today.to_datetime(*time).to_zoned(zone.clone()).map_err(out_of_range)?.timestamp())
            }
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(When::At(timestamp));
        }
        if let Ok(span) = text.parse::<Span>() {
            return Ok(When::Ago(span));
        }
        if text.contains(':')
            && !text.contains('-')
            && let Ok(time) = text.parse::<civil::Time>()
        {
            return Ok(When::Today(time));
        }
        if let Ok(at) = text.parse::<civil::DateTime>() {
            return Ok(When::Civil(at));
        }
        Err("give a time such as 2026-11-23T02:14:07Z or 02:14, or how long ago: 90m".to_owned())
    }
}

/// A priority in place of the configured one.
pub(super) fn priority<N: From<u8>>(text: &str) -> Result<N, String> {
    number(text, 1..=254_u8).map(N::from)
}

/// How many events.
pub(super) fn event_count(text: &str) -> Result<u32, String> {
    number(text, 1..=1_000_000)
}

fn number<N: FromStr + PartialOrd + fmt::Display>(
    text: &str,
    allowed: RangeInclusive<N>,
) -> Result<N, String> {
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("give a whole number from {} to {}", allowed.start(), allowed.end()))
}

/// How long an agent logs at another level, as far as agents allow.
pub(super) fn level_ttl(text: &str) -> Result<Span, String> {
    within(text, 1_000_000_000..=86_400_000_000_000, "1s to 24h")
}

/// How long a probe waits for answers, as far as agents allow.
pub(super) fn probe_wait(text: &str) -> Result<Span, String> {
    within(text, 100_000_000..=3_000_000_000, "100ms to 3s")
}

/// A time of so many nanoseconds, `in_words` for who gave another one.
fn within(text: &str, allowed: RangeInclusive<i64>, in_words: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    allowed.contains(&span.nanos()).then_some(span).ok_or_else(|| format!("must be from {in_words}"))
}

/// A cause by its word, in any case, with `-` or `_`, with or without its prefix.
pub(super) fn cause(text: &str) -> Result<Cause, String> {
    let word = text.to_ascii_uppercase().replace('-', "_");
    let full = if word.starts_with("CAUSE_") { word } else { format!("CAUSE_{word}") };
    match Cause::from_str_name(&full) {
        Some(cause) if cause != Cause::Unspecified => Ok(cause),
        _ => Err(format!("causes are: {}", all_causes().join(", "))),
    }
}

fn all_causes() -> Vec<&'static str> {
    let words = (1..1000).map_while(|number| Cause::try_from(number).ok());
    words.map(|cause| cause.as_str_name().trim_start_matches("CAUSE_")).collect()
}

/// An address, with or without its prefix length.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text.split_once('/').map_or(text, |(address, _)| address);
    bare.parse().map_err(|_| "give an address such as 10.0.0.10 or 2001:db8::10".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_instance_with_or_without_its_node() {
        let target: Target = "a/web".parse().unwrap();
        assert!(target.matches("a", "web") && !target.matches("b", "web") && !target.matches("a", "db"));
        let target: Target = "web".parse().unwrap();
        assert!(target.matches("a", "web") && target.matches("b", "web"));
        assert_eq!("nodes/a/instances/web".parse::<Target>().unwrap().to_string(), "a/web");
    }

    #[test]
    fn a_time_is_absolute_or_ago_or_today() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (text, at) in [
            ("2026-11-23T02:14:07Z", "2026-11-23T02:14:07Z"),
            ("2026-11-23T02:14:07+02:00", "2026-11-23T00:14:07Z"),
            ("90m", "2026-11-23T10:30:00Z"),
            ("02:14", "2026-11-23T02:14:00Z"),
            ("02:14:07.5", "2026-11-23T02:14:07.5Z"),
            ("2026-11-22T02:14", "2026-11-22T02:14:00Z"),
            ("2026-11-22", "2026-11-22T00:00:00Z"),
        ] {
            let when: When = text.parse().unwrap();
            assert_eq!(when.resolve(now, &TimeZone::UTC).unwrap().to_string(), at, "{text}");
        }
    }

    #[test]
    fn a_cause_may_be_written_in_many_ways() {
        for text in ["CHECK_CHANGED", "check-changed", "CAUSE_CHECK_CHANGED"] {
            assert_eq!(cause(text), Ok(Cause::CheckChanged));
        }
        assert!(cause("nonsense").unwrap_err().contains("ACTIVE_DOWN_TIMER"));
    }

    #[test]
    fn a_time_to_live_is_bounded() {
        assert_eq!("never".parse(), Ok(Ttl::Never));
        assert_eq!("1h".parse(), Ok(Ttl::For("60m".parse().unwrap())));
        assert!("500ms".parse::<Ttl>().is_err());
        assert!("366d".parse::<Ttl>().is_err());
    }
}
