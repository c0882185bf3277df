//! Sync groups: instances that are Active together or not at all.
//!
//! ```text
//! one member in Fault of its own        all in Fault; whoever was Active releases with priority 0
//! none any more                         all start anew
//! one Active member becomes Backup      all Active members release with priority 0 and become Backup
//! the addresses of every member, which were offered, are taken over        all withdraw; when not those of every, none does
//! every member would be Active          all become Active, the last that said so first
//! ```
//!
//! Each rule is carried out within the input that gave cause for it, so a group is never split on its node. The exception
//! is a reload that brings a member into a group that is Active: the group stays, and the newcomer is Active when its own
//! Active_Down_Timer says so; when it follows an Active router elsewhere instead, the group goes there.

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Engine;
use crate::config::InstanceConfig;
use crate::event::{Event, EventKind, Evidence, StateName, Subject};
use crate::input::{InstanceId, OperatorCommand, Refusal};
use crate::instance::{Instance, Stance};
use crate::output::Effect;
use crate::snapshot::Override;
use crate::units::Instant;

/// The override that counts for each group, and the member that had it.
pub(super) type Overrides = BTreeMap<Arc<str>, (Override, Arc<str>)>;

/// All sync groups of the node.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// The group of each instance number.
    places: Vec<Option<usize>>,
    /// Groups in which a stance changed.
    unsettled: BTreeSet<usize>,
}

#[derive(Debug)]
struct Group {
    name: Arc<str>,
    /// In the order of their numbers.
    members: Vec<InstanceId>,
    /// How many members stand how.
    tally: [usize; Stance::COUNT],
    /// Members in Fault of their own.
    faulty: BTreeSet<InstanceId>,
    /// The first two of `faulty` as the members know them; `None` = they must be told anew.
    shared: Option<[Option<InstanceId>; 2]>,
    /// A member that was Active and is Backup now.
    left: Option<InstanceId>,
    /// whose stance changed last.
    led: InstanceId,
    /// The state told last.
    told: StateName,
}

impl Groups {
    /// Members are about to change: nothing is settled until [`Self::rebuild`].
    pub(super) fn dissolve(&mut self) -> BTreeMap<Arc<str>, StateName> {
        self.places.clear();
        self.unsettled.clear();
        self.groups.drain(..).map(|group| (group.name, group.told)).collect()
    }

    /// Takes over who belongs to whom; `told` is what was told last of groups that there were before.
    fn rebuild<'a>(
        &mut self,
        instances: impl Iterator<Item = &'a Instance>,
        told: &BTreeMap<Arc<str>, StateName>,
    ) {
        let mut by_name: BTreeMap<&Arc<str>, Vec<&Instance>> = BTreeMap::new();
        for instance in instances {
            if let Some(name) = &instance.config.group {
                by_name.entry(name).or_default().push(instance);
            }
        }
        for (place, (name, members)) in by_name.into_iter().enumerate() {
            let inherited = members.iter().filter_map(|member| member.inherited()).max();
            let state = told.get(name).copied().or(inherited).unwrap_or(StateName::Initialize);
            let Some(group) = Group::new(Arc::clone(name), &members, state) else { continue };
            for member in &group.members {
                let slot = member.0 as usize;
                self.places.resize(self.places.len().max(slot + 1), None);
                self.places.get_mut(slot).into_iter().for_each(|known| *known = Some(place));
            }
            self.groups.push(group);
            self.unsettled.insert(place);
        }
    }

    /// A member may stand otherwise than before.
    pub(super) fn note(&mut self, member: InstanceId, before: Stance, after: Stance) {
        let place = self.places.get(member.0 as usize).copied().flatten();
        let Some((place, group)) = place.and_then(|place| Some((place, self.groups.get_mut(place)?))) else {
            return;
        };
        if before != after {
            group.note(member, before, after);
            self.unsettled.insert(place);
        }
    }

    fn of(&self, member: InstanceId) -> Option<&Group> {
        let place = self.places.get(member.0 as usize).copied().flatten()?;
        self.groups.get(place)
    }
}

impl Group {
    /// `None` without members.
    fn new(name: Arc<str>, members: &[&Instance], told: StateName) -> Option<Self> {
        let led = members.first()?.id;
        let mut group = Self {
            name,
            members: members.iter().map(|member| member.id).collect(),
            tally: [0; Stance::COUNT],
            faulty: BTreeSet::new(),
            shared: None,
            left: None,
            led,
            told,
        };
        members.iter().for_each(|member| group.enter(member.id, member.stance()));
        Some(group)
    }

