//! Issuing, renewing and ending sessions: what needs the store.

use std::sync::Arc;

use serde_json::Value;

use super::data::{Carrier, SessionData};
use super::grant::{Grant, IssueError, Issued};
use super::held::Held;
use super::jwt::{AUTH_TIME, RESERVED_CLAIMS, SESSION_ID, end_of_life};
use super::private_cookie::PrivateCookie;
use super::stored::{Stored, session_of};
use super::{CookieRules, RevocationList, Sessions, value_of};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, SessionConfig};
use crate::metrics;
use crate::model::{SecurityStamp, SessionRecord, Strategy, Subject, UserId};
use crate::secret::{PlainToken, Secrets, TokenHash};
use crate::store::{self, Inserted, Replaced, Store};
use crate::token::Claims;

impl Sessions {
    /// With a store: everything.
    #[must_use]
    pub fn stored(
        config: &Config,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        revocations: Arc<RevocationList>,
        cookies: &CookieRules,
        secrets: &Secrets,
    ) -> Self {
        let name = cookies.session_name();
        let private = secrets.derive(move |ring| PrivateCookie::new(name, ring));
        Self {
            stored: Some(Stored { store, revocations, private, turn: tokio::sync::Mutex::default() }),
            ..Self::verifier(config, clock, secrets)
        }
    }

    /// Begins a session under a fresh id, whatever the browser had before: nothing can be fixed in advance
    /// (ASVS 5.0, 7.2.4). The session it replaces ends in the same act.
    ///
    /// # Errors
    /// [`IssueError`]; nothing was begun then, and the old session goes on.
    pub async fn issue(&self, grant: Grant<'_>) -> Result<Issued, IssueError> {
        self.issue_as_of(grant, self.clock.now()).await
    }

    /// As [`Sessions::issue`], for somebody who proved at `authenticated_at` who they are.
    pub(crate) async fn issue_as_of(
        &self,
        grant: Grant<'_>,
        authenticated_at: Timestamp,
    ) -> Result<Issued, IssueError> {
        let stored = self.store()?;
        let now = self.clock.now();
        let plain = PlainToken::generate()?;
        let record = SessionRecord {
            id: plain.hash(),
            user_id: grant.user.id.clone(),
            strategy: self.ages.strategy,
            method: grant.method,
            authenticated_at,
            expires_at: end_of_life(&self.ages, now, authenticated_at),
            renewed_at: now,
            user_agent: grant.device.user_agent,
            address: grant.device.address,
            claims: custom_claims(&grant.claims),
        };
        let session = session_of(record.clone(), grant.user, Carrier::Cookie)?;
        // Minted first: a token that cannot be made must leave no row behind.
        let value = match self.ages.strategy {
            Strategy::Database => stored.private.get().seal(&plain),
            Strategy::Jwt => {
                let mut claims = session.token_claims().clone();
                claims.set(SESSION_ID, plain.expose());
                self.jwt.mint(&claims, now, authenticated_at)?.0
            }
        };
        let expires_at = record.expires_at;
        let old = grant
            .replaces
            .map(|old| Replaced { id: old.id, revoke_until: self.last_moment(old.authenticated_at) });
        match stored.store.insert_session(&record, grant.user.security_stamp, old).await? {
            Inserted::Inserted => {}
            Inserted::UserChanged => return Err(IssueError::UserChanged),
        }
        if let Some(old) = old {
            stored.revocations.add(&Subject::Session(old.id), now, old.revoke_until);
        }
        metrics::session_issued();
        Ok(Issued { value, expires_at, session })
    }

    /// What a session is when it is renewed now: a later expiry, the same id; in a token these claims, while a row keeps its
    /// own. Nothing is stored.
    #[must_use]
    pub fn renewed(&self, session: &SessionData, claims: &Claims) -> SessionData {
        let now = self.clock.now();
        let expires_at = end_of_life(&self.ages, now, session.authenticated_at);
        let mut renewed =
            SessionData { renewed_at: now, expires_at, by_previous_secret: false, ..session.clone() };
        if self.ages.strategy == Strategy::Jwt {
            let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
            (renewed.name, renewed.image) = (text(claims.name()), text(claims.picture()));
            let mut claims = claims.clone();
            // A token of another issuer does not say it, and one that is renewed must not seem younger than it is.
            claims.set(AUTH_TIME, session.authenticated_at.0);
            renewed.held = Held::Token(claims);
        }
        renewed
    }

    /// Renews a session carried by the cookie value `presented` (as it was sent), as [`Sessions::renewed`] says, under the present secret.
    /// `None` when another request renewed or ended the session meanwhile.
    ///
    /// # Errors
    /// [`IssueError`]; the session is as it was then.
    pub async fn renew(&self, session: SessionData, presented: &str) -> Result<Option<Issued>, IssueError> {
        let stored = self.store()?;
        // Made first: a carrier that cannot be made must leave nothing behind.
        let value = match self.ages.strategy {
            Strategy::Database => stored.private.get().resealed(&value_of(presented).unwrap_or_default()),
            Strategy::Jwt => self.jwt.remint(&session)?,
        };
        // Whatever comes of it, what was known about the carrier is out of date.
        self.verified.forget(presented, session.carrier);
        let SessionData { renewed_at, expires_at, .. } = session;
        let renewed = stored.store.renew_session(&session.id, renewed_at, expires_at).await?;
        // A token's row only feeds the list of sessions. One of another issuer has none.
        if !renewed && self.ages.strategy == Strategy::Database {
            return Ok(None);
        }
        Ok(Some(Issued { value, expires_at, session }))
    }

