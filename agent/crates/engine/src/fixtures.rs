//! Values that the tests of this crate share.

pub(crate) mod script;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::config::{
    AddressLease, AddressLostPolicy, AnnouncePolicy, ChecksumForm, InstanceConfig, Protocol, Transport,
    VirtualAddress,
};
use crate::units::{AdvertisementInterval, Family, Priority, VirtualRouterId};

/// A VRRPv3 IPv4 instance on eth0 with one address and adverts each second.
pub(crate) fn config(name: &str, virtual_router_id: u8, priority: u8) -> InstanceConfig {
    InstanceConfig {
        name: Arc::from(name),
        interface: Arc::from("eth0"),
        virtual_router_id: VirtualRouterId::new(virtual_router_id).unwrap(),
        family: Family::Ipv4,
        protocol: Protocol::V3 { checksum: ChecksumForm::PseudoHeader },
        priority: Priority::new(priority).unwrap(),
        interval: AdvertisementInterval::DEFAULT,
        longest_adopted_interval: Duration::from_secs(10),
        addresses: Arc::new([numbered(Family::Ipv4, u16::from(virtual_router_id))]),
        preempt: true,
        preempt_delay: Duration::ZERO,
        startup_delay: Duration::ZERO,
        transport: Transport::Multicast { allowed_sources: Vec::new() },
        source: None,
        announce: AnnouncePolicy::default(),
        address_lost: AddressLostPolicy::default(),
        lease: AddressLease::default(),
        virtual_mac: false,
        tracks: Arc::default(),
        group: None,
    }
}

/// 10.9.x.y/32 or 2001:db8::n/128.
pub(crate) fn numbered(family: Family, number: u16) -> VirtualAddress {
    let [high, low] = number.to_be_bytes();
    match family {
        Family::Ipv4 => VirtualAddress::new(IpAddr::V4(Ipv4Addr::new(10, 9, high, low)), 32),
        Family::Ipv6 => {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number);
            VirtualAddress::new(IpAddr::V6(address), 128)
        }
    }
}

/// Reads an address.
pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A generator of numbers that look random: xorshift64*. Its seed is not 0.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// 0 .. `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}
