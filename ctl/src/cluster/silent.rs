//! The names of nodes that do not answer.

use std::collections::BTreeSet;

use ha_proto::v1;
use ha_proto::v1::node_view::Contact;

use crate::endpoint::Endpoint;
use crate::fanout::Answer;
use crate::names;

/// Who does not answer does not say its name either; those that have it as a peer know it by its address. `peers` is how a node that
/// answered sees the others.
pub(crate) fn name_the_silent<T>(answers: &mut [Answer<T>], peers: impl Fn(&T) -> Option<&v1::ClusterView>) {
    if answers.iter().all(|answer| answer.name.is_some()) {
        return;
    }
    let peers: Vec<(String, Option<Endpoint>)> = answers
        .iter()
        .filter_map(|answer| peers(answer.result.as_ref().ok()?))
        .flat_map(|view| &view.nodes)
        .filter(|node| node.contact() != Contact::Self_)
        .map(|node| (names::last(&node.name).to_owned(), node.endpoint.parse().ok()))
        .collect();
    let answered: BTreeSet<String> =
        answers.iter().filter(|answer| answer.result.is_ok()).map(Answer::label).collect();
    for answer in answers.iter_mut().filter(|answer| answer.name.is_none()) {
        let Err(failure) = &mut answer.result else { continue };
        let is_it = |(name, endpoint): &&(String, Option<Endpoint>)| {
            endpoint.as_ref() == Some(&answer.endpoint) || answer.endpoint.is_named(name)
        };
        // One that answers elsewhere is in the picture; this is only another way to it.
        let known = peers.iter().find(is_it).filter(|(name, _)| !answered.contains(name));
        let Some((name, _)) = known else { continue };
        failure.node = name.as_str().into();
        answer.name = Some(name.clone());
    }
}
