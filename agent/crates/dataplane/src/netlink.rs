//! Rtnetlink as the dataplane thread uses it: requests in batches with every acknowledgement read, dumps that are repeated
//! when they were interrupted, and notifications. Messages are written by netlink-packet-route; what the kernel says is read
//! here, because an attribute that is new to a crate must not cost us the whole message.

pub(crate) mod batch;
pub(crate) mod decode;
pub(crate) mod encode;
