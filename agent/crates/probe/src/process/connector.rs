//! One listener on the kernel's proc connector for all process checks, in a thread of its own that lives as long as somebody
//! subscribes. A flood of new processes costs it time, but nobody else: what it cannot keep up with becomes one request to
//! look at everything again.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use netlink_sys::{Socket, SocketAddr};
use socket2::{SockFilter, SockRef};
use tokio::sync::Notify;

use super::events::{FILTER, Happening, listen_request};
use super::{Matching, table};

/// One check's share of what the connector tells.
#[derive(Debug)]
pub(super) struct Subscription {
    matching: Matching,
    state: Mutex<State>,
    notify: Notify,
    /// Keeps the listener alive.
    hub: Arc<Hub>,
}

#[derive(Debug, Default)]
struct State {
    /// The processes that are counted now: their children begin as they are, and a change of theirs matters.
    members: BTreeSet<i32>,
    news: News,
}

/// What the connector told since it was asked last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Processes that may be meant now, or no longer.
    pub(super) processes: BTreeSet<i32>,
    /// Something was lost: everything has to be looked at again.
    pub(super) is_incomplete: bool,
}

/// More news than that are a request to look at everything.
const MOST_NEWS: usize = 1024;

#[derive(Debug, Default)]
struct Hub {
    subscribers: Mutex<Vec<Weak<Subscription>>>,
}

static HUB: Mutex<Weak<Hub>> = Mutex::new(Weak::new());

impl Subscription {
    /// Blocks for a moment when it is the first.
    ///
    /// # Errors
    /// Why the kernel does not tell of new processes here, as half a sentence.
    pub(super) fn new(matching: Matching) -> Result<Arc<Self>, String> {
        let mut shared = lock(&HUB);
        let hub = match shared.upgrade() {
            Some(hub) => hub,
            None => {
                let hub = Arc::new(Hub::default());
                hub.listen()?;
                *shared = Arc::downgrade(&hub);
                hub
            }
        };
        drop(shared);
        let state = Mutex::default();
        let subscription = Arc::new(Self { matching, state, notify: Notify::new(), hub });
        lock(&subscription.hub.subscribers).push(Arc::downgrade(&subscription));
        Ok(subscription)
    }

    /// Says which processes are counted now.
    pub(super) fn set_members(&self, members: impl Iterator<Item = i32>) {
        lock(&self.state).members = members.collect();
    }

    /// Waits for news. Cancelled, they are there the next time.
    pub(super) async fn news(&self) -> News {
        loop {
            let news = std::mem::take(&mut lock(&self.state).news);
            if news != News::default() {
                return news;
            }
            self.notify.notified().await;
        }
    }

    fn hear(&self, happening: Happening) {
        let mut state = lock(&self.state);
        let process = match happening {
            Happening::Forked { parent, child } if state.members.contains(&parent) => child,
            Happening::Changed(process) if state.members.contains(&process) => process,
            // Outside of the lock, because it reads files.
            Happening::Changed(process) => {
                drop(state);
                if table::look(process, &self.matching).is_none() {
                    return;
                }
                state = lock(&self.state);
                process
            }
            _ => return,
        };
        state.news.processes.insert(process);
        if state.news.processes.len() > MOST_NEWS {
            state.news = News { is_incomplete: true, ..News::default() };
        }
        drop(state);
        self.notify.notify_one();
    }

    fn lose(&self) {
        lock(&self.state).news.is_incomplete = true;
        self.notify.notify_one();
    }
}

impl Hub {
    /// Opens the socket, makes sure that the kernel tells us, and starts the thread.
    fn listen(self: &Arc<Self>) -> Result<(), String> {
        let socket = open()?;
        let hub = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("proc-connector".to_owned());
        let started = thread.spawn(move || serve(&socket, &hub));
        started
            .map(|_| ())
            .map_err(|error| format!("no thread to listen with: {}", crate::errno::words(&error)))
    }

    fn subscribers(&self) -> Vec<Arc<Subscription>> {
        let mut subscribers = lock(&self.subscribers);
        subscribers.retain(|subscriber| subscriber.strong_count() > 0);
        subscribers.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Number of the protocol in linux/netlink.h.
const NETLINK_CONNECTOR: isize = 11;
/// Room for the processes of a busy second.
const RECEIVE_BUFFER: usize = 1 << 20;
/// How often the thread looks whether it is still wanted.
const TURN: Duration = Duration::from_millis(500);

fn open() -> Result<Socket, String> {
    let fail = |error: io::Error| crate::errno::words(&error);
    let mut socket = Socket::new(NETLINK_CONNECTOR).map_err(fail)?;
    let filter = FILTER
        .map(|(code, jump_true, jump_false, operand)| SockFilter::new(code, jump_true, jump_false, operand));
    let options = SockRef::from(&socket);
    options.attach_filter(&filter).map_err(fail)?;
    options.set_recv_buffer_size(RECEIVE_BUFFER).map_err(fail)?;
    options.set_read_timeout(Some(TURN)).map_err(fail)?;
    socket.bind(&SocketAddr::new(0, 1)).map_err(|error| match error.raw_os_error() {
        Some(libc::EPERM) => "the proc connector needs CAP_NET_ADMIN".to_owned(),
        _ => fail(error),
    })?;
    let mut own = SocketAddr::new(0, 0);
    socket.get_address(&mut own).map_err(fail)?;
    let sent = socket.send(&listen_request(own.port_number()), 0);
    sent.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "the proc connector is in the first network namespace only".to_owned()
        }
        _ => fail(error),
    })?;
    await_answer(&socket)?;
    Ok(socket)
}

/// A kernel that does not answer takes us for somebody in a container, and would never tell us anything.
fn await_answer(socket: &Socket) -> Result<(), String> {
    let begun = Instant::now();
    let mut octets = [0; DATAGRAM];
    while begun.elapsed() < TURN {
        match receive(socket, &mut octets) {
            Ok(Some(Happening::Acknowledged)) => return Ok(()),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Err("the proc connector is in the first process namespace only".to_owned())
}

const DATAGRAM: usize = 4096;

/// One event; `None` when it is none of interest.
fn receive(socket: &Socket, octets: &mut [u8; DATAGRAM]) -> io::Result<Option<Happening>> {
    let (length, sender) = socket.recv_from(&mut &mut octets[..], 0)?;
    // Only the kernel has port number 0.
    let is_kernel = sender.port_number() == 0;
    Ok(octets.get(..length).filter(|_| is_kernel).and_then(Happening::parse))
}

/// Until nobody subscribes any more.
fn serve(socket: &Socket, hub: &Weak<Hub>) {
    let mut octets = [0; DATAGRAM];
    loop {
        let received = receive(socket, &mut octets);
        let Some(hub) = hub.upgrade() else { return };
        match received {
            Ok(Some(happening)) => hub.subscribers().iter().for_each(|subscriber| subscriber.hear(happening)),
            Ok(None) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => {
                hub.subscribers().iter().for_each(|subscriber| subscriber.lose());
                if error.raw_os_error() != Some(libc::ENOBUFS) {
                    // Nothing that a socket recovers from; once a turn is enough.
                    std::thread::sleep(TURN);
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
