//! One apply: from what differs to what is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::command::{self, Words};
use super::evidence::Snapshot;
use super::process::Master;
use super::slot::Slot;
use super::{Busy, Nginx, on_disk, text, watch};
use crate::{Applied, Desired, Error, Refusal};

/// nginx names one wrong place at a time. After so many tests the other pools are not tried one by one.
const MOST_TESTS: usize = 8;

type Pools = BTreeSet<Arc<str>>;
type Stored = BTreeMap<Arc<str>, Snapshot>;

/// What becomes of the pools in one apply.
pub(super) struct Turn<'nginx> {
    nginx: &'nginx Nginx,
    busy: Busy,
    wanted: BTreeMap<Arc<str>, String>,
    /// What differed and is stored anew.
    changed: Pools,
    /// Changes whose old file still lies beside: of this turn, and those that were found so.
    unsettled: Pools,
    /// Put back to what was before.
    restored: Pools,
    refused: Vec<Refusal>,
}

impl<'nginx> Turn<'nginx> {
    pub(super) fn new(nginx: &'nginx Nginx, busy: Busy, pools: &[Desired]) -> Result<Self, Error> {
        let mut wanted = BTreeMap::new();
        for desired in pools {
            let pool = desired.pool();
            let options = nginx.options.pools.get(pool);
            let options =
                options.ok_or_else(|| Error::Internal(format!("this nginx has no pool {pool:?}")))?;
            wanted.insert(pool.clone(), text::render(desired, options));
        }
        let (changed, unsettled, restored) = Default::default();
        Ok(Self { nginx, busy, wanted, changed, unsettled, restored, refused: Vec::new() })
    }

    pub(super) async fn run(mut self) -> Result<Applied, Error> {
        let stored = self.stored().await?;
        let unfinished = stored.iter().filter(|(_, found)| found.is_unfinished);
        self.unsettled = unfinished.map(|(pool, _)| pool.clone()).collect();
        let differs =
            |pool: &&Arc<str>| !stored.get(*pool).is_some_and(|found| found.has(&self.wanted[*pool]));
        let differing: Pools = self.wanted.keys().filter(differs).cloned().collect();
        if differing.is_empty() && self.is_in_force(&stored)? {
            return Ok(self.done(false));
        }
        self.store(differing).await?;
        let included = self.test().await?;
        let newly_included = self.nginx.memory().note_test(included);
        // Without a master the next start takes the files over. They stay unsettled: it may be reading the old ones just now.
        let master = Master::find(&self.nginx.options.pid_file)?;
        let stored = self.stored().await?;
        let must_reload = !newly_included.is_empty() || !self.are_proven(&stored, &master);
        if must_reload {
            self.reload(&master, &stored).await?;
        }
        self.settle().await?;
        Ok(self.done(must_reload))
    }

    /// What is stored. Pools whose files cannot be used are refused, or left alone when nobody asked for them.
    async fn stored(&mut self) -> Result<Stored, Error> {
        let mut usable = BTreeMap::new();
        for (pool, snapshot) in self.nginx.snapshots(Some(self.busy.clone())).await? {
            match snapshot {
                Ok(snapshot) => _ = usable.insert(pool, snapshot),
                Err(error) if self.wanted.remove(&pool).is_some() => {
                    self.refused.push(Refusal { pool, error })
                }
                Err(_) => {}
            }
        }
        Ok(usable)
    }

    /// Whether nothing is to be done, when what is stored is what is wanted.
    ///
    /// # Errors
    /// nginx does not run, or cannot be looked at, and all is ready for its next start.
    fn is_in_force(&self, stored: &Stored) -> Result<bool, Error> {
        if self.wanted.is_empty() && self.unsettled.is_empty() {
            return Ok(true);
        }
        let master = match Master::find(&self.nginx.options.pid_file) {
            Ok(master) => master,
            Err(error) if self.unsettled.is_empty() || self.nginx.memory().is_tested() => return Err(error),
            Err(_) => return Ok(false),
        };
        let is_any_unused = self.wanted.keys().any(|pool| self.nginx.memory().is_unused(pool));
        Ok(self.unsettled.is_empty() && !is_any_unused && self.are_proven(stored, &master))
    }

