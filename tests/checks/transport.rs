//! Layers 3 and 4: what the kernel of the target says, and what it cannot know of its programs.

use std::{net::SocketAddr, time::Duration};

use ha_probe::{Attempt, Icmp, Outcome, Probe, Reason, Reply, Spec, Target, Tcp, TcpKeepalive, Udp};

use crate::{
    bed::{Bed, Place, SOON, at, port},
    listeners::{Behaviour, answer_datagrams, listen},
    table::{Case, PASSED, Table, failed},
};

/// A server that answers is given so long, whatever else the machine does.
pub(crate) const LONG: Duration = Duration::from_secs(15);
/// One that does not is not waited for longer.
pub(crate) const SHORT: Duration = Duration::from_millis(600);

pub(crate) async fn icmp(bed: &Bed, table: &mut Table) {
    let ask = |target: Target| Spec::Icmp(Icmp { target, count: 4, tolerated_loss_percent: 25, size: 56 });
    let nowhere = at(([10, 80, 9, 9], 0).into());
    let no_route = at(([203, 0, 113, 1], 0).into());
    let cases = [
        ("good", bed.target(0), LONG, PASSED, " of 4"),
        ("dropped by nftables", bed.behind(Place::Silent, 0), SHORT, failed(Reason::Timeout), "0 of 4"),
        ("every other dropped", bed.behind(Place::Lossy, 0), SHORT, failed(Reason::Loss), "2 of 4"),
        ("rejected by nftables", bed.behind(Place::Rejected, 0), LONG, failed(Reason::Unreachable), ""),
        ("no route", no_route, LONG, failed(Reason::NoRoute), ""),
    ];
    for (situation, target, within, outcome, words) in cases {
        let spec = ask(target);
        table.attempt(Case { kind: "icmp", situation, spec, within, expected: &[outcome], words }).await;
    }
    // The kernel says so only as far as its limit of ICMP messages goes, which others may have used up (icmp_msgs_per_sec).
    let expected = &[failed(Reason::Unreachable), failed(Reason::Timeout)];
    let (situation, spec) = ("no such host on the link", ask(nowhere));
    table.attempt(Case { kind: "icmp", situation, spec, within: LONG, expected, words: "" }).await;
}

pub(crate) async fn tcp(bed: &Bed, table: &mut Table) {
    let own = |behaviour| at(listen(bed.node(), bed.address(), behaviour));
    let six = SocketAddr::from((bed.lab.node(0).address6(0), port::GRPC));
    let cases = [
        ("good: nginx", bed.target(port::HTTP), LONG, PASSED, "connected to"),
        ("refused", bed.target(port::CLOSED), LONG, failed(Reason::Refused), "connection refused"),
        ("refused, IPv6", at(six), LONG, failed(Reason::Refused), "connection refused"),
        (
            "dropped by nftables",
            bed.behind(Place::Silent, port::HTTP),
            SHORT,
            failed(Reason::Timeout),
            "connect",
        ),
        (
            "rejected by nftables",
            bed.behind(Place::Rejected, port::HTTP),
            LONG,
            failed(Reason::Unreachable),
            "",
        ),
        ("reset after the first words", own(Behaviour::Reset), LONG, PASSED, "connected to"),
        ("never answers", own(Behaviour::Mute), LONG, PASSED, "connected to"),
        ("another service", bed.target(port::SMTP), LONG, PASSED, "connected to"),
    ];
    for (situation, target, within, outcome, words) in cases {
        let spec = Spec::Tcp(Tcp { target });
        table.attempt(Case { kind: "tcp", situation, spec, within, expected: &[outcome], words }).await;
    }
}

