//! The gRPC contract of ha-agent: generated messages, clients and servers, and the descriptor set that
//! reflection serves. The `.proto` files in `proto/` are the source and the documentation.

/// Package `ha.agent.v1`.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("ha.agent.v1");
}

/// The encoded `FileDescriptorSet` of the whole contract, with comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
