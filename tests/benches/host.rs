//! What the host did to this machine while something was measured: processor time that it took (steal), and the longest
//! time in which a core ran nothing, not even a thread of the highest priority. A run in which the machine stood still says
//! something about the host, not about who was measured.

use std::{
    fs, io,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ha_tests::{pin_this_thread, real_time};
use nix::unistd::{SysconfVar, sysconf};

/// Above every daemon's priority.
const HIGHEST: u8 = 99;
/// Below the watch's, above every daemon's.
const HIGH: u8 = 98;
/// How often a core is looked at.
const BEAT: Duration = Duration::from_millis(2);

/// A running observation.
#[derive(Debug)]
pub(crate) struct Watch {
    steal: Duration,
    end: Arc<AtomicBool>,
    cores: Vec<JoinHandle<Duration>>,
}

/// What was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Processor time that the host took, all cores together; the kernel's unit is 10 ms.
    pub(crate) steal: Duration,
    /// The longest pause of a core.
    pub(crate) pause: Duration,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let look = |core| {
            let end = Arc::clone(&end);
            thread::spawn(move || longest_pause(core, &end))
        };
        Self { steal: steal(), cores: (0..cores()).map(look).collect(), end }
    }

    pub(crate) fn end(self) -> Seen {
        self.end.store(true, Ordering::Relaxed);
        let pauses = self.cores.into_iter().map(|core| core.join().expect("a watch does not panic"));
        let pause = pauses.max().unwrap_or_default();
        Seen { steal: steal().saturating_sub(self.steal), pause }
    }
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn longest_pause(core: usize, end: &AtomicBool) -> Duration {
    // Without the priority it sees pauses that are none of the host's.
    let _ = pin_this_thread(core).and_then(|()| real_time(HIGHEST));
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while !end.load(Ordering::Relaxed) {
        thread::sleep(BEAT);
        let now = Instant::now();
        longest = longest.max((now - last).saturating_sub(BEAT));
        last = now;
    }
    longest
}

/// The eighth number of the first line of /proc/stat, in ticks.
fn steal() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat.split_whitespace().nth(8).and_then(|text| text.parse::<f64>().ok());
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_secs_f64(ticks.unwrap_or_default() / per_second as f64)
}

/// Stops all cores at once for everything below real-time priority 98, as a host does that lets a machine wait.
pub(crate) fn stand_still(time: Duration) -> io::Result<()> {
    let together = Arc::new(Barrier::new(cores()));
    let stop = |core| {
        let together = Arc::clone(&together);
        thread::spawn(move || {
            let ready = pin_this_thread(core).and_then(|()| real_time(HIGH));
            together.wait();
            let start = Instant::now();
            while ready.is_ok() && start.elapsed() < time {
                std::hint::spin_loop();
            }
            ready
        })
    };
    let cores: Vec<_> = (0..cores()).map(stop).collect();
    cores.into_iter().try_for_each(|core| core.join().expect("a loop does not panic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_sees_no_pause_longer_than_it_lasted() {
        let start = Instant::now();
        let watch = Watch::start();
        thread::sleep(Duration::from_millis(20));
        let seen = watch.end();
        assert!(seen.pause <= start.elapsed(), "{seen:?}");
    }
}
