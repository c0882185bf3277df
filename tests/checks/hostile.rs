//! Targets that want an attempt to last or to grow: each ends by its deadline, holds a bounded amount of memory, and leaves
//! neither a descriptor nor a process. The servers are threads of this process, so their memory counts as well.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use ha_probe::{
    Attempt, BodyRules, Dns, Grpc, Http, HttpVersion, Outcome, Probe, Reason, SmtpSecurity, Spec, Tcp, Tls,
    Trouble,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    attempts::{attempt, attempts},
    bed::{Bed, SOON, Scripts, at, port},
    listeners::{Behaviour, listen},
    local::script,
    services::{dns, http, smtp},
    table::{failed, print, word},
    transport::LONG,
};

const MEBI: u64 = 1 << 20;
/// For one attempt, and whoever serves it. A gigabyte, or what comes in until the deadline, is far beyond.
const MEMORY: u64 = 24 * MEBI;
/// For [`CROWD`] attempts at once: less than 16 KiB each.
const CROWD_MEMORY: u64 = 160 * MEBI;
const CROWD: usize = 10_000;
/// How much after its deadline an attempt may be over; the figure is printed, and this is only against a busy machine.
const MARGIN: Duration = Duration::from_secs(5);
/// What an attempt is given.
const TIME: Duration = Duration::from_millis(1500);

/// What one attack came to.
struct Row {
    attack: String,
    outcome: String,
    allowed: Duration,
    took: Duration,
    grown: u64,
    evidence: String,
}

#[derive(Default)]
struct Figures {
    rows: Vec<Row>,
    surprises: Vec<String>,
}

impl Figures {
    /// Attempts once, and judges time, memory, descriptors and outcome.
    async fn attack(
        &mut self,
        attack: &str,
        spec: Spec,
        allowed: Duration,
        expected: &[Reason],
        words: &str,
    ) {
        let probe = Arc::new(Probe::new(spec).expect("a valid check"));
        let (before, descriptors) = (begin_to_measure(), descriptors());
        let begun = Instant::now();
        let attempt = attempt(&probe, tokio::time::Instant::now() + allowed).await;
        let took = begun.elapsed();
        let grown = most_memory().saturating_sub(before);
        let is_expected = match attempt.outcome {
            Outcome::Failed(reason) => expected.contains(&reason),
            Outcome::Inconclusive(trouble) => trouble == Trouble::Late && took >= allowed,
            Outcome::Passed => expected.is_empty(),
        };
        let told =
            format!("{attack}: {:?}, {} after {took:?}, {grown} octets", attempt.outcome, attempt.evidence);
        let is_late = attempt.outcome == Outcome::Inconclusive(Trouble::Late);
        self.demand(is_expected && (is_late || attempt.evidence.contains(words)), &told, "another outcome");
        self.demand(took <= allowed + MARGIN, &told, "not over by its deadline");
        self.demand(grown <= MEMORY, &told, "it grew");
        // The servers' threads notice a little later that their clients are gone, and a script is ended behind the verdict.
        let are_closed = settled(|| self::descriptors() <= descriptors).await.is_some();
        self.demand(are_closed, &told, "descriptors are left");
        let (outcome, evidence) = (word(attempt.outcome), attempt.evidence);
        self.rows.push(Row { attack: attack.to_owned(), outcome, allowed, took, grown, evidence });
    }

    fn demand(&mut self, holds: bool, told: &str, otherwise: &str) {
        if !holds {
            self.surprises.push(format!("{told}: {otherwise}"));
        }
    }

    #[track_caller]
    fn judge(&self) {
        let header = ["attack", "outcome", "allowed", "took", "memory grew", "evidence"].map(str::to_owned);
        let milliseconds = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
        let cells = |row: &Row| {
            let kib = format!("{} KiB", row.grown / 1024);
            let evidence = row.evidence.chars().take(100).collect();
            let (allowed, took) = (milliseconds(row.allowed), milliseconds(row.took));
            [row.attack.clone(), row.outcome.clone(), allowed, took, kib, evidence]
        };
        let mut text = String::new();
        let rows: Vec<_> = self.rows.iter().map(cells).collect();
        print(&mut text, &header, &rows).expect("writing to a String cannot fail");
        println!("{text}");
        assert!(self.surprises.is_empty(), "not as it should be:\n{}", self.surprises.join("\n"));
    }
}

