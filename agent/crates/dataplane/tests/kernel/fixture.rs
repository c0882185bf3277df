//! A dataplane thread in a namespace, with shorthand for what tests say to it and hear from it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use ha_dataplane::{Dataplane, Handle, Options, Report, now};
use ha_engine::{Announcement, InstanceId, LinkId, Ownership, VirtualAddress};
use tokio::sync::mpsc::Receiver;

use crate::namespace::Namespace;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Plane {
    pub(crate) handle: Handle,
    pub(crate) reports: Receiver<Report>,
    is_beating: Arc<AtomicBool>,
    generation: u64,
}

impl Plane {
    /// A dataplane whose heartbeat beats and that watches `wire`.
    pub(crate) fn new(namespace: &Namespace) -> Self {
        Self::with(namespace, Options::default())
    }

    pub(crate) fn with(namespace: &Namespace, options: Options) -> Self {
        let (handle, reports) = namespace.run(|| Dataplane::spawn(options)).unwrap();
        let is_beating = Arc::new(AtomicBool::new(true));
        let (heart, beats) = (handle.clone(), Arc::downgrade(&is_beating));
        std::thread::spawn(move || {
            while let Some(is_beating) = beats.upgrade() {
                if is_beating.load(Ordering::Relaxed) {
                    heart.alive(now());
                }
                drop(is_beating);
                sleep(Duration::from_millis(20));
            }
        });
        handle.watch(vec![(LinkId(0), "wire".into())]).unwrap();
        Self { handle, reports, is_beating, generation: 0 }
    }

    pub(crate) fn beat(&self, is_beating: bool) {
        self.is_beating.store(is_beating, Ordering::Relaxed);
    }

    /// The next report for which `pick` gives something.
    pub(crate) fn wait<R>(&mut self, what: &str, mut pick: impl FnMut(&Report) -> Option<R>) -> R {
        let deadline = now().after(PATIENCE);
        let mut passed = Vec::new();
        while now() < deadline {
            while let Ok(report) = self.reports.try_recv() {
                if let Some(result) = pick(&report) {
                    return result;
                }
                passed.push(report);
            }
            sleep(Duration::from_millis(1));
        }
        panic!("no {what}; instead: {passed:#?}");
    }

    /// All reports that come within a while.
    pub(crate) fn listen(&mut self, time: Duration) -> Vec<Report> {
        sleep(time);
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }

    /// Owns and waits for the outcome.
    pub(crate) fn own(&mut self, ownership: Ownership) -> Result<(), Arc<str>> {
        self.generation += 1;
        let ownership = Ownership { generation: self.generation, ..ownership };
        let (instance, generation) = (ownership.instance, ownership.generation);
        self.handle.own(ownership).unwrap();
        self.wait("outcome", |report| match report {
            Report::Applied(applied) if applied.instance == instance && applied.generation == generation => {
                Some(applied.result.clone())
            }
            _ => None,
        })
    }

    /// Announces and waits; how many frames left.
    pub(crate) fn announce(&mut self, announcement: Announcement) -> usize {
        let wanted = announcement.instance;
        self.handle.announce(announcement).unwrap();
        self.wait("announcement", |report| match report {
            Report::Announced { instance, count, .. } if *instance == wanted => Some(*count),
            _ => None,
        })
    }

    pub(crate) fn wait_for_loss(&mut self) -> (InstanceId, IpAddr) {
        self.wait("loss", |report| match report {
            Report::AddressLost { instance, address } => Some((*instance, *address)),
            _ => None,
        })
    }
}

/// `@side` behind one: on that link.
pub(crate) fn addresses(texts: &[&str]) -> Arc<[VirtualAddress]> {
    let parse = |text: &&str| {
        let (text, interface) = text.split_once('@').map_or((*text, None), |(text, link)| (text, Some(link)));
        let (address, prefix_length) = text.split_once('/').unwrap();
        let own = VirtualAddress::new(address.parse().unwrap(), prefix_length.parse().unwrap());
        VirtualAddress { interface: interface.map(Into::into), ..own }
    };
    texts.iter().map(parse).collect()
}

/// On `wire`, for ever.
pub(crate) fn ownership(instance: u32, texts: &[&str]) -> Ownership {
    Ownership {
        instance: InstanceId(instance),
        generation: 0,
        link: LinkId(0),
        interface: "wire".into(),
        addresses: addresses(texts),
        lease: None,
        virtual_mac: None,
    }
}

/// Of a takeover on `wire`.
pub(crate) fn announcement(instance: u32, texts: &[&str]) -> Announcement {
    Announcement {
        instance: InstanceId(instance),
        link: LinkId(0),
        interface: "wire".into(),
        addresses: addresses(texts),
        virtual_mac: None,
        takeover: true,
    }
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = now().after(PATIENCE);
    while !is_so() {
        assert!(now() < deadline, "never: {what}");
        sleep(Duration::from_millis(5));
    }
}
