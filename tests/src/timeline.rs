//! Who answered for an address, and when: segments, overlaps and gaps. Pure; the prober feeds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, SystemTime},
};

use crate::Mac;

/// One question and the answers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// When it was sent.
    pub sent: SystemTime,
    /// Who answered before the next question, and when.
    pub answers: Vec<(SystemTime, Mac)>,
}

/// A time during which one MAC answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Who.
    pub mac: Mac,
    /// Its first answer.
    pub from: SystemTime,
    /// Its last answer.
    pub to: SystemTime,
    /// How many answers.
    pub answers: usize,
}

/// A time during which two MACs answered: two holders of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The two.
    pub macs: [Mac; 2],
    /// From when.
    pub from: SystemTime,
    /// How long; true to one probing interval.
    pub duration: Duration,
}

/// A time during which nobody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The last question that was answered, or the first of all.
    pub from: SystemTime,
    /// Until the next question that was answered, or the last of all.
    pub duration: Duration,
}

/// All questions for one address, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    probes: Vec<Probe>,
}

impl Timeline {
    /// From questions in the order of their sending.
    pub fn new(probes: Vec<Probe>) -> Self {
        Self { probes }
    }

    /// The questions.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// The part from `from` on.
    pub fn since(&self, from: SystemTime) -> Self {
        Self { probes: self.probes.iter().filter(|probe| probe.sent >= from).cloned().collect() }
    }

    /// Everyone who ever answered.
    pub fn answerers(&self) -> BTreeSet<Mac> {
        self.probes.iter().flat_map(|probe| probe.answers.iter().map(|(_, mac)| *mac)).collect()
    }

    /// Who answered the last question that was answered.
    pub fn last_answerers(&self) -> BTreeSet<Mac> {
        let last = self.probes.iter().rev().find(|probe| !probe.answers.is_empty());
        last.into_iter().flat_map(|probe| probe.answers.iter().map(|(_, mac)| *mac)).collect()
    }

    /// When each MAC answered, in the order of first answers. One unanswered question does not end a segment:
    /// a single frame may be lost to the observer.
    pub fn segments(&self) -> Vec<Segment> {
        let mut open: BTreeMap<Mac, (usize, Segment)> = BTreeMap::new();
        let mut done = Vec::new();
        for (number, probe) in self.probes.iter().enumerate() {
            for &(at, mac) in &probe.answers {
                match open.get_mut(&mac) {
                    Some((last, segment)) if number - *last <= 2 => {
                        (*last, segment.to) = (number, at);
                        segment.answers += 1;
                    }
                    _ => {
                        let fresh = (number, Segment { mac, from: at, to: at, answers: 1 });
                        done.extend(open.insert(mac, fresh).map(|(_, segment)| segment));
                    }
                }
            }
        }
        done.extend(open.into_values().map(|(_, segment)| segment));
        done.sort_by_key(|segment| (segment.from, segment.mac));
        done
    }

    /// Times with two holders.
    pub fn overlaps(&self) -> Vec<Overlap> {
        let segments = self.segments();
        let mut found = Vec::new();
        for (number, one) in segments.iter().enumerate() {
            for other in segments[number + 1..].iter().filter(|other| other.mac != one.mac) {
                let (from, to) = (one.from.max(other.from), one.to.min(other.to));
                if let Ok(duration) = to.duration_since(from) {
                    found.push(Overlap { macs: [one.mac, other.mac], from, duration });
                }
            }
        }
        found
    }

    /// The longest time with two holders; zero when there never were two.
    pub fn longest_overlap(&self) -> Duration {
        self.overlaps().iter().map(|overlap| overlap.duration).max().unwrap_or_default()
    }

    /// Times without a holder, of two unanswered questions or more.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut found = Vec::new();
        let mut before: Option<SystemTime> = None;
        let mut missed: Option<(SystemTime, usize)> = None;
        for probe in &self.probes {
            if probe.answers.is_empty() {
                let (from, count) = missed.unwrap_or((before.unwrap_or(probe.sent), 0));
                missed = Some((from, count + 1));
                continue;
            }
            found.extend(gap(missed.take(), probe.sent));
            before = Some(probe.sent);
        }
        found.extend(self.probes.last().and_then(|last| gap(missed, last.sent)));
        found
    }

    /// The longest time without a holder; zero when there never was one.
    pub fn longest_gap(&self) -> Duration {
        self.gaps().iter().map(|gap| gap.duration).max().unwrap_or_default()
    }
}

fn gap(missed: Option<(SystemTime, usize)>, until: SystemTime) -> Option<Gap> {
    let (from, count) = missed?;
    (count >= 2).then(|| Gap { from, duration: until.duration_since(from).unwrap_or_default() })
}

/// One line per segment and overlap, in milliseconds since the first question.
impl fmt::Display for Timeline {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.probes.first() else { return writeln!(out, "no questions asked") };
        let since = |time: SystemTime| time.duration_since(first.sent).unwrap_or_default().as_millis();
        for Segment { mac, from, to, answers } in self.segments() {
            writeln!(out, "{:>8} .. {:>8} ms  {mac}  {answers} answers", since(from), since(to))?;
        }
        for Overlap { macs: [one, other], from, duration } in self.overlaps() {
            writeln!(
                out,
                "{:>8} ms: {one} and {other} both answer for {} ms",
                since(from),
                duration.as_millis()
            )?;
        }
        for Gap { from, duration } in self.gaps() {
            writeln!(out, "{:>8} ms: nobody answers for {} ms", since(from), duration.as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    /// One question each 50 ms; each letter says who answers it: A, B, both (2), nobody (-).
    fn timeline(answers: &str) -> Timeline {
        let probe = |(number, letter): (usize, char)| {
            let sent = SystemTime::UNIX_EPOCH + Duration::from_millis(50 * number as u64);
            let macs: &[Mac] = match letter {
                'A' => &[A],
                'B' => &[B],
                '2' => &[A, B],
                _ => &[],
            };
            Probe { sent, answers: macs.iter().map(|mac| (sent, *mac)).collect() }
        };
        Timeline::new(answers.chars().enumerate().map(probe).collect())
    }

    #[test]
    fn a_clean_takeover_is_two_segments_a_gap_and_no_overlap() {
        let timeline = timeline("AAAA---BBBB");
        let macs: Vec<Mac> = timeline.segments().iter().map(|segment| segment.mac).collect();
        assert_eq!(macs, [A, B]);
        assert_eq!(timeline.overlaps(), []);
        assert_eq!(timeline.longest_gap(), Duration::from_millis(200));
        assert_eq!(timeline.last_answerers(), [B].into());
    }

    #[test]
    fn two_holders_are_an_overlap_as_long_as_both_answer() {
        let timeline = timeline("AAA2222BB");
        assert_eq!(timeline.overlaps().len(), 1);
        assert_eq!(timeline.longest_overlap(), Duration::from_millis(150));
        assert_eq!(timeline.longest_gap(), Duration::ZERO);
    }

    #[test]
    fn one_lost_answer_ends_nothing() {
        let timeline = timeline("AA-AA");
        assert_eq!(timeline.segments().len(), 1);
        assert_eq!(timeline.gaps(), []);
    }

    #[test]
    fn a_holder_that_comes_back_has_two_segments() {
        assert_eq!(timeline("AAA---BBB---AAA").segments().len(), 3);
    }

    #[test]
    fn silence_until_the_end_is_a_gap() {
        assert_eq!(timeline("AA---").longest_gap(), Duration::from_millis(150));
        assert_eq!(timeline("---").longest_gap(), Duration::from_millis(100));
    }
}
