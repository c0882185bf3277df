//! Netlink messages and attributes, read without trust in their lengths.

/// One message of a datagram.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: &'a [u8],
}

const HEADER: usize = 16;

/// The messages of a datagram, up to the first that does not fit.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = usize::try_from(number(rest, 0)?).ok().filter(|length| *length >= HEADER)?;
        let message = rest.get(..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind: half(message, 4)?, flags: half(message, 6)?, body: message.get(HEADER..)? })
    })
}

/// Attributes in a row.
pub(crate) struct Attributes<'a>(&'a [u8]);

/// The attributes after the first `fixed` octets of a body.
pub(crate) fn attributes(body: &[u8], fixed: usize) -> Attributes<'_> {
    Attributes(body.get(fixed..).unwrap_or_default())
}

impl<'a> Attributes<'a> {
    /// The value of the first attribute of this kind.
    pub(crate) fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.each().find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    fn each(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        /// Flags in the upper bits (NLA_F_NESTED, NLA_F_NET_BYTEORDER) are not part of the kind.
        const KIND: u16 = 0x3fff;
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let length = usize::from(half(rest, 0)?);
            let value = rest.get(4..length)?;
            let kind = half(rest, 2)? & KIND;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((kind, value))
        })
    }
}

/// 32 bits in the order of this machine.
pub(crate) fn number(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

/// 16 bits in the order of this machine.
pub(crate) fn half(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{GET_LINK, Request, push_attribute};
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_cut_ends_early() {
        let mut body = vec![7; 4];
        push_attribute(&mut body, 3, b"eth0\0");
        push_attribute(&mut body, 0x8000 | 29, &9_u32.to_ne_bytes());
        let octets = Request { kind: GET_LINK, is_dump: true, body }.octets();
        let datagram = [octets.clone(), octets.clone()].concat();
        let read: Vec<_> = messages(&datagram).collect();
        assert_eq!((read.len(), read[1].kind, read[1].flags), (2, GET_LINK, 0x301));
        let attributes = attributes(read[1].body, 4);
        assert_eq!((attributes.get(3), attributes.get(29)), (Some(&b"eth0\0"[..]), Some(&[9, 0, 0, 0][..])));
        assert_eq!(attributes.get(4), None);
        for end in 0..octets.len() {
            assert_eq!(messages(&octets[..end]).count(), 0);
        }
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        for length in [0_u32, 3, 15, u32::MAX] {
            let octets = [&length.to_ne_bytes()[..], &[0; 60]].concat();
            assert_eq!(messages(&octets).count(), 0, "{length}");
        }
        for length in [0_u16, 3, u16::MAX] {
            let octets = [&length.to_ne_bytes()[..], &[1, 0, 0, 0, 0, 0]].concat();
            assert_eq!(attributes(&octets, 0).get(1), None, "{length}");
        }
    }
}