#[test]
fn hostile_targets_get_no_more_than_the_time_and_a_bounded_amount_of_memory() {
    let bed = Bed::new();
    write_bomb(&bed);
    let mut figures = Figures::default();
    bed.at_the_client(async || {
        pages(&bed, &mut figures).await;
        other_protocols(&bed, &mut figures).await;
        crowds(&bed, &mut figures).await;
        programs(&bed, &mut figures).await;
    });
    figures.judge();
    let log = fs::read_to_string(bed.scratch().file("access.log")).expect("nginx writes it");
    assert_eq!(
        log.lines().filter(|line| line.contains("/loop")).count(),
        1,
        "a redirection was followed:\n{log}"
    );
}

/// One gigabyte of zeros in one megabyte: gzip's members follow each other (RFC 1952 §2.2).
fn write_bomb(bed: &Bed) {
    let make = "head -c 16777216 /dev/zero | gzip -9 > member; i=0; while [ $i -lt 64 ]; do cat member; i=$((i + 1)); done > bomb";
    let made =
        std::process::Command::new("sh").args(["-c", make]).current_dir(bed.scratch().file("files")).status();
    assert!(made.is_ok_and(|status| status.success()), "gzip makes a bomb");
    bed.scratch().write("files/drip", &"x".repeat(4096));
}

async fn pages(bed: &Bed, figures: &mut Figures) {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    static ZEROS: [u8; 65_536] = [0; 65_536];
    let (now, second) = (Duration::ZERO, Duration::from_secs(1));
    let own =
        |begin, more, pause| at(listen(bed.node(), bed.address(), Behaviour::Endless(begin, more, pause)));
    let whole = || BodyRules { lacks: Some("canary".to_owned()), ..BodyRules::default() };
    let page = |path: &str, version, limit| {
        let tls = (version == HttpVersion::Two).then(|| bed.authority.trusted());
        let port = if tls.is_some() { port::HTTPS } else { port::HTTP };
        let path = path.to_owned();
        Http { path, tls, version, body: whole(), body_limit: limit, ..http(bed.target(port)) }
    };
    let one = HttpVersion::One;
    let of = |target| Http { body: whole(), ..http(target) };
    const LARGE: &[Reason] = &[Reason::TooLarge];
    const TIMEOUT: &[Reason] = &[Reason::Timeout];
    let two = HttpVersion::Two;
    let cases: [(&str, Http, &[Reason], &str); 9] = [
        ("http: endless headers", of(own(b"HTTP/1.1 200 OK\r\n", b"x-header: x\r\n", now)), LARGE, "64 KiB"),
        (
            "http: endless interim answers",
            of(own(b"", b"HTTP/1.1 100 Continue\r\n\r\n", now)),
            LARGE,
            "interim",
        ),
        ("http: endless body", of(own(HEAD, &ZEROS, now)), LARGE, "65536"),
        (
            "http: head of 1 octet/s",
            of(own(b"HTTP/1.1 200 OK\r\nx: ", b"x", second)),
            TIMEOUT,
            "in step head",
        ),
        ("http: body of 1 octet/s, nginx", page("/drip", one, 65_536), TIMEOUT, "in step "),
        ("https 2: body of 1 octet/s, nginx", page("/drip", two, 65_536), TIMEOUT, "in step "),
        ("http: 1 GiB in 1 MiB of gzip, nginx", page("/bomb", one, 65_536), LARGE, "65536"),
        // It is read whole, is no more than it is, and passes.
        ("http: the same, at the largest limit", page("/bomb", one, 1 << 20), &[], "200"),
        ("http: redirection loop, nginx", page("/loop", one, 65_536), &[Reason::WrongStatus], "302"),
    ];
    for (attack, spec, expected, words) in cases {
        figures.attack(attack, Spec::Http(spec), TIME, expected, words).await;
    }
}