    fn note(&mut self, member: InstanceId, before: Stance, after: Stance) {
        if let Some(count) = self.tally.get_mut(before as usize) {
            *count = count.saturating_sub(1);
        }
        self.faulty.remove(&member);
        self.enter(member, after);
        self.led = member;
        let backup = matches!(after, Stance::Listens | Stance::Follows | Stance::Wants);
        if Stance::ACTIVE.contains(&before) && backup {
            self.left.get_or_insert(member);
        }
    }

    fn enter(&mut self, member: InstanceId, stance: Stance) {
        if let Some(count) = self.tally.get_mut(stance as usize) {
            *count += 1;
        }
        if stance == Stance::Faulty {
            self.faulty.insert(member);
        }
    }

    fn count(&self, stance: Stance) -> usize {
        self.tally.get(stance as usize).copied().unwrap_or_default()
    }

    /// Members that are Active, whatever is planned with them.
    fn active(&self) -> usize {
        Stance::ACTIVE.into_iter().map(|stance| self.count(stance)).sum()
    }

    /// The state of the whole: Fault when one is, Active when one is, Initialize when one is.
    fn state(&self) -> StateName {
        let is_any = |stance| self.count(stance) > 0;
        if is_any(Stance::Faulty) || is_any(Stance::Dragged) {
            StateName::Fault
        } else if self.active() > 0 {
            StateName::Active
        } else if is_any(Stance::Returns) {
            // What it was before the restart, until that is decided.
            self.told
        } else if is_any(Stance::Waits) {
            StateName::Initialize
        } else {
            StateName::Backup
        }
    }
}

