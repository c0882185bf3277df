//! The bounded queue between those who log and the thread that writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Writes one line or one journal entry; may block.
pub(super) type Write = Box<dyn FnMut(&[u8]) -> io::Result<()> + Send>;

/// Lines that may wait.
pub(super) const CAPACITY: usize = 4096;

/// Octets of a line; what is longer is cut, so that a full queue has a known size.
pub(super) const LINE_LIMIT: usize = 16 * 1024;

enum Message {
    Line(Box<[u8]>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// The thread only writes lines, and all memory is locked.
const STACK: usize = 256 << 10;

/// The writing end's owner.
#[derive(Debug)]
pub(super) struct Sink {
    queue: Queue,
}

/// Takes lines. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Sink {
    /// Starts the thread; it ends with the last [`Queue`].
    pub(super) fn start(write: Write) -> io::Result<(Self, Queue)> {
        let (sender, receiver) = sync_channel(CAPACITY);
        let queue = Queue { sender, lost: Arc::default() };
        let lost = Arc::clone(&queue.lost);
        let thread = std::thread::Builder::new().name("log".into()).stack_size(STACK);
        thread.spawn(move || run(&receiver, write, &lost))?;
        Ok((Self { queue: queue.clone() }, queue))
    }

    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.queue.lost)
    }

    /// Waits until what came before is written, at most `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        if self.queue.sender.try_send(Message::Flush(done)).is_ok() {
            // Late is as good as never: the process ends.
            let _ = written.recv_timeout(limit);
        }
    }
}

impl Queue {
    /// Hands over a line, or counts it as lost.
    pub(super) fn push(&self, line: &[u8]) {
        let cut = line.get(..LINE_LIMIT).unwrap_or(line);
        let mut line = cut.to_vec();
        if cut.len() == LINE_LIMIT {
            line.push(b'\n');
        }
        if self.sender.try_send(Message::Line(line.into())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The formatting layer writes each event with one call.
impl io::Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn run(receiver: &Receiver<Message>, mut write: Write, lost: &AtomicU64) {
    while let Ok(message) = receiver.recv() {
        match message {
            Message::Line(line) => {
                // Nowhere to complain to: the line counts as lost.
                if write(&line).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Message::Flush(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.try_send(());
            }
        }
    }
}
