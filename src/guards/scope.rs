//! A script with a personal access token.

use std::marker::PhantomData;

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};

use super::session::unknown;
use super::{Auth, Noted};
use crate::model::{AccessTokenRecord, User, UserId};
use crate::session::{Presented, SessionError};

/// The name of a scope, as a type.
pub trait ScopeName: Send + Sync + 'static {
    /// The name as the configuration offers it and tokens carry it.
    const NAME: &'static str;
}

/// A personal access token with this scope, in `Authorization: Bearer` (RFC 6750). A session opens nothing here, and a
/// token nothing that asks for a session: each is for its own kind of caller, and a page of another site cannot make a
/// browser send a token.
///
/// No token or one that is over forwards with 401; one without the scope is an error with 403; a store that does not
/// answer one with 503.
///
/// ```
/// use countersign::{Scope, ScopeName};
///
/// struct ReadNotes;
///
/// impl ScopeName for ReadNotes {
///     const NAME: &'static str = "notes:read";
/// }
///
/// #[rocket::get("/api/notes")]
/// fn notes(caller: Scope<ReadNotes>) -> String {
///     format!("Notes of {}", caller.user_id())
/// }
/// ```
#[derive(Debug)]
pub struct Scope<S: ScopeName> {
    token: AccessTokenRecord,
    user: User,
    marker: PhantomData<S>,
}

/// Why a caller is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No token, one that is over, or that is unknown.
    #[error(transparent)]
    Token(#[from] SessionError),
    /// The token does not allow this (RFC 6750 section 3.1, `insufficient_scope`).
    #[error("this needs a scope that the token does not have")]
    Insufficient,
}

impl<S: ScopeName> Scope<S> {
    /// Whose token it is.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user.id
    }

    /// The token's owner.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The token, without its secret.
    #[must_use]
    pub fn token(&self) -> &AccessTokenRecord {
        &self.token
    }
}

#[rocket::async_trait]
impl<'r, S: ScopeName> FromRequest<'r> for Scope<S> {
    type Error = ScopeError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ScopeError> {
        let found = check(request).await;
        // For the catcher, which says what was wrong with the credential.
        Noted::of(request).script.set(found.as_ref().map(|_| ()).map_err(|reason| *reason)).ok();
        match found {
            Ok((token, user)) if token.scopes.iter().any(|scope| scope.as_str() == S::NAME) => {
                Outcome::Success(Self { token, user, marker: PhantomData })
            }
            Ok(_) => Outcome::Error((Status::Forbidden, ScopeError::Insufficient)),
            Err(reason) => refused(reason),
        }
    }
}

impl<S: ScopeName> Sentinel for Scope<S> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "Scope")
    }
}

/// Three answers, as for a session: what is unknown is no verdict on the token.
fn refused<T>(reason: SessionError) -> Outcome<T, ScopeError> {
    if reason.is_verdict() {
        return Outcome::Forward(Status::Unauthorized);
    }
    Outcome::Error((unknown(reason), ScopeError::Token(reason)))
}

async fn check(request: &Request<'_>) -> Result<(AccessTokenRecord, User), SessionError> {
    let sign_in = request.rocket().state::<Auth>().and_then(|auth| auth.sign_in.as_ref());
    let sign_in = sign_in.ok_or(SessionError::Unavailable)?;
    match super::lookup::authorization(request) {
        Presented::Bearer(text) => sign_in.check_access_token(text).await,
        Presented::None => Err(SessionError::Missing),
        _ => Err(SessionError::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_is_401() {
        for reason in
            [SessionError::Missing, SessionError::Expired, SessionError::Invalid, SessionError::Revoked]
        {
            let forwarded = matches!(refused::<()>(reason), Outcome::Forward(Status::Unauthorized));
            assert!(forwarded, "{reason:?}");
        }
        for (reason, code) in [(SessionError::Unavailable, 503), (SessionError::Failed, 500)] {
            let Outcome::Error((status, error)) = refused::<()>(reason) else { panic!("{reason:?}") };
            assert_eq!((status.code, error), (code, ScopeError::Token(reason)));
        }
    }
}
