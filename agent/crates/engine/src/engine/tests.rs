//! Many instances under one clock: dispatch, the schedule, stalls, discards, reloads.

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::codec::{encode, multicast_group};
use crate::config::{ChecksumForm, Protocol};
use crate::fixtures::script::{changed, quiet};
use crate::fixtures::{address, config, numbered};
use crate::input::{LinkCondition, OperatorAction};
use crate::moves::{DrainCommand, Handover, Way};
use crate::order::StandingOrder;
use crate::output::Output;
use crate::units::{AdvertisementInterval, Priority};

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn up() -> LinkState {
    LinkState {
        condition: LinkCondition::Up,
        addresses: Vec::from([address("10.0.0.1"), address("fe80::1")]),
    }
}

/// An engine whose instances all have a link.
fn started(configs: &[InstanceConfig]) -> Engine {
    let mut engine = Engine::new();
    drop(engine.handle(at(0), Input::Reconfigure(configs)));
    let links: Vec<LinkId> = engine.links().into_keys().collect();
    for link in links {
        drop(engine.handle(at(0), Input::Link(link, up())));
    }
    engine
}

fn states(engine: &Engine) -> Vec<(String, StateName)> {
    engine.statuses().map(|status| (status.config.name.to_string(), status.state)).collect()
}

fn advert(config: &InstanceConfig, priority: u8, source: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    encode(&mut octets, config, priority, address(source), multicast_group(config.family));
    octets
}

fn packet<'a>(link: LinkId, source: &str, octets: &'a [u8]) -> Packet<'a> {
    let source = address(source);
    Packet { link, source, destination: multicast_group(Family::of(source)), ttl: 255, octets }
}

#[test]
fn a_packet_finds_its_instance_by_link_family_and_vrid() {
    let web = config("web", 7, 100);
    let other_vrid = config("other-vrid", 8, 100);
    let other_link = InstanceConfig { interface: Arc::from("eth1"), ..config("other-link", 7, 100) };
    let other_family = InstanceConfig {
        family: Family::Ipv6,
        addresses: Arc::new([numbered(Family::Ipv6, 1)]),
        ..config("other-family", 7, 100)
    };
    let all = [web, other_vrid, other_link, other_family];
    for (wanted, link, source) in
        [(0, "eth0", "10.0.0.2"), (1, "eth0", "10.0.0.2"), (2, "eth1", "10.0.0.2"), (3, "eth0", "fe80::2")]
    {
        let mut engine = started(&all);
        let octets = advert(&all[wanted], 200, source);
        let link = engine.link(link).unwrap();
        drop(engine.handle(at(1), Input::Packet(packet(link, source, &octets))));
        let received: Vec<u64> = engine.statuses().map(|status| status.counters.received).collect();
        let expected: Vec<u64> = (0..4).map(|place| u64::from(place == wanted)).collect();
        assert_eq!(received, expected, "{}", all[wanted].name);
    }
}

#[test]
fn a_packet_for_nobody_is_counted_for_its_link_and_told_once_a_minute() {
    let web = config("web", 7, 100);
    let mut engine = started(std::slice::from_ref(&web));
    let link = engine.link("eth0").unwrap();
    let octets = advert(&config("stranger", 99, 100), 100, "10.0.0.2");
    let mut told = Vec::new();
    for second in 0..130 {
        for output in engine.handle(at(second * 1000), Input::Packet(packet(link, "10.0.0.2", &octets))) {
            let Output::Event(event) = output else { continue };
            if let EventKind::Discarded { reason, count, .. } = event.kind {
                told.push((second, reason, count));
            }
        }
    }
    let reason = Discard::VirtualRouterUnknown;
    assert_eq!(told, [(0, reason, 1), (60, reason, 60), (120, reason, 60)]);
    assert_eq!(engine.unclaimed().collect::<Vec<_>>(), [(Arc::from("eth0"), reason, 130)]);
}

