//! Rows while the agent runs: written before what they say is in force, gone after it has ended.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use ha_engine::{Cause, EventKind};
use tokio::time::sleep;

use super::restore::tell_not_forgotten;
use super::row::{About, Row};
use super::{Handle, Shared};
use crate::journal::store::{Changes, Intents, NotKept};
use crate::journal::{Entry, Read, Record};

/// What a change of an operator's makes of what survives.
#[derive(Debug, Default)]
pub(crate) struct Change {
    rows: BTreeMap<About, [Option<Row>; 2]>,
}

/// Changes that are being made, so that what is in force is not compared with the disk meanwhile.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    count: usize,
    /// Grows with each.
    begun: u64,
}

/// One of them; over when dropped.
struct Making<'a>(&'a Shared);

impl Change {
    /// What survives of one thing, before and after.
    pub(crate) fn of(about: About, before: Option<Row>, after: Option<Row>) -> Self {
        Self { rows: [(about, [before, after])].into() }
    }

    /// The same of one more thing.
    pub(crate) fn and(&mut self, about: About, before: Option<Row>, after: Option<Row>) {
        self.rows.insert(about, [before, after]);
    }

    /// Whether something is to survive after it.
    pub(crate) fn keeps(&self) -> bool {
        self.rows.values().any(|[_, after]| after.is_some())
    }

    fn ends(&self) -> bool {
        self.rows.values().any(|[before, _]| before.is_some())
    }

    fn before(&self, node: &str) -> Changes {
        self.rows
            .iter()
            .map(|(about, [before, _])| (about.name(), before.as_ref().map(|row| row.octets(node))))
            .collect()
    }

    fn after(&self, node: &str) -> Changes {
        self.rows
            .iter()
            .map(|(about, [_, after])| (about.name(), after.as_ref().map(|row| row.octets(node))))
            .collect()
    }
}

