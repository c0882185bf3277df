//! Where an attempt connects to: an address, or a name that is resolved when its last answer has become old.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::attempt::Reason;
use crate::course::Course;
use crate::failure::Failure;
use crate::resolve::{Resolved, Resolver, Wanted};
use crate::spec::Invalid;
use crate::target::{Host, Origin, Target};

/// An answer is believed for its TTL, within these bounds.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// While names cannot be resolved and an address is known, the servers are asked this often.
const RETRY: Duration = Duration::from_secs(10);

/// A target, with what is remembered of its name.
#[derive(Debug)]
pub(crate) struct Destination {
    place: Place,
    port: u16,
    pub(crate) origin: Origin,
}

#[derive(Debug)]
enum Place {
    Address(IpAddr),
    Name { name: Box<str>, memory: Mutex<Memory> },
}

#[derive(Clone, Debug, Default)]
struct Memory {
    address: Option<IpAddr>,
    /// Not asked again before.
    until: Option<Instant>,
    /// Why the last question was in vain.
    complaint: Option<String>,
}

impl Memory {
    /// The address, unless it is to be asked for again.
    fn current(&self, now: Instant) -> Option<IpAddr> {
        self.address.filter(|_| self.until.is_some_and(|until| now < until))
    }

    /// The same, unless the last question was in vain.
    fn fresh(&self, now: Instant) -> Option<IpAddr> {
        self.current(now).filter(|_| self.complaint.is_none())
    }
}

impl Destination {
    /// For kinds with a port.
    pub(crate) fn new(target: &Target) -> Result<Self, Invalid> {
        target.check()?;
        Ok(Self::without_port(target))
    }

    /// For kinds without.
    pub(crate) fn without_port(target: &Target) -> Self {
        let place = match (&target.host, target.connect_address) {
            (_, Some(address)) => Place::Address(address),
            (Host::Address(address), None) => Place::Address(*address),
            (Host::Name(name), None) => Place::Name { name: name.clone(), memory: Mutex::default() },
        };
        let port = target.connect_port.unwrap_or(target.port);
        Self { place, port, origin: target.origin.clone() }
    }

    /// Its address, when that needs no waiting and nothing is to be said about it.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let address = match &self.place {
            Place::Address(address) => Some(*address),
            Place::Name { memory, .. } => {
                memory.lock().unwrap_or_else(PoisonError::into_inner).fresh(Instant::now())
            }
        };
        Some(SocketAddr::new(address?, self.port))
    }

    /// Its address. A name gets half of the time that is left, and a quarter when an earlier address is known, which is
    /// then used with a remark.
    ///
    /// # Errors
    /// [`Reason::Resolve`] when the name never had an address.
    pub(crate) async fn resolve(&self, course: &mut Course) -> Result<SocketAddr, Failure> {
        let address = match &self.place {
            Place::Address(address) => *address,
            Place::Name { name, memory } => self.resolve_name(name, memory, course).await?,
        };
        Ok(SocketAddr::new(address, self.port))
    }

    async fn resolve_name(
        &self,
        name: &str,
        memory: &Mutex<Memory>,
        course: &mut Course,
    ) -> Result<IpAddr, Failure> {
        let now = Instant::now();
        let known = memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(address) = known.current(now) {
            course.remark(known.complaint.as_deref().map(|complaint| last_used(address, complaint)));
            return Ok(address);
        }
        course.enter("resolve");
        let left = course.deadline().saturating_duration_since(now);
        let share = if known.address.is_some() { left / 4 } else { left / 2 };
        let answer = Resolver::of_this_node().resolve(name, self.wanted(), now + share).await;
        let new = remembered(known, answer, Instant::now());
        let (address, complaint) = (new.address, new.complaint.clone());
        *memory.lock().unwrap_or_else(PoisonError::into_inner) = new;
        match (address, complaint) {
            (None, complaint) => Err(Failure::failed(Reason::Resolve, complaint.unwrap_or_default())),
            (Some(address), complaint) => {
                course.note(|| address.to_string());
                course.remark(complaint.map(|complaint| last_used(address, &complaint)));
                Ok(address)
            }
        }
    }

    fn wanted(&self) -> Wanted {
        match self.origin.address {
            None => Wanted::Either,
            Some(address) if address.is_ipv4() => Wanted::V4,
            Some(_) => Wanted::V6,
        }
    }
}

fn last_used(address: IpAddr, complaint: &str) -> String {
    format!("{address} is its last known address: {complaint}")
}

/// What to remember after an answer: the address stays the same as long as the name has it, because a check that follows a
/// rotating answer would be many checks.
fn remembered(known: Memory, answer: Result<Resolved, String>, now: Instant) -> Memory {
    match answer {
        Ok(Resolved { addresses, lifetime }) => {
            let same = known.address.filter(|address| addresses.contains(address));
            let until = Some(now + lifetime.clamp(SHORTEST, LONGEST));
            Memory { address: same.or(addresses.first().copied()), until, complaint: None }
        }
        Err(complaint) => Memory { until: Some(now + RETRY), complaint: Some(complaint), ..known },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &[[u8; 4]]) -> Result<Resolved, String> {
        let addresses = addresses.iter().map(|octets| IpAddr::from(*octets)).collect();
        Ok(Resolved { addresses, lifetime: Duration::from_secs(60) })
    }

    #[test]
    fn an_address_is_kept_while_the_name_has_it_and_also_while_nobody_answers() {
        let (one, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let now = Instant::now();
        let first = remembered(Memory::default(), answer(&[one, other]), now);
        assert_eq!(first.address, Some(one.into()));
        let rotated = remembered(first, answer(&[other, one]), now);
        assert_eq!(rotated.address, Some(one.into()));
        assert_eq!(rotated.fresh(now), Some(one.into()));
        assert_eq!(rotated.fresh(now + Duration::from_secs(60)), None);
        let dead = remembered(rotated, Err("no answer".to_owned()), now);
        assert_eq!((dead.address, dead.until), (Some(one.into()), Some(now + RETRY)));
        assert_eq!(dead.fresh(now), None, "there is something to be said about it");
        assert_eq!(dead.complaint.as_deref(), Some("no answer"));
        let moved = remembered(dead, answer(&[other]), now);
        assert_eq!((moved.address, moved.complaint), (Some(other.into()), None));
    }

    #[test]
    fn a_name_that_never_had_an_address_fails() {
        let never = remembered(Memory::default(), Err("no answer".to_owned()), Instant::now());
        assert_eq!(never.address, None);
    }
}
