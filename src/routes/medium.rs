//! How the sender of a request wants to be answered.

use rocket::Request;
use rocket::http::MediaType;

/// Whether the request is a browser going somewhere: its `Accept` names HTML before anything else.
pub(crate) fn prefers_html(request: &Request<'_>) -> bool {
    request.accept().is_some_and(|accept| {
        let preferred = accept.preferred().media_type();
        preferred.is_html() || *preferred == MediaType::XHTML
    })
}

/// Auth.js v5's wish for redirects as JSON.
pub(crate) fn wants_script_redirect(request: &Request<'_>) -> bool {
    request.headers().contains("x-auth-return-redirect")
}
