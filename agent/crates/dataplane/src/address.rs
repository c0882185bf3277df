//! Addresses as the kernel has them, and how one of ours looks there.

use std::net::IpAddr;

use ha_engine::VirtualAddress;

/// The value of `IFA_PROTO` that tells our addresses from everyone else's: VRRP's IP protocol number. Linux 5.18 and newer;
/// recent versions of `ip address` show it as `proto 112`.
pub const ADDRESS_PROTOCOL: u8 = 112;

/// An address with its prefix length: what makes it one of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Prefixed {
    pub(crate) address: IpAddr,
    pub(crate) prefix_length: u8,
}

impl Prefixed {
    /// /32 or /128: without a connected route.
    pub(crate) fn is_host(self) -> bool {
        self.prefix_length == host_prefix_length(self.address)
    }
}

impl From<&VirtualAddress> for Prefixed {
    fn from(own: &VirtualAddress) -> Self {
        Self { address: own.address, prefix_length: own.prefix_length }
    }
}

impl std::fmt::Display for Prefixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)
    }
}

pub(crate) fn host_prefix_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
