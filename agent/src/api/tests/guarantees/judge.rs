//! What a client was told, held against what happened.

use super::Broken;
use super::world::{Kind, Life, kind_of};

/// After the event of this sequence in this life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    /// Its number, from 0.
    pub(super) life: usize,
    pub(super) sequence: u64,
}

impl Place {
    /// What a token says.
    pub(super) fn of_token(lives: &[Life], token: &str) -> Result<Self, Broken> {
        let place = || {
            let (incarnation, sequence) = token.strip_prefix("a/")?.split_once('.')?;
            let life = lives.iter().position(|life| *life.incarnation == *incarnation)?;
            Some(Self { life, sequence: sequence.parse().ok()? })
        };
        place().ok_or_else(|| format!("resumable: the token {token:?} names no place"))
    }
}

/// What a client wants to hear of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wants {
    Everything,
    Changes,
    /// Its stream is made of bookmarks.
    Nothing,
}

impl Wants {
    pub(super) fn matches(self, kind: Kind) -> bool {
        match self {
            Self::Everything => true,
            Self::Changes => kind == Kind::Change,
            Self::Nothing => false,
        }
    }
}

/// Judges what one client is told.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) wants: Wants,
    /// Everything up to here was told, or told as lost.
    pub(super) at: Place,
    /// Told as lost on this connection: life, first and last sequence.
    ranges: Vec<(usize, u64, u64)>,
    /// How many were told as lost on this connection, and how many were not told.
    told_lost: u64,
    missed: u64,
    /// Told on this connection that the end of a life is not known.
    pub(super) end_is_unknown: bool,
}

impl Judge {
    pub(super) fn new(wants: Wants, at: Place) -> Self {
        Self { wants, at, ranges: Vec::new(), told_lost: 0, missed: 0, end_is_unknown: false }
    }

    /// What is said of losses counts for the connection on which it is said.
    pub(super) fn connected(&mut self) {
        *self = Self::new(self.wants, self.at);
    }

    /// An event is told.
    pub(super) fn told(&mut self, lives: &[Life], event: Place) -> Result<(), Broken> {
        if event <= self.at {
            return Err(format!("ordered, unique: {event:?} is told after {:?}", self.at));
        }
        if !self.wants.matches(kind_of(event.sequence)) {
            return Err(format!("{event:?} is told, which does not match {:?}", self.wants));
        }
        if event.sequence > lives[event.life].newest {
            return Err(format!("{event:?} is told, which never happened"));
        }
        self.pass(lives, Place { sequence: event.sequence - 1, ..event })?;
        self.at = event;
        Ok(())
    }

    /// A range is told as lost.
    pub(super) fn lost(&mut self, life: usize, first: u64, last: u64, count: u64) -> Result<(), Broken> {
        if first > last || count == 0 || count > last - first + 1 {
            return Err(format!("reliable: {count} of {first}..={last} are told as lost"));
        }
        self.ranges.push((life, first, last));
        self.told_lost += count;
        Ok(())
    }

    /// It is said that everything up to here was told: what was not must have been told as lost.
    pub(super) fn pass(&mut self, lives: &[Life], to: Place) -> Result<(), Broken> {
        if to < self.at {
            // What a killed agent told and its disk never saw comes from no token.
            let killed_at = lives[to.life].killed_at;
            let is_all_there_is = to.life == self.at.life && killed_at == Some(to.sequence);
            return if is_all_there_is {
                Ok(())
            } else {
                Err(format!("resumable: a token goes back to {to:?} from {:?}", self.at))
            };
        }
        if lives[to.life].lineage != lives[self.at.life].lineage {
            return Err(format!("reliable: from {:?} to {to:?} without a word", self.at));
        }
        for life in self.at.life..=to.life {
            let first = if life == self.at.life { self.at.sequence + 1 } else { 1 };
            let last = if life == to.life { to.sequence } else { lives[life].newest };
            for sequence in first..=last {
                self.miss(lives, Place { life, sequence })?;
            }
        }
        self.at = to;
        Ok(())
    }

    fn miss(&mut self, lives: &[Life], event: Place) -> Result<(), Broken> {
        let told = |(life, first, last): &(usize, u64, u64)| {
            *life == event.life && (*first..=*last).contains(&event.sequence)
        };
        let killed_at = lives[event.life].killed_at;
        if self.end_is_unknown && killed_at.is_some_and(|known| event.sequence > known) {
            return Ok(());
        }
        let is_told = self.ranges.iter().any(told);
        self.missed += u64::from(is_told);
        if is_told || !self.wants.matches(kind_of(event.sequence)) {
            return Ok(());
        }
        Err(format!("reliable: {event:?} was never told, told as lost are {:?}", self.ranges))
    }

    /// The client begins anew from a snapshot that contains everything up to here.
    pub(super) fn begin_anew(&mut self, at: Place) {
        let at = at.max(self.at);
        *self = Self { end_is_unknown: self.end_is_unknown, ..Self::new(self.wants, at) };
    }

    /// Everything that happened has been told: so the losses that were told are exactly what is missing.
    pub(super) fn caught_up(&self) -> Result<(), Broken> {
        if self.wants == Wants::Everything && self.told_lost != self.missed {
            return Err(format!("exact: {} are told as lost, {} are", self.told_lost, self.missed));
        }
        Ok(())
    }
}
