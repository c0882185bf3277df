//! Adverts between two namespaces.

use std::net::IpAddr;
use std::time::Duration;

use ha_dataplane::{FrameSocket, VrrpSocket, now};
use ha_engine::Family;

use crate::namespace::Namespace;

/// A packet as it was received.
type Seen = (IpAddr, IpAddr, u8, Vec<u8>);

fn open(namespace: &Namespace, family: Family) -> VrrpSocket {
    let index = namespace.index("wire");
    namespace.run(move || VrrpSocket::open("wire", index, family)).unwrap()
}

fn receive(socket: &mut VrrpSocket, count: usize) -> Vec<Seen> {
    let deadline = now().after(Duration::from_secs(3));
    let mut seen = Vec::new();
    while seen.len() < count && now() < deadline {
        let index = socket.ifindex();
        let outcome = socket.recv_batch(|received| {
            assert_eq!(received.ifindex, index);
            seen.push((received.source, received.destination, received.ttl, received.octets.to_vec()));
        });
        if outcome.is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    seen
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Two namespaces with 192.0.2.1, 192.0.2.2, fe80::1, fe80::2, 2001:db8::1 and 2001:db8::2, and a second IPv4 address.
fn pair() -> (Namespace, Namespace) {
    let (left, right) = Namespace::pair();
    for (side, number) in [(&left, 1), (&right, 2)] {
        side.ip("address flush dev wire");
        side.ip(&format!("address add 192.0.2.{number}/24 dev wire"));
        side.ip(&format!("address add 192.0.2.1{number}/24 dev wire"));
        side.ip(&format!("address add fe80::{number}/64 dev wire nodad"));
        side.ip(&format!("address add 2001:db8::{number}/64 dev wire nodad"));
    }
    (left, right)
}

#[test]
fn multicast_and_unicast_adverts_arrive_with_their_source_and_ttl() {
    let (left, right) = pair();
    let table = [
        (Family::Ipv4, "192.0.2.1", "224.0.0.18", 255),
        (Family::Ipv4, "192.0.2.11", "224.0.0.18", 255),
        (Family::Ipv4, "192.0.2.1", "192.0.2.2", 254),
        (Family::Ipv6, "fe80::1", "ff02::12", 255),
        (Family::Ipv6, "fe80::1", "fe80::2", 64),
        (Family::Ipv6, "2001:db8::1", "2001:db8::2", 1),
    ];
    for family in [Family::Ipv4, Family::Ipv6] {
        let (mut sender, mut receiver) = (open(&left, family), open(&right, family));
        let rows: Vec<_> = table.iter().filter(|row| row.0 == family).collect();
        for (number, (_, source, destination, ttl)) in rows.iter().enumerate() {
            let octets = [0x21, u8::try_from(number).unwrap(), 100, 1, 0, 100, 0xab];
            sender.queue(ip(source), ip(destination), *ttl, &octets);
        }
        assert_eq!(sender.flush().failures, []);
        let seen = receive(&mut receiver, rows.len());
        assert_eq!(seen.len(), rows.len());
        for (number, (seen, (_, source, destination, ttl))) in seen.iter().zip(&rows).enumerate() {
            let octets = vec![0x21, u8::try_from(number).unwrap(), 100, 1, 0, 100, 0xab];
            assert_eq!(*seen, (ip(source), ip(destination), *ttl, octets));
        }
        // Our own multicast does not come back.
        assert_eq!(receive_now(&mut sender), 0);
    }
}

fn receive_now(socket: &mut VrrpSocket) -> usize {
    std::thread::sleep(Duration::from_millis(50));
    socket.recv_batch(|_| {}).unwrap_or(0)
}

#[test]
fn a_thousand_adverts_go_through_in_batches() {
    let (left, right) = pair();
    let (mut sender, mut receiver) = (open(&left, Family::Ipv4), open(&right, Family::Ipv4));
    for number in 0..1000_u32 {
        sender.queue(ip("192.0.2.1"), ip("224.0.0.18"), 255, &number.to_be_bytes());
    }
    let report = sender.flush();
    assert_eq!((report.sent, report.failures), (1000, &[][..]));
    let seen = receive(&mut receiver, 1000);
    assert!(seen.iter().zip(0_u32..).all(|(seen, number)| seen.3 == number.to_be_bytes()));
    assert_eq!(seen.len(), 1000);
    assert_eq!(receiver.receive_counters(), ha_dataplane::ReceiveCounters::default());
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let (left, right) = pair();
    let (mut sender, mut receiver) = (open(&left, Family::Ipv4), open(&right, Family::Ipv4));
    left.ip("link set wire mtu 65535");
    right.ip("link set wire mtu 65535");
    // Each advert takes at least its own length of the receiver's 2 MiB.
    for _ in 0..4000 {
        sender.queue(ip("192.0.2.1"), ip("224.0.0.18"), 255, &[0; 4000]);
    }
    let sent = sender.flush().sent;
    let mut received = receive(&mut receiver, 4000).len();
    sender.queue(ip("192.0.2.1"), ip("224.0.0.18"), 255, &[0; 8000]);
    sender.queue(ip("192.0.2.1"), ip("224.0.0.18"), 255, &[1]);
    assert_eq!(sender.flush().sent, 2);
    received += receive(&mut receiver, 1).len();
    let counters = receiver.receive_counters();
    assert_eq!(counters.too_long, 1);
    assert!(counters.overflow > 0);
    assert_eq!(sent + 1, received + usize::try_from(counters.overflow).unwrap());
}

#[test]
fn an_advert_that_fails_does_not_hold_up_the_others() {
    let (left, right) = pair();
    let (mut sender, mut receiver) = (open(&left, Family::Ipv4), open(&right, Family::Ipv4));
    let group = ip("224.0.0.18");
    sender.queue(ip("192.0.2.1"), group, 255, &[0]);
    sender.queue(ip("192.0.2.77"), group, 255, &[1]);
    sender.queue(ip("fe80::1"), group, 255, &[2]);
    sender.queue(ip("192.0.2.1"), group, 255, &[3; 3000]);
    sender.queue(ip("192.0.2.1"), group, 255, &[4]);
    let report = sender.flush();
    let failures: Vec<_> = report.failures.iter().map(|failure| (failure.index, failure.errno)).collect();
    assert_eq!(failures, [(1, libc::ENETUNREACH), (2, libc::EAFNOSUPPORT)]);
    assert_eq!(report.sent, 3);
    // The long one in fragments.
    let seen: Vec<_> = receive(&mut receiver, 3).into_iter().map(|seen| seen.3).collect();
    assert_eq!(seen, [vec![0], vec![3; 3000], vec![4]]);
}

#[test]
fn a_firewall_and_a_link_that_is_down_are_told_by_their_errno() {
    let (left, _right) = pair();
    let mut sender = open(&left, Family::Ipv4);
    let send = |sender: &mut VrrpSocket| {
        sender.queue(ip("192.0.2.1"), ip("224.0.0.18"), 255, &[0]);
        sender.flush().failures.first().map(|failure| failure.errno)
    };
    assert_eq!(send(&mut sender), None);
    let (is_loaded, text) = left.run(|| {
        let rules = "table ip t { chain c { type filter hook output priority 0; ip protocol 112 drop; }; }";
        let output = std::process::Command::new("nft").arg(rules).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    });
    assert!(is_loaded, "{text}");
    assert_eq!(send(&mut sender), Some(libc::EPERM));
    left.shell("nft", "flush ruleset");
    left.ip("link set wire down");
    assert!(matches!(send(&mut sender), Some(libc::ENETDOWN | libc::ENETUNREACH)), "{:?}", send(&mut sender));
}

#[test]
fn packets_for_another_link_do_not_arrive() {
    let (left, right) = pair();
    right.ip("link add other type veth peer name far");
    for link in ["other", "far"] {
        right.ip(&format!("link set {link} up"));
    }
    right.ip("address add 198.51.100.1/24 dev other");
    let index = right.index("far");
    let mut far = right.run(move || VrrpSocket::open("far", index, Family::Ipv4)).unwrap();
    let (mut sender, mut receiver) = (open(&left, Family::Ipv4), open(&right, Family::Ipv4));
    sender.queue(ip("192.0.2.1"), ip("224.0.0.18"), 255, &[1]);
    assert_eq!(sender.flush().sent, 1);
    assert_eq!(receive(&mut receiver, 1).len(), 1);
    assert_eq!(receive_now(&mut far), 0);
}

#[test]
fn a_frame_with_a_virtual_mac_arrives_as_an_advert() {
    let (left, right) = pair();
    let index = left.index("wire");
    let mut frames = left.run(move || FrameSocket::open("wire", index)).unwrap();
    let (mut four, mut six) = (open(&right, Family::Ipv4), open(&right, Family::Ipv6));
    let capture = Capture::start(&right, "ip proto 112 or ip6 proto 112", 2);
    let mac = [0, 0, 0x5e, 0, 1, 7];
    frames.queue(mac, ip("192.0.2.1"), ip("224.0.0.18"), 255, b"four").unwrap();
    frames.queue([0, 0, 0x5e, 0, 2, 7], ip("fe80::1"), ip("ff02::12"), 255, b"six").unwrap();
    assert!(frames.queue(mac, ip("192.0.2.1"), ip("192.0.2.2"), 255, b"no").is_err());
    assert!(frames.queue(mac, ip("192.0.2.1"), ip("ff02::12"), 255, b"no").is_err());
    assert_eq!(frames.flush().sent, 2);
    assert_eq!(receive(&mut four, 1), [(ip("192.0.2.1"), ip("224.0.0.18"), 255, b"four".to_vec())]);
    assert_eq!(receive(&mut six, 1), [(ip("fe80::1"), ip("ff02::12"), 255, b"six".to_vec())]);
    let text = capture.finish();
    assert!(text.contains("00:00:5e:00:01:07 > 01:00:5e:00:00:12"), "{text}");
    assert!(text.contains("00:00:5e:00:02:07 > 33:33:00:00:00:12"), "{text}");
    assert!(!text.contains("bad cksum"), "{text}");
}

/// tcpdump on `wire`.
pub(crate) struct Capture {
    child: std::process::Child,
}

impl Capture {
    pub(crate) fn start(namespace: &Namespace, filter: &'static str, count: usize) -> Self {
        Self::start_on(namespace, "wire", filter, count)
    }

    pub(crate) fn start_on(
        namespace: &Namespace,
        link: &'static str,
        filter: &'static str,
        count: usize,
    ) -> Self {
        let mut child = namespace.run(move || {
            std::process::Command::new("timeout")
                .args(["5", "tcpdump", "-nevvli", link, "--immediate-mode", "-c"])
                .args([&count.to_string(), filter])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        });
        // It says that it listens once it does.
        let mut line = [0; 1];
        let stderr = child.stderr.as_mut().unwrap();
        while std::io::Read::read(stderr, &mut line).unwrap() == 1 && line != *b"\n" {}
        Self { child }
    }

    /// Ends it now, for what must not be seen.
    pub(crate) fn stop(self) -> String {
        std::thread::sleep(Duration::from_millis(100));
        let child = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.finish()
    }

    pub(crate) fn finish(self) -> String {
        let output = self.child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn a_link_that_does_not_exist_is_refused() {
    let namespace = Namespace::new();
    let error = namespace.run(|| VrrpSocket::open("eth9", 99, Family::Ipv4)).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENODEV));
    assert!(error.to_string().contains("eth9"), "{error}");
}

/// Gives up a capability on the calling thread, whose end ends this too.
fn drop_capability(bit: u32) {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    // {effective, permitted, inheritable} of the lower and upper 32 capabilities.
    let mut sets = [0_u32; 6];
    let mut header = Header { version: 0x2008_0522, pid: 0 };
    // SAFETY: both pointers are to values of the layout that this version of the header announces.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    assert_eq!(result, 0);
    sets[0] &= !(1 << bit);
    // SAFETY: as above; the kernel only reads.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    assert_eq!(result, 0);
}

#[test]
fn a_missing_capability_is_named() {
    const CAP_NET_RAW: u32 = 13;
    let (node, _other) = Namespace::pair();
    let index = node.index("wire");
    let errors = node.run(move || {
        drop_capability(CAP_NET_RAW);
        let socket = VrrpSocket::open("wire", index, Family::Ipv4).unwrap_err();
        let frames = FrameSocket::open("wire", index).unwrap_err();
        let dataplane = ha_dataplane::Dataplane::spawn(ha_dataplane::Options::default()).unwrap_err();
        [socket, frames, dataplane]
    });
    for error in errors {
        assert_eq!(error.blame(), ha_dataplane::Blame::Permission, "{error}");
        assert!(error.to_string().contains("CAP_NET_RAW is missing"), "{error}");
    }
}
