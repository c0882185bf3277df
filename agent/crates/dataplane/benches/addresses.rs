//! What many addresses cost: holding, announcing, renewing and releasing them, in a network namespace of its own. Prints a
//! table; needs root. `cargo bench -p ha-dataplane`.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use ha_dataplane::{Dataplane, Handle, Options, Report, now};
use ha_engine::{Announcement, InstanceId, LinkId, Ownership, VirtualAddress};
use tokio::sync::mpsc::Receiver;

const SECONDS: u64 = 6;

fn main() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a namespace needs root");
    ip("link add wire type veth peer name far");
    ip("link set far up");
    ip("link set wire up");
    println!(
        "{:>9} {:>6} {:>9} {:>11} {:>12} {:>11} {:>15}",
        "addresses", "family", "hold ms", "announce ms", "1st–last ms", "release ms", "lease 1 s, CPU %"
    );
    for (count, is_ipv6) in [(1, false), (100, false), (1000, false), (1000, true)] {
        measure(count, is_ipv6);
    }
}

fn measure(count: u32, is_ipv6: bool) {
    let (handle, mut reports) = Dataplane::spawn(Options::default()).unwrap();
    let hold = own_all(&handle, &mut reports, count, is_ipv6, true, 1);
    let (announce, spread) = announce_all(&handle, &mut reports, count, is_ipv6);
    let busy = busy_nanos();
    let end = now().after(Duration::from_secs(SECONDS));
    while now() < end {
        handle.alive(now());
        sleep(Duration::from_millis(50));
    }
    let share = (busy_nanos() - busy) as f64 / (SECONDS as f64 * 1e9) * 100.0;
    let release = own_all(&handle, &mut reports, count, is_ipv6, false, 2);
    let family = if is_ipv6 { "IPv6" } else { "IPv4" };
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    println!(
        "{count:>9} {family:>6} {:>9} {:>11} {:>12} {:>11} {share:>15.2}",
        ms(hold),
        ms(announce),
        ms(spread),
        ms(release)
    );
    assert_eq!(handle.shutdown().blocking_recv().unwrap().failures, Vec::<String>::new());
}

/// One instance for each address, as a thousand routers that take over together.
fn own_all(
    handle: &Handle,
    reports: &mut Receiver<Report>,
    count: u32,
    is_ipv6: bool,
    is_held: bool,
    generation: u64,
) -> Duration {
    let start = now();
    for number in 0..count {
        let all = addresses(number, is_ipv6);
        let ownership = Ownership {
            instance: InstanceId(number),
            generation,
            link: LinkId(0),
            interface: "wire".into(),
            addresses: if is_held { all } else { [].into() },
            lease: Some(Duration::from_secs(1)),
            virtual_mac: None,
        };
        handle.own(ownership).unwrap();
    }
    let mut applied = 0;
    while applied < count {
        handle.alive(now());
        if let Report::Applied(outcome) = reports.blocking_recv().unwrap() {
            outcome.result.unwrap();
            applied += 1;
        }
    }
    now().since(start)
}

/// From the request to the last report, and from the first frame to the last.
fn announce_all(
    handle: &Handle,
    reports: &mut Receiver<Report>,
    count: u32,
    is_ipv6: bool,
) -> (Duration, Duration) {
    let start = now();
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
    let (mut announced, mut first, mut last) = (0, None, start);
    while announced < count {
        handle.alive(now());
        if let Report::Announced { at, count, .. } = reports.blocking_recv().unwrap() {
            assert_eq!(count, 1);
            first.get_or_insert(at);
            last = at;
            announced += 1;
        }
    }
    (now().since(start), last.since(first.unwrap_or(last)))
}

fn addresses(number: u32, is_ipv6: bool) -> Arc<[VirtualAddress]> {
    let address: IpAddr = if is_ipv6 {
        Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(number)).into()
    } else {
        Ipv4Addr::from(0x0a00_0000 + number + 1).into()
    };
    [VirtualAddress { address, prefix_length: if is_ipv6 { 128 } else { 32 } }].into()
}

/// CPU time of the dataplane thread.
fn busy_nanos() -> u64 {
    let mut busy = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        if fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "dataplane") {
            let text = fs::read_to_string(path.join("schedstat")).unwrap();
            busy = text.split(' ').next().unwrap().parse().unwrap();
        }
    }
    busy
}

fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "ip {arguments}");
}