    /// Whether the workers have what is stored, of all pools that this turn is about and that nginx uses.
    fn are_proven(&self, stored: &Stored, master: &Master) -> bool {
        let workers = master.workers();
        let is_ours = |pool: &Arc<str>| {
            self.wanted.contains_key(pool) || self.unsettled.contains(pool) || self.restored.contains(pool)
        };
        stored.iter().filter(|(pool, _)| is_ours(pool)).all(|(pool, snapshot)| {
            self.nginx.memory().is_unused(pool) || self.nginx.is_proven(pool, snapshot, &workers)
        })
    }

    async fn store(&mut self, differing: Pools) -> Result<(), Error> {
        let text = |pool: Arc<str>| self.wanted.get(&pool).cloned().map(|text| (pool, text));
        let texts: BTreeMap<Arc<str>, String> = differing.into_iter().filter_map(text).collect();
        let pools = texts.keys().cloned().collect();
        let replace = move |pool: &Arc<str>, slot: &Slot| {
            texts.get(pool).map_or(Ok(()), |text| slot.replace(text.as_bytes()))
        };
        for (pool, result) in self.each(pools, replace).await? {
            match result {
                Ok(()) => {
                    self.unsettled.insert(pool.clone());
                    self.changed.insert(pool);
                }
                Err(error) => self.refused.push(Refusal { pool, error }),
            }
        }
        Ok(())
    }

    /// Lets nginx test its configuration with the new files in place. Puts back the pools that it refuses, and tests again,
    /// until it accepts. Returns the pools whose files it includes, if it tells.
    ///
    /// # Errors
    /// It accepts nothing, or could not be asked: all that this turn changed is put back.
    async fn test(&mut self) -> Result<Option<Pools>, Error> {
        let (words, timeout) = (self.test_words(), self.nginx.options.command_timeout);
        let mut tests = 0;
        loop {
            tests += 1;
            let ended = match command::run(&words, timeout).await {
                Ok(ended) if ended.status.success() => return self.included(ended.files).await,
                Ok(ended) => ended,
                Err(error) => {
                    self.restore(self.changed.clone()).await?;
                    return Err(error);
                }
            };
            let refuse = |pools: &[Arc<str>]| Error::Refused {
                program: words.program(),
                pools: pools.to_vec(),
                output: ended.complaint.clone(),
            };
            if self.unsettled.is_empty() {
                return Err(self.refusal_that_left_nothing().await?.unwrap_or_else(|| refuse(&[])));
            }
            let named = self.named(command::places(&ended.complaint)).await?;
            let guilty = if named.is_empty() || tests >= MOST_TESTS { self.unsettled.clone() } else { named };
            let refusal =
                |pool: &Arc<str>| Refusal { pool: pool.clone(), error: refuse(std::slice::from_ref(pool)) };
            self.refused.extend(guilty.iter().map(refusal));
            self.restore(guilty).await?;
        }
    }

    /// The refusal of a pool that had no file before. nginx now misses that file, which is not what was wrong.
    async fn refusal_that_left_nothing(&mut self) -> Result<Option<Error>, Error> {
        let stored = self.stored().await?;
        let left_nothing = |refusal: &Refusal| {
            let is_there = stored.get(&refusal.pool).is_some_and(|found| found.stored.is_some());
            self.restored.contains(&refusal.pool) && !is_there
        };
        let found = self.refused.iter().position(left_nothing);
        Ok(found.map(|at| self.refused.swap_remove(at).error))
    }

