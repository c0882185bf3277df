//! From `track` lists to what each instance tracks: names become facts, the members of a group get what any of them weighs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ha_engine::{Track, TrackEffect};

use super::{MOST_TRACKS, Subject, TrackDraft};
use crate::check::{Plan, report_unknown};
use crate::drafts::Names;
use crate::report::Report;
use crate::{group, instance};

/// The most tracks of a node, each counted for every instance that has it.
const MOST_IN_ALL: usize = 131_072;

/// What each instance tracks, in the order of the instances.
type Resolved = Vec<Arc<[Track]>>;

/// What there is to track, and where problems go.
struct Sources<'r, 'd, 't> {
    plan: &'r mut Plan<'d>,
    names: &'r Names<'d>,
    report: &'r mut Report<'t>,
}

/// What the members of one group have in common: by fact, with the place where it was said first, and in order.
#[derive(Default)]
struct Shared<'d> {
    by_fact: BTreeMap<Arc<str>, (TrackEffect, &'d Range<usize>)>,
    tracks: Vec<Track>,
}

/// What each instance tracks. An instance of a group has its own list, that of the group, and what any other member weighs:
/// all members have the same deltas, so that they never differ in priority. Reports what does not fit together.
pub(crate) fn resolve<'d>(
    instances: &'d [instance::Draft],
    groups: &'d [group::Draft],
    names: &Names<'d>,
    plan: &mut Plan<'d>,
    report: &mut Report<'_>,
) -> Resolved {
    let mut sources = Sources { plan, names, report };
    let shared = shared_of_groups(instances, groups, &mut sources);
    let mut in_all = 0;
    let mut resolved = Vec::with_capacity(instances.len());
    for draft in instances {
        let of_group = draft.shared.group.value().and_then(|group| shared.get(group.as_str()));
        let tracks = of_instance(draft, of_group, &mut sources);
        in_all += tracks.len();
        if in_all > MOST_IN_ALL {
            let message = format!("instances track more than {MOST_IN_ALL} checks and pools");
            let remedy = "that is the most of a node; combine checks by kind \"expr\"";
            sources.report.error(&draft.span, message, remedy);
            return resolved;
        }
        check_owner(draft, &tracks, sources.report);
        check_sum(draft, &tracks, sources.report);
        resolved.push(tracks.into());
    }
    resolved
}

/// What the members of each group have in common; the lists of groups without members are looked at, too.
fn shared_of_groups<'d>(
    instances: &'d [instance::Draft],
    groups: &'d [group::Draft],
    sources: &mut Sources<'_, 'd, '_>,
) -> BTreeMap<&'d str, Shared<'d>> {
    let mut shared: BTreeMap<&str, Shared<'_>> = BTreeMap::new();
    for group in groups {
        let of_group = shared.entry(group.name.value().map_or("", String::as_str)).or_default();
        for (track, span) in group.track.value().into_iter().flatten() {
            of_group.add(track, span, sources);
        }
    }
    for draft in instances {
        let Some(group) = draft.shared.group.value() else {
            continue;
        };
        let of_group = shared.entry(group).or_default();
        for (track, span) in draft.shared.track.value().into_iter().flatten() {
            if weighs(track.effect) {
                of_group.add(track, span, sources);
            }
        }
    }
    shared
}

/// Whether it changes a priority, which all members of a group must have in common.
fn weighs(effect: TrackEffect) -> bool {
    matches!(effect, TrackEffect::Weight { .. } | TrackEffect::Value { .. })
}

impl<'d> Shared<'d> {
    fn add(&mut self, track: &'d TrackDraft, span: &'d Range<usize>, sources: &mut Sources<'_, 'd, '_>) {
        let Some(fact) = sources.fact(track, span) else {
            return;
        };
        match self.by_fact.get(&fact) {
            Some((effect, first)) => check_same(track, *effect, first, span, sources.report),
            None => {
                self.by_fact.insert(fact.clone(), (track.effect, span));
                self.tracks.push(Track { fact, effect: track.effect });
            }
        }
    }
}

