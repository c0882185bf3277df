//! How a double sees its cluster: itself as it stands, and its peers as the test says.

use ha_proto::v1;
use ha_proto::v1::node_view::Contact;

use super::World;

impl World {
    /// A peer that it hears, or does not, with one virtual router.
    pub fn hears(&mut self, peer: &str, contact: Contact, state: v1::instance::State, priority: i32) {
        let router = v1::PeerRouter {
            name: "web".to_owned(),
            virtual_router_id: 51,
            family: v1::instance::Family::Ipv4.into(),
            addresses: vec![crate::support::VIP.to_owned()],
            state: state.into(),
            effective_priority: priority,
            state_age: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
            ..Default::default()
        };
        let is_silent = contact == Contact::Silent;
        self.peers.push(v1::NodeView {
            name: format!("nodes/{peer}"),
            endpoint: format!("https://{peer}:7443"),
            contact: contact.into(),
            contact_time: Some(self.now()),
            detail: if is_silent { "nothing was heard for 3s".to_owned() } else { String::new() },
            reason: if is_silent { "NO_ANSWER".to_owned() } else { String::new() },
            hear_time: Some(self.now()).filter(|_| !is_silent),
            version: "0.1.0".to_owned(),
            round_trip: (!is_silent).then_some(prost_types::Duration { seconds: 0, nanos: 400_000 }),
            routers: vec![router],
            ..Default::default()
        });
    }

    /// Its peer is found at this endpoint.
    pub fn dials(&mut self, peer: &str, endpoint: String) {
        let peer = self.peers.iter_mut().find(|known| known.name == format!("nodes/{peer}"));
        peer.expect("it is a peer").endpoint = endpoint;
    }

    pub fn cluster_view(&self) -> v1::ClusterView {
        let router = |instance: &v1::Instance| v1::PeerRouter {
            name: instance.name.rsplit('/').next().unwrap().to_owned(),
            virtual_router_id: instance.virtual_router_id,
            family: instance.family,
            addresses: instance.vips.iter().map(|vip| vip.rsplit('/').next().unwrap().to_owned()).collect(),
            state: instance.state,
            effective_priority: instance.effective_priority,
            ..Default::default()
        };
        let own = v1::NodeView {
            name: format!("nodes/{}", self.name),
            contact: Contact::Self_.into(),
            routers: self.instances.iter().map(router).collect(),
            ..Default::default()
        };
        let mut nodes = self.peers.clone();
        nodes.push(own);
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        v1::ClusterView {
            observer: format!("nodes/{}", self.name),
            observe_time: Some(self.now()),
            complete: self.peers.iter().all(|peer| peer.contact() == Contact::Reachable),
            nodes,
        }
    }
}
