//! Who could take over from this node, and what everybody else says instead.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::{InstanceStatus, StateName};

use super::{Move, Outcome, Shared};
use crate::driver::Snapshot;
use crate::peers::{Contact, PeerView, Router, RouterKey, View};

/// What moves as one: a virtual router, or all of a sync group.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) members: Vec<Arc<InstanceStatus>>,
}

/// A peer that could take a whole unit over.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) peer: Arc<str>,
    /// Where its adverts for the first member come from.
    pub(super) address: IpAddr,
    /// What the election goes by.
    rank: (u8, IpAddr),
}

/// Whom to ask, the best first, and why not the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    pub(super) candidates: Vec<Candidate>,
    /// `node-c is drained`, by peer.
    pub(super) others: Vec<String>,
}

/// Everything that is Active here.
pub(super) fn units(snapshot: &Snapshot) -> Vec<Unit> {
    let mut groups: BTreeMap<Arc<str>, Vec<Arc<InstanceStatus>>> = BTreeMap::new();
    let mut units = Vec::new();
    for status in snapshot.instances.iter().filter(|status| status.state == StateName::Active) {
        let status_of = Arc::new(status.clone());
        match &status.config.group {
            Some(group) => groups.entry(Arc::clone(group)).or_default().push(status_of),
            None => units.push(Unit { members: vec![status_of] }),
        }
    }
    units.extend(groups.into_values().map(|members| Unit { members }));
    units
}

/// An Active instance with its sync group.
pub(super) fn unit_of(snapshot: &Snapshot, status: &InstanceStatus) -> Unit {
    let name = &status.config.name;
    let found = units(snapshot).into_iter().find(|unit| unit.names().any(|member| member == name));
    found.unwrap_or_else(|| Unit { members: vec![Arc::new(status.clone())] })
}

impl Unit {
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.members.iter().map(|member| &member.config.name)
    }

    /// Chooses among the peers as they last said themselves.
    pub(super) fn choose(&self, view: &View) -> Choice {
        let mut choice = Choice::default();
        for peer in view.peers.values() {
            match self.candidate(peer) {
                Ok(candidate) => choice.candidates.push(candidate),
                Err(why) => choice.others.push(format!("{} {why}", peer.name)),
            }
        }
        // "the highest priority, then the highest address" (RFC 9568 §6.4.3).
        choice.candidates.sort_by_key(|one| std::cmp::Reverse(one.rank));
        choice
    }

    /// Who would take the unit from that candidate, because it is better there and preempts.
    pub(super) fn preempts(&self, view: &View, candidate: &Candidate) -> Option<String> {
        self.members.iter().find_map(|member| {
            let key = RouterKey::of(&member.config);
            let chosen = rank(view.routers(&key).find(|(peer, _)| peer.name == candidate.peer)?.1)?;
            let better = |(_, router): &(&PeerView, &Router)| {
                router.preempt && is_fit(router).is_ok() && rank(router) > Some(chosen)
            };
            let (peer, router) = view.routers(&key).find(better)?;
            Some(format!(
                "{} would take it from {}: priority {} over {}, and it preempts",
                peer.name, candidate.peer, router.priority, chosen.0
            ))
        })
    }

    fn candidate(&self, peer: &PeerView) -> Result<Candidate, String> {
        match &peer.contact {
            Contact::Reachable => {}
            Contact::Dialling => return Err("was never heard".to_owned()),
            Contact::Silent(why) => return Err(format!("is silent: {why}")),
        }
        let report = peer.report.as_ref().ok_or("was never heard")?;
        let mut first = None;
        for member in &self.members {
            let key = RouterKey::of(&member.config);
            let router = report.router(&key).ok_or_else(|| format!("does not have {key}"))?;
            is_fit(router)?;
            first = first.or(rank(router));
        }
        let rank = first.ok_or("has no address to send adverts from")?;
        Ok(Candidate { peer: Arc::clone(&peer.name), address: rank.1, rank })
    }
}

fn rank(router: &Router) -> Option<(u8, IpAddr)> {
    Some((router.priority.get(), router.source?))
}

fn is_fit(router: &Router) -> Result<(), String> {
    match router.state {
        _ if router.drained => Err("is drained".to_owned()),
        StateName::Backup if router.source.is_none() => Err("has no address to send adverts from".to_owned()),
        StateName::Backup => Ok(()),
        StateName::Fault => {
            let mut why = format!("is in FAULT for {}", router.name);
            if let Some(fault) = router.faults.first() {
                why.push_str(&format!(": {fault}"));
            }
            Err(why)
        }
        StateName::Initialize => Err(format!("has not started {}", router.name)),
        StateName::Active => Err(format!("is Active for {} itself", router.name)),
    }
}

impl Shared {
    /// What would become of a unit, as far as the peers' reports say.
    pub(super) fn plan(&self, unit: &Unit, to: Option<&Arc<str>>) -> Move {
        let view = self.peers.view();
        let choice = unit.choose(&view);
        let chosen = choice.candidates.iter().find(|one| to.is_none_or(|to| one.peer == *to));
        let refused = match (to, chosen) {
            (Some(to), None) => Some(choice.why_not(to)),
            (Some(_), Some(chosen)) => unit.preempts(&view, chosen),
            (None, _) => None,
        };
        Move {
            instances: unit.names().cloned().collect(),
            outcome: if refused.is_some() { Outcome::Kept } else { Outcome::Planned },
            successor: chosen.map(|chosen| Arc::clone(&chosen.peer)),
            address: chosen.map(|chosen| chosen.address),
            detail: refused.unwrap_or_else(|| choice.others.join("; ")),
        }
    }
}

impl Choice {
    fn why_not(&self, to: &str) -> String {
        let said = self.others.iter().find(|said| said.split(' ').next() == Some(to));
        said.cloned().unwrap_or_else(|| format!("{to} is not a peer of this node"))
    }
}