async fn other_protocols(bed: &Bed, figures: &mut Figures) {
    let own =
        |begin, more, pause| at(listen(bed.node(), bed.address(), Behaviour::Endless(begin, more, pause)));
    let (now, second) = (Duration::ZERO, Duration::from_secs(1));
    // A handshake record of 16 KiB (RFC 8446 §5.1), and the settings of an HTTP/2 server (RFC 9113 §6.5).
    let record = b"\x16\x03\x03\x40\x00";
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    let pings = b"\0\0\x08\x06\0\0\0\0\0pingpong";
    let tls = |target| Spec::Tls(Tls { target, tls: bed.authority.trusted() });
    let in_clear = |target| smtp(target, SmtpSecurity::None);
    let name = |target| Spec::Dns(Dns { only_tcp: true, ..dns(target) });
    let service = |target| Spec::Grpc(Grpc { target, tls: None, service: String::new(), host: None });
    let (large, timeout) = (Reason::TooLarge, Reason::Timeout);
    let cut: &[Reason] = &[large, timeout, Reason::Protocol];
    let cases: [(&str, Spec, &[Reason]); 8] = [
        ("smtp: endless banner", in_clear(own(b"", b"220-welcome\r\n", now)), &[large]),
        ("smtp: endless line", in_clear(own(b"220 ", b"xxxxxxxxxxxxxxxx", now)), &[large]),
        ("smtp: banner of 1 octet/s", in_clear(own(b"2", b"2", second)), &[timeout]),
        ("tls: handshake of 1 octet/s", tls(own(record, b"\x02", second)), &[timeout]),
        ("tls: endless garbage", tls(own(record, &[0; 4096], now)), &[Reason::TlsOther, Reason::Protocol]),
        ("grpc: endless pings", service(own(settings, pings, now)), &[large]),
        ("dns, tcp: answer of 1 octet/s", name(own(b"\xff\xff", b"x", second)), &[timeout]),
        ("dns, tcp: endless answer", name(own(b"\xff\xff", &[0; 4096], now)), cut),
    ];
    for (attack, spec, expected) in cases {
        figures.attack(attack, spec, TIME, expected, "").await;
    }
}

/// Ten thousand attempts at once, refused at once, and refused together after they all waited.
async fn crowds(bed: &Bed, figures: &mut Figures) {
    raise_descriptor_limit();
    let target = || bed.target(port::CLOSED);
    crowd("10 000 tcp refused at once", Spec::Tcp(Tcp { target: target() }), figures, || {}).await;
    crowd("10 000 http refused at once", Spec::Http(http(target())), figures, || {}).await;
    let rule = format!("tcp dport {} counter drop", port::CLOSED);
    bed.node().nft(&format!(
        "add chain inet hat wall {{ type filter hook input priority -1; }}\nadd rule inet hat wall {rule}\n"
    ));
    let opened = || bed.node().nft("flush chain inet hat wall\n");
    crowd("10 000 tcp silent, then refused", Spec::Tcp(Tcp { target: target() }), figures, opened).await;
}

async fn crowd(attack: &str, spec: Spec, figures: &mut Figures, meanwhile: impl FnOnce()) {
    let probe = Arc::new(Probe::new(spec).expect("a valid check"));
    let (before, descriptors) = (begin_to_measure(), descriptors());
    let begun = Instant::now();
    let deadline = tokio::time::Instant::now() + LONG;
    let attempts = attempts(&probe, deadline, CROWD);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        meanwhile();
    };
    let (attempts, ()) = futures::future::join(attempts, meanwhile).await;
    let took = begun.elapsed();
    let grown = most_memory().saturating_sub(before);
    let refused = attempts.iter().filter(|attempt| attempt.outcome == failed(Reason::Refused)).count();
    let other: Option<&Attempt> = attempts.iter().find(|attempt| attempt.outcome != failed(Reason::Refused));
    let told = format!("{attack}: {refused} refused after {took:?}, {grown} octets; another: {other:?}");
    figures.demand(refused == CROWD, &told, "another outcome");
    figures.demand(took <= LONG + MARGIN, &told, "not over by its deadline");
    figures.demand(grown <= CROWD_MEMORY, &told, "it grew");
    figures.demand(self::descriptors() <= descriptors, &told, "descriptors are left");
    let slowest = attempts.iter().map(|attempt| attempt.latency).max().unwrap_or_default();
    let evidence = format!("the slowest took {slowest:.1?}");
    let outcome = format!("{refused} REFUSED");
    figures.rows.push(Row { attack: attack.to_owned(), outcome, allowed: LONG, took, grown, evidence });
}

