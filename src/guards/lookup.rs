//! The one look-up that all guards of a request share.

use std::borrow::Cow;
use std::sync::Arc;

use rocket::Request;

use super::{Auth, Noted, context_of};
use crate::session::{CookieHeader, Found, Presented, SessionData, SessionError};

/// Who sent this request, looked up once.
pub(crate) async fn lookup(request: &Request<'_>) -> Result<Arc<SessionData>, SessionError> {
    let sender = &Noted::of(request).sender;
    if let Some(found) = sender.get() {
        return found.clone();
    }
    if let Some(session) = recent(request) {
        #[cfg(feature = "server")]
        crate::metrics::guard("session");
        // Only this future looks this request up; were there another, it would have found the same.
        sender.set(Ok(Arc::clone(&session))).ok();
        return Ok(session);
    }
    // Boxed, so that the guards' own futures stay small: most requests never come here.
    Box::pin(sender.get_or_init(|| read_and_count(request))).await.clone()
}

async fn read_and_count(request: &Request<'_>) -> Result<Arc<SessionData>, SessionError> {
    let found = read(request).await;
    #[cfg(feature = "server")]
    crate::metrics::guard(match &found {
        Ok(_) => "session",
        Err(SessionError::Missing) => "missing",
        Err(SessionError::Expired) => "expired",
        Err(SessionError::Invalid) => "invalid",
        Err(SessionError::Revoked) => "revoked",
        Err(SessionError::Unavailable) => "unavailable",
        Err(SessionError::Failed) => "failed",
    });
    if let Err(SessionError::Unavailable) = found {
        // The cause was logged where nobody knows of requests.
        tracing::error!(request_id = %context_of(request).id, "who sent a request cannot be told");
    }
    found
}

/// Why this request has no session, for catchers; `None` when no guard asked or there is one.
#[must_use]
pub fn failure_of(request: &Request<'_>) -> Option<SessionError> {
    Noted::of(request).sender.get().and_then(|found| found.as_ref().err().copied())
}

/// The session, when the very same credential was verified a moment ago and nothing is to be done about it.
fn recent(request: &Request<'_>) -> Option<Arc<SessionData>> {
    let auth = request.rocket().state::<Auth>()?;
    auth.sessions.recent(presented(&presented_cookie(request, auth), request))
}

/// What the look-up of this request found, when a guard asked.
#[cfg(feature = "server")]
pub(super) fn found<'r>(request: &'r Request<'_>) -> Option<&'r Result<Arc<SessionData>, SessionError>> {
    Noted::of(request).sender.get()
}

async fn read(request: &Request<'_>) -> Result<Arc<SessionData>, SessionError> {
    let auth = request.rocket().state::<Auth>().ok_or(SessionError::Unavailable)?;
    let cookie = presented_cookie(request, auth);
    let session = auth.sessions.read(presented(&cookie, request)).await?;
    #[cfg(feature = "server")]
    let session = super::session::renewed(request, auth, session, &cookie).await?;
    Ok(session)
}

/// The credential: the session cookie, else `Authorization`.
fn presented<'a>(cookie: &'a Found<'_>, request: &'a Request<'_>) -> Presented<'a> {
    match cookie {
        Found::Value(value) => Presented::Cookie(value),
        Found::Unusable => Presented::Unusable,
        Found::Absent => authorization(request),
    }
}

/// The session cookie this request carries, as it was sent.
pub(crate) fn presented_cookie<'r>(request: &'r Request<'_>, auth: &Auth) -> Found<'r> {
    match cookie_header(request) {
        Some(header) => header.find_chunked_as_sent(auth.cookies.sought_session()),
        None => jar_cookie(request, auth.cookies.session_name()),
    }
}

/// The request's `Cookie` header lines; `None` when it has none.
pub(crate) fn cookie_header<'r>(request: &'r Request<'_>) -> Option<CookieHeader<'r>> {
    let mut lines = request.headers().get("cookie").peekable();
    lines.peek()?;
    Some(CookieHeader::parse(lines))
}

/// The value of one of our helper cookies, when there is exactly one that can be read.
#[cfg(feature = "server")]
pub(crate) fn helper_cookie(request: &Request<'_>, name: &str) -> Option<String> {
    let found = match cookie_header(request) {
        Some(header) => header.find(name),
        None => jar_cookie(request, name),
    };
    match found {
        Found::Value(value) => Some(value.into_owned()),
        Found::Absent | Found::Unusable => None,
    }
}

/// Rocket's local client puts its cookies into the jar and sends no header. Over the network a jar without a header is
/// always empty, so nothing can be smuggled in this way.
pub(crate) fn jar_cookie<'r>(request: &'r Request<'_>, name: &str) -> Found<'r> {
    request
        .cookies()
        .get(name)
        .map_or(Found::Absent, |cookie| Found::Value(Cow::Owned(cookie.value().to_owned())))
}

/// `Authorization`, when there is exactly one.
pub(super) fn authorization<'r>(request: &'r Request<'_>) -> Presented<'r> {
    let mut headers = request.headers().get("authorization");
    match (headers.next(), headers.next()) {
        (None, _) => Presented::None,
        (Some(header), None) => Presented::from_authorization(header),
        (Some(_), Some(_)) => Presented::Unusable,
    }
}
