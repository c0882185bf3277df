//! Echo requests and replies: made here, read from whoever sends.

use std::net::SocketAddr;

use socket2::SockFilter;

const HEADER: usize = 8;

/// How messages pass through the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// The kernel sets the id and the checksum, and hands over only replies to this socket's requests.
    Kernel { is_v4: bool },
    /// IPv4: we set both, and replies come with their IP header.
    RawV4 { id: u16 },
    /// IPv6: we set the id, the kernel the checksum.
    RawV6 { id: u16 },
}

/// What the requests of one attempt have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Echo {
    pub(super) framing: Framing,
    pub(super) id: u16,
    /// Repeated by the reply, as far as there is room for it.
    pub(super) token: u64,
    /// Octets of payload.
    pub(super) size: u16,
}

impl Framing {
    pub(super) fn kernel(address: SocketAddr) -> Self {
        Self::Kernel { is_v4: address.is_ipv4() }
    }

    pub(super) fn raw(address: SocketAddr, id: u16) -> Self {
        if address.is_ipv4() { Self::RawV4 { id } } else { Self::RawV6 { id } }
    }

    /// Zero where the kernel sets it.
    pub(super) fn id(self) -> u16 {
        match self {
            Self::Kernel { .. } => 0,
            Self::RawV4 { id } | Self::RawV6 { id } => id,
        }
    }

    fn is_v4(self) -> bool {
        matches!(self, Self::Kernel { is_v4: true } | Self::RawV4 { .. })
    }

    /// ICMP types of request and reply (RFC 792, RFC 4443 §4.1).
    fn types(self) -> (u8, u8) {
        if self.is_v4() { (8, 0) } else { (128, 129) }
    }

    /// For raw sockets, which otherwise hear every ICMP message of the node: replies with our id only.
    pub(super) fn filter(self) -> Option<[SockFilter; 7]> {
        // Classic BPF: linux/bpf_common.h. X becomes the length of the IPv4 header, or 0.
        const LDX_MSH: u16 = 0xb1;
        const LDX_IMM: u16 = 0x01;
        const LD_BYTE: u16 = 0x50;
        const LD_HALF: u16 = 0x48;
        const JEQ: u16 = 0x15;
        const RETURN: u16 = 0x06;
        let (_, reply) = self.types();
        let (begin, id) = match self {
            Self::Kernel { .. } => return None,
            Self::RawV4 { id } => (LDX_MSH, id),
            Self::RawV6 { id } => (LDX_IMM, id),
        };
        Some([
            SockFilter::new(begin, 0, 0, 0),
            SockFilter::new(LD_BYTE, 0, 0, 0),
            SockFilter::new(JEQ, 0, 3, reply.into()),
            SockFilter::new(LD_HALF, 0, 0, 4),
            SockFilter::new(JEQ, 0, 1, id.into()),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
            SockFilter::new(RETURN, 0, 0, 0),
        ])
    }
}

impl Echo {
    /// The message of one request.
    ///
    /// ```text
    ///  0       1       2       3       4       5       6       7
    /// +-------+-------+-------+-------+-------+-------+-------+-------+
    /// | type  |   0   |   checksum    |      id       |   sequence    |  token, zeros ...
    /// +-------+-------+-------+-------+-------+-------+-------+-------+
    /// ```
    pub(super) fn request(&self, sequence: u16) -> Vec<u8> {
        let (request, _) = self.framing.types();
        let mut message = vec![request, 0, 0, 0];
        message.extend(self.id.to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend(self.payload());
        if matches!(self.framing, Framing::RawV4 { .. }) {
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        message
    }

    fn payload(&self) -> Vec<u8> {
        let mut payload = self.token.to_be_bytes().to_vec();
        payload.resize(self.size.into(), 0);
        payload
    }

    /// The number of the request that `datagram` answers, if it answers one of ours.
    pub(super) fn sequence_of(&self, datagram: &[u8]) -> Option<u16> {
        let message = match self.framing {
            Framing::RawV4 { .. } => datagram.get(usize::from(datagram.first()? & 0xf) * 4..)?,
            _ => datagram,
        };
        let (header, payload) = message.split_at_checked(HEADER)?;
        let (_, reply) = self.framing.types();
        let is_our_id = match self.framing {
            Framing::Kernel { .. } => true,
            Framing::RawV4 { id } | Framing::RawV6 { id } => header[4..6] == id.to_be_bytes(),
        };
        let is_ours = header[..2] == [reply, 0] && is_our_id && payload == self.payload();
        is_ours.then(|| u16::from_be_bytes([header[6], header[7]]))
    }
}

/// The internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Framing = Framing::RawV4 { id: 0x1234 };

    fn echo(framing: Framing, size: u16) -> Echo {
        Echo { framing, id: framing.id(), token: 0x0102_0304_0506_0708, size }
    }

    #[test]
    fn a_request_is_as_the_rfc_draws_it() {
        let request = echo(V4, 10).request(3);
        let expected = [8, 0, 0xd5, 0xb4, 0x12, 0x34, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
        assert_eq!(request, expected);
        assert_eq!(checksum(&request), 0, "a right checksum sums up to zero");
    }

    #[test]
    fn only_the_reply_to_our_own_request_counts() {
        let echo = echo(V4, 8);
        let mut reply = echo.request(3);
        reply[0] = 0;
        let with_header = |message: &[u8]| [&[0x45; 20][..], message].concat();
        assert_eq!(echo.sequence_of(&with_header(&reply)), Some(3));
        for at in [0, 1, 4, 5, 8, 15] {
            let mut wrong = reply.clone();
            wrong[at] ^= 1;
            assert_eq!(echo.sequence_of(&with_header(&wrong)), None, "octet {at}");
        }
        for broken in [&b""[..], &[0x4f], &[0x45; 20], &with_header(&reply)[..35]] {
            assert_eq!(echo.sequence_of(broken), None, "{broken:?}");
        }
    }
}
