//! `DumpState`: the agent's own inner state, for a report about a fault in the agent. It is made entry by entry from what each thread
//! copies out in pieces, and sent as fast as the caller reads, within bounds of its own: one dump at a time, so many octets, so long.

mod sections;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use ha_proto::v1;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::error::{Reason, internal, refuse, refuse_for_now, stopping};
use super::shared::Shared;

/// Octets of one message, of a whole dump, and how long it may take.
const MOST_IN_MESSAGE: usize = 256 << 10;
const MOST_OCTETS: usize = 64 << 20;
const MOST_TIME: Duration = Duration::from_secs(60);

/// Messages that wait for the connection.
const WAITING: usize = 2;

type Messages = mpsc::Sender<Result<v1::DumpStateResponse, Status>>;

/// Something of the state: its section, its name within that, and its values.
pub(super) struct Entry {
    section: &'static str,
    name: String,
    values: Value,
}

impl Entry {
    fn new(section: &'static str, name: impl Into<String>, values: Value) -> Self {
        Self { section, name: name.into(), values }
    }
}

/// The caller has left, or the dump has all the octets that it may have.
struct Over;

/// Collects entries into messages.
struct Teller {
    messages: Messages,
    entries: Vec<v1::StateEntry>,
    octets: usize,
    total: usize,
    is_cut: bool,
}

impl Shared {
    /// Begins a dump.
    pub(super) fn dump(
        self: &Arc<Self>,
    ) -> Result<ReceiverStream<Result<v1::DumpStateResponse, Status>>, Status> {
        let place = Arc::clone(&self.dumps).try_acquire_owned().map_err(|_| {
            refuse_for_now(
                Reason::TooManyDumps,
                "another dump of the state is under way",
                "try again when it has ended",
                Duration::from_secs(5),
            )
        })?;
        let (messages, stream) = mpsc::channel(WAITING + 1);
        // One place is for why it ended early: a caller that has not read has left no other.
        let last = messages.clone().try_reserve_owned().map_err(|_| internal())?;
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let telling = tokio::time::timeout(MOST_TIME, shared.tell_all(messages));
            match shared.shutdown.run_until_cancelled(telling).await {
                // Cancelled when the agent stops: then the caller learns why.
                None => drop(last.send(Err(stopping()))),
                Some(Err(_)) => drop(last.send(Err(too_slow()))),
                Some(Ok(())) => {}
            }
            drop(place);
        });
        Ok(ReceiverStream::new(stream))
    }

    async fn tell_all(&self, messages: Messages) {
        let mut teller = Teller { messages, entries: Vec::new(), octets: 0, total: 0, is_cut: false };
        // Whether it was cut stands in the last message; a caller that has left reads neither.
        let _ = self.tell_sections(&mut teller).await;
        let _ = teller.send(true).await;
    }

    async fn tell_sections(&self, teller: &mut Teller) -> Result<(), Over> {
        let (vrrp, checks, pools) =
            tokio::join!(self.snapshots.view(), self.checks.view(), self.pools.view());
        teller.add(self.agent(vrrp.as_deref().ok())).await?;
        for entry in self.threads(&vrrp, &checks, &pools).chain(threads::of_the_process()) {
            teller.add(entry).await?;
        }
        let view = vrrp.as_deref().ok();
        let few =
            self.queues(view).into_iter().chain([self.history(), self.limits()]).chain(self.peers_known());
        for entry in few {
            teller.add(entry).await?;
        }
        if let Ok(checks) = &checks {
            teller.add(sections::monitor(&checks.snapshot)).await?;
        }
        if let Ok(pools) = &pools {
            for pool in &pools.snapshot.pools {
                teller.add(sections::pool(pool, pools.snapshot.at)).await?;
            }
        }
        if let Some(view) = view {
            for status in &view.snapshot.instances {
                teller.add(sections::instance(status, view.snapshot.at)).await?;
            }
        }
        Ok(())
    }
}

fn too_slow() -> Status {
    refuse(
        Reason::DeadlineExceeded,
        format!("the state was not read within {MOST_TIME:?}"),
        "read it as it comes, over a better connection or on the node itself",
    )
}

impl Teller {
    /// Adds an entry, and sends what is enough for a message. Waits while the caller reads.
    async fn add(&mut self, entry: Entry) -> Result<(), Over> {
        let json = entry.values.to_string();
        let octets = json.len() + entry.name.len() + entry.section.len();
        if self.total + octets > MOST_OCTETS {
            self.is_cut = true;
            return Err(Over);
        }
        self.total += octets;
        self.octets += octets;
        self.entries.push(v1::StateEntry { section: entry.section.to_owned(), name: entry.name, json });
        if self.octets >= MOST_IN_MESSAGE { self.send(false).await } else { Ok(()) }
    }

    async fn send(&mut self, complete: bool) -> Result<(), Over> {
        self.octets = 0;
        let entries = std::mem::take(&mut self.entries);
        let message =
            v1::DumpStateResponse { entries, complete: complete && !self.is_cut, truncated: self.is_cut };
        self.messages.send(Ok(message)).await.map_err(|_| Over)
    }
}
