//! A session whose person proved a moment ago who they are.

use std::sync::atomic::{AtomicBool, Ordering};

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};

use super::lookup::lookup;
use super::session::required;
use super::{Auth, Session};
use crate::session::SessionError;

/// Somebody is signed in, and signed in within `session.fresh_age` (15 minutes by default): for what must not be done by
/// whoever finds an unlocked screen or a stolen cookie.
///
/// Somebody who signed in longer ago, or whose token another program issued, is asked for a proof: the fairing's own
/// catcher sends browsers to a page that takes a password or a link and brings them back where they were, and gives
/// everybody else 403 with the code `reauthentication_required`. Nobody signed in forwards with 401, as [`Session`] does.
///
/// ```
/// use countersign::{CsrfForm, Fresh};
/// use rocket::FromForm;
///
/// #[derive(FromForm)]
/// struct Payout {
///     account: String,
/// }
///
/// #[rocket::post("/payout", data = "<form>")]
/// fn payout(fresh: Fresh, form: CsrfForm<Payout>) -> String {
///     format!("{} pays out to {}", fresh.session().user_id(), form.get().account)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Fresh(Session);

impl Fresh {
    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0
    }

    /// The session.
    #[must_use]
    pub fn into_inner(self) -> Session {
        self.0
    }
}

/// Why there is no fresh session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FreshError {
    /// There is no session.
    #[error(transparent)]
    Session(SessionError),
    /// There is one, but its person signed in too long ago.
    #[error("this needs a recent sign-in")]
    Stale,
}

/// Noted for the catcher.
#[derive(Default)]
struct Staleness(AtomicBool);

/// Whether this request was refused because its person signed in too long ago, for catchers of 403.
#[must_use]
pub fn is_stale(request: &Request<'_>) -> bool {
    request.local_cache(Staleness::default).0.load(Ordering::Relaxed)
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Fresh {
    type Error = FreshError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, FreshError> {
        let session = match required(lookup(request).await.map(Session::new)) {
            Outcome::Success(session) => session,
            Outcome::Error((status, error)) => return Outcome::Error((status, FreshError::Session(error))),
            Outcome::Forward(status) => return Outcome::Forward(status),
        };
        if request.rocket().state::<Auth>().is_some_and(|auth| auth.is_fresh(session.data())) {
            return Outcome::Success(Self(session));
        }
        stale(request)
    }
}

fn stale<T>(request: &Request<'_>) -> Outcome<T, FreshError> {
    request.local_cache(Staleness::default).0.store(true, Ordering::Relaxed);
    Outcome::Error((Status::Forbidden, FreshError::Stale))
}

impl Sentinel for Fresh {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "Fresh")
    }
}
