//! Who hears whom on the control plane: what each node that answered says of its peers, node by node. Pure: no time, no I/O.

use std::collections::{BTreeMap, BTreeSet};

use ha_proto::v1;
use ha_proto::v1::node_view::Contact;
use jiff::Timestamp;

use crate::clock::timestamp;
use crate::failure::Failure;
use crate::names;
use crate::span::Span;

#[cfg(test)]
mod tests;

/// Whether a node hears another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It does.
    Heard,
    /// It did, and does not now.
    Silent,
    /// It never did since its agent started.
    Never,
    /// The other answers, and does not let itself be heard: it does not know who asks, or one of them cannot prove who it is.
    Refused,
    /// It has no `[[peer]]` for it.
    NotConfigured,
    /// It did not tell.
    Unknown,
}

impl Sight {
    /// The word, as in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Sight::Heard => "HEARD",
            Sight::Silent => "SILENT",
            Sight::Never => "NEVER",
            Sight::Refused => "REFUSED",
            Sight::NotConfigured => "NOT_CONFIGURED",
            Sight::Unknown => "UNKNOWN",
        }
    }

    /// It should be heard, and is not.
    pub(crate) fn is_lost(self) -> bool {
        matches!(self, Sight::Silent | Sight::Never | Sight::Refused)
    }
}

/// How one node sees another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Whether it hears it.
    pub sight: Sight,
    /// Why not, in UPPER_SNAKE_CASE; empty when there is nothing to explain.
    pub reason: String,
    /// The same in a sentence.
    pub detail: String,
    /// Since when, by the clock of the node that sees.
    pub since: Option<Timestamp>,
    /// How old the last sign of life is.
    pub age: Option<Span>,
    /// Of the last small question to it.
    pub round_trip: Option<Span>,
    /// Where it is dialled.
    pub endpoint: String,
}

/// What a node that hears another was told by it of its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Who was told.
    pub by: String,
    /// By whom.
    pub of: String,
    /// Of its agent.
    pub version: String,
    /// Of its agent's present life.
    pub incarnation_id: String,
}

/// All sightings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// Every node that was asked or is somebody's peer.
    pub nodes: BTreeSet<String>,
    /// Those that told how they see the others.
    pub observers: BTreeSet<String>,
    /// Those of them that have peers.
    pub with_peers: BTreeSet<String>,
    /// Those that answered and did not tell, and why.
    pub untold: BTreeMap<String, Failure>,
    /// What was told.
    pub told: Vec<Told>,
    sightings: BTreeMap<(String, String), Sighting>,
}

impl Reach {
    /// From the names of all nodes that were asked, as far as they are known, and what those that answered say.
    pub(crate) fn new<'a>(
        asked: impl IntoIterator<Item = &'a str>,
        views: &[(String, Result<&v1::ClusterView, &Failure>)],
    ) -> Self {
        let mut reach = Reach { nodes: asked.into_iter().map(str::to_owned).collect(), ..Default::default() };
        for (observer, view) in views {
            reach.nodes.insert(observer.clone());
            match view {
                Ok(view) => reach.take(observer, view),
                Err(failure) => drop(reach.untold.insert(observer.clone(), (*failure).clone())),
            }
        }
        reach
    }

    fn take(&mut self, observer: &str, view: &v1::ClusterView) {
        self.observers.insert(observer.to_owned());
        let at = timestamp(view.observe_time.as_ref());
        for node in view.nodes.iter().filter(|node| node.contact() != Contact::Self_) {
            let name = names::last(&node.name).to_owned();
            self.with_peers.insert(observer.to_owned());
            self.nodes.insert(name.clone());
            if node.contact() == Contact::Reachable {
                self.told.push(Told {
                    by: observer.to_owned(),
                    of: name.clone(),
                    version: node.version.clone(),
                    incarnation_id: node.incarnation_id.clone(),
                });
            }
            self.sightings.insert((observer.to_owned(), name), Sighting::new(node, at));
        }
    }

    /// How one node sees another.
    pub(crate) fn sighting(&self, from: &str, to: &str) -> Sighting {
        if let Some(known) = self.sightings.get(&(from.to_owned(), to.to_owned())) {
            return known.clone();
        }
        match self.untold.get(from) {
            Some(failure) => Sighting {
                reason: failure.reason.clone(),
                detail: failure.message.clone(),
                ..Sighting::bare(Sight::Unknown)
            },
            None if self.observers.contains(from) => Sighting::bare(Sight::NotConfigured),
            None => Sighting::bare(Sight::Unknown),
        }
    }

    /// Whether it hears it.
    pub(crate) fn sight(&self, from: &str, to: &str) -> Sight {
        self.sighting(from, to).sight
    }

    /// Those that told, or should have.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &str> {
        self.nodes
            .iter()
            .filter(|node| self.observers.contains(*node) || self.untold.contains_key(*node))
            .map(String::as_str)
    }
}

impl Sighting {
    fn new(node: &v1::NodeView, at: Option<Timestamp>) -> Self {
        let (since, heard) = (timestamp(node.contact_time.as_ref()), timestamp(node.hear_time.as_ref()));
        let age = heard
            .zip(at)
            .map(|(heard, at)| Span::from_wide((at.as_nanosecond() - heard.as_nanosecond()).max(0)));
        let is_refused = matches!(node.reason.as_str(), "REFUSED" | "CERTIFICATE" | "OTHER_NODE");
        let sight = match node.contact() {
            Contact::Self_ | Contact::Reachable => Sight::Heard,
            _ if is_refused => Sight::Refused,
            _ if heard.is_none() => Sight::Never,
            _ => Sight::Silent,
        };
        let is_dialled = node.contact() == Contact::Dialling;
        let (reason, detail) = match is_dialled {
            true => ("DIALLING".to_owned(), "it is dialled for the first time".to_owned()),
            false => (node.reason.clone(), node.detail.clone()),
        };
        let round_trip = node.round_trip.as_ref().map(Span::from);
        Sighting { sight, reason, detail, since, age, round_trip, endpoint: node.endpoint.clone() }
    }

    fn bare(sight: Sight) -> Self {
        Sighting {
            sight,
            reason: String::new(),
            detail: String::new(),
            since: None,
            age: None,
            round_trip: None,
            endpoint: String::new(),
        }
    }
}