#[test]
fn our_own_packet_that_comes_back_is_counted_and_told_only_when_it_cannot_be_ours() {
    let web = config("web", 7, 255);
    let mut engine = started(std::slice::from_ref(&web));
    let link = engine.link("eth0").unwrap();
    let octets = advert(&web, 100, "10.0.0.1");
    assert_eq!(engine.handle(at(1), Input::Packet(packet(link, "10.0.0.1", &octets))).count(), 0);
    let status = engine.statuses().next().unwrap();
    assert_eq!(status.counters.discarded.get(Discard::SourceIsOurs), 1);
    // A Backup sends nothing that could come back.
    let web = config("web", 7, 100);
    let mut engine = started(std::slice::from_ref(&web));
    assert_eq!(engine.handle(at(1), Input::Packet(packet(link, "10.0.0.1", &octets))).count(), 1);
    assert_eq!(engine.handle(at(2), Input::Packet(packet(link, "10.0.0.1", &octets))).count(), 0);
}

#[test]
fn a_packet_on_a_link_that_no_configuration_named_is_ignored() {
    let mut engine = started(&[config("web", 7, 100)]);
    for octets in [&[][..], &[0x31], &[0xff; 40]] {
        assert_eq!(engine.handle(at(1), Input::Packet(packet(LinkId(9), "10.0.0.2", octets))).count(), 0);
    }
}

#[test]
fn a_reload_removes_before_it_adds_and_leaves_the_rest_alone() {
    let (one, two, three) = (config("one", 1, 255), config("two", 2, 255), config("three", 3, 255));
    let mut engine = started(&[one.clone(), two.clone()]);
    let lines: Vec<String> = engine
        .handle(at(10), Input::Reconfigure(&[two.clone(), three.clone()]))
        .filter_map(|output| match output {
            Output::Event(event) => Some(event.type_name().to_string()),
            Output::Own(ownership) => {
                Some(std::format!("{} {}", ownership.instance.0, ownership.addresses.len()))
            }
            _ => None,
        })
        .collect();
    let expected = [
        "0 0",
        "instance.state_changed",
        "instance.removed",
        "instance.added",
        "2 1",
        "instance.state_changed",
    ];
    assert_eq!(lines, expected);
    assert_eq!(states(&engine).len(), 2);
    // Only the next reload uses the number of the removed instance again.
    let ids = |engine: &Engine| engine.statuses().map(|status| status.id.0).collect::<Vec<_>>();
    assert_eq!(ids(&engine), [1, 2]);
    drop(engine.handle(at(20), Input::Reconfigure(&[two, three, one])));
    assert_eq!(ids(&engine), [0, 1, 2]);
}

#[test]
fn two_instances_can_exchange_their_vrids() {
    let (one, two) = (config("one", 1, 100), config("two", 2, 100));
    let mut engine = started(&[one.clone(), two.clone()]);
    let swapped = [changed(one, &["vrid=2"]), changed(two, &["vrid=1"])];
    drop(engine.handle(at(10), Input::Reconfigure(&swapped)));
    let link = engine.link("eth0").unwrap();
    let octets = advert(&swapped[0], 200, "10.0.0.2");
    drop(engine.handle(at(11), Input::Packet(packet(link, "10.0.0.2", &octets))));
    let heard: Vec<_> =
        engine.statuses().filter(|status| status.last_advert.is_some()).map(|status| status.config).collect();
    assert_eq!((heard.len(), &*heard[0].name), (1, "one"));
}

#[test]
fn a_whole_new_configuration_leaves_nothing_of_the_old() {
    let mut engine = started(&[config("one", 1, 255), config("two", 2, 100)]);
    drop(engine.handle(at(10), Input::Reconfigure(&[])));
    assert_eq!(engine.next_deadline(), None);
    assert_eq!(engine.statuses().count(), 0);
    assert!(engine.links().is_empty());
    assert_eq!(engine.link("eth0"), Some(LinkId(0)));
}

