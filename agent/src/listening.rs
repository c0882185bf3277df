//! Listening on addresses that this node may not have yet: at the boot of a machine the agent does not wait for the network.

use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::warn;

/// Listens on `address`. One that this node does not have is reached as soon as the node has it. Must be called within a runtime.
///
/// # Errors
/// The system's refusal: a port that is taken, for one.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = match net::TcpListener::bind(address) {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            warn!("{} is no address of this node; {address} is reached as soon as it is one", address.ip());
            listen_ahead(address)
        }
        outcome => outcome,
    }?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn listen_ahead(address: SocketAddr) -> io::Result<net::TcpListener> {
    /// As the standard library's.
    const WAITING: i32 = 128;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    socket.bind(&address.into())?;
    socket.listen(WAITING)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_this_node_does_not_have_yet_is_no_reason_not_to_listen() {
        for address in ["192.0.2.77:0", "[2001:db8::77]:0", "127.0.0.1:0"] {
            let address: SocketAddr = address.parse().unwrap();
            let listener = listen(address).unwrap();
            assert_eq!(listener.local_addr().unwrap().ip(), address.ip());
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_refused_there_and_ahead() {
        for address in ["127.0.0.1:0", "192.0.2.78:0"] {
            let first = listen(address.parse().unwrap()).unwrap();
            let again = listen(first.local_addr().unwrap());
            assert_eq!(again.unwrap_err().kind(), ErrorKind::AddrInUse, "{address}");
        }
    }
}
