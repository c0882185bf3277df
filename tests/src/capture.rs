//! Captures frames with the kernel's time stamps, keeps them raw, and writes pcap files for other judges.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    net::IpAddr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::SystemTime,
};

use crate::{
    Advert, Mac, Namespace, PacketSocket,
    frame::{ARP, payload_of, read_advertisement},
    prober::claim,
    sys,
};

/// What a capture keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// VRRP only.
    Vrrp,
    /// VRRP, ARP and neighbour advertisements.
    VrrpAndAnnouncements,
    /// What begins TCP connections over IPv4; the kernel drops all else. Cheap where thousands come a second.
    Connections,
    /// Everything.
    All,
}

/// A captured frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// When the kernel had it.
    pub at: SystemTime,
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
}

/// A capture at work. Dropping it ends it.
#[derive(Debug)]
pub struct Capture {
    frames: Arc<Mutex<Vec<Frame>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Captures on `link` of `space`. On a bridge of the switch it sees every frame once; on a node's link,
    /// what that node sends and receives.
    #[track_caller]
    pub fn start(space: &Namespace, link: &str, wanted: Wanted) -> Self {
        let socket = PacketSocket::open(space, link);
        if wanted == Wanted::Connections {
            socket.keep_only_connections();
        }
        let frames = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (frames, stop) = (frames.clone(), stop.clone());
            thread::spawn(move || keep(&socket, wanted, &frames, &stop))
        };
        Self { frames, stop, thread: Some(thread) }
    }

    /// All frames so far.
    pub fn frames(&self) -> Vec<Frame> {
        self.lock().clone()
    }

    /// All adverts so far, with their times.
    pub fn adverts(&self) -> Vec<(SystemTime, Advert)> {
        self.lock().iter().filter_map(|frame| Some((frame.at, Advert::read(&frame.bytes)?))).collect()
    }

    /// All gratuitous ARPs and unsolicited neighbour advertisements so far: when, what address, at which MAC.
    /// Needs [`Wanted::VrrpAndAnnouncements`] or more.
    pub fn announcements(&self) -> Vec<(SystemTime, IpAddr, Mac)> {
        let read = |frame: &Frame| {
            let claim = claim(&frame.bytes).filter(|claim| !claim.is_answer)?;
            Some((frame.at, claim.address, claim.mac))
        };
        self.lock().iter().filter_map(read).collect()
    }

    /// Forgets what was captured so far.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Writes what was captured so far as a pcap file (nanosecond stamps).
    #[track_caller]
    pub fn write_pcap(&self, path: &Path) {
        write_pcap(path, &self.frames())
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn keep(socket: &PacketSocket, wanted: Wanted, frames: &Mutex<Vec<Frame>>, stop: &AtomicBool) {
    sys::prefer_this_thread();
    while !stop.load(Ordering::Relaxed) {
        // An error is a link that went down or away, which tests do on purpose; the time limit paces the loop.
        let Ok(Some((at, bytes))) = socket.receive() else { continue };
        if is_wanted(wanted, &bytes) {
            frames.lock().unwrap_or_else(PoisonError::into_inner).push(Frame { at, bytes });
        }
    }
}

fn is_wanted(wanted: Wanted, bytes: &[u8]) -> bool {
    let is_vrrp = || Advert::read(bytes).is_some();
    match wanted {
        Wanted::All | Wanted::Connections => true,
        Wanted::Vrrp => is_vrrp(),
        Wanted::VrrpAndAnnouncements => {
            is_vrrp() || payload_of(bytes, ARP).is_some() || read_advertisement(bytes).is_some()
        }
    }
}

fn write_pcap(path: &Path, frames: &[Frame]) -> io::Result<()> {
    const NANOSECOND_MAGIC: u32 = 0xa1b2_3c4d;
    const ETHERNET: u32 = 1;
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&NANOSECOND_MAGIC.to_le_bytes())?;
    out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
    out.write_all(&u32::from(u16::MAX).to_le_bytes())?;
    out.write_all(&ETHERNET.to_le_bytes())?;
    for frame in frames {
        let since = frame.at.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
        let length = (frame.bytes.len() as u32).to_le_bytes();
        out.write_all(&(since.as_secs() as u32).to_le_bytes())?;
        out.write_all(&since.subsec_nanos().to_le_bytes())?;
        out.write_all(&length)?;
        out.write_all(&length)?;
        out.write_all(&frame.bytes)?;
    }
    out.flush()
}
