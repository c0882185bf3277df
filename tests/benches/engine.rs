//! The engine alone, in this process: an Active and a Backup engine with the same instances under one virtual clock.
//! Every advert that the first sends is handed to the second.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use ha_engine::{
    AddressLease, AddressLostPolicy, AdvertisementInterval, AnnouncePolicy, Applied, ChecksumForm, Engine,
    Input, InstanceConfig, InstanceId, Instant, LinkCondition, LinkId, LinkState, Output, Packet, Priority,
    Protocol, StateName, Transport, Version, VirtualAddress, VirtualRouterId,
};

use crate::{
    options::EngineOptions,
    table::{Cell, Report, Table, progress},
};

const PER_LINK: usize = 250;
const INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(options: &EngineOptions, report: &mut Report) {
    let mut table = Table::new(
        format!(
            "Engine alone, 100 ms adverts: at least {} adverts sent and received; ns each",
            options.adverts
        ),
        &[
            "instances",
            "deadlines",
            "sent",
            "received",
            "share of a core at this rate, sender %",
            "receiver %",
        ],
    );
    for &count in &options.instances {
        for is_spread in [false, true] {
            progress(&format!("{count} instances, spread {is_spread}"));
            add(&mut table, count, is_spread, options.adverts);
        }
    }
    table.note(
        "sent: from the deadline to the finished octets; received: from the octets to the moved deadline",
    );
    report.add(&table);
}

fn add(table: &mut Table, count: usize, is_spread: bool, adverts: usize) {
    let mut two = Two::new(count, is_spread);
    two.become_active(count);
    let measured = two.exchange(adverts);
    let nanos = |time: Duration| time.as_nanos() as f64 / measured.adverts as f64;
    let (sent, received) = (nanos(measured.sending), nanos(measured.receiving));
    let rate = count as f64 / INTERVAL.as_secs_f64();
    table.row(vec![
        count.into(),
        if is_spread { "spread over the interval" } else { "all at once" }.into(),
        Cell::Number(sent, 0),
        Cell::Number(received, 0),
        Cell::Number(sent * rate * 1e-7, 3),
        Cell::Number(received * rate * 1e-7, 3),
    ]);
}

/// The sender and the receiver.
struct Two {
    now: Instant,
    active: Engine,
    backup: Engine,
}

struct Measured {
    adverts: usize,
    sending: Duration,
    receiving: Duration,
}

/// An advert on its way, its octets in a buffer that all share.
type Sent = (LinkId, IpAddr, IpAddr, u8, std::ops::Range<usize>);

