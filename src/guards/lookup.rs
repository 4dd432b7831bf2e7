//! The one look-up that all guards of a request share.

use std::borrow::Cow;
use std::sync::Arc;

use rocket::Request;
use tokio::sync::OnceCell;

use super::Auth;
use crate::session::{CookieHeader, Found, Presented, SessionData, SessionError};

/// What the look-up of this request found; empty until a guard asks.
#[derive(Default)]
struct Lookup(OnceCell<Result<Arc<SessionData>, SessionError>>);

impl Lookup {
    fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(Self::default)
    }
}

/// Who sent this request, looked up once.
pub(crate) async fn lookup(request: &Request<'_>) -> Result<Arc<SessionData>, SessionError> {
    Lookup::of(request).0.get_or_init(|| read(request)).await.clone()
}

/// Whether a guard asked who sent this request: the answer may then differ from person to person.
pub(crate) fn has_asked(request: &Request<'_>) -> bool {
    Lookup::of(request).0.initialized()
}

/// Why this request has no session, for catchers; `None` when no guard asked or there is one.
#[must_use]
pub fn failure_of(request: &Request<'_>) -> Option<SessionError> {
    Lookup::of(request).0.get().and_then(|found| found.as_ref().err().copied())
}

async fn read(request: &Request<'_>) -> Result<Arc<SessionData>, SessionError> {
    let auth = request.rocket().state::<Auth>().ok_or(SessionError::Unavailable)?;
    let cookie = presented_cookie(request, auth);
    let presented = match (&cookie, authorization(request)) {
        (Found::Value(value), _) => Presented::Cookie(value),
        (Found::Unusable, _) => Presented::Unusable,
        (Found::Absent, header) => header,
    };
    let session = auth.sessions.read(presented).await?;
    #[cfg(feature = "server")]
    let session = super::session::renewed(request, auth, session, &cookie).await?;
    Ok(Arc::new(session))
}

/// The session cookie this request carries.
pub(crate) fn presented_cookie<'r>(request: &'r Request<'_>, auth: &Auth) -> Found<'r> {
    let name = auth.cookies.session_name();
    match cookie_header(request) {
        Some(header) => header.find_chunked(name),
        None => jar_cookie(request, name),
    }
}

/// The request's `Cookie` header lines; `None` when it has none.
pub(crate) fn cookie_header<'r>(request: &'r Request<'_>) -> Option<CookieHeader<'r>> {
    let mut lines = request.headers().get("cookie").peekable();
    lines.peek()?;
    Some(CookieHeader::parse(lines))
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
fn authorization<'r>(request: &'r Request<'_>) -> Presented<'r> {
    let mut headers = request.headers().get("authorization");
    match (headers.next(), headers.next()) {
        (None, _) => Presented::None,
        (Some(header), None) => Presented::from_authorization(header),
        (Some(_), Some(_)) => Presented::Unusable,
    }
}
