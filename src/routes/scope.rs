//! What surrounds every route of the library: its request is known to whoever logs or records something within.
//!
//! Rocket's fairings see a request before and after its handler and cannot stand around it; a handler of handlers can.
//! Guards, the handler and its answer run inside. An application's own routes are not wrapped: their lines of the log
//! have the request's name where Countersign writes them for a request, and not where it comes from deeper down.

use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};
use tracing::Instrument as _;

use crate::guards::context_of;
use crate::metrics;

#[derive(Clone)]
struct Scoped(Box<dyn Handler>);

#[rocket::async_trait]
impl Handler for Scoped {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let context = context_of(request);
        // The pattern and never the path: a path may hold a secret.
        let route = request.route().map_or("", |route| route.uri.as_str());
        let span =
            tracing::info_span!("request", request_id = %context.id, method = %request.method(), route);
        let began = metrics::begin();
        let work = std::sync::Arc::clone(context).scope(self.0.handle(request, data));
        let outcome = work.instrument(span).await;
        if !outcome.is_forward() {
            metrics::route(began, route);
        }
        outcome
    }
}

/// The routes, each within its request.
pub(super) fn scoped(routes: Vec<Route>) -> Vec<Route> {
    let wrap = |mut route: Route| {
        route.handler = Box::new(Scoped(route.handler));
        route
    };
    routes.into_iter().map(wrap).collect()
}
