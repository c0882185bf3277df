//! The six guarantees of a watch (ordered, unique, reliable, atomic, resumable, bookmarkable) as a property: whatever happens to
//! connections, readers and agents in whatever order, a client that goes on from its tokens is told everything exactly once,
//! in order, and of what nobody has any more it is told exactly that.
//!
//! `HA_WATCH_SEEDS` = how many seeds (default 24), `HA_WATCH_FIRST` = the first of them (default 0), `HA_WATCH_SEED` = this one only.
//! A seed decides what is done in which order; how fast the parties are is the machine's.

mod judge;
mod plan;
mod watcher;
mod world;

use std::env;

use futures::StreamExt;

use plan::Plan;
use watcher::Watcher;
use world::World;

/// Why a run broke a guarantee.
type Broken = String;

/// How many runs go on side by side: they wait more than they work.
const AT_ONCE: usize = 8;

/// Seeds that found what the first ones do not: 105, records that the disk lost while a client was in the past.
const FOUND: [u64; 1] = [105];

async fn run(seed: u64) -> Result<Tally, Broken> {
    let plan = Plan::new(seed);
    let mut world = World::new(&plan).await;
    let mut watchers = Watcher::all();
    let mut tally = Tally::default();
    for (number, step) in plan.steps.iter().enumerate() {
        let told = |broken| format!("{broken}\nat step {number} of {plan:#?}");
        world.take(*step, &mut watchers).await.map_err(told)?;
    }
    for watcher in &mut watchers {
        watcher.catch_up(&world).await.map_err(|broken| format!("{broken}\nat the end of {plan:#?}"))?;
        tally.join(&watcher.seen);
    }
    world.end().await;
    Ok(tally)
}

/// What clients saw, so that a property that was never in danger is noticed.
#[derive(Debug, Default)]
struct Tally {
    events: u64,
    /// Told as lost.
    lost: u64,
    /// Streams that went on from a token.
    resumed: u64,
    bookmarks: u64,
    /// By reason.
    resyncs: [u64; 5],
}

impl Tally {
    fn join(&mut self, other: &Self) {
        self.events += other.events;
        self.lost += other.lost;
        self.resumed += other.resumed;
        self.bookmarks += other.bookmarks;
        self.resyncs.iter_mut().zip(other.resyncs).for_each(|(sum, one)| *sum += one);
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

fn seeds() -> Vec<u64> {
    if let Some(seed) = number("HA_WATCH_SEED") {
        return vec![seed];
    }
    let (first, count) = (number("HA_WATCH_FIRST").unwrap_or(0), number("HA_WATCH_SEEDS").unwrap_or(24));
    (first..first + count).chain(FOUND).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resumes_is_told_everything_once_and_in_order_or_exactly_what_is_gone() {
    let seeds = seeds();
    let runs = futures::stream::iter(seeds.clone()).map(async |seed| (seed, tokio::spawn(run(seed)).await));
    let runs: Vec<_> = runs.buffer_unordered(AT_ONCE).collect().await;
    let mut total = Tally::default();
    let mut failed = Vec::new();
    for (seed, outcome) in runs {
        match outcome.unwrap_or_else(|panicked| Err(panicked.to_string())) {
            Ok(tally) => total.join(&tally),
            Err(broken) => failed.push((seed, broken)),
        }
    }
    for (seed, broken) in &failed {
        println!("seed {seed}: {}", broken.lines().next().unwrap_or_default());
    }
    if let Some((seed, broken)) = failed.first() {
        panic!(
            "seed {seed}: {broken}\nto repeat it: HA_WATCH_SEED={seed} cargo nextest run -p ha-agent guarantees \
             --no-capture"
        );
    }
    println!("{} seeds from {:?}: {total:?}", seeds.len(), seeds.first());
    if seeds.len() >= 24 {
        let count = u64::try_from(seeds.len()).unwrap();
        let [_, expired, changed, _, unknown] = total.resyncs;
        for (what, seen, least) in [
            ("events", total.events, 500 * count),
            ("lost events", total.lost, 10 * count),
            ("resumed streams", total.resumed, 5 * count),
            ("bookmarks", total.bookmarks, count),
            ("expired tokens", expired, count / 12),
            ("tokens of forgotten lives", changed, count / 12),
            ("unknown ends", unknown, count / 12),
        ] {
            assert!(seen >= least, "only {seen} {what}, of {least}: {total:?}");
        }
    }
}
