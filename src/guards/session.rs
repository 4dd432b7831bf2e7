//! The mandatory session.

use std::sync::Arc;

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};
use serde::de::DeserializeOwned;

use super::Auth;
use super::lookup::lookup;
use crate::clock::Timestamp;
use crate::model::{AuthMethod, Strategy, UserId};
use crate::session::{SessionData, SessionError};

/// Somebody is signed in: without, the handler does not run.
///
/// Nobody signed in forwards with 401, so that a route of lower rank or a catcher answers: the fairing's own catcher
/// redirects browsers to the sign-in page and gives everybody else `application/problem+json`.
///
/// ```
/// use countersign::Session;
///
/// #[rocket::get("/api/me")]
/// fn me(session: Session) -> String {
///     format!("You are {}", session.name().unwrap_or("somebody"))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Session(Arc<SessionData>);

impl Session {
    pub(super) fn new(data: Arc<SessionData>) -> Self {
        Self(data)
    }

    /// The stable id of the user: the claim `sub`.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.0.user_id
    }

    /// The name to show. It is text that the person chose: escape it where it is shown.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The address.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// Address of a picture.
    #[must_use]
    pub fn image(&self) -> Option<&str> {
        self.0.image.as_deref()
    }

    /// When the session ends unless it is renewed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// Where the truth about this session lives.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.0.strategy
    }

    /// How the person proved who they are.
    #[must_use]
    pub fn method(&self) -> AuthMethod {
        self.0.method
    }

    /// When the person did so.
    #[must_use]
    pub fn authenticated_at(&self) -> Timestamp {
        self.0.authenticated_at
    }

    /// The claims as a type of the application's own, put there by its `jwt` hook.
    ///
    /// # Errors
    /// When the claims do not have that shape.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.0.claims()
    }

    /// Everything that is known about the session.
    #[must_use]
    pub fn data(&self) -> &SessionData {
        &self.0
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Session {
    type Error = SessionError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
        required(lookup(request).await.map(Self))
    }
}

impl Sentinel for Session {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "Session")
    }
}

/// Three answers, three words: there, not there (forward with 401), unknown (error 503; 500 when it is the application
/// that failed).
pub(super) fn required<T>(found: Result<T, SessionError>) -> Outcome<T, SessionError> {
    match found {
        Ok(value) => Outcome::Success(value),
        Err(reason) if reason.is_verdict() => Outcome::Forward(Status::Unauthorized),
        Err(reason) => Outcome::Error((unknown(reason), reason)),
    }
}

/// As [`required`], but "not there" is an answer too.
pub(super) fn optional<T>(found: Result<T, SessionError>) -> Outcome<Option<T>, SessionError> {
    match found {
        Ok(value) => Outcome::Success(Some(value)),
        Err(reason) if reason.is_verdict() => Outcome::Success(None),
        Err(reason) => Outcome::Error((unknown(reason), reason)),
    }
}

/// The status of what is no verdict.
pub(super) const fn unknown(reason: SessionError) -> Status {
    match reason {
        SessionError::Failed => Status::InternalServerError,
        _ => Status::ServiceUnavailable,
    }
}

/// Renews a session that is due, and sets its cookie. A renewal that fails leaves the session as it was; the answer is
/// then "unknown" when the store is down, and a failure when it is the application's hook that failed.
#[cfg(feature = "server")]
pub(super) async fn renewed(
    request: &Request<'_>,
    auth: &Auth,
    session: Arc<SessionData>,
    cookie: &crate::session::Found<'_>,
) -> Result<Arc<SessionData>, SessionError> {
    use crate::session::Found;
    use crate::signin::SignInError;

    let (Some(sign_in), Found::Value(presented)) = (&auth.sign_in, cookie) else {
        return Ok(session);
    };
    if !auth.sessions.is_renewal_due(&session) {
        return Ok(session);
    }
    match sign_in.renew(&session, presented).await {
        Ok(Some(issued)) => {
            let sent = super::SentCookies::of(request).header();
            super::Outbox::of(request).put(auth.cookies.session(&issued.value, issued.expires_at, &sent));
            Ok(Arc::new(issued.session))
        }
        Ok(None) => Ok(session),
        Err(SignInError::Store(error)) => {
            tracing::error!(%error, "a session could not be renewed");
            Err(SessionError::Unavailable)
        }
        Err(SignInError::Hook(error)) => {
            tracing::error!(%error, "a hook failed");
            Err(SessionError::Failed)
        }
        Err(error) => {
            tracing::error!(%error, "a session could not be renewed");
            Ok(session)
        }
    }
}
