//! `--exec`: a command of the user's for each event, one after the other, in the order in which they are printed.
//!
//! What happened is in its environment and, as JSON, on its standard input, and never in its words: nothing that a node
//! says can become a command.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::model::EventView;
use crate::render::{clean, utc};

/// How many events may wait for the command.
const QUEUE: usize = 4096;

/// What the command is told of one event.
struct Order {
    label: String,
    json: String,
    environment: Vec<(&'static str, String)>,
}

/// A command that runs for each event.
pub(super) struct Exec {
    orders: Option<SyncSender<Order>>,
    worker: JoinHandle<u64>,
    lost: u64,
}

impl Exec {
    /// Begins to wait for events.
    pub(super) fn start(command: &str) -> Self {
        let (orders, waiting) = sync_channel(QUEUE);
        let command = command.to_owned();
        let worker = std::thread::spawn(move || work(&command, &waiting));
        Exec { orders: Some(orders), worker, lost: 0 }
    }

    /// Has the command run for this event. When too many wait already, it is left out and counted.
    pub(super) fn run(&mut self, event: &EventView) {
        let Some(orders) = &self.orders else { return };
        match orders.try_send(Order::new(event)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.lost += 1,
        }
    }

    /// As [`Exec::run`], and waits while too many wait already.
    pub(super) fn run_patiently(&mut self, event: &EventView) {
        if let Some(orders) = &self.orders
            && orders.send(Order::new(event)).is_err()
        {
            self.lost += 1;
        }
    }

    /// Waits until the command has run for all events, for `patience` at most.
    ///
    /// # Errors
    /// When events were left out, the command failed for some, or it did not end.
    pub(super) fn finish(mut self, patience: Duration) -> Result<(), Failure> {
        self.orders.take();
        let until = Instant::now() + patience;
        while !self.worker.is_finished() {
            if Instant::now() >= until {
                let message =
                    format!("--exec: the command still runs, or waits for events, after {patience:?}");
                let remedy = "allow more with --timeout, or make the command quicker";
                return Err(Failure::local(Exit::Timeout, "DEADLINE_EXCEEDED", "EXEC_SLOW", message, remedy));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let failed = self.worker.join().map_err(|_| Failure::internal("the thread of --exec panicked"))?;
        if self.lost > 0 {
            let message = format!("--exec: the command did not run for {} events: it is too slow", self.lost);
            let remedy = "make the command quicker, or narrow the events down with --type, --vip or --cause";
            return Err(Failure::local(Exit::StreamLost, "DATA_LOSS", "EXEC_LAGGED", message, remedy));
        }
        match failed {
            0 => Ok(()),
            count => {
                let message = format!("--exec: the command failed for {count} events, as said above");
                Err(Failure::local(Exit::Internal, "UNKNOWN", "EXEC_FAILED", message, ""))
            }
        }
    }
}

impl Order {
    fn new(event: &EventView) -> Self {
        let time = event.corrected_time.map(utc).unwrap_or_default();
        let environment = [
            ("HACTL_EVENT_NAME", &event.name),
            ("HACTL_EVENT_NODE", &event.node),
            ("HACTL_EVENT_TIME", &time),
            ("HACTL_EVENT_TYPE", &event.kind),
            ("HACTL_EVENT_SUBJECT", &event.subject),
            ("HACTL_EVENT_PREVIOUS_STATE", &event.previous_state),
            ("HACTL_EVENT_CURRENT_STATE", &event.current_state),
            ("HACTL_EVENT_CAUSE", &event.cause),
            ("HACTL_EVENT_MESSAGE", &event.message),
        ];
        Order {
            label: event.label(),
            // A view is made of texts and numbers, which JSON has.
            json: serde_json::to_string(event).unwrap_or_default() + "\n",
            environment: environment.map(|(name, value)| (name, clean(value).into_owned())).into(),
        }
    }
}

/// Runs the command for each order; gives how often it failed.
fn work(command: &str, orders: &Receiver<Order>) -> u64 {
    let mut failed = 0;
    for order in orders {
        if let Err(error) = execute(command, &order) {
            failed += 1;
            // Nobody can be told when standard error is closed.
            let _ = writeln!(std::io::stderr(), "exec: {} on {}: {error}", clean(command), order.label);
        }
    }
    failed
}

fn execute(command: &str, order: &Order) -> Result<(), String> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).envs(order.environment.iter().map(|(name, value)| (name, value)));
    let mut child = shell.stdin(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read what it is told is none of our business.
        let _ = stdin.write_all(order.json.as_bytes());
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}