/// Address owners that became Active at these instants, with their intervals in milliseconds, and a record of who sends
/// when until `end`, each wake-up in time.
fn beats(owners: &[(u64, u64)], end: u64) -> Vec<(u64, Vec<u32>)> {
    let mut configs = Vec::new();
    let mut engine = Engine::new();
    for (number, (start, interval)) in owners.iter().enumerate() {
        let base = config(&std::format!("router-{number}"), u8::try_from(number + 1).unwrap(), 255);
        let interval =
            AdvertisementInterval::new(crate::Version::V3, Duration::from_millis(*interval)).unwrap();
        configs.push(InstanceConfig { interval, announce: quiet(), ..base });
        drop(engine.handle(at(*start), Input::Reconfigure(&configs)));
        let link = engine.link("eth0").unwrap();
        drop(engine.handle(at(*start), Input::Link(link, up())));
    }
    let mut record = Vec::new();
    while let Some((due, _)) = engine.next_deadline().filter(|(due, _)| *due <= at(end)) {
        let sent = engine.handle(due, Input::Deadline).filter_map(|output| match output {
            Output::Transmit(transmit) => Some(transmit.instance.0),
            _ => None,
        });
        let mut senders: Vec<u32> = sent.collect();
        senders.sort_unstable();
        record.push((due.as_nanos() / 1_000_000, senders));
    }
    record
}

#[test]
fn adverts_that_are_nearly_due_leave_with_another_and_keep_its_beat() {
    // 62 ms is less than a 16th of a second, 70 ms is more.
    let record = beats(&[(0, 1000), (7, 1000), (62, 1000), (70, 1000), (130, 1000)], 3200);
    let second = |second: u64| [(second, [0, 1, 2].into()), (second + 70, [3, 4].into())];
    assert_eq!(record, [1000, 2000, 3000].map(second).concat());
}

#[test]
fn an_advert_goes_along_with_a_faster_router_only_if_it_is_due_within_a_16th_of_that_one_s_interval() {
    // 6 ms is less than a 16th of 100 ms; a 16th of its own second would be 62 ms.
    let record = beats(&[(0, 100), (6, 1000), (40, 1000)], 2100);
    let alone: Vec<u64> = record.iter().filter(|(_, senders)| *senders == [2]).map(|(at, _)| *at).collect();
    let together: Vec<u64> =
        record.iter().filter(|(_, senders)| *senders == [0, 1]).map(|(at, _)| *at).collect();
    assert_eq!((alone, together), ([1040, 2040].into(), [1000, 2000].into()));
}

#[test]
fn adverts_that_are_too_many_for_one_burst_are_spread_once_and_then_keep_their_beat() {
    let owners = [(0, 1000); 255];
    let record = beats(&owners, 20_000);
    let mut last = [0; 255];
    for (at, senders) in &record {
        for sender in senders {
            let gap = at - std::mem::replace(&mut last[*sender as usize], *at);
            assert!(matches!(gap, 875 | 1000), "{sender} after {gap} ms");
        }
    }
    let sizes = |from: u64| -> Vec<(u64, usize)> {
        let burst = record.iter().filter(|(at, _)| (from..from + 1000).contains(at));
        burst.map(|(at, senders)| (at % 1000, senders.len())).collect()
    };
    assert_eq!(sizes(500), [(0, 255)]);
    assert_eq!(sizes(4500), [(625, 63), (750, 64), (875, 64), (0, 64)]);
    assert_eq!(sizes(18_500), sizes(4500));
}

#[test]
fn an_advert_never_comes_later_than_an_interval_after_the_one_before() {
    let owners: Vec<(u64, u64)> =
        (0..40).map(|number| (number * 37 % 500 + number, [1000, 700, 1300][number as usize % 3])).collect();
    let mut sorted = owners.clone();
    sorted.sort_unstable();
    let mut last: Vec<u64> = sorted.iter().map(|(start, _)| *start).collect();
    for (at, senders) in beats(&sorted, 20_000) {
        for sender in senders {
            let (_, interval) = sorted[sender as usize];
            let gap = at - std::mem::replace(&mut last[sender as usize], at);
            assert!((interval * 15 / 16 - 1..=interval).contains(&gap), "{sender} after {gap} ms");
        }
    }
}

#[test]
fn after_a_stop_nothing_happens_any_more() {
    let web = config("web", 7, 255);
    let mut engine = started(std::slice::from_ref(&web));
    assert!(engine.handle(at(10), Input::Stop).count() > 0);
    assert_eq!(engine.next_deadline(), None);
    let link = engine.link("eth0").unwrap();
    let octets = advert(&web, 100, "10.0.0.2");
    assert_eq!(engine.handle(at(11), Input::Packet(packet(link, "10.0.0.2", &octets))).count(), 0);
    assert_eq!(engine.handle(at(12), Input::Deadline).count(), 0);
    assert_eq!(engine.handle(at(13), Input::Link(link, LinkState::default())).count(), 0);
    assert_eq!(engine.handle(at(14), Input::Reconfigure(&[web])).count(), 0);
    assert_eq!(engine.handle(at(15), Input::Stop).count(), 0);
}

