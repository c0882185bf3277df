//! Whether an address is where it should be: what the election wants, what the kernels have, and who answers on the wire.
//! Pure: places in, sentences out. It judges only what was seen; a node that did not answer is nobody's fault here.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::ProbeView;
use crate::verdict::{Verdict, and};

/// One node's part in an address.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Place {
    /// The node.
    pub node: String,
    /// Its virtual router.
    pub state: &'static str,
    /// What its election wants.
    pub desired: &'static str,
    /// What its kernel has.
    pub kernel: &'static str,
    /// What it heard on the wire, when it was asked.
    pub probe: Option<ProbeView>,
}

/// Something that is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    /// How bad.
    pub verdict: Verdict,
    /// In a sentence that names the nodes.
    pub message: String,
}

/// What is to be said about an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Judgement {
    /// What is wrong, in the order of the layers: desired, kernel, wire.
    pub faults: Vec<Fault>,
    /// What could not be verified.
    pub unverified: Vec<String>,
}

const PRESENT: &str = "PRESENT";

/// Judges one address. `complete`: each node asked has answered, so that what is nowhere is really nowhere.
pub(crate) fn judge(address: &str, places: &[Place], complete: bool) -> Judgement {
    let mut judgement = Judgement::default();
    let holders: Vec<&Place> = places.iter().filter(|place| place.kernel == PRESENT).collect();
    judge_kernels(address, places, &holders, complete, &mut judgement);
    if places.iter().any(|place| place.probe.is_some()) {
        Wire::new(address, places, &holders).judge(&mut judgement);
    }
    judgement
}

impl Judgement {
    fn fault(&mut self, verdict: Verdict, message: String) {
        self.faults.push(Fault { verdict, message });
    }
}

fn judge_kernels(
    address: &str,
    places: &[Place],
    holders: &[&Place],
    complete: bool,
    judgement: &mut Judgement,
) {
    for Place { node, desired, kernel, .. } in places {
        match (*desired, *kernel) {
            (_, "UNKNOWN") => {
                judgement.unverified.push(format!("the kernel of {node} has not been read for {address}"));
            }
            (PRESENT, PRESENT) => {}
            (PRESENT, kernel) => judgement.fault(
                Verdict::Degraded,
                format!("{node} should hold {address}, and its kernel has it {kernel}"),
            ),
            (_, PRESENT) => judgement.fault(
                Verdict::Degraded,
                format!("{node} should not hold {address}, and its kernel has it PRESENT"),
            ),
            _ => {}
        }
    }
    match holders {
        [] if complete => judgement.fault(
            Verdict::NoActive,
            format!("nobody holds {address}: it is in no kernel of {}", names(places)),
        ),
        [] => judgement.unverified.push(format!("no node that answered holds {address}")),
        [_] => {}
        several => {
            let owners = and(&several.iter().map(|place| place.node.as_str()).collect::<Vec<_>>());
            let message = format!("{address} is in the kernels of {owners}: it must have one owner");
            judgement.fault(Verdict::SplitBrain, message);
        }
    }
}

fn names(places: &[Place]) -> String {
    and(&places.iter().map(|place| place.node.as_str()).collect::<Vec<_>>())
}