/// How long it took until this held, if it came to that. The runtime goes on meanwhile.
async fn settled(condition: impl Fn() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > SOON {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Some(begun.elapsed())
}

/// What a script starts goes with it; what it prints is read and forgotten.
async fn programs(bed: &Bed, figures: &mut Figures) {
    let folder = Scripts::new(bed.scratch());
    let marker = format!("1800.{}", std::process::id());
    let lines = format!(
        "trap '' TERM; sleep {marker} & setsid sleep {marker} &
         for i in 1 2 3 4 5 6 7 8; do (setsid sh -c 'trap \"\" TERM; sleep {marker} & sleep {marker}' &) ; done
         echo started; while :; do sleep {marker}; done"
    );
    let stays = script(&folder.script("stays", &lines), false);
    figures.attack("script: forks, ignores SIGTERM", stays, TIME, &[Reason::Timeout], "").await;
    let left = settled(|| running(&marker) == 0).await;
    figures.demand(left.is_some(), "script: forks, ignores SIGTERM", "processes are left");
    let left = left.unwrap_or(SOON);
    if let Some(row) = figures.rows.last_mut() {
        row.evidence = format!("{}; all gone {left:.1?} later", row.evidence);
    }
    let prints = script(&folder.script("prints", "exec head -c 1073741824 /dev/zero"), false);
    let watched = std::thread::spawn(watch_launchers);
    figures.attack("script: 1 GiB of output", prints, Duration::from_secs(60), &[], "").await;
    STOP.store(true, std::sync::atomic::Ordering::Relaxed);
    let launcher = watched.join().expect("it only looks");
    let told = format!("script: 1 GiB of output: its launcher had {} KiB at most", launcher / 1024);
    figures.demand((1..MEMORY).contains(&launcher), &told, "another amount");
    if let Some(row) = figures.rows.last_mut() {
        row.evidence = format!("launcher: {} KiB at most; {}", launcher / 1024, row.evidence);
    }
}

static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// The most memory of a launcher of ours, until [`STOP`].
fn watch_launchers() -> u64 {
    let mut most = 0;
    while !STOP.load(std::sync::atomic::Ordering::Relaxed) {
        let ours = format!("PPid:\t{}\n", std::process::id());
        let statuses = processes().filter_map(|process| fs::read_to_string(process.join("status")).ok());
        let launchers =
            statuses.filter(|status| status.starts_with("Name:\tha-command") && status.contains(&ours));
        most = launchers.map(|status| field(&status, "VmHWM:")).max().unwrap_or_default().max(most);
        std::thread::sleep(Duration::from_millis(5));
    }
    most
}

fn processes() -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path())
}

/// How many processes have `marker` in their command line.
fn running(marker: &str) -> usize {
    let lines = processes().filter_map(|process| fs::read(process.join("cmdline")).ok());
    lines.filter(|line| line.windows(marker.len()).any(|part| part == marker.as_bytes())).count()
}

fn raise_descriptor_limit() {
    let needed = CROWD as u64 + 500;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits can be read");
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).expect("root may open many files");
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").into_iter().flatten().count()
}

/// What this process has now; from here on the kernel remembers the most it had (proc(5), clear_refs).
fn begin_to_measure() -> u64 {
    fs::write("/proc/self/clear_refs", "5").expect("the kernel forgets the peak");
    own_status("VmRSS:")
}

fn most_memory() -> u64 {
    own_status("VmHWM:")
}

fn own_status(name: &str) -> u64 {
    field(&fs::read_to_string("/proc/self/status").expect("it can be read"), name)
}

/// A field of /proc/PID/status, in octets.
fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
    value.and_then(|value| value.parse::<u64>().ok()).unwrap_or_default() * 1024
}
