//! `grpc.health.v1`: the agent (""), each service, and `vip/<address>`, which serves where the address is held: its
//! instance is Active here and the kernel has the address. A load balancer can follow an address by it.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use ha_engine::StateName;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::error::{Reason, refuse, stopping};
use super::gate::{Deadline, deadline_exceeded};
use super::names::shorten;
use super::roles::is_offered;
use super::shared::{Shared, WatchPlace, caller};
use super::snapshots::View;
use super::vip;

/// The service.
#[derive(Clone)]
pub(crate) struct Healths {
    pub(crate) shared: Arc<Shared>,
}

/// How often a watch looks at the kernel; at what the engine decided it looks at once.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[async_trait]
impl Health for Healths {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        match status(&self.shared, &service).await? {
            ServingStatus::ServiceUnknown => Err(refuse(
                Reason::ServiceUnknown,
                format!("there is no service {:?}", shorten(&service)),
                "ask for \"\", a service's full name, or vip/<address>",
            )),
            status => Ok(Response::new(HealthCheckResponse { status: status.into() })),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let place = self.shared.watch_place(caller(&request)?.user)?;
        let request_deadline = request.extensions().get().map(|Deadline(at)| *at);
        let watch = Watch {
            events: self.shared.journal.changes(),
            shared: Arc::clone(&self.shared),
            service: request.into_inner().service,
            said: None,
            deadline: request_deadline,
            ended: false,
            _place: place,
        };
        let stream =
            futures::stream::unfold(watch, |mut watch| async move { Some((watch.next().await?, watch)) });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// How often it looks at most, whatever happens.
const PAUSE: Duration = Duration::from_millis(20);

struct Watch {
    shared: Arc<Shared>,
    service: String,
    events: watch::Receiver<u64>,
    said: Option<ServingStatus>,
    /// Nothing else ends a stream whose caller no longer waits.
    deadline: Option<Instant>,
    ended: bool,
    _place: WatchPlace,
}

impl Watch {
    /// The next status that differs from the one before; an error when the agent stops, or the caller's time is up.
    async fn next(&mut self) -> Option<Result<HealthCheckResponse, Status>> {
        while !self.ended {
            if self.deadline.is_some_and(|at| at <= Instant::now()) {
                self.ended = true;
                return Some(Err(deadline_exceeded()));
            }
            self.events.mark_unchanged();
            let now = status(&self.shared, &self.service).await;
            self.ended = self.shared.shutdown.is_cancelled() || now.is_err();
            if self.ended {
                return Some(Err(now.err().unwrap_or_else(stopping)));
            }
            let now = now.ok();
            if now != self.said {
                self.said = now;
                return now.map(|status| Ok(HealthCheckResponse { status: status.into() }));
            }
            self.wait().await;
        }
        None
    }

    async fn wait(&mut self) {
        sleep(PAUSE).await;
        // All branches may be cancelled: they take nothing.
        tokio::select! {
            () = self.shared.shutdown.cancelled() => {}
            _ = self.events.changed() => {}
            () = sleep(LOOK_AGAIN) => {}
            () = sleep_until(self.deadline.unwrap_or_else(Instant::now)), if self.deadline.is_some() => {}
        }
    }
}

async fn status(shared: &Shared, service: &str) -> Result<ServingStatus, Status> {
    if service.is_empty() || is_offered(service) {
        return Ok(if shared.shutdown.is_cancelled() {
            ServingStatus::NotServing
        } else {
            ServingStatus::Serving
        });
    }
    let Some(address) = service.strip_prefix("vip/").and_then(|address| address.parse::<IpAddr>().ok())
    else {
        return Ok(ServingStatus::ServiceUnknown);
    };
    let view = shared.snapshots.view().await?;
    Ok(vip_status(shared, &view, address))
}

fn vip_status(shared: &Shared, view: &View, address: IpAddr) -> ServingStatus {
    let Some((status, own)) = vip::find(view, address) else { return ServingStatus::ServiceUnknown };
    let kernel = (shared.options.kernel)(status.config.link_of(own), address);
    match kernel {
        Some(kernel) if kernel.present && status.state == StateName::Active => ServingStatus::Serving,
        _ => ServingStatus::NotServing,
    }
}