/// The stalls that were told when the driver came at these instants.
fn stalls(engine: &mut Engine, wakes: &[u64]) -> Vec<u64> {
    let mut told = Vec::new();
    for wake in wakes {
        for output in engine.handle(at(*wake), Input::Deadline) {
            let Output::Event(event) = output else { continue };
            if let EventKind::Stalled { duration } = event.kind {
                told.push(u64::try_from(duration.as_millis()).unwrap());
            }
        }
    }
    told
}

#[test]
fn a_stall_is_measured_against_the_shortest_interval_of_the_node() {
    let slow = changed(config("slow", 1, 255), &["quiet"]);
    let fast = changed(config("fast", 2, 255), &["quiet", "interval=100"]);
    let mut engine = started(&[slow.clone(), fast]);
    assert_eq!(stalls(&mut engine, &[100, 200, 299]), [0; 0]);
    assert_eq!(stalls(&mut engine, &[700]), [400]);
    let mut engine = started(&[slow]);
    assert_eq!(stalls(&mut engine, &[1700]), [0; 0]);
    assert_eq!(stalls(&mut engine, &[4000]), [2000]);
}

#[test]
fn one_stall_is_told_once_and_many_short_ones_once_a_second() {
    let fast = changed(config("fast", 2, 255), &["quiet", "interval=10"]);
    let mut engine = started(&[fast]);
    let wakes: Vec<u64> = (1..=60).map(|step| step * 50).collect();
    assert_eq!(stalls(&mut engine, &wakes), [40, 40, 40]);
    assert_eq!(stalls(&mut engine, &[6000, 6000, 6001]), [2990]);
}

#[test]
fn ten_thousand_instances_wake_in_the_order_of_their_deadlines() {
    let configs: Vec<InstanceConfig> = (0..10_000_u32)
        .map(|number| {
            let vrid = u8::try_from(number % 250 + 1).unwrap();
            let name = std::format!("router-{number}");
            let interface = Arc::from(std::format!("link-{}", number / 250));
            let base = config(&name, vrid, u8::try_from(number * 7 % 254 + 1).unwrap());
            InstanceConfig { interface, announce: quiet(), ..base }
        })
        .collect();
    let mut engine = started(&configs);
    let mut last = at(0);
    let mut active = 0;
    let mut wakes = 0;
    while active < 10_000 {
        let (due, reason) = engine.next_deadline().unwrap();
        // Until somebody is Active, all that runs are Active_Down_Timers. The model is slow; look at it now and then.
        if wakes % 50 == 0 && reason == Reason::ActiveDown && active < 300 {
            let backups = engine.statuses().filter(|status| status.state == StateName::Backup);
            let earliest = backups.map(|status| status.since.after(status.active_down_interval)).min();
            assert_eq!(Some(due), earliest);
        }
        let is_known = matches!(reason, Reason::AdvertOverdue | Reason::ActiveDown | Reason::Advertisement);
        assert!(due >= last && is_known);
        last = due;
        wakes += 1;
        active +=
            engine.handle(due, Input::Deadline).filter(|output| matches!(output, Output::Own(_))).count();
    }
    let down = |priority| AdvertisementInterval::DEFAULT.active_down_interval(crate::Version::V3, priority);
    assert_eq!(last, at(0).after(down(Priority::new(1).unwrap())));
}

