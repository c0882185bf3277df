//! The two messages of grpc.health.v1, by hand: one string out, one number in (protobuf.dev/programming-guides/encoding).

/// `HealthCheckResponse.ServingStatus`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ServingStatus {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
    /// A number that the protocol does not have.
    Other,
}

impl ServingStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
            Self::Other => "in a state without a name",
        }
    }
}

/// `HealthCheckRequest { service }`; the default, empty, is not sent.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | 2);
        push_varint(&mut message, u64::try_from(service.len()).unwrap_or(0));
        message.extend(service.as_bytes());
    }
    message
}

/// A message as gRPC frames it: not compressed, its length, itself.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(0);
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// The only message of a body; compressed ones are not accepted, as we never offered it.
pub(super) fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (compressed, rest) = body.split_first()?;
    let (length, message) = rest.split_first_chunk()?;
    let is_whole = usize::try_from(u32::from_be_bytes(*length)).ok()? == message.len();
    (*compressed == 0 && is_whole).then_some(message)
}

/// Field 1 of a `HealthCheckResponse`, the last one when it is repeated; other fields are passed over.
pub(super) fn serving_status(mut message: &[u8]) -> Option<ServingStatus> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (0, _) => return None,
            (1, 0) => status = varint(&mut message)?,
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(match status {
        0 => ServingStatus::Unknown,
        1 => ServingStatus::Serving,
        2 => ServingStatus::NotServing,
        3 => ServingStatus::ServiceUnknown,
        _ => ServingStatus::Other,
    })
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (octet, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(octet & 0x7f) << (7 * place);
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn push_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_protobuf_has_them() {
        assert_eq!(framed(&request("")), [0, 0, 0, 0, 0]);
        assert_eq!(framed(&request("web")), [0, 0, 0, 0, 5, 0x0a, 3, b'w', b'e', b'b']);
        assert_eq!(request(&"a".repeat(300))[..4], [0x0a, 0xac, 0x02, b'a']);
        let cases: [(&[u8], Option<ServingStatus>); 13] = [
            (&[], Some(ServingStatus::Unknown)),
            (&[8, 1], Some(ServingStatus::Serving)),
            (&[8, 1, 8, 2], Some(ServingStatus::NotServing)),
            (&[8, 3], Some(ServingStatus::ServiceUnknown)),
            (&[8, 0x81, 0], Some(ServingStatus::Serving)),
            (&[8, 9], Some(ServingStatus::Other)),
            (&[0x12, 2, 8, 2, 8, 1], Some(ServingStatus::Serving)),
            (&[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x1d, 0, 0, 0, 0, 8, 1], Some(ServingStatus::Serving)),
            (&[8], None),
            (&[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], None),
            (&[0x12, 0xff, 1], None),
            (&[0, 1], None),
            (&[0x0b], None),
        ];
        for (message, status) in cases {
            assert_eq!(serving_status(message), status, "{message:x?}");
        }
        assert_eq!(unframed(&[0, 0, 0, 0, 2, 8, 1]), Some(&[8, 1][..]));
        for broken in [
            &[][..],
            &[0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(unframed(broken), None, "{broken:x?}");
        }
    }
}
