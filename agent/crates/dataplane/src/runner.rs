//! The loop of the dataplane thread.
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::handle::{Command, Options, Shared, Withdrawn};
use crate::report::Report;

pub(crate) fn start(
    _options: Options,
    _queue: mpsc::Receiver<Command>,
    _stopped: mpsc::Receiver<oneshot::Sender<Withdrawn>>,
    _reports: mpsc::Sender<Report>,
    _shared: Arc<Shared>,
) -> Result<(), Error> {
    Err(Error::Internal("not yet built".into()))
}
