//! How long calls of the control plane take, after OpenTelemetry's conventions for RPC servers.

use std::collections::BTreeSet;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::api::Call;

/// Records calls.
pub(super) struct Calls {
    duration: Histogram<f64>,
    /// Paths of the methods that are served. Whatever else a client calls is one method, `_OTHER`: clients do not get to
    /// make series.
    known: BTreeSet<String>,
}

impl Calls {
    pub(super) fn new(duration: Histogram<f64>) -> Self {
        let sets = [
            ha_proto::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        Self { duration, known: sets.into_iter().flat_map(methods).collect() }
    }

    pub(super) fn record(&self, call: &Call<'_>) {
        let method = self.known.get(call.method).map_or("_OTHER", |path| path.trim_start_matches('/'));
        let attributes = [
            KeyValue::new("rpc.method", method.to_owned()),
            KeyValue::new("rpc.response.status_code", word(call.code)),
            KeyValue::new("rpc.system.name", "grpc"),
        ];
        self.duration.record(call.elapsed.as_secs_f64(), &attributes);
    }
}

/// The paths of a contract's methods; none of one that cannot be read, which a build does not make.
fn methods(descriptors: &[u8]) -> Vec<String> {
    let files = FileDescriptorSet::decode(descriptors).unwrap_or_default().file;
    let of_file = |file: &prost_types::FileDescriptorProto| {
        let paths = file.service.iter().flat_map(|service| {
            service
                .method
                .iter()
                .map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name()))
        });
        paths.collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

/// gRPC's word for a code.
fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
