//! Tells the engine which peers say that they are Active for a virtual router of this node, and when they no longer do. The engine
//! decides what that means. What is told is compared with what was told last, so that a queue that is full delays only this task.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ha_config::SplitBrain;
use ha_engine::{Instant, PeerActive, PeerWord, StateName};

use super::{Contact, Own, PeerView, Router, RouterKey, Shared, View};
use crate::driver;

/// A node and an instance here.
type Whose = (Arc<str>, Arc<str>);

/// What was told last, and the instance as it stood then: another one has to be told anew.
type Told = BTreeMap<Whose, (PeerWord, Arc<Router>)>;

/// Tells until the `vrrp` thread has ended. May be cancelled.
pub(super) async fn tell(shared: Arc<Shared>, driver: driver::Handle) {
    let mut views = shared.view.subscribe();
    let mut own = shared.own.subscribe();
    let mut policy = shared.split_brain.subscribe();
    let mut told = Told::new();
    loop {
        let (view, here) = (views.borrow_and_update().clone(), own.borrow_and_update().clone());
        let words = words(&view, &here, *policy.borrow_and_update() == SplitBrain::Yield);
        for word in news(&told, &words, &view) {
            if driver.tell(word).await.is_err() {
                return;
            }
        }
        told = words;
        // All three keep what they wait for.
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            changed = own.changed() => if changed.is_err() { return },
            changed = policy.changed() => if changed.is_err() { return },
        }
    }
}

/// Every peer that says that it is Active for something that is ours, too.
fn words(view: &View, own: &Own, yields: bool) -> Told {
    let reachable = view.peers.values().filter(|peer| peer.contact == Contact::Reachable);
    let active = |peer: &Arc<PeerView>| -> Vec<Arc<Router>> {
        let routers = peer.report.iter().flat_map(|report| report.routers.values());
        let active = routers.filter(|router| router.state == StateName::Active && router.key.names_one());
        active.cloned().collect()
    };
    let mut told = Told::new();
    let mut by_key: Option<HashMap<&RouterKey, &Arc<Router>>> = None;
    for peer in reachable {
        for router in active(peer) {
            let ours =
                by_key.get_or_insert_with(|| own.routers.values().map(|own| (&own.key, own)).collect());
            let Some((here, source)) = ours.get(&router.key).copied().zip(router.source) else { continue };
            let heard = if here.state == StateName::Active { peer.heard } else { None };
            let active = PeerActive {
                source,
                priority: router.priority,
                hears: router.hears,
                // Of importance only while both are Active; else each sign of life would be news.
                heard: heard.unwrap_or(Instant::from_nanos(0)),
            };
            let (node, instance) = (Arc::clone(&peer.name), Arc::clone(&here.name));
            let word = PeerWord {
                instance: Arc::clone(&instance),
                node: Arc::clone(&node),
                active: Some(active),
                is_heard: true,
                yields,
            };
            told.insert((node, instance), (word, Arc::clone(here)));
        }
    }
    told
}

/// What the engine does not know yet.
fn news(told: &Told, words: &Told, view: &View) -> Vec<PeerWord> {
    let is_heard = |node: &Arc<str>| {
        view.peers.get(node).is_some_and(|peer| peer.contact == Contact::Reachable && peer.report.is_some())
    };
    let fresh = words.iter().filter(|(whose, word)| told.get(*whose) != Some(*word));
    let gone = told.iter().filter(|(whose, _)| !words.contains_key(*whose));
    let withdrawn =
        gone.map(|(_, (word, _))| PeerWord { active: None, is_heard: is_heard(&word.node), ..word.clone() });
    withdrawn.chain(fresh.map(|(_, (word, _))| word.clone())).collect()
}
