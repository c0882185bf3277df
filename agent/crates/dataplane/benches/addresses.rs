//! What many addresses cost: holding, announcing, renewing and releasing them, in a network namespace of its own. Prints a
//! table; needs root. `cargo bench -p ha-dataplane`.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use ha_dataplane::{Dataplane, Handle, Options, Report, now};
use ha_engine::{Announcement, InstanceId, Instant, LinkId, Ownership, VirtualAddress};
use tokio::sync::mpsc::Receiver;

const SECONDS: u64 = 6;

fn main() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a namespace needs root");
    ip("link add wire type veth peer name far");
    ip("link set far up");
    ip("link set wire up");
    println!(
        "wall milliseconds, and in brackets those of CPU time; the last column is the share of one core that renewing takes"
    );
    println!(
        "{:>9} {:>6} {:>7} {:>16} {:>16} {:>12} {:>16} {:>9}",
        "addresses", "family", "lease s", "hold", "announce", "first–last", "release", "renew %"
    );
    for (count, is_ipv6, lease) in
        [(1, false, 1), (100, false, 1), (1000, false, 1), (100, true, 1), (250, true, 1), (1000, true, 3)]
    {
        measure(count, is_ipv6, lease);
    }
}

fn measure(count: u32, is_ipv6: bool, lease: u64) {
    let (handle, mut reports) = Dataplane::spawn(Options::default()).unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let (heart, stop) = (handle.clone(), Arc::clone(&is_done));
    let heartbeat = thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            heart.alive(now());
            sleep(Duration::from_millis(20));
        }
    });
    let lease = Duration::from_secs(lease);
    let hold = Timing::of(|| own_all(&handle, &mut reports, count, is_ipv6, Some(lease)));
    let mut spread = Duration::ZERO;
    let announce = Timing::of(|| spread = announce_all(&handle, &mut reports, count, is_ipv6));
    let steady = Timing::of(|| sleep(Duration::from_secs(SECONDS)));
    let release = Timing::of(|| own_all(&handle, &mut reports, count, is_ipv6, None));
    println!(
        "{count:>9} {:>6} {:>7} {:>16} {:>16} {:>12.1} {:>16} {:>9.2}",
        if is_ipv6 { "IPv6" } else { "IPv4" },
        lease.as_secs(),
        hold.to_string(),
        announce.to_string(),
        spread.as_secs_f64() * 1e3,
        release.to_string(),
        steady.cpu / steady.wall * 100.0,
    );
    is_done.store(true, Ordering::Relaxed);
    heartbeat.join().unwrap();
    assert_eq!(handle.shutdown().blocking_recv().unwrap().failures, Vec::<String>::new());
}

/// In milliseconds; CPU time is the dataplane thread's.
struct Timing {
    wall: f64,
    cpu: f64,
}

impl Timing {
    fn of(work: impl FnOnce()) -> Self {
        let (start, busy) = (now(), busy_nanos());
        work();
        Self {
            wall: now().since(start).as_secs_f64() * 1e3,
            cpu: busy_nanos().saturating_sub(busy) as f64 / 1e6,
        }
    }
}

impl std::fmt::Display for Timing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ({:.1})", self.wall, self.cpu)
    }
}

/// One instance for each address, as a thousand routers that take over together. Without a lease: releases.
fn own_all(
    handle: &Handle,
    reports: &mut Receiver<Report>,
    count: u32,
    is_ipv6: bool,
    lease: Option<Duration>,
) {
    for number in 0..count {
        let all = addresses(number, is_ipv6);
        let ownership = Ownership {
            instance: InstanceId(number),
            generation: if lease.is_some() { 1 } else { 2 },
            link: LinkId(0),
            interface: "wire".into(),
            addresses: if lease.is_some() { all } else { [].into() },
            lease,
            virtual_mac: None,
        };
        handle.own(ownership).unwrap();
    }
    let (mut applied, mut lost) = (0, 0);
    while applied < count {
        match reports.blocking_recv().unwrap() {
            Report::Applied(outcome) => {
                outcome.result.unwrap();
                applied += 1;
            }
            Report::AddressLost { .. } => lost += 1,
            report => println!("{report:?}"),
        }
    }
    assert_eq!(lost, 0, "addresses ran out because the machine is too busy");
}

/// From the first frame to the last.
fn announce_all(handle: &Handle, reports: &mut Receiver<Report>, count: u32, is_ipv6: bool) -> Duration {
    for number in 0..count {
        let announcement = Announcement {
            instance: InstanceId(number),
            link: LinkId(0),
            interface: "wire".into(),
            addresses: addresses(number, is_ipv6),
            virtual_mac: None,
            takeover: true,
        };
        handle.announce(announcement).unwrap();
    }
    let (mut announced, mut lost, mut first, mut last) = (0, 0, None, Instant::default());
    while announced < count {
        match reports.blocking_recv().unwrap() {
            Report::Announced { at, count, .. } => {
                assert!(count <= 1);
                first.get_or_insert(at);
                last = at;
                announced += 1;
            }
            Report::AddressLost { .. } => lost += 1,
            report => println!("{report:?}"),
        }
    }
    assert_eq!(lost, 0, "addresses ran out because the machine is too busy");
    last.since(first.unwrap_or(last))
}

fn addresses(number: u32, is_ipv6: bool) -> Arc<[VirtualAddress]> {
    let address: IpAddr = if is_ipv6 {
        Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(number + 1)).into()
    } else {
        Ipv4Addr::from(0x0a00_0000 + number + 1).into()
    };
    [VirtualAddress::new(address, if is_ipv6 { 128 } else { 32 })].into()
}

/// CPU time of the newest dataplane thread.
fn busy_nanos() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let is_ours =
        |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "dataplane");
    let number = |task: &PathBuf| task.file_name().unwrap().to_string_lossy().parse::<u32>().unwrap();
    // A thread that has just started has no name yet, and no past.
    let newest = tasks.filter(is_ours).max_by_key(number);
    let text = newest.and_then(|newest| fs::read_to_string(newest.join("schedstat")).ok());
    text.map_or(0, |text| text.split(' ').next().unwrap().parse().unwrap())
}

fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "ip {arguments}");
}
