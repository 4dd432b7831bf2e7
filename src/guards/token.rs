//! The token's contents.

use std::sync::Arc;

use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};

use super::Auth;
use super::lookup::lookup;
use super::session::{optional, required};
use crate::session::{SessionData, SessionError};
use crate::token::Claims;

/// The claims of the session's token, from the session cookie or, when there is none, from `Authorization: Bearer`.
///
/// With the database strategy there is no token; the claims are then those a token would hold.
#[derive(Debug, Clone)]
pub struct Token(Arc<SessionData>);

/// As [`Token`], for handlers that work either way. None means that nobody is signed in, and only that.
#[derive(Debug, Clone)]
pub struct OptionalToken(Option<Token>);

impl Token {
    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        self.0.token_claims()
    }
}

impl OptionalToken {
    /// The token, if anybody is signed in.
    #[must_use]
    pub fn get(&self) -> Option<&Token> {
        self.0.as_ref()
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Token {
    type Error = SessionError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
        required(lookup(request).await.map(Self))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for OptionalToken {
    type Error = SessionError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, SessionError> {
        optional(lookup(request).await.map(Token)).map(Self)
    }
}

impl Sentinel for Token {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "Token")
    }
}

impl Sentinel for OptionalToken {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "OptionalToken")
    }
}