/// Any input at all, with the time that passes before it.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Late(u64),
    Advert { vrid: u8, priority: u8, host: u8, interval: u64, damage: Option<(usize, u8)> },
    Link(u8),
    Applied { id: u32, ok: bool, stale: bool },
    Announced(u32),
    Lost { id: u32, address: u16 },
    Override { vrid: u8, priority: u8, expires: Option<u64>, revision: Option<u64>, dry_run: bool },
    Clear(u8),
    Reload(u8),
    Fact { name: u8, verdict: u8, value: i32 },
    Forget(u8),
    Drain { begins: bool, expires: Option<u64>, revision: Option<u64>, dry_run: bool },
    Handover { vrid: u8, offered: bool, limit: u64, hold: Option<u64> },
    Withdraw { vrid: u8, host: u8 },
    TakeOver { vrid: u8, host: u8, limit: u64 },
    EndHold(u8),
    Stop,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..5000_u64).prop_map(Step::Wait),
        2 => (0..9000_u64).prop_map(Step::Late),
        8 => (0..4_u8, 0..=255_u8, 0..4_u8, 1..=300_u64, proptest::option::of((0..24_usize, 1..=255_u8)))
            .prop_map(|(vrid, priority, host, interval, damage)| Step::Advert { vrid, priority, host, interval, damage }),
        2 => (0..5_u8).prop_map(Step::Link),
        3 => (0..4_u32, any::<bool>(), any::<bool>()).prop_map(|(id, ok, stale)| Step::Applied { id, ok, stale }),
        1 => (0..4_u32).prop_map(Step::Announced),
        2 => (0..4_u32, 0..4_u16).prop_map(|(id, address)| Step::Lost { id, address }),
        2 => (
            0..4_u8,
            1..=255_u8,
            proptest::option::of(0..9000_u64),
            proptest::option::of(1..4_u64),
            any::<bool>()
        )
            .prop_map(|(vrid, priority, expires, revision, dry_run)| Step::Override {
                vrid, priority, expires, revision, dry_run
            }),
        1 => (0..4_u8).prop_map(Step::Clear),
        2 => (0..12_u8).prop_map(Step::Reload),
        6 => (0..4_u8, 0..5_u8, -300..300_i32)
            .prop_map(|(name, verdict, value)| Step::Fact { name, verdict, value }),
        1 => (0..4_u8).prop_map(Step::Forget),
        1 => (any::<bool>(), proptest::option::of(0..9000_u64), proptest::option::of(0..3_u64), any::<bool>())
            .prop_map(|(begins, expires, revision, dry_run)| Step::Drain { begins, expires, revision, dry_run }),
        4 => (0..4_u8, any::<bool>(), 0..3000_u64, proptest::option::of(0..20_000_u64))
            .prop_map(|(vrid, offered, limit, hold)| Step::Handover { vrid, offered, limit, hold }),
        2 => (0..4_u8, 0..4_u8).prop_map(|(vrid, host)| Step::Withdraw { vrid, host }),
        4 => (0..4_u8, 0..4_u8, 0..3000_u64).prop_map(|(vrid, host, limit)| Step::TakeOver { vrid, host, limit }),
        1 => (0..4_u8).prop_map(Step::EndHold),
        1 => Just(Step::Stop),
    ]
}

/// Three instances of different character, of which two may form a sync group and all may track facts, in the `variant`-th edition of their configuration.
fn edition(variant: u8) -> Vec<InstanceConfig> {
    let one = config("one", 1, 100 + variant % 3);
    let two = changed(config("two", 2, 200), &["nopreempt", "preempt_delay=3000", "startup_delay=2000"]);
    let three =
        changed(config("three", 3, if variant % 4 == 3 { 255 } else { 50 }), &["quiet", "refresh=700"]);
    let protocol = Protocol::V3 { checksum: ChecksumForm::MessageOnly };
    let two = InstanceConfig { protocol, interval: interval(variant), ..two };
    let tracks = ["track=", "track=checks/0,checks/1:-60", "track=checks/1:-200,!checks/2:90,checks/3:*7"];
    let tracks = tracks[usize::from(variant) % 3];
    let group = if variant % 6 < 4 { "group=edge" } else { "group=" };
    let mut all = Vec::from([
        changed(one, &[tracks, group]),
        changed(two, &[tracks]),
        changed(three, &[tracks, group]),
    ]);
    if variant % 5 == 4 {
        all.remove(usize::from(variant) % 3);
    }
    all
}

fn interval(variant: u8) -> AdvertisementInterval {
    AdvertisementInterval::from_centiseconds(10 + u16::from(variant % 2) * 90)
}

