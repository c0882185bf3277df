//! `ProbeVip`: asks the wire who answers for an address, and says who it is: a node of ours, a known peer, a stranger.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_dataplane::{LinkAnswers, is_virtual_mac};
use ha_engine::{
    Cause, Event, EventKind, Evidence, Family, InstanceStatus, Subject, Transport, VirtualAddress, WireEvent,
};
use ha_proto::v1;
use tokio::time::Instant;
use tonic::Status;

use super::connection::{Places, User};
use super::convert::{checked_duration, duration};
use super::error::{Reason, internal, refuse, refuse_for_now};
use super::shared::Shared;
use super::snapshots::View;
use crate::clock;

/// Asks a link who has addresses, and waits so long. Blocks.
pub type Wire = Arc<dyn Fn(&str, &[IpAddr], Duration) -> Result<LinkAnswers, String> + Send + Sync>;

/// How long answers are waited for.
const USUAL: Duration = Duration::from_millis(500);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3);

/// Probes at a time, of which no user but 0 has more than half, and beyond that for user 0 alone. Each sends a few frames and holds a
/// thread for its time.
const PROBES: usize = 8;
const RESERVED: usize = 1;
/// Peers whose MAC addresses are asked for along with the address.
const MOST_PEERS: usize = 4;
/// A conflict that lasts is told again after this.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// What probes share.
pub(crate) struct Probes {
    places: Places,
    told: Mutex<HashMap<IpAddr, Conflict>>,
}

/// When a conflict was told, and who answered then.
type Conflict = (Instant, Vec<[u8; 6]>);

impl Default for Probes {
    fn default() -> Self {
        Self { places: Places::new(PROBES, RESERVED), told: Mutex::default() }
    }
}

impl Probes {
    /// Whether this conflict is news. Conflicts are told for addresses that are configured, so the table is bounded.
    fn is_news(&self, address: IpAddr, macs: &[[u8; 6]]) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, (at, _)| now - *at < TOLD_FOR);
        if told.get(&address).is_some_and(|(_, before)| before == macs) {
            return false;
        }
        told.insert(address, (now, macs.to_vec()));
        true
    }
}

/// Asks the wire for an address of an instance, tells the journal of a conflict, and answers what was heard.
pub(crate) async fn probe(
    shared: &Shared,
    view: &View,
    user: User,
    (status, address): (&InstanceStatus, &VirtualAddress),
    timeout: Option<&prost_types::Duration>,
) -> Result<v1::VipProbe, Status> {
    let patience = patience(timeout)?;
    let peers = peers(status, address);
    let asked: Vec<IpAddr> = std::iter::once(address.address).chain(peers.iter().copied()).collect();
    let interface = Arc::clone(status.config.link_of(address));
    let answers = ask(shared, user, &interface, asked, patience).await?;
    let vip = super::vip::vip(shared, view, status, address);
    let held = vip.kernel_state() == v1::vip::State::Present;
    let virtual_mac = status.config.virtual_mac_address().filter(|mac| address.takes_virtual_mac(*mac));
    let own = virtual_mac.unwrap_or(answers.mac);
    let who = Who { answers: &answers, peers: &peers };
    let told: Vec<v1::VipAnswer> = who.have(address.address).map(|heard| who.answer(heard)).collect();
    let conflict = is_conflict(held, &told);
    if conflict {
        tell(shared, status, address.address, &who, held);
    }
    Ok(v1::VipProbe {
        name: vip.name,
        interface: interface.to_string(),
        link_mac: shown(answers.mac),
        holder_mac: if held { shown(own) } else { String::new() },
        desired_state: vip.desired_state,
        kernel_state: vip.kernel_state,
        answers: told,
        waited: Some(duration(patience)),
        conflict,
    })
}

fn patience(timeout: Option<&prost_types::Duration>) -> Result<Duration, Status> {
    let Some(timeout) = timeout else { return Ok(USUAL) };
    let patience = checked_duration(timeout).filter(|wanted| (SHORTEST..=LONGEST).contains(wanted));
    patience.ok_or_else(|| {
        refuse(
            Reason::TimeOutOfRange,
            "timeout is out of range",
            "use 100 ms .. 3 s, or leave it out for 500 ms",
        )
    })
}

/// On a thread of its own: it waits for the wire.
async fn ask(
    shared: &Shared,
    user: User,
    interface: &Arc<str>,
    addresses: Vec<IpAddr>,
    patience: Duration,
) -> Result<LinkAnswers, Status> {
    let place = shared.probes.places.take(user).ok_or_else(|| {
        refuse_for_now(
            Reason::TooManyProbes,
            format!("{PROBES} probes are under way on this node, or half of that by this user"),
            "try again when they have ended",
            patience,
        )
    })?;
    let (wire, interface) = (Arc::clone(&shared.options.wire), Arc::clone(interface));
    // The place goes along: when the caller leaves, the probe still runs.
    let asked = tokio::task::spawn_blocking(move || {
        let answers = wire(&interface, &addresses, patience);
        drop(place);
        answers
    });
    let answers = asked.await.map_err(|_panicked| internal())?;
    answers.map_err(|why| refuse(Reason::ProbeFailed, why, "see ip -br link on that node, and try again"))
}