/// What was heard of an address.
struct Wire<'a> {
    address: &'a str,
    places: &'a [Place],
    holders: &'a [&'a Place],
    /// Who heard each MAC address.
    voices: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Wire<'a> {
    fn new(address: &'a str, places: &'a [Place], holders: &'a [&'a Place]) -> Self {
        let mut voices: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (node, probe) in probes(places) {
            for answer in &probe.answers {
                voices.entry(&answer.mac).or_default().insert(node);
            }
        }
        Self { address, places, holders, voices }
    }

    fn judge(&self, judgement: &mut Judgement) {
        let address = self.address;
        let expected: BTreeSet<&str> =
            self.holders.iter().filter_map(|holder| answering_mac(holder)).collect();
        if self.voices.len() > 1 {
            let who: Vec<String> = self.voices.keys().map(|mac| self.name(mac)).collect();
            let who = and(&who.iter().map(String::as_str).collect::<Vec<_>>());
            let heard = self.heard_by(self.voices.values().flatten().copied().collect());
            judgement.fault(Verdict::SplitBrain, format!("{who} answer for {address}, heard by {heard}"));
        } else {
            self.judge_one_voice(&expected, judgement);
        }
        self.judge_twins(judgement);
        self.judge_silence(judgement);
    }

    /// The only one who answers must be the holder.
    fn judge_one_voice(&self, expected: &BTreeSet<&str>, judgement: &mut Judgement) {
        let Some((mac, listeners)) = self.voices.first_key_value() else { return };
        if expected.contains(mac) {
            return;
        }
        let (who, heard) = (self.name(mac), self.heard_by(listeners.clone()));
        let address = self.address;
        if let Some(holder) = self.holders.iter().find(|holder| answering_mac(holder).is_none()) {
            // It was not asked with which MAC it answers.
            let node = &holder.node;
            judgement
                .unverified
                .push(format!("{who} answers for {address}; whether that is {node} is not known"));
            return;
        }
        let (verdict, message) = match self.holders {
            [] => (
                Verdict::Degraded,
                format!("{who} answers for {address}, which no node that was asked holds"),
            ),
            holders => {
                let holders = holders.iter().map(|holder| {
                    let mac = answering_mac(holder).map(|mac| format!(" ({mac})")).unwrap_or_default();
                    format!("{}{mac}", holder.node)
                });
                let holders = holders.collect::<Vec<_>>().join(" and ");
                (Verdict::SplitBrain, format!("{who} answers for {address}, which {holders} holds"))
            }
        };
        judgement.fault(verdict, format!("{message}, heard by {heard}"));
    }

    /// A holder does not hear itself: its own MAC in its ears is somebody else's.
    fn judge_twins(&self, judgement: &mut Judgement) {
        for holder in self.holders {
            let Some(mac) = answering_mac(holder) else { continue };
            let hears_itself = self.voices.get(mac).is_some_and(|by| by.contains(holder.node.as_str()));
            if hears_itself {
                let (address, node) = (self.address, &holder.node);
                let message = format!("somebody beside {node} answers for {address} with the same MAC {mac}");
                judgement.fault(Verdict::SplitBrain, message);
            }
        }
    }

    /// Every other node must hear the holder.
    fn judge_silence(&self, judgement: &mut Judgement) {
        let [holder] = self.holders else { return };
        let (node, address) = (&holder.node, self.address);
        let others: Vec<(&str, &ProbeView)> =
            probes(self.places).filter(|(other, _)| other != node).collect();
        let deaf: BTreeSet<&str> =
            others.iter().filter(|(_, probe)| probe.answers.is_empty()).map(|(node, _)| *node).collect();
        if others.is_empty() {
            let text =
                format!("{node} does not hear itself, and no other node could ask the wire for {address}");
            judgement.unverified.push(text);
        } else if deaf.len() == others.len() {
            let message =
                format!("nobody answers for {address}, which {node} holds, asked by {}", self.heard_by(deaf));
            judgement.fault(Verdict::NoActive, message);
        } else if !deaf.is_empty() {
            let deaf = self.heard_by(deaf);
            let message = format!("{deaf} hears nobody answer for {address}, which {node} holds; others do");
            judgement.fault(Verdict::Degraded, message);
        }
    }

    /// The node behind a MAC address, or what is known of it.
    fn name(&self, mac: &str) -> String {
        let is_its = |place: &&Place| {
            let probe = place.probe.as_ref();
            probe.is_some_and(|probe| probe.link_mac == mac || probe.holder_mac.as_deref() == Some(mac))
        };
        if let Some(place) = self.places.iter().find(is_its) {
            return format!("{} ({mac})", place.node);
        }
        let mut all = probes(self.places).flat_map(|(_, probe)| &probe.answers);
        match all.find(|answer| answer.mac == mac && answer.peer_address.is_some()) {
            Some(answer) => {
                format!("the router at {} ({mac})", answer.peer_address.as_deref().unwrap_or_default())
            }
            None if mac.starts_with("00:00:5e:00:0") => format!("a virtual router MAC ({mac})"),
            None => format!("a stranger ({mac})"),
        }
    }

    fn heard_by(&self, nodes: BTreeSet<&str>) -> String {
        and(&nodes.into_iter().collect::<Vec<_>>())
    }
}

fn probes(places: &[Place]) -> impl Iterator<Item = (&str, &ProbeView)> {
    places.iter().filter_map(|place| Some((place.node.as_str(), place.probe.as_ref()?)))
}

/// The MAC with which a holder answers, as it says itself.
fn answering_mac<'a>(holder: &&'a Place) -> Option<&'a str> {
    let probe = holder.probe.as_ref()?;
    Some(probe.holder_mac.as_deref().unwrap_or(&probe.link_mac))
}

#[cfg(test)]
mod tests;
