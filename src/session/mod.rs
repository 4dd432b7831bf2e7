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
//! # What is remembered
//! A credential that was verified is remembered for a while, so that a guard which sees it again verifies nothing and asks
//! no store. Every such answer still asks the revocation list, and is given only while the list is current and hears
//! what other processes revoke; a row is believed for [`STALE_AFTER`]. So what this process ends or changes counts at
//! once, and what another one does within that bound, with or without memory.
//!
//! # Invariants
//! - Only `cookies.rs` builds a cookie, and only `cookie_header.rs` reads one.
//! - [`SessionError::Unavailable`] is an answer of its own: whoever maps it to "signed out" has a bug.

mod cookie_header;
mod cookies;
mod csrf;
mod data;
#[cfg(feature = "server")]
mod ended;
#[cfg(feature = "server")]
mod grant;
mod held;
#[cfg(feature = "server")]
mod issue;
mod jwt;
#[cfg(feature = "server")]
mod private_cookie;
mod revocations;
#[cfg(feature = "server")]
mod shown;
#[cfg(feature = "server")]
mod stored;
#[cfg(feature = "server")]
mod take_over;
mod verified;

use std::borrow::Cow;
use std::sync::Arc;

pub use cookie_header::{CookieHeader, Found, SoughtName};
use cookies::is_encoded;
pub use cookies::{CookieRules, SetCookie, encode_component};
pub use csrf::{Csrf, CsrfPair, FetchOrigin};
pub use data::{Carrier, Presented, SessionData, SessionError};
#[cfg(feature = "server")]
pub use grant::{Device, Grant, IssueError, Issued};
pub use jwt::RESERVED_CLAIMS;
pub use revocations::{REFRESH_EVERY, RevocationList, STALE_AFTER};
#[cfg(feature = "server")]
pub use shown::SessionBody;

use crate::clock::{Clock, Timestamp};
use crate::config::{Config, SessionConfig};
use crate::model::Strategy;
use crate::secret::Secrets;
use jwt::JwtSessions;
use verified::{Entry, Verified};

/// A session under a previous secret is issued anew at most this often, seconds: while a rotation is on its way, instances
/// differ about which secret is the present one, and must not pass a session to and fro.
const REISSUE_AFTER: i64 = 60;

/// Reads sessions, and with a store also issues, renews and ends them.
#[derive(Debug)]
pub struct Sessions {
    clock: Arc<dyn Clock>,
    ages: SessionConfig,
    jwt: JwtSessions,
    verified: Verified,
    secrets: Secrets,
    #[cfg(feature = "server")]
    stored: Option<stored::Stored>,
}

impl Sessions {
    /// Without a store: verifies tokens by the secret alone. What was revoked elsewhere is not known here, so a
    /// signed-out token is accepted until it expires; keep `max_age` short where that matters.
    #[must_use]
    pub fn verifier(config: &Config, clock: Arc<dyn Clock>, secrets: &Secrets) -> Self {
        Self {
            clock,
            ages: config.session.clone(),
            jwt: JwtSessions::new(config, secrets),
            verified: Verified::default(),
            secrets: secrets.clone(),
            #[cfg(feature = "server")]
            stored: None,
        }
    }

    /// The session of a credential that was verified a moment ago, when nothing can have changed since and no renewal is
    /// due: see [`Sessions::read`] for everything else. It never waits.
    #[must_use]
    pub fn recent(&self, presented: Presented<'_>) -> Option<Arc<SessionData>> {
        let (text, carrier) = presented.credential()?;
        let entry = self.verified.find(text, carrier)?;
        if entry.secrets != self.secrets.generation() || !entry.covers(self.clock.now()) {
            return None;
        }
        #[cfg(feature = "server")]
        if let Some(stored) = &self.stored
            && !stored.still_holds(&entry)
        {
            return None;
        }
        Some(Arc::clone(&entry.session))
    }