pub(crate) async fn tcp_keepalive(bed: &Bed, table: &mut Table) {
    let own = |behaviour| at(listen(bed.node(), bed.address(), behaviour));
    let cases = [
        ("held: haproxy", bed.target(port::NO_SERVER), None, "connected to"),
        ("refused", bed.target(port::CLOSED), Some(Reason::Refused), "connection refused"),
        ("held, then reset", own(Behaviour::Reset), Some(Reason::Reset), "(RST)"),
        ("held, then closed", own(Behaviour::Close), Some(Reason::ClosedByPeer), "(FIN)"),
    ];
    for (situation, target, reason, words) in cases {
        let attempt = held(target, reason, || {}).await;
        let expected = reason.map_or(PASSED, failed);
        table.add("tcp_keepalive", situation, &attempt, &[expected], words);
    }
    let falls_silent = || {
        bed.node().nft(&format!("add rule inet hat input tcp dport {} counter drop", port::HTTP_2));
    };
    let attempt = held(bed.target(port::HTTP_2), Some(Reason::Timeout), falls_silent).await;
    table.add("tcp_keepalive", "held, then dropped", &attempt, &[failed(Reason::Timeout)], "");
    let rules =
        bed.node().output("nft", &["-a", "list", "chain", "inet", "hat", "input"]).expect("it is there");
    let line = rules.lines().find(|line| line.contains(&format!("tcp dport {}", port::HTTP_2)));
    let handle = line.and_then(|line| line.rsplit(' ').next()).expect("the rule from above");
    bed.node().nft(&format!("delete rule inet hat input handle {handle}"));
}

/// What is told of a connection: the first thing, or what comes once it stood and `trouble` was made.
async fn held(target: Target, reason: Option<Reason>, trouble: impl FnOnce()) -> Attempt {
    let second = Duration::from_secs(1);
    let spec = TcpKeepalive {
        target,
        idle: second,
        probe_interval: second,
        probe_count: 2,
        user_timeout: 2 * second,
        timeout: 5 * second,
        retry: second,
    };
    let mut watch =
        Probe::new(Spec::TcpKeepalive(spec)).expect("a valid check").watch().expect("it is watched");
    let mut trouble = Some(trouble);
    let told = async {
        loop {
            let attempt = watch.next().await;
            if reason.is_none() || attempt.outcome != Outcome::Passed {
                return attempt;
            }
            if let Some(trouble) = trouble.take() {
                trouble();
            }
        }
    };
    tokio::time::timeout(SOON, told).await.expect("something is told")
}

/// A question for the address of web.example.org.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03web\x07example\x03org\0\0\x01\0\x01";

pub(crate) async fn udp(bed: &Bed, table: &mut Table) {
    let own = |answer, delay| bed.target(answer_datagrams(bed.node(), answer, 1, delay).port());
    let (now, later) = (Duration::ZERO, Duration::from_millis(300));
    let silent = || bed.behind(Place::Silent, port::DNS);
    let any = || Some(Reply::Any);
    let right = || Some(Reply::Begins("12 34 85".parse().expect("a pattern")));
    let (passed, timeout, refused) = (PASSED, failed(Reason::Timeout), failed(Reason::Refused));
    let wrong = failed(Reason::WrongAnswer);
    let unreachable = failed(Reason::Unreachable);
    let cases = [
        ("good: dnsmasq", bed.target(port::DNS), right(), LONG, passed, ""),
        ("refused", bed.target(port::CLOSED), any(), LONG, refused, "refused"),
        ("refused, no reply wanted", bed.target(port::CLOSED), None, LONG, refused, "refused"),
        ("dropped by nftables", silent(), any(), SHORT, timeout, "in step answer"),
        ("dropped, no reply wanted", silent(), None, LONG, passed, "not refused"),
        ("rejected by nftables", bed.behind(Place::Rejected, port::DNS), any(), LONG, unreachable, ""),
        ("slow: 300 ms", own(b"\x12\x34\x85", later), right(), LONG, passed, ""),
        ("too slow: 300 ms of 150", own(b"\x12\x34\x85", later), right(), later / 2, timeout, ""),
        ("another answer", own(b"no", now), right(), LONG, wrong, ""),
    ];
    for (situation, target, reply, within, outcome, words) in cases {
        let spec = Spec::Udp(Udp { target, payload: QUESTION.to_vec(), reply });
        table.attempt(Case { kind: "udp", situation, spec, within, expected: &[outcome], words }).await;
    }
}
