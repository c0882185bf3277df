//! How an address of ours looks in the kernel.

/// The value of `IFA_PROTO` that tells our addresses from everyone else's: VRRP's IP protocol number. Linux 5.18 and newer;
/// shown as `proto 112` by `ip address`.
pub const ADDRESS_PROTOCOL: u8 = 112;
