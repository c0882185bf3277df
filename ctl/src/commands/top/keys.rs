//! The keyboard: a thread that waits for keys, because a terminal cannot be waited for otherwise without more of the world.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use tokio::sync::mpsc;

/// How soon the thread notices that nobody wants keys any more.
const PAUSE: Duration = Duration::from_millis(50);

/// Keys, until it is dropped.
pub(super) struct Keys {
    keys: mpsc::Receiver<Option<KeyEvent>>,
    unwanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    pub(super) fn listen() -> Self {
        let (sender, keys) = mpsc::channel(64);
        let unwanted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&unwanted);
        let thread =
            std::thread::spawn(move || while !flag.load(Ordering::Relaxed) && listen(&sender).is_some() {});
        Keys { keys, unwanted, thread: Some(thread) }
    }

    /// The next key; a change of the terminal's size is none, and none at all comes when the terminal is gone.
    pub(super) async fn next(&mut self) -> Option<Option<KeyEvent>> {
        self.keys.recv().await
    }
}

/// Hands on what there is; `None` when it cannot.
fn listen(sender: &mpsc::Sender<Option<KeyEvent>>) -> Option<()> {
    if !event::poll(PAUSE).ok()? {
        return Some(());
    }
    let key = match event::read().ok()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => Some(key),
        Event::Resize(..) => None,
        _ => return Some(()),
    };
    match sender.try_send(key) {
        // Who types faster than the screen is drawn loses keys.
        Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Some(()),
        Err(mpsc::error::TrySendError::Closed(_)) => None,
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Nothing that it could panic about would change how hactl ends.
            let _ = thread.join();
        }
    }
}
