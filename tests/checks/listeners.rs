//! Listeners of our own, for what no well-behaved server does. They end with the test's process.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd as _,
    thread,
    time::Duration,
};

use ha_tests::Namespace;
use nix::sys::socket::{setsockopt, sockopt};

/// How long a client may take to say its first octets; one that lets the server speak first says none.
const FIRST_WORDS: Duration = Duration::from_millis(100);

/// What is done with each connection.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// Cut (RST) once the client has spoken.
    Reset,
    /// Ended (FIN) once the client has spoken.
    Close,
    /// Never answered.
    Mute,
    /// Greeted in a protocol that nobody asked for.
    Garbage,
    /// Handed on to this port after a while.
    Slow(u16, Duration),
    /// Given the beginning, and then this for ever, with a pause in between.
    Endless(&'static [u8], &'static [u8], Duration),
}

/// A listener in `space`, at this address with a port of its own; says which.
pub(crate) fn listen(space: &Namespace, address: Ipv4Addr, behaviour: Behaviour) -> SocketAddr {
    // Threads stay in the namespace of the thread that starts them: so do the connections that they make.
    space.run(|| {
        let listener = TcpListener::bind((address, 0)).expect("a listener");
        let bound = listener.local_addr().expect("its address");
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || treat(client, bound, behaviour));
            }
        });
        bound
    })
}

/// What fails here is the client's to tell.
fn treat(mut client: TcpStream, own: SocketAddr, behaviour: Behaviour) {
    let _ = match behaviour {
        Behaviour::Reset => first_words(&mut client).and_then(|()| reset(&client)),
        Behaviour::Close => first_words(&mut client),
        Behaviour::Mute => drain(&mut client),
        Behaviour::Garbage => {
            client.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n").and_then(|()| drain(&mut client))
        }
        Behaviour::Slow(port, delay) => {
            thread::sleep(delay);
            TcpStream::connect((own.ip(), port)).and_then(|target| relay(client, target))
        }
        Behaviour::Endless(begin, more, pause) => endless(&mut client, begin, more, pause),
    };
}

fn first_words(client: &mut TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(FIRST_WORDS))?;
    // Silence is as good.
    let _ = client.read(&mut [0; 4096]);
    Ok(())
}

fn reset(client: &TcpStream) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    Ok(setsockopt(&client.as_fd(), sockopt::Linger, &linger)?)
}

fn drain(client: &mut TcpStream) -> io::Result<()> {
    io::copy(client, &mut io::sink()).map(drop)
}

fn relay(client: TcpStream, target: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, target.try_clone()?);
    let there = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (target, client);
    io::copy(&mut from, &mut to)?;
    to.shutdown(std::net::Shutdown::Write)?;
    there.join().map_err(|_| io::Error::other("the other direction panicked"))
}

fn endless(client: &mut TcpStream, begin: &[u8], more: &[u8], pause: Duration) -> io::Result<()> {
    client.write_all(begin)?;
    loop {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
        client.write_all(more)?;
    }
}

/// Answers each datagram with this many, after a while.
pub(crate) fn answer_datagrams(
    space: &Namespace,
    answer: &'static [u8],
    count: usize,
    delay: Duration,
) -> SocketAddr {
    let socket = space.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("a socket");
    let port = socket.local_addr().expect("its address").port();
    thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 2048]) {
            thread::sleep(delay);
            for _ in 0..count {
                // A client that is gone refuses; the next one matters.
                let _ = socket.send_to(answer, from);
            }
        }
    });
    (Ipv4Addr::UNSPECIFIED, port).into()
}