    /// Verifies what a request presented.
    ///
    /// # Errors
    /// The typed reason why there is no session; [`SessionError::Unavailable`] when that is unknown.
    pub async fn read(&self, presented: Presented<'_>) -> Result<Arc<SessionData>, SessionError> {
        if let Some(session) = self.recent(presented) {
            return Ok(session);
        }
        let (sent, carrier) = match presented {
            Presented::None => return Err(SessionError::Missing),
            Presented::Unusable => return Err(SessionError::Invalid),
            Presented::Cookie(sent) => (sent, Carrier::Cookie),
            Presented::Bearer(sent) => (sent, Carrier::Bearer),
        };
        let text = &*read_from(sent, carrier)?;
        let (now, epoch, secrets) = (self.clock.now(), self.verified.epoch(), self.secrets.generation());
        #[cfg(feature = "server")]
        if let Some(stored) = &self.stored {
            // Taken before anything is asked: what is revoked meanwhile makes the next look at the entry a real one.
            let (generation, asked) = (stored.generation(), std::time::Instant::now());
            let session = match self.ages.strategy {
                Strategy::Database => stored.read_row(text, carrier, now).await?,
                Strategy::Jwt => {
                    let session = self.jwt.read(text, carrier, now)?;
                    stored.check_revoked(&session).await?;
                    session
                }
            };
            let session = Arc::new(session);
            let row_read = (self.ages.strategy == Strategy::Database).then_some(asked);
            let until = self.sure_until(&session);
            let entry = Entry::new(Arc::clone(&session), now, until, secrets).stored(row_read, generation);
            self.keep((sent, text), carrier, entry, epoch);
            return Ok(session);
        }
        match self.ages.strategy {
            Strategy::Jwt => {
                let session = Arc::new(self.jwt.read(text, carrier, now)?);
                let until = self.sure_until(&session);
                let entry = Entry::new(Arc::clone(&session), now, until, secrets);
                self.keep((sent, text), carrier, entry, epoch);
                Ok(session)
            }
            // Only the service that keeps the rows can tell.
            Strategy::Database => Err(SessionError::Unavailable),
        }
    }

    /// Remembers what was verified, by the text that was sent when that is one of the two that everybody sends: whoever spells
    /// theirs in a thousand ways is not remembered a thousand times.
    fn keep(&self, (sent, text): (&str, &str), carrier: Carrier, entry: Entry, epoch: u64) {
        if sent == text || is_encoded(sent, text) {
            self.verified.keep(sent, carrier, entry, epoch);
        }
    }

    /// Up to when no rule of time can refuse the session and no renewal is due. Some rules are kinder than this (a
    /// tolerance, a format without a greatest age): then the session is read anew, and they decide.
    fn sure_until(&self, session: &SessionData) -> Timestamp {
        let ages = &self.ages;
        let end = session
            .expires_at
            .min(session.authenticated_at.plus(ages.absolute_age))
            .min(session.renewed_at.plus(ages.max_age));
        match session.carrier {
            Carrier::Cookie => end.min(session.renewed_at.plus(self.renewal_age(session))),
            Carrier::Bearer => end,
        }
    }

    /// How long after its last renewal a session is due for the next.
    fn renewal_age(&self, session: &SessionData) -> i64 {
        let update_age = self.ages.update_age;
        if session.by_previous_secret { update_age.min(REISSUE_AFTER) } else { update_age }
    }

    /// Whether the session is due for renewal: carried by a cookie and last renewed `update_age` ago or longer, or
    /// signed by a secret that signs no more.
    #[must_use]
    pub fn is_renewal_due(&self, session: &SessionData) -> bool {
        session.carrier == Carrier::Cookie
            && self.clock.now().since(session.renewed_at) >= self.renewal_age(session)
    }
}

/// What a credential says: a cookie's value is percent-decoded.
fn read_from(sent: &str, carrier: Carrier) -> Result<Cow<'_, str>, SessionError> {
    match carrier {
        Carrier::Cookie => value_of(sent).ok_or(SessionError::Invalid),
        Carrier::Bearer => Ok(Cow::Borrowed(sent)),
    }
}

/// The value of a cookie that was sent like this, when it is a text.
fn value_of(sent: &str) -> Option<Cow<'_, str>> {
    match Found::Value(Cow::Borrowed(sent)).decoded() {
        Found::Value(value) => Some(value),
        Found::Absent | Found::Unusable => None,
    }
}