struct Machine {
    engine: Engine,
    now: Instant,
    states: BTreeMap<Arc<str>, StateName>,
    /// A reload has brought a member into an Active group.
    split: bool,
}

impl Machine {
    fn after(steps: &[Step]) -> Self {
        let mut machine = Self { engine: Engine::new(), now: at(0), states: BTreeMap::new(), split: false };
        machine.feed(Input::Reconfigure(&edition(0)));
        machine.link(4);
        steps.iter().for_each(|step| machine.step(step));
        machine
    }

    /// Hands an input over and checks each event that comes back.
    fn feed(&mut self, input: Input<'_>) {
        let timed = matches!(input, Input::Deadline);
        let reconfigured = matches!(input, Input::Reconfigure(_));
        for output in self.engine.handle(self.now, input) {
            let Output::Event(event) = output else { continue };
            assert!(!event.to_string().is_empty());
            let Subject::Instance(_, name) = &event.subject else { continue };
            match &event.kind {
                EventKind::InstanceAdded => {
                    self.states.insert(Arc::clone(name), StateName::Initialize);
                }
                EventKind::StateChanged { from, to } => {
                    assert_eq!(self.states.insert(Arc::clone(name), *to), Some(*from), "{event}");
                    assert!(from != to && is_edge(*from, *to, event.cause), "{event:?}");
                    let by_operator = event.actor.is_some();
                    assert!(!by_operator || is_electoral(event.cause), "{event:?}");
                }
                _ => {}
            }
        }
        let due = self.engine.next_deadline();
        assert!(!timed || due.is_none_or(|(due, _)| due > self.now), "{due:?} at {:?}", self.now);
        for status in self.engine.statuses() {
            assert_eq!(self.states.get(&status.config.name), Some(&status.state));
            assert_explained(&status);
        }
        self.assert_united(reconfigured);
    }

