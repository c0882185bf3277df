//! Requests to the kernel and what it has, side by side: after a request the cache is fresh again, because rtnetlink has
//! queued the notifications before it acknowledges (but for new IPv6 addresses, which are read).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::error::Error;
use crate::handle::Options;
use crate::monitor::{Monitor, RECEIVE_BUFFER};
use crate::netlink::batch::Transactor;
use crate::netlink::decode::Rejection;
use crate::netlink::encode::Request;
use crate::observed::Observed;

/// The kernel's links and addresses, to read and to change.
#[derive(Debug)]
pub(crate) struct Kernel {
    transactor: Transactor,
    /// For renewals alone: the monitor does not hear of its changes, which change nothing that is looked at.
    renewer: Transactor,
    monitor: Monitor,
    /// What it has.
    pub(crate) observed: Observed,
    /// The cache may be wrong: read everything at the next occasion.
    is_stale: bool,
    troubles: Vec<Arc<str>>,
}

impl Kernel {
    /// Opens the sockets and reads everything once.
    pub(crate) fn open(options: &Options) -> Result<Self, Error> {
        Self::with_buffer(options, RECEIVE_BUFFER)
    }

    fn with_buffer(options: &Options, buffer: usize) -> Result<Self, Error> {
        let mut transactor = Transactor::new(options.timeout)?;
        let renewer = Transactor::new(options.timeout)?;
        let monitor = Monitor::new(buffer, renewer.port()?)?;
        let mut observed = Observed::default();
        observed.replace(transactor.dump()?);
        Ok(Self { transactor, renewer, monitor, observed, is_stale: false, troubles: Vec::new() })
    }

    /// A second descriptor of the notification socket, to wait on.
    pub(crate) fn readiness(&self) -> std::io::Result<OwnedFd> {
        self.monitor.as_fd().try_clone_to_owned()
    }

    /// Takes in all notifications that wait; reads everything when some were lost.
    pub(crate) fn refresh(&mut self) {
        self.drain();
        if self.is_stale {
            self.read_everything();
        }
    }

    /// Reads everything, whatever the notifications said.
    pub(crate) fn read_everything(&mut self) {
        match self.transactor.dump() {
            Ok(changes) => {
                self.is_stale = false;
                self.observed.replace(changes);
                // What waits now is partly older than the dump; repeating it in order ends where the kernel is.
                self.drain();
            }
            Err(error) => {
                self.is_stale = true;
                self.trouble(error.to_string());
            }
        }
    }

    /// Reads IPv6 addresses: the kernel has a new one at once but tells of it later, from a work queue.
    pub(crate) fn read_new_ipv6_addresses(&mut self) {
        match self.transactor.dump_ipv6_addresses() {
            Ok(changes) => {
                changes.into_iter().for_each(|change| self.observed.apply(change));
                self.refresh();
            }
            Err(error) => {
                self.is_stale = true;
                self.trouble(error.to_string());
            }
        }
    }

    /// Carries out requests and takes in what they changed.
    ///
    /// # Errors
    /// When their outcome is not known; then everything is read again.
    pub(crate) fn execute(&mut self, requests: &[Request]) -> Result<Vec<Result<(), Rejection>>, Error> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let outcome = self.transactor.execute(requests);
        self.is_stale |= outcome.is_err();
        self.refresh();
        outcome
    }

    /// Carries out renewals written before; gives those that were refused. What has gone meanwhile comes back by one, unheard;
    /// it goes with its lease.
    ///
    /// # Errors
    /// When their outcome is not known; then everything is read again.
    pub(crate) fn renew(&mut self, octets: &[u8]) -> Result<Vec<Rejection>, Error> {
        let outcome = self.renewer.send_written(octets);
        self.is_stale |= outcome.is_err();
        outcome
    }

    /// Whether reading failed, so that it must be tried again.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Something for the log.
    pub(crate) fn trouble(&mut self, text: impl Into<Arc<str>>) {
        self.troubles.push(text.into());
    }

    pub(crate) fn take_troubles(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.troubles)
    }

    fn drain(&mut self) {
        match self.monitor.drain(|change| self.observed.apply(change)) {
            Ok(false) => {}
            Ok(true) => {
                self.is_stale = true;
                self.trouble("notifications of the kernel were lost; reading everything again");
            }
            Err(error) => {
                self.is_stale = true;
                self.trouble(format!("cannot read notifications of the kernel: {error}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