impl Handle {
    /// Makes a change, with what it makes of the disk: what is to survive is there before, what has ended goes after.
    ///
    /// # Errors
    /// [`NotKept`] when something is to survive and would not, or the disk does not say so within two seconds; then nothing was
    /// made.
    pub(crate) async fn around<T, E>(
        &self,
        rows: Change,
        change: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<T, E>, NotKept> {
        let _making = self.begin();
        if !rows.keeps() {
            let done = change.await;
            // What was not read yet must not come back either.
            if done.is_ok() && (rows.ends() || !self.is_read()) {
                self.forget(&rows).await;
            }
            return Ok(done);
        }
        self.keep(&rows).await?;
        let done = change.await;
        if done.is_err() {
            self.put_back(&rows);
            // What was before may have been changed since the caller looked.
            self.shared.doubt.notify_one();
        }
        Ok(done)
    }

    /// Whether something would survive, if it were to.
    ///
    /// # Errors
    /// [`NotKept`] when it would not.
    pub(crate) async fn check(&self) -> Result<(), NotKept> {
        self.keep(&Change::default()).await
    }

    async fn keep(&self, rows: &Change) -> Result<(), NotKept> {
        let Some(store) = &self.shared.store else {
            return Err(NotKept("nothing is kept on disk, [journal] enabled is false".into()));
        };
        let kept = store.keep(rows.after(self.node())).await;
        if kept.is_err() {
            // A disk that is only slow may take it yet.
            self.put_back(rows);
        }
        kept
    }

    async fn forget(&self, rows: &Change) {
        let Some(store) = &self.shared.store else { return };
        if let Err(error) = store.settle(rows.after(self.node())).await {
            for about in rows.rows.keys() {
                tell_not_forgotten(&self.shared.journal, about, &error);
            }
        }
    }

    /// As it was before a change that was not made, as soon as the disk lets it: whoever asked has waited long enough.
    fn put_back(&self, rows: &Change) {
        let before = rows.before(self.node());
        if let Some(store) = self.shared.store.as_ref().filter(|_| !before.is_empty())
            && !store.settle_soon(before)
        {
            self.shared.doubt.notify_one();
        }
    }

    fn begin(&self) -> Making<'_> {
        let mut under_way = self.under_way();
        if under_way.count > 0 {
            // Of the same thing, perhaps: then the disk may say in the end what the other one said.
            self.shared.doubt.notify_one();
        }
        under_way.count += 1;
        under_way.begun += 1;
        Making(&self.shared)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.shared.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares the disk with what is in force whenever something may have ended without anybody's change, or
    /// changes came into each other's way. For ever.
    pub(super) async fn watch(&self) {
        const CHUNK: usize = 256;
        /// What expires together is looked at together.
        const GATHER: Duration = Duration::from_millis(200);
        let mut reader = self.shared.journal.reader(0);
        loop {
            // Cancelled here or below when the agent ends: the next start compares, too.
            let may_differ = tokio::select! {
                read = reader.read(CHUNK) => match read {
                    Read::Records(records) => records.iter().any(|record| may_end_something(record)),
                    Read::Lagged(_) => true,
                },
                () = self.shared.doubt.notified() => true,
            };
            if !may_differ {
                continue;
            }
            sleep(GATHER).await;
            while !self.compare().await {
                sleep(GATHER).await;
            }
        }
    }

    /// Has the disk say what is in force; `false` = not now, somebody is changing that.
    async fn compare(&self) -> bool {
        let Some(store) = &self.shared.store else { return true };
        let begun = {
            let under_way = self.under_way();
            if under_way.count > 0 {
                return false;
            }
            under_way.begun
        };
        let Some(rows) = self.in_force().await else { return true };
        let under_way = self.under_way();
        // Under the lock, so that a change that begins now comes after it.
        under_way.count == 0 && under_way.begun == begun && store.replace(rows, About::is_known)
    }

    /// Everything in force that is to survive; `None` when the agent is ending.
    async fn in_force(&self) -> Option<Intents> {
        let shared = &self.shared;
        let instances = shared.driver.snapshot().await.ok()?;
        let checks = shared.checks.snapshot().await.ok()?;
        let pools = shared.pools.snapshot().await.ok()?;
        let mut rows: Vec<(About, Row)> = Vec::new();
        rows.extend(
            instances
                .drain
                .iter()
                .filter(|drain| drain.survives)
                .map(|drain| (About::Node, Row::of_order(drain))),
        );
        for status in &instances.instances {
            let own = status.override_.as_ref().filter(|own| own.order.survives);
            rows.extend(own.map(|own| (About::Instance(status.config.name.clone()), Row::of_override(own))));
        }
        for view in &checks.checks {
            let status = &view.status;
            let mute = status.mute.as_ref().filter(|mute| mute.survives);
            let row = mute.map(|mute| Row::of_mute(mute, status.verdict, status.value));
            rows.extend(row.map(|row| (About::Check(status.policy.name.clone()), row)));
        }
        for status in pools.pools.iter().map(|view| &view.status) {
            for server in &status.servers {
                let about = || About::Server(status.config.name.clone(), server.config.name.clone());
                let drain = server.drain.as_ref().filter(|drain| drain.survives);
                rows.extend(drain.map(|drain| (about(), Row::of_order(drain))));
            }
        }
        let read = shared.read.lock().unwrap_or_else(PoisonError::into_inner);
        let original = |about: &About, row: Row| match read.get(about) {
            Some(read) if read.is_of_the_same_wish(&row) => read.octets(self.node()),
            _ => row.octets(self.node()),
        };
        Some(rows.into_iter().map(|(about, row)| (about.name(), original(&about, row))).collect())
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner).count -= 1;
    }
}

/// Something expired, or another configuration counts.
fn may_end_something(record: &Record) -> bool {
    let Entry::Event(event) = &record.entry else { return false };
    event.cause == Cause::OverrideExpired || matches!(event.kind, EventKind::ConfigurationLoaded { .. })
}
