//! `interface`: a link is up and has a carrier, as the kernel sees it (IFF_UP and IFF_RUNNING). Says nothing of what is behind.

use std::io;
use std::sync::Arc;

use crate::attempt::{Reason, Trouble};
use crate::course::Course;
use crate::errno;
use crate::failure::{Failure, Success};
use crate::follower::{self, Look};
use crate::netlink::{
    GET_LINK, Message, NEW_LINK, Notices, Request, Topic, ask, attributes, number, push_attribute,
};
use crate::spec::Invalid;

/// A link is up and running.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name in this network namespace, 1..=15 octets.
    pub name: String,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    name: String,
}

/// An interface check, followed.
pub(crate) type Follower = follower::Follower<Compiled, Notices>;

impl Compiled {
    pub(crate) fn new(spec: Interface) -> Result<Arc<Self>, Invalid> {
        check_name(&spec.name)?;
        Ok(Arc::new(Self { name: spec.name }))
    }

    pub(crate) fn follow(self: &Arc<Self>) -> Follower {
        Follower::new(Arc::clone(self), Notices::new(Topic::Links))
    }

    pub(crate) async fn run(self: &Arc<Self>, course: &mut Course) -> Result<Success, Failure> {
        course.enter("look");
        follower::look(self).await
    }
}

/// The kernel's rules (dev_valid_name).
pub(crate) fn check_name(name: &str) -> Result<(), Invalid> {
    let is_valid = (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|letter: char| letter == '/' || letter == ':' || letter.is_whitespace());
    match is_valid {
        true => Ok(()),
        false => Err(Invalid::new("interface", format!("`{name}` cannot be the name of a link"))),
    }
}

impl Look for Compiled {
    fn look(&self) -> Result<Success, Failure> {
        let name = &self.name;
        let flags = match flags(name) {
            Ok(Some(flags)) => flags,
            Ok(None) => return Err(Failure::failed(Reason::Missing, format!("there is no link {name}"))),
            Err(error) => {
                let text = format!("cannot ask for link {name}: {}", errno::words(&error));
                return Err(Failure::trouble(Trouble::Kernel, text));
            }
        };
        let down = |why: &str| Err(Failure::failed(Reason::Down, format!("{name} {why}")));
        match (flags & libc::IFF_UP.cast_unsigned() != 0, flags & libc::IFF_RUNNING.cast_unsigned() != 0) {
            (true, true) => Ok(Success::new(format!("{name} is up and running"))),
            (true, false) => down("is up, but has no carrier"),
            (false, _) => down("was set down"),
        }
    }
}

/// The flags of a link (net_device_flags); `None` when there is none of this name.
fn flags(name: &str) -> io::Result<Option<u32>> {
    let mut found = None;
    let asked = ask(&link_request(name), |message| {
        if message.kind == NEW_LINK && link_name(message) == Some(name.as_bytes()) {
            // ifinfomsg: family, padding, type, index, flags, change
            found = number(message.body, 8);
        }
    });
    match asked {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok(found),
    }
}

const IFINFOMSG: usize = 16;

fn link_request(name: &str) -> Request {
    /// Without the counters, which take the kernel time to sum up.
    const SKIP_STATISTICS: u32 = 8;
    let mut body = vec![0; IFINFOMSG];
    push_attribute(&mut body, libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
    push_attribute(&mut body, libc::IFLA_EXT_MASK, &SKIP_STATISTICS.to_ne_bytes());
    Request { kind: GET_LINK, is_dump: false, body }
}

fn link_name<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    attributes(message.body, IFINFOMSG).get(libc::IFLA_IFNAME)?.strip_suffix(&[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_takes_for_a_name_is_asked_for() {
        for name in ["", ".", "..", "a/b", "a:1", "a b", "sixteen-octets-x"] {
            assert_eq!(check_name(name).unwrap_err().parameter, "interface", "{name}");
        }
        assert_eq!(check_name("fifteen-octets1"), Ok(()));
    }
}
