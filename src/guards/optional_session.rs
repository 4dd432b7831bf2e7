//! The session of a page that works either way.

use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};

use super::lookup::lookup;
use super::session::optional;
use super::{Auth, Session};
use crate::session::SessionError;

/// Who is signed in, if anybody: for pages that branch on it.
///
/// None means that nobody is signed in, and only that: when the store is down the request fails with 503.
///
/// ```
/// use countersign::OptionalSession;
///
/// #[rocket::get("/")]
/// fn home(session: OptionalSession) -> String {
///     match session.get() {
///         Some(session) => format!("Welcome back, {}", session.name().unwrap_or("friend")),
///         None => "Welcome".to_owned(),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct OptionalSession(Option<Session>);

impl OptionalSession {
    /// The session, if anybody is signed in.
    #[must_use]
    pub fn get(&self) -> Option<&Session> {
        self.0.as_ref()
    }

    /// The session, if anybody is signed in.
    #[must_use]
    pub fn into_inner(self) -> Option<Session> {
        self.0
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for OptionalSession {
    type Error = SessionError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
        optional(lookup(request).await.map(Session::new)).map(Self)
    }
}

impl Sentinel for OptionalSession {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "OptionalSession")
    }
}
