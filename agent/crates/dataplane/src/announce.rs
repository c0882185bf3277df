//! Gratuitous ARP and unsolicited neighbour advertisements, one round for each announcement. When to announce is the
//! engine's business.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use ha_engine::{Announcement, InstanceId, Instant};
use socket2::Socket;

use crate::arp::{self, ETHERTYPE_ARP};
use crate::capability::Capability;
use crate::clock;
use crate::error::Error;
use crate::ndp;
use crate::observed::Observed;
use crate::ownership::Device;
use crate::report::Report;
use crate::socket::{ETHERTYPE_IPV6, Name, Outgoing, packet_socket};
use crate::sysctl;

/// Attempts for frames that the link's queue had no room for, and the pause before each.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(1);
/// Addresses whose history is kept; far more than any node has.
const HISTORY: usize = 65_536;

/// When an address of a link was announced last, and how often.
pub(crate) type History = BTreeMap<(Arc<str>, IpAddr), (Instant, u64)>;

/// Sends announcements.
#[derive(Debug)]
pub(crate) struct Announcer {
    socket: Socket,
    outgoing: Outgoing,
    history: History,
}

/// One frame to send.
struct Frame {
    /// Which of the announcements it belongs to.
    owner: usize,
    device: Device,
    index: u32,
    mac: [u8; 6],
    address: IpAddr,
    is_router: bool,
}

impl Announcer {
    pub(crate) fn new() -> Result<Self, Error> {
        let socket = packet_socket().map_err(|source| {
            Error::new("open a packet socket for announcements", Capability::NetRaw, source)
        })?;
        Ok(Self { socket, outgoing: Outgoing::default(), history: History::new() })
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Announces every address that the kernel holds now, and says for each instance how many frames left. Errors that do not
    /// pass are told as trouble.
    pub(crate) fn announce(
        &mut self,
        observed: &Observed,
        announcements: &BTreeMap<InstanceId, Announcement>,
    ) -> Vec<Report> {
        let announcements: Vec<&Announcement> = announcements.values().collect();
        let mut frames = frames(observed, &announcements);
        let mut sent = vec![0; announcements.len()];
        let mut failure = None;
        for attempt in 0..ATTEMPTS {
            if frames.is_empty() {
                break;
            }
            if attempt > 0 {
                sleep(PAUSE);
            }
            (frames, failure) = self.send(frames, &mut sent);
        }
        let at = clock::now();
        let announced = announcements.iter().zip(sent).map(|(announcement, count)| Report::Announced {
            instance: announcement.instance,
            takeover: announcement.takeover,
            at,
            count,
        });
        let unsent = frames.len();
        let failure = failure.map(|errno| {
            let error = std::io::Error::from_raw_os_error(errno);
            Report::Trouble(
                format!("cannot announce addresses ({unsent} left after {ATTEMPTS} attempts): {error}")
                    .into(),
            )
        });
        announced.chain(failure).collect()
    }

    /// Sends all; gives back those to try again, and the errno of the last one that failed.
    fn send(&mut self, mut frames: Vec<Frame>, sent: &mut [usize]) -> (Vec<Frame>, Option<i32>) {
        for frame in &frames {
            match frame.address {
                IpAddr::V4(address) => {
                    let octets = arp::gratuitous(frame.mac, address);
                    self.outgoing.push_frame(Name::link(frame.index, ETHERTYPE_ARP), &[&octets]);
                }
                IpAddr::V6(address) => {
                    let octets = ndp::unsolicited(frame.mac, address, frame.is_router);
                    self.outgoing.push_frame(Name::link(frame.index, ETHERTYPE_IPV6), &[&octets]);
                }
            }
        }
        let failed: BTreeMap<usize, i32> = {
            let report = self.outgoing.flush(self.socket.as_fd());
            report.failures.iter().map(|failure| (failure.index, failure.errno)).collect()
        };
        let now = clock::now();
        let (mut position, mut last) = (0, None);
        frames.retain(|frame| {
            let errno = failed.get(&position).copied();
            position += 1;
            last = errno.or(last);
            if errno.is_none() {
                sent[frame.owner] += 1;
                self.remember(&frame.device.interface, frame.address, now);
            }
            matches!(errno, Some(libc::ENOBUFS | libc::EAGAIN))
        });
        (frames, last)
    }

    fn remember(&mut self, interface: &Arc<str>, address: IpAddr, now: Instant) {
        if self.history.len() >= HISTORY {
            self.history.clear();
        }
        let entry = self.history.entry((Arc::clone(interface), address)).or_insert((now, 0));
        *entry = (now, entry.1 + 1);
    }
}

fn frames(observed: &Observed, announcements: &[&Announcement]) -> Vec<Frame> {
    let mut routers: BTreeMap<Arc<str>, bool> = BTreeMap::new();
    let mut frames = Vec::new();
    for (owner, announcement) in announcements.iter().enumerate() {
        for own in announcement.addresses.iter() {
            let (device, address) =
                (Device::of(&announcement.interface, announcement.virtual_mac, own), own.address);
            let (Some(link), Some(holder)) = (observed.link_named(&device.interface), device.index(observed))
            else {
                continue;
            };
            // A link without an Ethernet address (a tunnel) has no one to tell.
            let Some(mac) = device.virtual_mac.or(link.mac) else { continue };
            if observed.find(holder, address).next().is_none() {
                continue;
            }
            let is_router = address.is_ipv6()
                && *routers
                    .entry(Arc::clone(&device.interface))
                    .or_insert_with(|| is_forwarding(&device.interface));
            frames.push(Frame { owner, index: link.index, mac, address, is_router, device });
        }
    }
    frames
}

fn is_forwarding(interface: &str) -> bool {
    sysctl::read(&format!("ipv6/conf/{interface}/forwarding")).is_some_and(|value| value != 0)
}
