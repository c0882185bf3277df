//! Why an instance cannot take part.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::net::IpAddr;

use crate::input::LinkCondition;

/// Why an instance cannot take part.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// There is no link of that name.
    LinkMissing,
    /// It is administratively down.
    LinkDown,
    /// It has no carrier.
    NoCarrier,
    /// The kernel refuses us a VRRP socket on it; tried again each second.
    NoSocket,
    /// It has no address that could be the source of adverts.
    NoSourceAddress,
    /// Another link, on which it has addresses, is missing, down or without carrier.
    AddressLink(Arc<str>, LinkCondition),
    /// The kernel refused an address; tried again after a while.
    AddressFailed(Arc<str>),
    /// Somebody else keeps removing an address; tried again after a while.
    AddressContested(IpAddr),
    /// A tracked fact fails: its name and evidence.
    CheckFailing(Arc<str>, Arc<str>),
    /// A tracked fact passes, or has a value, that means Fault: its name and evidence.
    CheckPassing(Arc<str>, Arc<str>),
    /// This member of its sync group is in Fault.
    GroupMember(Arc<str>),
}

impl Fault {
    /// One sentence for a human.
    pub fn describe(&self) -> Arc<str> {
        match self {
            Self::LinkMissing => Arc::from("there is no such link"),
            Self::LinkDown => Arc::from("the link is down"),
            Self::NoCarrier => Arc::from("the link has no carrier"),
            Self::NoSocket => Arc::from("the kernel refuses a VRRP socket on the link; the log says why"),
            Self::NoSourceAddress => Arc::from("the link has no address to send adverts from"),
            Self::AddressLink(link, condition) => {
                let what = match condition {
                    LinkCondition::Missing => "missing",
                    LinkCondition::Down => "down",
                    _ => "without carrier",
                };
                format!("link {link}, which is to have addresses, is {what}").into()
            }
            Self::AddressFailed(error) => format!("the kernel refused an address: {error}").into(),
            Self::AddressContested(address) => format!("somebody else keeps removing {address}").into(),
            Self::CheckFailing(name, detail) => with_detail(format!("{name} fails"), detail).into(),
            Self::CheckPassing(name, detail) => {
                with_detail(format!("{name} passes, which is a fault here"), detail).into()
            }
            Self::GroupMember(instance) => format!("{instance} of its sync group is in Fault").into(),
        }
    }

    /// The word in API and CLI.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LinkMissing => "LINK_MISSING",
            Self::LinkDown => "LINK_DOWN",
            Self::NoCarrier => "NO_CARRIER",
            Self::NoSocket => "NO_SOCKET",
            Self::NoSourceAddress => "NO_SOURCE_ADDRESS",
            Self::AddressLink(..) => "ADDRESS_LINK",
            Self::AddressFailed(_) => "ADDRESS_FAILED",
            Self::AddressContested(_) => "ADDRESS_CONTESTED",
            Self::CheckFailing(..) => "CHECK_FAILING",
            Self::CheckPassing(..) => "CHECK_PASSING",
            Self::GroupMember(_) => "GROUP_MEMBER",
        }
    }
}

fn with_detail(sentence: String, detail: &str) -> String {
    if detail.is_empty() { sentence } else { sentence + ": " + detail }
}