/// The own list, and what the members of its group share.
fn of_instance<'d>(
    draft: &'d instance::Draft,
    shared: Option<&Shared<'d>>,
    sources: &mut Sources<'_, 'd, '_>,
) -> Vec<Track> {
    let mut tracks = Vec::new();
    for (track, span) in draft.shared.track.value().into_iter().flatten() {
        let Some(fact) = sources.fact(track, span) else {
            continue;
        };
        match shared.and_then(|shared| shared.by_fact.get(&fact)) {
            Some((effect, first)) => check_same(track, *effect, first, span, sources.report),
            None => tracks.push(Track { fact, effect: track.effect }),
        }
    }
    tracks.extend(shared.into_iter().flat_map(|shared| shared.tracks.iter().cloned()));
    if tracks.len() > MOST_TRACKS {
        let count = tracks.len();
        let message = format!("{} tracks {count} checks and pools, those of its group included", draft.title);
        let remedy = format!("{MOST_TRACKS} are the most; combine checks by kind \"expr\"");
        sources.report.error(&draft.span, message, remedy);
        tracks.truncate(MOST_TRACKS);
    }
    tracks
}

/// Two members of a group, or a member and its group, must mean the same by a fact.
fn check_same(
    track: &TrackDraft,
    effect: TrackEffect,
    first: &Range<usize>,
    span: &Range<usize>,
    report: &mut Report<'_>,
) {
    if track.effect != effect {
        let line = report.line(first.start);
        let message = format!(
            "{} means something else here than on line {line}, in the same sync group",
            track.subject
        );
        let remedy =
            "say it once, in track of the [[group]]: its members always change their priority together";
        report.error(span, message, remedy);
    }
}

impl Sources<'_, '_, '_> {
    /// The fact that an entry is about; reports what there is not.
    fn fact(&mut self, track: &TrackDraft, span: &Range<usize>) -> Option<Arc<str>> {
        match &track.subject {
            Subject::Pool(name) if self.names.pools.contains(name.as_str()) => {
                Some(format!("pools/{name}").into())
            }
            Subject::Pool(name) => {
                report_unknown("pool", name, span, self.names.pools.iter().copied(), self.report);
                None
            }
            Subject::Check(name) => {
                let draft = self.plan.find(name, span, self.report)?;
                let by_value = matches!(track.effect, TrackEffect::Value { .. } | TrackEffect::ValueFault);
                if by_value && !draft.finds_a_number() {
                    let message = format!("check \"{name}\" finds no number that could count");
                    let remedy = "write weight, or name a check of kind \"file\", or a \"script\" with value_from_exit";
                    self.report.error(span, message, remedy);
                }
                if self.plan.is_only_for_servers(name) {
                    let message =
                        format!("{} {}, so it runs for servers of pools only", draft.title, draft.lack());
                    let remedy = "track a pool, \"pools/NAME\", or write host = \"10.0.0.1\" into the check";
                    self.report.error(span, message, remedy);
                    return None;
                }
                self.plan.run(name, self.report)
            }
        }
    }
}

/// RFC 9568 §5.2.4: 255 is for the owner, whose priority never changes.
fn check_owner(draft: &instance::Draft, tracks: &[Track], report: &mut Report<'_>) {
    let Some(priority) = draft.shared.priority.spot().filter(|priority| priority.value.is_owner()) else {
        return;
    };
    if let Some(track) = tracks.iter().find(|track| weighs(track.effect)) {
        let message = format!(
            "{} has priority 255, the owner's, which no weight changes: that of {} is ignored",
            draft.title, track.fact
        );
        report.warning(&priority.span, message, "use priority 254 or lower, or remove the weight");
    }
}

/// A priority that would rise above 254 is cut there, where it no longer tells nodes apart.
fn check_sum(draft: &instance::Draft, tracks: &[Track], report: &mut Report<'_>) {
    let base = draft.shared.priority.value().map_or(100, |priority| i32::from(priority.get()));
    let raised = tracks.iter().map(|track| match track.effect {
        TrackEffect::Weight { weight, reverse } if (weight > 0) != reverse => i32::from(weight.abs()),
        _ => 0,
    });
    let highest = base + raised.sum::<i32>();
    if base < 255 && highest > 254 {
        let place = draft.shared.track.own().map_or(&draft.span, |track| &track.span);
        let message =
            format!("{} reaches priority {highest} with all its weights, and is cut to 254", draft.title);
        report.warning(place, message, "lower priority or the weights, so that nodes still differ");
    }
}
