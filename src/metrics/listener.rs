//! The listener for whoever scrapes: `GET /metrics` and nothing else, never on the site's own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::FAMILIES;

/// Connections at a time: one or two programs scrape, and everybody else waits.
const CONNECTIONS: usize = 16;
/// How long one connection may take, its keep-alive included.
const PATIENCE: Duration = Duration::from_mins(1);
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// After an error of the listener itself, such as too many open files.
const BREATH: Duration = Duration::from_millis(200);

/// Listens, so that an address that is taken stops the launch and not the first scrape.
///
/// # Errors
/// The machine's own.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers until it is dropped.
pub(crate) async fn serve(listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "metrics cannot be served"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    // Whoever goes on for longer comes again.
                    timeout(PATIENCE, talk(stream)).await.ok();
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn talk(stream: TcpStream) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    let talk = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = talk.await {
        tracing::debug!(%error, "a connection for metrics broke off");
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(String::new());
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match FAMILIES.print() {
            Ok(printed) => {
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                put(&mut response, CONTENT_TYPE, kind);
                *response.body_mut() = printed;
            }
            Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        },
        (_, "/metrics") => {
            put(&mut response, ALLOW, "GET, HEAD");
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        }
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    put(&mut response, CACHE_CONTROL, "no-store");
    Ok(response)
}

fn put(response: &mut Response<String>, name: hyper::header::HeaderName, value: &'static str) {
    response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
}