    /// The carrier of a session whose claims have changed and whose life has not. The store is not asked.
    ///
    /// # Errors
    /// [`IssueError::Mint`].
    pub fn reissue(&self, session: SessionData, presented: &str) -> Result<Issued, IssueError> {
        let value = match self.ages.strategy {
            Strategy::Database => value_of(presented).unwrap_or_default().into_owned(),
            Strategy::Jwt => self.jwt.remint(&session)?,
        };
        Ok(Issued { value, expires_at: session.expires_at, session })
    }

    /// Ends a session for good, wherever copies of it are kept.
    ///
    /// # Errors
    /// [`store::Error`]; the session goes on then.
    pub async fn end(&self, session: &SessionData) -> Result<(), store::Error> {
        let stored = self.store()?;
        let until = self.last_moment(session.authenticated_at);
        stored.store.end_session(&session.id, None, until).await?;
        metrics::sessions_revoked(1);
        stored.revocations.add(&Subject::Session(session.id), self.clock.now(), until);
        Ok(())
    }

    /// Ends one session of a user by its id. `false` when it is not theirs or is gone.
    ///
    /// # Errors
    /// [`store::Error`]; the session goes on then.
    pub async fn end_by_id(&self, id: &TokenHash, owner: &UserId) -> Result<bool, store::Error> {
        let stored = self.store()?;
        let until = self.last_moment(self.clock.now());
        let ended = stored.store.end_session(id, Some(owner), until).await?;
        if ended {
            metrics::sessions_revoked(1);
            stored.revocations.add(&Subject::Session(*id), self.clock.now(), until);
        }
        Ok(ended)
    }

    /// Ends all sessions of a user but `keep`. How many ended.
    ///
    /// # Errors
    /// [`store::Error`]; all go on then.
    pub async fn end_others(&self, user: &UserId, keep: Option<&TokenHash>) -> Result<u64, store::Error> {
        let stored = self.store()?;
        let until = self.last_moment(self.clock.now());
        let ended = stored.store.end_sessions_of(user, keep, until).await?;
        self.note_ended(&ended, until)?;
        Ok(ended.len() as u64)
    }

    /// Replaces a password and, in the same act, ends the user's other sessions. `false` when the user is gone, or not as
    /// `seen` any more.
    ///
    /// # Errors
    /// [`store::Error`]; password and sessions are as before then.
    pub async fn change_password(
        &self,
        session: &SessionData,
        hash: &str,
        seen: SecurityStamp,
    ) -> Result<bool, store::Error> {
        let stored = self.store()?;
        let until = self.last_moment(self.clock.now());
        let (user, keep) = (&session.user_id, Some(&session.id));
        let changed = stored.store.change_password(user, hash, seen, keep, until).await?;
        self.note_ended(changed.as_deref().unwrap_or_default(), until)?;
        Ok(changed.is_some())
    }

    /// Takes what this process has just ended into its list. The store is not asked again: it could fail, and what was
    /// done would be reported as unknown.
    pub(crate) fn note_ended(&self, ended: &[TokenHash], until: Timestamp) -> Result<(), store::Error> {
        let stored = self.store()?;
        metrics::sessions_revoked(ended.len() as u64);
        for id in ended {
            stored.revocations.add(&Subject::Session(*id), self.clock.now(), until);
        }
        Ok(())
    }

    /// Forgets what was read about a user a moment ago: to be called after a change to their name, address or anything
    /// else that their sessions show. Other processes see it within [`super::STALE_AFTER`].
    pub fn forget_user(&self, user: &UserId) {
        self.verified.forget_user(user);
    }

    /// Asks the store what was revoked since the last time.
    ///
    /// # Errors
    /// [`store::Error`]; the list is as it was then.
    pub async fn refresh_revocations(&self) -> Result<(), store::Error> {
        self.store()?.refresh().await
    }

    /// When the longest-lived session that began at `authenticated_at` ends by itself: a revocation must last as long.
    /// A token of another issuer may outlive our own ages, so the idle life counts on top.
    pub(super) fn last_moment(&self, authenticated_at: Timestamp) -> Timestamp {
        let longest = self.ages.absolute_age.max(self.ages.max_age);
        authenticated_at.plus(longest).max(self.clock.now().plus(self.ages.max_age))
    }

    /// This moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long a revocation of any session that exists now must last.
    pub(crate) fn revoke_until(&self) -> Timestamp {
        self.last_moment(self.clock.now())
    }

    pub(super) fn store(&self) -> Result<&Stored, store::Error> {
        self.stored.as_ref().ok_or_else(|| store::Error::Unavailable("this program has no store".to_owned()))
    }
}

/// The host's own claims, as the row keeps them.
fn custom_claims(claims: &Claims) -> String {
    let own = claims.0.iter().filter(|(name, _)| !RESERVED_CLAIMS.contains(&name.as_str()));
    let own: serde_json::Map<String, Value> =
        own.map(|(name, value)| (name.clone(), value.clone())).collect();
    Value::Object(own).to_string()
}

/// For callers that only have the configuration: the ages of sessions.
impl Sessions {
    /// The configured ages.
    #[must_use]
    pub fn ages(&self) -> &SessionConfig {
        &self.ages
    }
}
