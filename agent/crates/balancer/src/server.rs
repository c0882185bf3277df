//! What a pool consists of, for every backend.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::Error;

/// The most servers of one pool. Bounds the files that are written and read.
pub const MAX_SERVERS: usize = 16_384;

/// One server of a pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Its share among the others; 0 is drained: it keeps what it has and gets nothing new.
    pub weight: u32,
    /// A sorry server: it serves only when all others are gone.
    pub backup: bool,
}

impl Server {
    /// An ordinary server of weight 1.
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port, weight: 1, backup: false }
    }

    /// Address and port.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// The servers that a pool should have, in one order and without repetition, so that equal pools are equal values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Desired {
    pool: Arc<str>,
    servers: Vec<Server>,
}

impl Desired {
    /// Sorts by address, port, weight, and keeps one of each address and port: the first.
    ///
    /// # Errors
    /// [`Error::TooManyServers`] beyond [`MAX_SERVERS`].
    pub fn new(pool: impl Into<Arc<str>>, mut servers: Vec<Server>) -> Result<Self, Error> {
        let pool = pool.into();
        servers.sort_unstable();
        servers.dedup_by_key(|server| server.socket());
        if servers.len() > MAX_SERVERS {
            return Err(Error::TooManyServers { pool, count: servers.len() });
        }
        Ok(Self { pool, servers })
    }

    /// The pool's name.
    pub fn pool(&self) -> &Arc<str> {
        &self.pool
    }

    /// Its servers, sorted. None at all is a pool that answers nothing.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16, weight: u32) -> Server {
        Server { weight, ..Server::new("192.0.2.1".parse().unwrap(), port) }
    }

    #[test]
    fn the_same_servers_in_another_order_are_the_same_pool() {
        let one = Desired::new("web", vec![server(80, 1), server(81, 2), server(80, 1)]).unwrap();
        let other = Desired::new("web", vec![server(81, 2), server(80, 1)]).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.servers(), [server(80, 1), server(81, 2)]);
    }

    #[test]
    fn a_pool_beyond_the_bound_is_refused() {
        let many = (0..=MAX_SERVERS).map(|port| server(u16::try_from(port).unwrap(), 1)).collect();
        assert!(matches!(Desired::new("web", many), Err(Error::TooManyServers { count: 16_385, .. })));
    }
}
