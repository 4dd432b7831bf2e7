//! The claims of a session: those of its token or, where there is a row and no token, those a token would hold.
//!
//! A row is read more often than anybody asks for its claims, and they are two dozen small pieces of memory. So they are
//! put together when they are first asked for.

#[cfg(feature = "server")]
use std::sync::OnceLock;

#[cfg(feature = "server")]
use serde_json::Value;

use super::SessionData;
#[cfg(feature = "server")]
use super::jwt::{AUTH_TIME, METHODS};
use crate::token::{Claims, footprint};

/// Where a session's claims come from.
#[derive(Debug)]
pub(crate) enum Held {
    /// They are the token's.
    Token(Claims),
    /// They are made of the session; only the host's own stand in the row.
    #[cfg(feature = "server")]
    Row { own: Claims, whole: OnceLock<Claims> },
}

/// A copy of a session may be changed, so it starts without what was made of the original.
impl Clone for Held {
    fn clone(&self) -> Self {
        match self {
            Self::Token(claims) => Self::Token(claims.clone()),
            #[cfg(feature = "server")]
            Self::Row { own, .. } => Self::row(own.clone()),
        }
    }
}

impl Held {
    /// By a row that keeps these claims of the host's own.
    #[cfg(feature = "server")]
    pub(super) fn row(own: Claims) -> Self {
        Self::Row { own, whole: OnceLock::new() }
    }

    /// Bytes that the claims take in memory, besides those that every session has.
    pub(super) fn footprint(&self) -> usize {
        match self {
            Self::Token(claims) => footprint::of_members(&claims.0),
            // Once with the row, once with what is made of it.
            #[cfg(feature = "server")]
            Self::Row { own, .. } => 2 * footprint::of_members(&own.0),
        }
    }

    /// Sets a claim that a token says for itself; what is made of the session follows the session.
    #[cfg(feature = "server")]
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        if let Self::Token(claims) = self {
            claims.set(name, value);
        }
    }
}

impl SessionData {
    /// The token's contents; with the database strategy, what a token would hold.
    #[must_use]
    pub fn token_claims(&self) -> &Claims {
        match &self.held {
            Held::Token(claims) => claims,
            #[cfg(feature = "server")]
            Held::Row { own, whole } => whole.get_or_init(|| self.made(own.clone())),
        }
    }

    /// The session's id excepted, which only the browser keeps.
    #[cfg(feature = "server")]
    fn made(&self, mut claims: Claims) -> Claims {
        claims.set("name", self.name.clone());
        claims.set("email", self.email.clone());
        claims.set("picture", self.image.clone());
        claims.set("sub", self.user_id.as_str());
        claims.set(AUTH_TIME, self.authenticated_at.0);
        claims.set(METHODS, vec![self.method.as_str()]);
        claims.set("iat", self.renewed_at.0);
        claims.set("exp", self.expires_at.0);
        claims
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use serde_json::json;

    use super::super::stored::session_of;
    use crate::model::{SessionRecord, samples};
    use crate::secret::TokenHash;
    use crate::session::{Carrier, SessionData};
    use crate::store::Error;

    fn session(claims: &str) -> Result<SessionData, Error> {
        let record = SessionRecord { claims: claims.to_owned(), ..samples::session(TokenHash::of("one")) };
        session_of(record, &samples::user(), Carrier::Cookie)
    }

    #[test]
    fn a_row_says_what_a_token_would() {
        let session = session(r#"{"plan":"gold","sub":"somebody else"}"#).unwrap();
        let claims = json!({
            "plan": "gold", "sub": "1815", "name": null, "email": "ada@example.com", "picture": null, "auth_time": 1,
            "amr": ["pwd"], "iat": 2, "exp": 3,
        });
        assert_eq!(serde_json::to_value(session.token_claims()).unwrap(), claims);
    }

    #[test]
    fn a_copy_says_what_it_was_changed_to() {
        let session = session("{}").unwrap();
        assert_eq!(session.token_claims().name(), None);
        let renamed = SessionData { name: Some("Ada".to_owned()), ..session.clone() };
        assert_eq!(renamed.token_claims().name(), Some("Ada"));
        assert_eq!(session.token_claims().name(), None);
    }

    #[test]
    fn claims_that_mean_nothing_are_found_when_the_row_is_read() {
        for nonsense in ["", "[]", "{", "{\"a\":1e999}"] {
            assert!(matches!(session(nonsense), Err(Error::Corrupt(_))), "{nonsense}");
        }
    }
}