    fn test_words(&self) -> Words {
        let options = &self.nginx.options;
        if let Some(words) = &options.test {
            return Words::new(words);
        }
        let mut words = Words::new([&options.program]);
        words.push("-T");
        for (flag, path) in [("-p", &options.prefix), ("-c", &options.configuration)] {
            if let Some(path) = path {
                words.push(flag);
                words.push(path);
            }
        }
        words
    }

    /// The unsettled pools whose files these are.
    async fn named(&self, paths: Vec<PathBuf>) -> Result<Pools, Error> {
        let pools = self.unsettled.clone();
        self.same_files(pools, paths).await
    }

    /// The pools whose files nginx read; `None` when it did not say what it read.
    async fn included(&self, files: Vec<PathBuf>) -> Result<Option<Pools>, Error> {
        if files.is_empty() {
            return Ok(None);
        }
        let pools = self.nginx.slots.keys().cloned().collect();
        self.same_files(pools, files).await.map(Some)
    }

    /// Which of these pools' files are among the paths, whatever names lead to them.
    async fn same_files(&self, pools: Pools, paths: Vec<PathBuf>) -> Result<Pools, Error> {
        let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let slots = self.nginx.slots.clone();
        let find = move || {
            let paths: BTreeSet<PathBuf> = paths.iter().map(real).collect();
            let is_among = |pool: &Arc<str>| {
                slots.get(pool).is_some_and(|slot| paths.contains(&real(&slot.path().to_owned())))
            };
            pools.into_iter().filter(is_among).collect()
        };
        on_disk(Some(self.busy.clone()), find).await
    }

    async fn restore(&mut self, pools: Pools) -> Result<(), Error> {
        for (pool, result) in self.each(pools, |_, slot: &Slot| slot.restore()).await? {
            result?;
            self.changed.remove(&pool);
            self.unsettled.remove(&pool);
            self.restored.insert(pool);
        }
        Ok(())
    }

    async fn reload(&self, master: &Master, stored: &Stored) -> Result<(), Error> {
        let nginx = self.nginx;
        nginx.memory().forget();
        let workers = watch::reload(master, &nginx.options).await?;
        let is_used = |(pool, _): &(&Arc<str>, &Snapshot)| !nginx.memory().is_unused(pool);
        let text = |(pool, found): (&Arc<str>, &Snapshot)| Some((pool.clone(), found.stored.clone()?.text));
        let texts = stored.iter().filter(is_used).filter_map(text).collect();
        nginx.memory().note_watched(&workers, texts);
        Ok(())
    }

    /// All is in force: what was before is forgotten.
    async fn settle(&mut self) -> Result<(), Error> {
        let pools = std::mem::take(&mut self.unsettled);
        self.each(pools, |_, slot: &Slot| slot.settle()).await?.into_iter().try_for_each(|(_, result)| result)
    }

    /// Does the same with the files of some pools.
    async fn each(
        &self,
        pools: Pools,
        work: impl Fn(&Arc<str>, &Slot) -> Result<(), Error> + Send + 'static,
    ) -> Result<Vec<(Arc<str>, Result<(), Error>)>, Error> {
        if pools.is_empty() {
            return Ok(Vec::new());
        }
        let mut slots = self.nginx.slots.clone();
        slots.retain(|pool, _| pools.contains(pool));
        let work = move || {
            let done = |(pool, slot): (Arc<str>, Arc<Slot>)| (pool.clone(), work(&pool, &slot));
            slots.into_iter().map(done).collect()
        };
        on_disk(Some(self.busy.clone()), work).await
    }

    fn done(self, reloaded: bool) -> Applied {
        let is_unused = |pool: &&Arc<str>| self.nginx.memory().is_unused(pool);
        let written = self.changed.iter().filter(|pool| !is_unused(pool)).cloned().collect();
        let unused = self.wanted.keys().filter(is_unused).cloned().collect();
        Applied { written, reloaded, refused: self.refused, unused }
    }
}