impl Two {
    fn new(count: usize, is_spread: bool) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let engine = |priority: u8, host: u8| {
            let configs: Vec<InstanceConfig> =
                (0..count).map(|number| config(number, count, priority, is_spread)).collect();
            let mut engine = Engine::new();
            engine.handle(now, Input::Reconfigure(&configs)).for_each(drop);
            let links: Vec<LinkId> = engine.links().into_keys().collect();
            for link in links {
                let address = Ipv4Addr::new(172, 16, u8::try_from(link.0).unwrap_or(u8::MAX), host).into();
                let state = LinkState { condition: LinkCondition::Up, addresses: vec![address] };
                engine.handle(now, Input::Link(link, state)).for_each(drop);
            }
            engine
        };
        Self { now, active: engine(200, 1), backup: engine(100, 2) }
    }

    /// Runs until all instances of the first engine are Active and all of the second are Backup.
    fn become_active(&mut self, count: usize) {
        for _ in 0..10 * count + 1000 {
            self.turn(&mut Vec::new(), &mut Vec::new());
            if self.active.statuses().all(|status| status.state == StateName::Active) {
                break;
            }
        }
        let all = |engine: &Engine, state: StateName| {
            engine.statuses().filter(|status| status.state == state).count() == count
        };
        assert!(all(&self.active, StateName::Active), "the first engine is not Active everywhere");
        assert!(all(&self.backup, StateName::Backup), "the second engine is not Backup everywhere");
        // Through the bursts of announcements, which are no adverts.
        let end = self.now.after(Duration::from_secs(7));
        while self.now < end {
            self.turn(&mut Vec::new(), &mut Vec::new());
        }
    }

    fn exchange(&mut self, adverts: usize) -> Measured {
        let mut measured = Measured { adverts: 0, sending: Duration::ZERO, receiving: Duration::ZERO };
        let (mut sent, mut octets) = (Vec::new(), Vec::new());
        while measured.adverts < adverts {
            let (sending, receiving) = self.turn(&mut sent, &mut octets);
            measured.adverts += sent.len();
            measured.sending += sending;
            measured.receiving += receiving;
        }
        measured
    }

    /// The next deadline of the first engine, and its adverts to the second.
    fn turn(&mut self, sent: &mut Vec<Sent>, octets: &mut Vec<u8>) -> (Duration, Duration) {
        sent.clear();
        octets.clear();
        self.now = self.active.next_deadline().expect("an Active router has a next advert").0;
        let mut owned: Vec<(InstanceId, u64)> = Vec::new();
        let start = Clock::now();
        for output in self.active.handle(self.now, Input::Deadline) {
            match output {
                Output::Transmit(advert) => {
                    let from = octets.len();
                    octets.extend_from_slice(advert.octets);
                    sent.push((
                        advert.link,
                        advert.source,
                        advert.destination,
                        advert.ttl,
                        from..octets.len(),
                    ));
                }
                Output::Own(ownership) => owned.push((ownership.instance, ownership.generation)),
                _ => {}
            }
        }
        let sending = start.elapsed();
        for (instance, generation) in owned {
            let applied = Applied { instance, generation, result: Ok(()), at: self.now };
            self.active.handle(self.now, Input::Applied(applied)).for_each(drop);
        }
        let start = Clock::now();
        for (link, source, destination, ttl, range) in sent.iter() {
            let octets = octets.get(range.clone()).unwrap_or_default();
            let packet =
                Packet { link: *link, source: *source, destination: *destination, ttl: *ttl, octets };
            self.backup.handle(self.now, Input::Packet(packet)).for_each(drop);
        }
        let receiving = start.elapsed();
        while self.backup.next_deadline().is_some_and(|(at, _)| at <= self.now) {
            self.backup.handle(self.now, Input::Deadline).for_each(drop);
        }
        (sending, receiving)
    }
}

fn config(number: usize, count: usize, priority: u8, is_spread: bool) -> InstanceConfig {
    let [.., high, low] = (number as u32).to_be_bytes();
    let interval = AdvertisementInterval::new(Version::V3, INTERVAL).expect("100 ms is valid");
    InstanceConfig {
        name: Arc::from(format!("router-{number}")),
        interface: Arc::from(format!("eth{}", number / PER_LINK)),
        virtual_router_id: VirtualRouterId::new((number % PER_LINK + 1) as u8).expect("1 to 250"),
        family: ha_engine::Family::Ipv4,
        protocol: Protocol::V3 { checksum: ChecksumForm::PseudoHeader },
        priority: Priority::new(priority).expect("not 0"),
        interval,
        longest_adopted_interval: INTERVAL * 10,
        addresses: Arc::new([VirtualAddress::new(Ipv4Addr::new(10, 9, high, low).into(), 32)]),
        preempt: true,
        preempt_delay: Duration::ZERO,
        startup_delay: if is_spread { INTERVAL * number as u32 / count as u32 } else { Duration::ZERO },
        transport: Transport::Multicast { allowed_sources: Vec::new() },
        source: None,
        announce: AnnouncePolicy::default(),
        address_lost: AddressLostPolicy::default(),
        lease: AddressLease::default(),
        virtual_mac: false,
        tracks: std::sync::Arc::default(),
        group: None,
    }
}