    /// A group is Active as a whole or not at all, but for newcomers of a reload; and never beside a Fault.
    fn assert_united(&mut self, reconfigured: bool) {
        let members = self.engine.statuses().filter(|status| status.config.group.is_some());
        let states: Vec<StateName> = members.map(|status| status.state).collect();
        let active = states.iter().filter(|state| **state == StateName::Active).count();
        let split = active > 0 && active < states.len();
        assert!(!split || self.split || reconfigured, "{states:?}");
        assert!(!split || !states.contains(&StateName::Fault), "{states:?}");
        self.split = split;
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait(millis) => self.wait(self.now.after(Duration::from_millis(*millis))),
            Step::Late(millis) => {
                self.now = self.now.after(Duration::from_millis(*millis));
                self.feed(Input::Deadline);
            }
            Step::Advert { vrid, priority, host, interval, damage } => {
                self.advert(*vrid, *priority, *host, *interval, *damage);
            }
            Step::Link(condition) => self.link(*condition),
            Step::Applied { id, ok, stale } => self.applied(InstanceId(*id), *ok, *stale),
            Step::Announced(id) => self.feed(Input::Announced { instance: InstanceId(*id), at: self.now }),
            Step::Lost { id, address } => {
                let address = numbered(Family::Ipv4, *address).address;
                self.feed(Input::AddressLost { instance: InstanceId(*id), address });
            }
            Step::Override { vrid, priority, expires, revision, dry_run } => {
                let action = OperatorAction::OverridePriority {
                    priority: Priority::new(*priority).unwrap(),
                    reason: Arc::from("any"),
                    expires: expires.map(|millis| self.now.after(Duration::from_millis(millis))),
                    survives: false,
                };
                self.operate(*vrid, action, *revision, *dry_run);
            }
            Step::Clear(vrid) => self.operate(*vrid, OperatorAction::ClearPriority, None, false),
            Step::Reload(variant) => self.feed(Input::Reconfigure(&edition(*variant))),
            Step::Fact { name, verdict, value } => {
                let verdicts = [crate::Verdict::Unknown, crate::Verdict::Failing];
                self.feed(Input::Fact(Fact {
                    name: Arc::from(std::format!("checks/{name}")),
                    verdict: verdicts.get(usize::from(*verdict)).copied().unwrap_or(crate::Verdict::Passing),
                    value: Some(*value),
                    damped: false,
                    detail: Arc::from("measured"),
                    since: self.now,
                }));
            }
            Step::Forget(name) => {
                self.feed(Input::FactRemoved(Arc::from(std::format!("checks/{name}"))));
            }
            Step::Drain { begins, expires, revision, dry_run } => {
                let drain = begins.then(|| StandingOrder {
                    reason: Arc::from("any"),
                    actor: Arc::default(),
                    since: self.now,
                    expires: expires.map(|millis| self.now.after(Duration::from_millis(millis))),
                    survives: false,
                });
                let (actor, expected_revision, dry_run) = (Arc::default(), *revision, *dry_run);
                self.feed(Input::Drain(DrainCommand { drain, actor, expected_revision, dry_run }));
            }
            Step::Handover { vrid, offered, limit, hold } => self.hand_over(*vrid, *offered, *limit, *hold),
            Step::Withdraw { vrid, host } => {
                self.operate(*vrid, OperatorAction::Withdraw { successor: host_address(*host) }, None, false);
            }
            Step::TakeOver { vrid, host, limit } => {
                let until = self.now.after(Duration::from_millis(*limit));
                let action =
                    OperatorAction::TakeOver { from: host_address(*host), until, cause: Cause::AdminDrain };
                self.operate(*vrid, action, None, false);
            }
            Step::EndHold(vrid) => self.operate(*vrid, OperatorAction::EndHold, None, false),
            Step::Stop => {}
        }
    }

    fn hand_over(&mut self, vrid: u8, offered: bool, limit: u64, hold: Option<u64>) {
        let hold = hold.map(|millis| StandingOrder {
            reason: Arc::from("any"),
            actor: Arc::default(),
            since: self.now,
            expires: (millis % 2 == 0).then(|| self.now.after(Duration::from_millis(millis))),
            survives: false,
        });
        let wish = Handover {
            way: if offered { Way::Offered } else { Way::Asked { to: host_address(2) } },
            until: self.now.after(Duration::from_millis(limit)),
            cause: Cause::AdminTransfer,
            hold,
        };
        self.operate(vrid, OperatorAction::Handover(wish), None, false);
    }

    fn wait(&mut self, until: Instant) {
        for _ in 0..10_000 {
            let Some((due, _)) = self.engine.next_deadline().filter(|(due, _)| *due <= until) else { break };
            self.now = self.now.max(due);
            self.feed(Input::Deadline);
        }
        assert!(self.engine.next_deadline().is_none_or(|(due, _)| due > until), "deadlines without end");
        self.now = until;
    }

    fn advert(&mut self, vrid: u8, priority: u8, host: u8, interval: u64, damage: Option<(usize, u8)>) {
        let base = config("peer", vrid.max(1), 100);
        let interval = AdvertisementInterval::from_centiseconds(u16::try_from(interval).unwrap());
        let sender = InstanceConfig { interval, ..base };
        let source = std::format!("10.0.0.{host}");
        let mut octets = advert(&sender, priority, &source);
        if let Some((place, mask)) = damage {
            if let Some(octet) = octets.get_mut(place) {
                *octet ^= mask;
            } else {
                octets.truncate(place / 2);
            }
        }
        let link = self.engine.link("eth0").unwrap();
        self.feed(Input::Packet(packet(link, &source, &octets)));
    }

    fn link(&mut self, condition: u8) {
        let conditions = [LinkCondition::Missing, LinkCondition::Down, LinkCondition::NoCarrier];
        let state = match conditions.get(usize::from(condition)) {
            Some(condition) => LinkState { condition: *condition, addresses: Vec::new() },
            None if condition == 3 => LinkState { condition: LinkCondition::Up, addresses: Vec::new() },
            None => up(),
        };
        let link = self.engine.link("eth0").unwrap();
        self.feed(Input::Link(link, state));
    }

    fn applied(&mut self, instance: InstanceId, ok: bool, stale: bool) {
        let known = self.engine.statuses().find(|status| status.id == instance);
        let generation = known.map_or(0, |status| status.generation).saturating_sub(u64::from(stale));
        let result = if ok { Ok(()) } else { Err(Arc::from("no")) };
        self.feed(Input::Applied(crate::Applied { instance, generation, result, at: self.now }));
    }

    fn operate(&mut self, vrid: u8, action: OperatorAction, expected_revision: Option<u64>, dry_run: bool) {
        let names = ["one", "two", "three", "nobody"];
        let instance = Arc::from(names[usize::from(vrid) % 4]);
        let actor = Arc::new(crate::Actor::default());
        self.feed(Input::Operator(OperatorCommand { instance, action, actor, expected_revision, dry_run }));
    }
}

