//! What a session is and how it travels.
//!
//! # Two strategies, one behaviour
//! With `strategy = "jwt"` the browser carries a token in one of NextAuth's formats; with `strategy = "database"` a
//! private (encrypted) cookie carries a random id whose SHA-256 is a row's key. Both are issued anew at every sign-in,
//! live for `max_age` without use, are renewed at most every `update_age`, never live longer than `absolute_age`, and
//! end for good at sign-out: the row is deleted, *and* a revocation is stored that outlives restarts
//! ([`RevocationList`]).
//!
//! # Why JWT sessions have a row too
//! People want to see where they are signed in and end a session from afar. The row is never read to let a request in;
//! it is how the account page knows what there is to end.
//!
//! # Invariants
//! - Only `cookies.rs` builds a cookie, and only `cookie_header.rs` reads one.
//! - [`SessionError::Unavailable`] is an answer of its own: whoever maps it to "signed out" has a bug.

mod cookie_header;
mod cookies;
mod csrf;
mod data;
#[cfg(feature = "server")]
mod issue;
mod jwt;
#[cfg(feature = "server")]
mod private_cookie;
mod revocations;

use std::sync::Arc;

pub use cookie_header::{CookieHeader, Found};
pub use cookies::{CookieRules, SetCookie, encode_component};
pub use csrf::{Csrf, CsrfPair, FetchOrigin};
pub use data::{Carrier, Presented, SessionData, SessionError};
#[cfg(feature = "server")]
pub use issue::{Device, Grant, IssueError, Issued};
pub use jwt::RESERVED_CLAIMS;
pub use revocations::{REFRESH_EVERY, RevocationList, STALE_AFTER};

use crate::clock::Clock;
use crate::config::{Config, SessionConfig};
use crate::model::Strategy;
use jwt::JwtSessions;

/// Reads sessions, and with a store also issues, renews and ends them.
#[derive(Debug)]
pub struct Sessions {
    clock: Arc<dyn Clock>,
    ages: SessionConfig,
    jwt: JwtSessions,
    #[cfg(feature = "server")]
    stored: Option<issue::Stored>,
}

impl Sessions {
    /// Without a store: verifies tokens by the secret alone. What was revoked elsewhere is not known here, so a
    /// signed-out token is accepted until it expires; keep `max_age` short where that matters.
    #[must_use]
    pub fn verifier(config: &Config, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ages: config.session.clone(),
            jwt: JwtSessions::new(config),
            #[cfg(feature = "server")]
            stored: None,
        }
    }

    /// Verifies what a request presented.
    ///
    /// # Errors
    /// The typed reason why there is no session; [`SessionError::Unavailable`] when that is unknown.
    pub async fn read(&self, presented: Presented<'_>) -> Result<SessionData, SessionError> {
        let (text, carrier) = match presented {
            Presented::None => return Err(SessionError::Missing),
            Presented::Unusable => return Err(SessionError::Invalid),
            Presented::Cookie(text) => (text, Carrier::Cookie),
            Presented::Bearer(text) => (text, Carrier::Bearer),
        };
        #[cfg(feature = "server")]
        if let Some(stored) = &self.stored {
            return match self.ages.strategy {
                Strategy::Database => stored.read_row(text, carrier, self.clock.now()).await,
                Strategy::Jwt => {
                    let data = self.jwt.read(text, carrier, self.clock.now())?;
                    stored.check_revoked(&data).await.map(|()| data)
                }
            };
        }
        match self.ages.strategy {
            Strategy::Jwt => self.jwt.read(text, carrier, self.clock.now()),
            // Only the service that keeps the rows can tell.
            Strategy::Database => Err(SessionError::Unavailable),
        }
    }

    /// Whether the session is due for renewal: carried by a cookie and last renewed `update_age` ago or longer.
    #[must_use]
    pub fn is_renewal_due(&self, session: &SessionData) -> bool {
        session.carrier == Carrier::Cookie
            && self.clock.now().since(session.renewed_at) >= self.ages.update_age
    }
}
