//! The one look-up that all guards of a request share.

use std::sync::Arc;

use rocket::Request;

use super::{Auth, Noted, SentCookies, context_of};
use crate::session::{Found, Presented, SessionData, SessionError};

/// Who sent this request, looked up once.
pub(crate) async fn lookup(request: &Request<'_>) -> Result<Arc<SessionData>, SessionError> {
    let sender = &Noted::of(request).sender;
    if let Some(found) = sender.get() {
        return found.clone();
    }
    if let Some(session) = recall(request, &SentCookies::of(request)) {
        return Ok(session);
    }
    // Boxed, so that the guards' own futures stay small: most requests never come here.
    Box::pin(sender.get_or_init(|| read_and_count(request))).await.clone()
}

/// Who sent this request, when the very same credential was verified a moment ago and nothing is to be done about it; a later
/// look-up finds the same.
pub(crate) fn recall(request: &Request<'_>, sent: &SentCookies<'_>) -> Option<Arc<SessionData>> {
    let auth = request.rocket().state::<Auth>()?;
    let session = auth.sessions.recent(presented(&sent.session(auth), request))?;
    // Only one future looks a request up; were there another, it would have found the same, and counted it.
    if Noted::of(request).sender.set(Ok(Arc::clone(&session))).is_ok() {
        #[cfg(feature = "server")]
        crate::metrics::guard("session");
    }
    Some(session)
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

/// Why this request has no session, else why its access token opened nothing, for catchers; `None` when no guard asked or
/// none refused.
#[must_use]
pub fn failure_of(request: &Request<'_>) -> Option<SessionError> {
    let noted = Noted::of(request);
    let no_session = noted.sender.get().and_then(|found| found.as_ref().err());
    no_session.or_else(|| noted.script.get().and_then(|found| found.as_ref().err())).copied()
}

/// What the look-up of this request found, when a guard asked.
#[cfg(feature = "server")]
pub(super) fn found<'r>(request: &'r Request<'_>) -> Option<&'r Result<Arc<SessionData>, SessionError>> {
    Noted::of(request).sender.get()
}

async fn read(request: &Request<'_>) -> Result<Arc<SessionData>, SessionError> {
    let auth = request.rocket().state::<Auth>().ok_or(SessionError::Unavailable)?;
    let cookie = SentCookies::of(request).session(auth);
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

/// `Authorization`, when there is exactly one.
pub(super) fn authorization<'r>(request: &'r Request<'_>) -> Presented<'r> {
    let mut headers = request.headers().get("authorization");
    match (headers.next(), headers.next()) {
        (None, _) => Presented::None,
        (Some(header), None) => Presented::from_authorization(header),
        (Some(_), Some(_)) => Presented::Unusable,
    }
}