fn host_address(host: u8) -> core::net::IpAddr {
    crate::fixtures::address(&std::format!("10.0.0.{host}"))
}

/// The priority is what its explanation says, and what is tracked says the same.
fn assert_explained(status: &InstanceStatus) {
    let (value, because) = (i32::from(status.effective.value.get()), &status.effective.because);
    assert_eq!(because.iter().map(|step| step.delta).sum::<i32>(), value, "{because:?}");
    assert_eq!(because.last().map(|step| step.result), Some(value), "{because:?}");
    let again = crate::Effective::explain(
        status.config.priority,
        status.override_.as_ref().map(|own| own.priority),
        &status.tracks,
        status.drained,
    );
    assert_eq!(again, status.effective);
    let tracked: Vec<_> = status.tracks.iter().map(|tracked| tracked.track.clone()).collect();
    assert_eq!(tracked, *status.config.tracks);
    assert_eq!(status.state == StateName::Fault, !status.faults.is_empty(), "{status:?}");
}

fn is_edge(from: StateName, to: StateName, cause: Cause) -> bool {
    use Cause as C;
    use StateName::{Active, Backup, Fault, Initialize};
    let electoral = matches!(
        cause,
        C::ActiveDownTimer | C::PeerPriorityZero | C::LocalPreempt | C::PreemptDelayExpired | C::AddressOwner
    );
    let faulty = matches!(
        cause,
        C::InterfaceChanged
            | C::AddressFailed
            | C::AddressConflict
            | C::CheckChanged
            | C::SyncGroup
            | C::ConfigReload
    );
    match (from, to) {
        // A wait that began with a fault ends with its cause.
        (Initialize, Backup) => faulty || cause == C::AgentStart,
        (Initialize | Fault, Active) => cause == C::AddressOwner,
        (Backup, Active) => electoral || matches!(cause, C::SyncGroup | C::AdminDrain),
        (Active, Backup) => matches!(
            cause,
            C::PeerHigherPriority
                | C::PeerEqualPriorityHigherAddress
                | C::AgentStalled
                | C::SyncGroup
                | C::AdminTransfer
        ),
        (Initialize | Backup | Active, Fault) | (Fault, Backup) => faulty,
        (Fault, Initialize) => faulty || cause == C::AgentStop,
        (Backup | Active, Initialize) => matches!(cause, C::AgentStop | C::ConfigReload),
        _ => false,
    }
}

/// Causes behind which an operator can stand.
fn is_electoral(cause: Cause) -> bool {
    use Cause as C;
    matches!(
        cause,
        C::PeerHigherPriority
            | C::PeerEqualPriorityHigherAddress
            | C::LocalPreempt
            | C::PreemptDelayExpired
            | C::AdminDrain
            | C::AdminTransfer
    )
}

#[test]
fn a_rival_that_fell_silent_during_a_handover_is_told_when_that_fails_and_leaves_no_deadline_behind() {
    let advert = |interval| Step::Advert { vrid: 0, priority: 1, host: 2, interval, damage: None };
    let handover = Step::Handover { vrid: 2, offered: true, limit: 1712, hold: None };
    Machine::after(&[Step::Wait(4805), advert(161), Step::Late(4100), handover, advert(1), Step::Wait(1712)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_happens_transitions_are_legal_and_deadlines_lie_ahead(
        steps in proptest::collection::vec(any_step(), 1..80),
    ) {
        let mut machine = Machine::after(&steps);
        machine.feed(Input::Stop);
        prop_assert!(machine.states.values().all(|state| *state == StateName::Initialize)
            || machine.states.len() > machine.engine.statuses().count());
        prop_assert_eq!(machine.engine.next_deadline(), None);
    }
}
