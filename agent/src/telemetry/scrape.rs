//! The page that Prometheus scrapes: HTTP/1.1, one request for each connection, few connections at a time, and no
//! client can hold one for long. Read only; whoever reaches the address may read it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

use super::StartError;
use crate::listening;

/// The page, served until it is dropped.
pub(super) struct ScrapeServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// Connections at a time; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 8;

/// How long a client may take to ask.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may last, the answer's way to a slow reader included.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// A younger page is given to the next client too, so that clients at the same time share one.
const FRESH: Duration = Duration::from_millis(500);

/// Listens on an address. Call inside the main runtime.
///
/// # Errors
/// [`StartError::Listen`] when it cannot be had.
pub(super) fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = listening::listen(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((address, listener))
}

impl ScrapeServer {
    /// Serves. Call inside the main runtime.
    pub(super) fn start(address: SocketAddr, listener: TcpListener, registry: Registry) -> Self {
        let page = Arc::new(Page { registry, last: Mutex::new(None) });
        Self { address, task: tokio::spawn(serve(listener, page)) }
    }

    /// Where it listens; with the port that the kernel chose if none was wanted.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ScrapeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The text, made anew when it is no longer fresh.
struct Page {
    registry: Registry,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Page {
    async fn text(&self) -> Result<Bytes, String> {
        let mut last = self.last.lock().await;
        if let Some((made, text)) = last.as_ref().filter(|(made, _)| made.elapsed() < FRESH) {
            tracing::trace!(age = ?made.elapsed(), "scrape answered with the last page");
            return Ok(text.clone());
        }
        let registry = self.registry.clone();
        // Collection waits for the vrrp thread's snapshot and formats for a while: not on a thread of the runtime.
        let encode = move || TextEncoder::new().encode_to_string(&registry.gather());
        let text = tokio::task::spawn_blocking(encode).await.map_err(|error| error.to_string())?;
        let text = Bytes::from(text.map_err(|error| error.to_string())?);
        *last = Some((Instant::now(), text.clone()));
        Ok(text)
    }
}

/// Cancelled at any await: connections end by themselves, at the latest after their timeout.
async fn serve(listener: TcpListener, page: Arc<Page>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = Arc::clone(&page);
                tokio::spawn(async move {
                    // Timed out or broken: the client is gone or too slow, and that is its own affair.
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, converse(stream, page)).await;
                    drop(place);
                });
            }
            // No file descriptors, for example: give others time to return theirs.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(stream: TcpStream, page: Arc<Page>) {
    let service = service_fn(move |request| answer(Arc::clone(&page), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "scrape connection ended");
    }
}

async fn answer(page: Arc<Page>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let known = matches!(request.uri().path(), "/" | "/metrics");
    let response = match (known, request.method()) {
        (false, _) => plain(StatusCode::NOT_FOUND, "not found; metrics are at /metrics\n"),
        (true, &Method::GET | &Method::HEAD) if request.uri().path() == "/" => html(INDEX),
        (true, &Method::GET | &Method::HEAD) => match page.text().await {
            Ok(text) => content(StatusCode::OK, prometheus::TEXT_FORMAT, text),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error),
        },
        (true, _) => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            response
        }
    };
    Ok(response)
}

const INDEX: &str =
    "<!doctype html><title>ha-agent</title><h1>ha-agent</h1><p><a href=\"/metrics\">Metrics</a></p>\n";

fn html(text: &'static str) -> Response<Full<Bytes>> {
    content(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response<Full<Bytes>> {
    content(status, "text/plain; charset=utf-8", Bytes::from(text.into()))
}

fn content(status: StatusCode, kind: &'static str, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
