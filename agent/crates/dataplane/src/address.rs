//! How an address of ours looks in the kernel.

use std::net::IpAddr;

use ha_engine::VirtualAddress;

/// The value of `IFA_PROTO` that tells our addresses from everyone else's: VRRP's IP protocol number. Linux 5.18 and newer;
/// recent versions of `ip address` show it as `proto 112`.
pub const ADDRESS_PROTOCOL: u8 = 112;

/// /32 or /128: without a connected route.
pub(crate) fn is_host_prefix(address: VirtualAddress) -> bool {
    address.prefix_length == host_prefix_length(address.address)
}

pub(crate) fn host_prefix_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
