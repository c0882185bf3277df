//! What a seed stands for: the kind of agent, and what is done to it and its clients.

use crate::random::Random;

/// Where history is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// In memory alone.
    Memory,
    /// On disk, and nothing happens faster than it is written.
    Disk,
    /// On disk, and sometimes more happens at once than memory holds until it is written.
    SlowDisk,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// So many events, one after the other.
    Happen(u64),
    /// So many events while this client reads.
    HappenWhileReading(u64, usize),
    /// More events than memory holds, and nobody reads.
    Flood,
    /// This client takes so many messages; it connects first when it has to, with its token.
    Read(usize, u64),
    /// The connection of this client breaks.
    Cut(usize),
    /// The agent ends in order and starts again.
    Restart,
    /// The agent is killed after so many more events that its disk never saw, and starts again.
    Kill(u64),
    /// The agent starts again without its history.
    Forget,
}

/// What a seed stands for.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) kept: Kept,
    /// Records in memory.
    pub(super) capacity: usize,
    pub(super) steps: Vec<Step>,
}

/// Clients in each run.
pub(super) const CLIENTS: usize = 4;

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let kept = random.pick(&[Kept::Memory, Kept::Disk, Kept::SlowDisk]);
        let capacity = usize::try_from(random.between(40, 400)).unwrap();
        let count = random.between(20, 45);
        let steps = (0..count).map(|_| step(&mut random)).collect();
        Self { kept, capacity, steps }
    }
}

fn step(random: &mut Random) -> Step {
    let client = usize::try_from(random.between(0, CLIENTS as u64 - 1)).unwrap();
    match random.between(0, 99) {
        0..20 => Step::Happen(random.between(1, 120)),
        20..30 => Step::HappenWhileReading(random.between(20, 300), client),
        30..38 => Step::Flood,
        38..72 => Step::Read(client, random.between(1, 12)),
        72..88 => Step::Cut(client),
        88..94 => Step::Restart,
        94..98 => Step::Kill(random.between(0, 30)),
        _ => Step::Forget,
    }
}
