//! `grpc.reflection`: the contract, told by the agent itself to tools that do not have it.
//!
//! A client that asks and does not read leaves up to three answers on each of its streams, beside as many questions, which the
//! answers repeat. So questions are short, answers are a file of the contract each, and streams take the places of watches.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_reflection::server::Builder;
use tower::Service;

use super::error::internal;
use super::gate::Caller;
use super::shared::{Shared, WatchPlace};
use super::socket::ApiError;

/// Octets of a question: the name of a service, a message or a file.
pub(super) const LONGEST_QUESTION: usize = 4 << 10;

/// The contract, for both versions of the service.
pub(super) fn contract<'a>() -> Builder<'a> {
    Builder::configure()
        .register_encoded_file_descriptor_set(ha_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Why it cannot be told.
pub(super) fn refused(error: tonic_reflection::server::Error) -> ApiError {
    ApiError::Reflection(error.to_string())
}

/// A service whose streams take the places of watches.
#[derive(Clone)]
pub(super) struct Placed<S> {
    pub(super) service: S,
    pub(super) shared: Arc<Shared>,
}

impl<S: NamedService> NamedService for Placed<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Placed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let caller = request.extensions().get::<Caller>().ok_or_else(internal);
        match caller.and_then(|caller| self.shared.watch_place(caller.user)) {
            Ok(place) => {
                let answering = self.service.call(request);
                Box::pin(async move { Ok(answering.await?.map(|body| keep(place, body))) })
            }
            Err(refusal) => Box::pin(ready(Ok(refusal.into_http()))),
        }
    }
}

/// The place is free again when the stream has ended or its connection is gone.
fn keep(place: WatchPlace, body: Body) -> Body {
    Body::new(body.map_frame(move |frame| {
        let _kept_as_long_as_this = &place;
        frame
    }))
}
