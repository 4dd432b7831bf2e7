//! What a request is called, and where it comes from.

use std::convert::Infallible;
use std::sync::Arc;

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::client::{address_of, is_from_proxy};
use super::{Auth, Noted};
use crate::audit::RequestContext;
use crate::model::RequestId;

/// The request's name and address, made once.
pub(crate) fn context_of<'r>(request: &'r Request<'_>) -> &'r Arc<RequestContext> {
    Noted::of(request).context.get_or_init(|| {
        let trusted = request.rocket().state::<Auth>().map(|auth| auth.config.trusted_proxies.as_slice());
        let trusted = trusted.unwrap_or_default();
        let given = is_from_proxy(request, trusted).then(|| given_id(request)).flatten();
        let id = given.unwrap_or_else(RequestId::next);
        Arc::new(RequestContext::new(id, address_of(request, trusted)))
    })
}

/// The id that a proxy gave the request, when it gave exactly one that is an id.
fn given_id(request: &Request<'_>) -> Option<RequestId> {
    let mut given = request.headers().get("x-request-id");
    match (given.next(), given.next()) {
        (Some(id), None) => RequestId::parse(id),
        _ => None,
    }
}

/// The request's name, for an application's own log lines and answers: it is `X-Request-Id` of every answer, and
/// `request_id` in Countersign's problem documents, log lines and audit records.
///
/// A proxy's own `X-Request-Id` is taken over when the proxy is one of `trusted_proxies`.
///
/// ```
/// use countersign::RequestId;
///
/// #[rocket::get("/report")]
/// fn report(id: &RequestId) -> String {
///     format!("Tell us this number: {id}")
/// }
/// ```
#[rocket::async_trait]
impl<'r> FromRequest<'r> for &'r RequestId {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(&context_of(request).id)
    }
}
