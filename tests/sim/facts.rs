//! Checks of the simulated nodes: their verdicts turn and come back, and what they are worth is known here as well, from
//! the table in TRACKING.md rather than from the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use ha_engine::{Fact, Input, InstanceConfig, Instant, Priority, Track, TrackEffect, Verdict};

use crate::trouble::Recovery;
use crate::world::{Failure, Item, World};
use ha_tests::Random;

/// Facts of each node.
const COUNT: usize = 4;
/// The fact whose passing is the trouble: tracked in reverse.
const REVERSED: usize = 2;

/// What is so on a node, and what its engine was told of it.
#[derive(Debug)]
pub(crate) struct Facts {
    truth: [(Verdict, i32); COUNT],
    /// What counts, by number; nothing before the first verdict.
    pub(crate) told: BTreeMap<usize, (Verdict, i32)>,
}

impl Default for Facts {
    fn default() -> Self {
        Self { truth: std::array::from_fn(good), told: BTreeMap::new() }
    }
}

fn good(fact: usize) -> (Verdict, i32) {
    (if fact == REVERSED { Verdict::Failing } else { Verdict::Passing }, 0)
}

fn name(fact: usize) -> Arc<str> {
    Arc::from(format!("checks/{fact}"))
}

/// Often nothing, else one to four facts in various ways.
pub(crate) fn draw_tracks(random: &mut Random) -> Arc<[Track]> {
    if random.chance(400) {
        return Arc::default();
    }
    let weight = random.pick(&[-120, -30, -5, 5, 30, 120]);
    let reverse = random.chance(300);
    let effects = [
        TrackEffect::Fault { reverse: false },
        TrackEffect::Weight { weight, reverse },
        TrackEffect::Fault { reverse: true },
        random.pick(&[
            TrackEffect::Value { factor: 3 },
            TrackEffect::Value { factor: -7 },
            TrackEffect::ValueFault,
        ]),
    ];
    let drawn = effects.into_iter().enumerate().filter(|_| random.chance(500));
    drawn.map(|(fact, effect)| Track { fact: name(fact), effect }).collect()
}

impl World {
    /// A check's verdict turns, and comes back after a while.
    pub(crate) fn turn_fact(&mut self, node: usize) -> Result<(), Failure> {
        let fact = self.random.index(COUNT);
        let verdict =
            self.random.pick(&[Verdict::Failing, Verdict::Failing, Verdict::Passing, Verdict::Unknown]);
        let value = i32::try_from(self.random.up_to(60)).unwrap();
        self.nodes[node].facts.truth[fact] = (verdict, value);
        let spell = self.spell();
        self.after(spell, Item::Recover(Recovery::Fact { node, fact }));
        let epoch = self.nodes[node].epoch;
        self.tell_fact(node, epoch, fact)
    }

    pub(crate) fn mend_fact(&mut self, node: usize, fact: usize) -> Result<(), Failure> {
        self.nodes[node].facts.truth[fact] = good(fact);
        let epoch = self.nodes[node].epoch;
        self.tell_fact(node, epoch, fact)
    }

    pub(crate) fn mend_facts(&mut self, node: usize) -> Result<(), Failure> {
        (0..COUNT).try_for_each(|fact| self.mend_fact(node, fact))
    }

    /// After a start the first verdicts come within two intervals.
    pub(crate) fn schedule_facts(&mut self, node: usize) {
        let epoch = self.nodes[node].epoch;
        let tracked = self.nodes[node].configs.iter().any(|config| !config.tracks.is_empty());
        for fact in (0..COUNT).filter(|_| tracked) {
            let delay = self.random.up_to(2 * self.plan.interval(0));
            self.after(delay, Item::Fact { node, epoch, fact });
        }
    }

    /// A node that does not run learns it when it starts.
    pub(crate) fn tell_fact(&mut self, node: usize, epoch: u64, fact: usize) -> Result<(), Failure> {
        if !self.nodes[node].runs() || self.nodes[node].epoch != epoch {
            return Ok(());
        }
        let (verdict, value) = self.nodes[node].facts.truth[fact];
        if verdict != Verdict::Unknown {
            self.nodes[node].facts.told.insert(fact, (verdict, value));
        }
        let told = Fact {
            name: name(fact),
            verdict,
            value: Some(value),
            damped: false,
            detail: Arc::from("simulated"),
            since: Instant::from_nanos(self.now),
        };
        self.handle(node, Input::Fact(told))
    }
}

impl Facts {
    /// What the priority must be, and whether a track means Fault.
    pub(crate) fn verdict(&self, config: &InstanceConfig, override_: Option<Priority>) -> (u8, bool) {
        let worths = config.tracks.iter().map(|track| self.worth(track));
        let (sum, faulty) =
            worths.fold((0, false), |(sum, faulty), (delta, fault)| (sum + delta, faulty || fault));
        if config.priority.is_owner() {
            return (255, faulty);
        }
        let base = i32::from(override_.unwrap_or(config.priority).get());
        (u8::try_from((base + sum).clamp(1, 254)).unwrap(), faulty)
    }

    fn worth(&self, track: &Track) -> (i32, bool) {
        let fact: usize = track.fact.rsplit('/').next().unwrap().parse().unwrap();
        let Some((verdict, value)) = self.told.get(&fact).copied() else { return (0, false) };
        let passing = verdict == Verdict::Passing;
        match track.effect {
            TrackEffect::Fault { reverse } => (0, passing == reverse),
            // keepalived.conf(5): + up, - down; reverse - up, + down.
            TrackEffect::Weight { weight, reverse } => match (weight > 0, reverse, passing) {
                (true, false, true) | (false, false, false) => (weight.into(), false),
                (true, true, true) | (false, true, false) => (-i32::from(weight), false),
                _ => (0, false),
            },
            TrackEffect::Value { factor } if factor * value <= -254 => (0, true),
            TrackEffect::Value { factor } => ((factor * value).min(253), false),
            TrackEffect::ValueFault => (0, value != 0),
        }
    }
}
