//! A small fuzzer on stable Rust, for a bounded time and with a printed seed.
//!
//! It mutates known inputs and keeps those that reach something new. What counts as new is the target's own
//! answer (say, which error it gave), so no compiler instrumentation is needed.

use std::{
    collections::BTreeSet,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use nix::time::{ClockId, clock_gettime};

use crate::random::Random;

/// An input that takes longer is as bad as one that panics: processor time, so that what else runs on the machine fails nothing.
const SLOW: Duration = Duration::from_secs(2);

/// A fuzzer of one target.
#[derive(Debug)]
pub struct Fuzz {
    name: String,
    pool: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    largest: usize,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Inputs tried.
    pub runs: u64,
    /// Different answers of the target.
    pub answers: usize,
}

impl Fuzz {
    /// Begins from `seeds` and from the files of `tests/fuzz/corpus/<name>/`, among them all inputs that once failed.
    #[track_caller]
    pub fn new(name: &str, seeds: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut pool: Vec<Vec<u8>> = seeds.into_iter().collect();
        pool.extend(files_in(&folder("corpus", name)));
        assert!(!pool.is_empty(), "{name} has nothing to begin from");
        Self { name: name.to_owned(), pool, words: Vec::new(), largest: 4096 }
    }

    /// Words that inputs of this kind are made of.
    pub fn words(mut self, words: &[&str]) -> Self {
        self.words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self
    }

    /// The longest input to try, in octets; 4096 unless said.
    pub fn largest(mut self, largest: usize) -> Self {
        self.largest = largest;
        self
    }

    /// Runs `target` for `HA_FUZZ_SECONDS` (default 5) with the seed `HA_FUZZ_SEED` (default: of the day).
    ///
    /// The target returns a number that stands for what happened. Panics, with how to repeat it, when the target
    /// panics or takes too long; the input is kept in `tests/fuzz/crashes/<name>/`.
    #[track_caller]
    pub fn run(self, target: impl Fn(&[u8]) -> u64) -> Verdict {
        let time = Duration::from_secs(number("HA_FUZZ_SECONDS").unwrap_or(5));
        let seed = number("HA_FUZZ_SEED").unwrap_or_else(seed_of_now);
        println!(
            "{}: seed={seed}; to repeat: HA_FUZZ_SEED={seed} cargo nextest run -p ha-tests --test fuzz",
            self.name
        );
        self.run_with(seed, time, target)
    }

    #[track_caller]
    fn run_with(mut self, seed: u64, time: Duration, target: impl Fn(&[u8]) -> u64) -> Verdict {
        let mut random = Random::new(seed);
        let mut answers = BTreeSet::new();
        let begin = Instant::now();
        let mut runs = 0;
        let known = self.pool.clone();
        for input in &known {
            answers.insert(self.try_one(input, seed, &target));
            runs += 1;
        }
        while begin.elapsed() < time {
            let input = self.mutate(&mut random);
            runs += 1;
            if answers.insert(self.try_one(&input, seed, &target)) {
                self.pool.push(input);
            }
        }
        Verdict { runs, answers: answers.len() }
    }

    #[track_caller]
    fn try_one(&self, input: &[u8], seed: u64, target: impl Fn(&[u8]) -> u64) -> u64 {
        let begin = processor_time();
        let answer = catch_unwind(AssertUnwindSafe(|| target(input)));
        let taken = processor_time().saturating_sub(begin);
        let fault = match answer {
            Ok(answer) if taken < SLOW => return answer,
            Ok(_) => format!("took {taken:?} of a processor"),
            Err(_) => "panicked".to_owned(),
        };
        let kept = self.keep(input);
        panic!("{} {fault} (seed={seed}); the input is kept in {}", self.name, kept.display());
    }

    fn keep(&self, input: &[u8]) -> PathBuf {
        let folder = folder("crashes", &self.name);
        let sum = input.iter().fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let path = folder.join(format!("{sum:016x}"));
        // Best effort: the panic that follows matters more.
        let _ = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input));
        path
    }

    fn mutate(&self, random: &mut Random) -> Vec<u8> {
        let mut input = self.pool[random.index(self.pool.len())].clone();
        for _ in 0..=random.index(4) {
            self.mutate_once(&mut input, random);
        }
        input.truncate(self.largest);
        input
    }

    fn mutate_once(&self, input: &mut Vec<u8>, random: &mut Random) {
        const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\n', b'9'];
        let at = random.index(input.len() + 1);
        let to = at + random.index(input.len() + 1 - at);
        match random.index(8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..to)),
            2 => drop(input.splice(at..at, self.pool[random.index(self.pool.len())].clone())),
            3 => {
                let copy = input[at..to].to_vec();
                let place = random.index(input.len() + 1);
                drop(input.splice(place..place, copy));
            }
            4 if !self.words.is_empty() => {
                drop(input.splice(at..to, self.words[random.index(self.words.len())].clone()))
            }
            5 => input.insert(at, TELLING[random.index(TELLING.len())]),
            6 if at < input.len() => input[at] = TELLING[random.index(TELLING.len())],
            _ if at < input.len() => input[at] ^= 1 << random.index(8),
            _ => input.push(random.next() as u8),
        }
    }
}

fn folder(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(name)
}

fn files_in(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// What this thread has used.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("each thread has this clock").into()
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(20);

    #[test]
    #[should_panic(expected = "panicked (seed=7)")]
    fn a_panic_behind_three_steps_is_found() {
        let fuzz = Fuzz::new("self-test", [b"hello".to_vec()]).words(&["deep"]);
        fuzz.run_with(7, TIME, |input| {
            let depth = [b"deep".as_slice(), b"deepdeep", b"deepdeepdeep"];
            let reached =
                depth.iter().filter(|part| input.windows(part.len()).any(|window| window == **part)).count();
            let _ = fs::remove_dir_all(folder("crashes", "self-test"));
            assert!(reached < 3, "found");
            reached as u64
        });
    }

    #[test]
    fn the_same_seed_tries_the_same_inputs() {
        let tried = |seed| {
            let fuzz = Fuzz::new("self-test", [b"hello".to_vec()]);
            let mut random = Random::new(seed);
            (0..100).map(|_| fuzz.mutate(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(tried(3), tried(3));
        assert_ne!(tried(3), tried(4));
    }
}
