//! Servers on every loopback address of a node, and when each of them was asked.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use ha_tests::{Capture, Namespace, Wanted, real_time};
use nix::sys::socket::{Backlog, listen};

/// Where all of them listen.
pub(crate) const PORT: u16 = 8080;
/// How often who connected is looked at. In batches, so that what is measured is not interrupted for each.
const TURN: Duration = Duration::from_micros(500);
/// As many as the kernel lets wait (net.core.somaxconn).
const WAITING: i32 = 4096;
/// Above what is measured, or its load would delay the answers.
const PRIORITY: u8 = 60;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// What they do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Close it.
    Tcp,
    /// Answer one request with 200.
    Http,
}

/// When each address was connected to, by the kernel's stamps.
pub(crate) type Asked = HashMap<IpAddr, Vec<SystemTime>>;

/// The running servers. Dropping them ends them.
#[derive(Debug)]
pub(crate) struct Targets {
    connections: Capture,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The address of a target.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    let [.., high, middle, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1 + high, middle, low)
}

impl Targets {
    /// Listens in a node.
    pub(crate) fn start(space: &Namespace, service: Service) -> Self {
        let listener = space.run(open).expect("the port of a new namespace is free");
        let connections = Capture::start(space, "lo", Wanted::Connections);
        let end = Arc::new(AtomicBool::new(false));
        let thread = {
            let end = Arc::clone(&end);
            thread::spawn(move || serve(&listener, service, &end))
        };
        Self { connections, end, thread: Some(thread) }
    }

    /// Forgets who was asked until now.
    pub(crate) fn forget(&self) {
        self.connections.clear();
    }

    /// Who was asked, and when.
    pub(crate) fn asked(&self) -> Asked {
        let mut asked = Asked::new();
        for frame in self.connections.frames() {
            if let Some(target) = target_of(&frame.bytes) {
                asked.entry(target.into()).or_default().push(frame.at);
            }
        }
        asked
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// The destination in an IPv4 header behind that of Ethernet.
fn target_of(frame: &[u8]) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = frame.get(30..34)?.try_into().ok()?;
    Some(octets.into())
}

fn open() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    listen(&listener, Backlog::new(WAITING)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn serve(listener: &TcpListener, service: Service, end: &AtomicBool) {
    // Without it answers are late under load.
    let _ = real_time(PRIORITY);
    let mut waiting: Vec<TcpStream> = Vec::new();
    while !end.load(Ordering::Relaxed) {
        thread::sleep(TURN);
        loop {
            match listener.accept() {
                Ok((stream, _)) if service == Service::Http && stream.set_nonblocking(true).is_ok() => {
                    waiting.push(stream);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Who connects may be gone again.
                Err(_) => {}
            }
        }
        waiting.retain_mut(|stream| !is_answered(stream));
    }
}

/// Whether nothing is left to do for it. Requests of checks fit into one segment.
fn is_answered(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 4096]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
        Err(_) | Ok(0) => true,
        Ok(_) => {
            // Who went away meanwhile counts a failed check of its own.
            let _ = stream.write_all(ANSWER);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_an_address_of_its_own() {
        assert_eq!(address(0), Ipv4Addr::new(127, 1, 0, 0));
        assert_eq!(address(9_999), Ipv4Addr::new(127, 1, 39, 15));
        assert_eq!(target_of(&[0; 33]), None);
    }
}