impl Engine {
    /// Carries out the rules of the groups in which something changed, until nothing changes any more: Faults first, then
    /// what must be given up, then what may be taken.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(place) = self.groups.unsettled.pop_first() {
            self.share_faults(now, place);
            self.share_backup(now, place);
            self.share_offer(now, place);
            self.share_active(now, place);
            if !self.groups.unsettled.contains(&place) {
                self.tell_group(now, place);
            }
        }
    }

    /// Every member knows the first other one that is in Fault of its own.
    fn share_faults(&mut self, now: Instant, place: usize) {
        let Some(group) = self.groups.groups.get_mut(place) else { return };
        let mut faulty = group.faulty.iter().copied();
        let first = [faulty.next(), faulty.next()];
        if group.shared.replace(first) == Some(first) {
            return;
        }
        let (members, led) = (group.members.clone(), group.led);
        let names = first.map(|id| id.and_then(|id| self.name_of(id)));
        let led = self.name_of(led).unwrap_or_default();
        for member in members {
            let other = usize::from(first.first() == Some(&Some(member)));
            let faulty = names.get(other).cloned().flatten();
            self.with(now, member, |instance, sink| match faulty {
                Some(name) => instance.share_fault(sink, name),
                None => instance.end_shared_fault(sink, &led),
            });
        }
    }

    /// A member that is no longer Active, or hears a better Active router, takes the others with it.
    fn share_backup(&mut self, now: Instant, place: usize) {
        let Some(group) = self.groups.groups.get_mut(place) else { return };
        let left = group.left.take();
        let is_led = left.is_some() || group.count(Stance::Follows) > 0;
        if group.active() == 0 || !is_led {
            return;
        }
        let members = group.members.clone();
        let led = left.or_else(|| self.first_that(&members, Stance::Follows));
        let led = led.and_then(|id| self.name_of(id)).unwrap_or_default();
        for member in members {
            self.with(now, member, |instance, sink| instance.yield_with_group(sink, &led));
        }
    }

    /// What was offered is given up when all of it has been taken over; when a part of it has not, everything stays.
    fn share_offer(&mut self, now: Instant, place: usize) {
        let Some(group) = self.groups.groups.get(place) else { return };
        let (given, offered) = (group.count(Stance::Given), group.count(Stance::Offers));
        let is_whole = given == group.members.len();
        let is_broken = given + offered > 0 && group.count(Stance::Leads) > 0;
        if !is_whole && !is_broken {
            return;
        }
        for member in group.members.clone() {
            self.with(now, member, |instance, sink| match is_whole {
                true => instance.end_offer(sink),
                false => instance.fail_offer(sink),
            });
        }
    }

    /// When every member would be Active, all are.
    fn share_active(&mut self, now: Instant, place: usize) {
        let Some(group) = self.groups.groups.get(place) else { return };
        let wanting = group.count(Stance::Wants);
        if wanting == 0 || wanting + group.active() < group.members.len() {
            return;
        }
        let mut members = group.members.clone();
        let last = self.first_that(&[group.led], Stance::Wants);
        let Some(led) = last.or_else(|| self.first_that(&members, Stance::Wants)) else { return };
        members.sort_by_key(|member| *member != led);
        let name = self.name_of(led).unwrap_or_default();
        for member in members {
            self.with(now, member, |instance, sink| instance.take_over_with_group(sink, &name));
        }
    }

    /// The group's state, when it is another than told last.
    fn tell_group(&mut self, now: Instant, place: usize) {
        let Some(group) = self.groups.groups.get_mut(place) else { return };
        let (from, to) = (group.told, group.state());
        if from == to {
            return;
        }
        group.told = to;
        let (subject, led) = (Subject::Group(Arc::clone(&group.name)), group.led);
        let Some(instance) = self.instance(led) else { return };
        let evidence = Evidence {
            subject: Some(format!("instances/{}", instance.config.name).into()),
            ..Evidence::default()
        };
        let kind = EventKind::GroupStateChanged { from, to };
        let event = Event { at: now, subject, kind, cause: instance.cause(), evidence, actor: None };
        self.effects.push(Effect::Event(Box::new(event)));
    }

    /// After a reload: members and their overrides.
    pub(super) fn regroup(&mut self, now: Instant, told: &BTreeMap<Arc<str>, StateName>) {
        for id in self.ids_where(Instance::is_stranded) {
            self.with(now, id, Instance::leave_group);
        }
        self.groups.rebuild(self.instances.iter().flatten(), told);
        let groups: Vec<Vec<InstanceId>> =
            self.groups.groups.iter().map(|group| group.members.clone()).collect();
        for members in groups {
            self.share_override(now, &members);
        }
    }

    /// The newest override of a member is that of all.
    fn share_override(&mut self, now: Instant, members: &[InstanceId]) {
        let Some((override_, led)) = newest(members.iter().filter_map(|id| self.instance(*id))) else {
            return;
        };
        for member in members {
            self.with(now, *member, |instance, sink| instance.adopt_override(sink, &override_, &led));
        }
    }

    /// What it will be for each group of a new configuration, as far as its members are known already.
    pub(super) fn overrides(&self, wanted: &[InstanceConfig]) -> Overrides {
        let mut members: BTreeMap<&Arc<str>, Vec<&Instance>> = BTreeMap::new();
        for config in wanted {
            let id = self.by_name.get(&config.name).copied();
            if let (Some(group), Some(instance)) = (&config.group, id.and_then(|id| self.instance(id))) {
                members.entry(group).or_default().push(instance);
            }
        }
        let newest = |(group, members): (&Arc<str>, Vec<&Instance>)| {
            Some((Arc::clone(group), newest(members.into_iter())?))
        };
        members.into_iter().filter_map(newest).collect()
    }

    /// A command counts for every member of the instance's group: members of different priorities would pull it apart.
    pub(super) fn operate(&mut self, now: Instant, command: &OperatorCommand) -> Result<(), Refusal> {
        let id = *self.by_name.get(&command.instance).ok_or(Refusal::UnknownInstance)?;
        let named = self.instance(id).ok_or(Refusal::UnknownInstance)?;
        named.check_revision(command.expected_revision)?;
        let mut members = self.groups.of(id).map_or_else(|| [id].into(), |group| group.members.clone());
        members.sort_by_key(|member| *member != id);
        let refused = |member: &InstanceId| self.instance(*member)?.check_action(&command.action).err();
        if let Some(refusal) = members.iter().find_map(refused) {
            return Err(refusal);
        }
        named.check_word(&command.action)?;
        for member in members.iter().filter(|_| !command.dry_run) {
            self.with(now, *member, |instance, sink| instance.carry_out(sink, command));
        }
        Ok(())
    }

    fn first_that(&self, members: &[InstanceId], stance: Stance) -> Option<InstanceId> {
        let stands = |id: &InstanceId| self.instance(*id).is_some_and(|member| member.stance() == stance);
        members.iter().copied().find(stands)
    }

    fn name_of(&self, id: InstanceId) -> Option<Arc<str>> {
        self.instance(id).map(|instance| Arc::clone(&instance.config.name))
    }
}

fn newest<'a>(members: impl Iterator<Item = &'a Instance>) -> Option<(Override, Arc<str>)> {
    let overridden = |member: &'a Instance| Some((member.override_()?, &member.config.name));
    let newest = members.filter_map(overridden).max_by_key(|(override_, _)| override_.order.since);
    newest.map(|(override_, led)| (override_.clone(), Arc::clone(led)))
}
