//! What the proc connector says, see include/uapi/linux/cn_proc.h and connector.h. A datagram is a netlink header (16 octets), a
//! connector header (20) and an event: what (4), CPU (4), time (8), and numbers of processes.

/// Something that can change which processes are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Happening {
    /// A process made another one, which has its name and its command line.
    Forked { parent: i32, child: i32 },
    /// A process became another program, or changed its name.
    Changed(i32),
    /// The answer to our request to listen.
    Acknowledged,
}

const HEADERS: usize = 36;
const NOTHING: u32 = 0;
const FORK: u32 = 1;
const EXEC: u32 = 2;
const COMM: u32 = 0x200;

impl Happening {
    pub(super) fn parse(datagram: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let octets = datagram.get(HEADERS + at..HEADERS + at + 4)?;
            octets.try_into().ok().map(u32::from_ne_bytes)
        };
        let process = |at| number(at).map(u32::cast_signed);
        match number(0)? {
            NOTHING => Some(Self::Acknowledged),
            // parent's thread and process, child's thread and process; a thread of the same process is no new process
            FORK if number(24)? == number(28)? => {
                Some(Self::Forked { parent: process(20)?, child: process(28)? })
            }
            EXEC | COMM => Some(Self::Changed(process(20)?)),
            _ => None,
        }
    }
}

/// The request to listen (PROC_CN_MCAST_LISTEN) from port `port`.
pub(super) fn listen_request(port: u32) -> Vec<u8> {
    const LENGTH: u32 = 40;
    const DONE: u16 = 3;
    const LISTEN: u32 = 1;
    let (index, value) = (1_u32, 1_u32);
    let mut request = Vec::new();
    request.extend(LENGTH.to_ne_bytes());
    request.extend(DONE.to_ne_bytes());
    request.extend([0; 6]);
    request.extend(port.to_ne_bytes());
    request.extend(index.to_ne_bytes());
    request.extend(value.to_ne_bytes());
    request.extend([0; 8]);
    request.extend(4_u16.to_ne_bytes());
    request.extend([0; 2]);
    request.extend(LISTEN.to_ne_bytes());
    request
}

/// A filter for the socket, so that the ends, credentials and sessions of all processes and the birth of threads do not wake
/// us: code, jump if true, jump if false, operand, as in linux/filter.h.
pub(super) const FILTER: [(u16, u8, u8, u32); 11] = {
    const LOAD: u16 = 0x20;
    const LOAD_X_FROM_A: u16 = 0x07;
    const EQUAL: u16 = 0x15;
    const EQUAL_X: u16 = 0x1d;
    const RETURN: u16 = 0x06;
    // The filter reads numbers in network order.
    const fn word(number: u32) -> u32 {
        number.to_be()
    }
    [
        (LOAD, 0, 0, 36),
        (EQUAL, 8, 0, word(NOTHING)),
        (EQUAL, 7, 0, word(EXEC)),
        (EQUAL, 6, 0, word(COMM)),
        (EQUAL, 0, 4, word(FORK)),
        (LOAD, 0, 0, 60),
        (LOAD_X_FROM_A, 0, 0, 0),
        (LOAD, 0, 0, 64),
        (EQUAL_X, 1, 0, 0),
        (RETURN, 0, 0, 0),
        (RETURN, 0, 0, u32::MAX),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(what: u32, numbers: &[u32]) -> Vec<u8> {
        let mut octets = vec![0; HEADERS];
        octets.extend(what.to_ne_bytes());
        octets.extend([0; 12]);
        numbers.iter().for_each(|number| octets.extend(number.to_ne_bytes()));
        octets
    }

    #[test]
    fn events_are_read_and_threads_are_no_processes() {
        let cases = [
            (datagram(NOTHING, &[0]), Some(Happening::Acknowledged)),
            (datagram(FORK, &[11, 10, 21, 21]), Some(Happening::Forked { parent: 10, child: 21 })),
            (datagram(FORK, &[11, 10, 12, 10]), None),
            (datagram(EXEC, &[31, 30]), Some(Happening::Changed(30))),
            (datagram(COMM, &[31, 30, 0x7878, 0, 0, 0]), Some(Happening::Changed(30))),
            (datagram(0x8000_0000, &[31, 30, 0, 0]), None),
        ];
        for (octets, happening) in cases {
            assert_eq!(Happening::parse(&octets), happening);
            if happening.is_some() {
                for end in 0..octets.len() - 4 {
                    let _ = Happening::parse(&octets[..end]);
                }
            }
        }
        assert_eq!(Happening::parse(&[]), None);
    }
}