/// Routers that may hold an address of an instance: whom it hears, and whom it is configured to talk to. Their addresses are of the
/// instance's link and family; elsewhere nobody is known.
fn peers(status: &InstanceStatus, address: &VirtualAddress) -> Vec<IpAddr> {
    if address.interface.is_some() || Family::of(address.address) != status.config.family {
        return Vec::new();
    }
    let heard = status.last_advert.as_ref().map(|advert| advert.source);
    let configured: Vec<IpAddr> = match &status.config.transport {
        Transport::Multicast { allowed_sources } => allowed_sources.clone(),
        Transport::Unicast { peers, .. } => peers.iter().map(|peer| peer.address).collect(),
    };
    let mut peers: Vec<IpAddr> = Vec::new();
    for peer in heard.into_iter().chain(status.rival).chain(configured) {
        if peers.len() < MOST_PEERS && !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    peers
}

/// Who is who among those that answered.
struct Who<'a> {
    answers: &'a LinkAnswers,
    peers: &'a [IpAddr],
}

impl Who<'_> {
    /// What was heard for an address.
    fn have(&self, address: IpAddr) -> impl Iterator<Item = &ha_dataplane::Heard> {
        self.answers.heard.iter().filter(move |heard| heard.address == address)
    }

    fn answer(&self, heard: &ha_dataplane::Heard) -> v1::VipAnswer {
        let (origin, peer) = self.origin(heard.mac);
        v1::VipAnswer {
            mac: shown(heard.mac),
            latency: Some(duration(heard.after)),
            origin: origin.into(),
            peer_address: peer.map(|peer| peer.to_string()).unwrap_or_default(),
        }
    }

    fn origin(&self, mac: [u8; 6]) -> (v1::vip_answer::Origin, Option<IpAddr>) {
        use v1::vip_answer::Origin;
        let mut known =
            self.peers.iter().copied().filter(|peer| self.have(*peer).next().is_some()).peekable();
        let any_known = known.peek().is_some();
        match known.find(|peer| self.have(*peer).any(|heard| heard.mac == mac)) {
            Some(peer) => (Origin::Peer, Some(peer)),
            None if is_virtual_mac(mac) => (Origin::VirtualMac, None),
            None if any_known => (Origin::Stranger, None),
            None => (Origin::Unknown, None),
        }
    }
}

/// Beside a holder nobody else may answer; elsewhere one may, and it is no stranger.
fn is_conflict(held: bool, answers: &[v1::VipAnswer]) -> bool {
    let stranger = |answer: &v1::VipAnswer| answer.origin() == v1::vip_answer::Origin::Stranger;
    match answers {
        [] => false,
        _ if held => true,
        [one] => stranger(one),
        _ => true,
    }
}

fn tell(shared: &Shared, status: &InstanceStatus, address: IpAddr, who: &Who<'_>, held: bool) {
    let mut macs: Vec<[u8; 6]> = who.have(address).map(|heard| heard.mac).collect();
    macs.sort_unstable();
    if !shared.probes.is_news(address, &macs) {
        return;
    }
    let named = who.have(address).filter_map(|heard| {
        let peer = who.origin(heard.mac).1?;
        Some(format!("{} is {peer}", shown(heard.mac)))
    });
    let named: Vec<String> = named.collect();
    let detail = (!named.is_empty()).then(|| named.join(", ").into());
    shared.journal.append(Box::new(Event {
        at: clock::now(),
        subject: Subject::Vip(status.id, Arc::clone(&status.config.name), address),
        kind: EventKind::Wire(WireEvent::ConflictFound { macs: macs.into(), held_here: held }),
        cause: Cause::AddressConflict,
        evidence: Evidence { detail, ..Evidence::default() },
        actor: None,
    }));
}

/// `02:00:00:00:00:01`.
fn shown(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::vip_answer::Origin;

    #[test]
    fn beside_a_holder_nobody_may_answer_and_elsewhere_one_known_router() {
        let table: [(bool, &[Origin], bool); 8] = [
            (true, &[], false),
            (true, &[Origin::Peer], true),
            (true, &[Origin::VirtualMac], true),
            (false, &[], false),
            (false, &[Origin::Peer], false),
            (false, &[Origin::Unknown], false),
            (false, &[Origin::Stranger], true),
            (false, &[Origin::Peer, Origin::Peer], true),
        ];
        for (held, origins, expected) in table {
            let answer = |origin: &Origin| v1::VipAnswer { origin: (*origin).into(), ..Default::default() };
            let answers: Vec<v1::VipAnswer> = origins.iter().map(answer).collect();
            assert_eq!(is_conflict(held, &answers), expected, "{held} {origins:?}");
        }
    }
}
