//! Personal access tokens: for scripts that call the API in somebody's name.
//!
//! A token is `cst_` and 256 random bits, shown once and kept by hash. It opens what asks for a scope it has, and nothing
//! else: no session guard takes it, so a script cannot change a password or make further tokens. The mark in front lets
//! scanners find one that was published by mistake.

use super::service::SignIn;
use crate::audit::{AuditEvent, Entry};
use crate::clock::Timestamp;
use crate::mail::LetterKind;
use crate::model::{AccessTokenRecord, DisplayName, Permission, User};
use crate::secret::{PlainToken, TokenHash};
use crate::session::{SessionData, SessionError};
use crate::store;

/// What every token begins with.
pub const MARK: &str = "cst_";
/// Tokens that one person can have.
const MOST: u32 = 100;
/// Uses are noted at most this often, seconds.
const NOTE_EVERY: i64 = 60;
/// The longest life of a token, days.
pub const MOST_DAYS: i64 = 366;

/// Why a token was not made.
#[derive(Debug, thiserror::Error)]
pub enum NewTokenError {
    /// What is wrong with what was wanted: one thing or several.
    #[error("a token needs a name, at least one scope, and 1 to 366 days")]
    Form(Vec<NewTokenMistake>),
    /// The person has as many as are allowed, or was signed out meanwhile.
    #[error("too many tokens")]
    TooMany,
    /// No random bytes.
    #[error("{0}")]
    Internal(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What a token cannot be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewTokenMistake {
    /// No name, or one that is too long.
    Name,
    /// No scope that is offered.
    Scopes,
    /// A life outside 1 to [`MOST_DAYS`] days.
    Days,
}

/// What a person wants of a token.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// What to call it.
    pub name: &'a str,
    /// The scopes, as chosen.
    pub scopes: &'a [&'a str],
    /// How long it lives.
    pub days: i64,
    /// The language of the notice.
    pub language: &'a str,
}

impl SignIn {
    /// Makes a token. The answer is the only time it is seen.
    ///
    /// # Errors
    /// [`NewTokenError`]; no token was made then.
    pub async fn make_access_token(
        &self,
        session: &SessionData,
        wanted: NewToken<'_>,
        offered: &[Permission],
    ) -> Result<String, NewTokenError> {
        let (name, scopes) = checked(&wanted, offered).map_err(NewTokenError::Form)?;
        let plain = PlainToken::generate().map_err(|error| NewTokenError::Internal(error.to_string()))?;
        let now = self.sessions.now();
        let token = AccessTokenRecord {
            id: plain.hash(),
            user_id: session.user_id.clone(),
            name: name.as_str().to_owned(),
            scopes,
            created_at: now,
            expires_at: now.plus(wanted.days.saturating_mul(24 * 60 * 60)),
            last_used_at: None,
        };
        let owner = self.owner(session, wanted.language).await?;
        if !self.store.insert_access_token(&token, Some(&session.id), MOST).await? {
            return Err(NewTokenError::TooMany);
        }
        let entry = Entry::new(AuditEvent::AccessTokenMade).user(&session.user_id).session(&session.id);
        self.audit.record(entry).await;
        self.notify_owner(LetterKind::AccessTokenMade, &owner);
        Ok(format!("{MARK}{}", plain.expose()))
    }

    /// A person's tokens, newest first.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn access_tokens(&self, session: &SessionData) -> Result<Vec<AccessTokenRecord>, store::Error> {
        self.store.list_access_tokens(&session.user_id).await
    }

    /// Revokes a token. `false` when it is not this person's or is gone.
    ///
    /// # Errors
    /// [`store::Error`]; the token still works then.
    pub async fn revoke_access_token(
        &self,
        session: &SessionData,
        id: &TokenHash,
    ) -> Result<bool, store::Error> {
        let revoked = self.store.delete_access_token(&session.user_id, id).await?;
        if revoked {
            let entry =
                Entry::new(AuditEvent::AccessTokenRevoked).user(&session.user_id).session(&session.id);
            self.audit.record(entry).await;
        }
        Ok(revoked)
    }

    /// Whose token this is, and what it allows. The use is noted, to the minute.
    ///
    /// # Errors
    /// The typed reason why it opens nothing; [`SessionError::Unavailable`] when that is unknown.
    pub async fn check_access_token(&self, text: &str) -> Result<(AccessTokenRecord, User), SessionError> {
        let plain = text.strip_prefix(MARK).and_then(PlainToken::parse).ok_or(SessionError::Invalid)?;
        let found = self.store.find_access_token(&plain.hash()).await.map_err(|error| unknown(&error))?;
        let (token, user) = found.ok_or(SessionError::Invalid)?;
        if user.disabled_at.is_some() {
            return Err(SessionError::Revoked);
        }
        let now = self.sessions.now();
        if now >= token.expires_at {
            return Err(SessionError::Expired);
        }
        if token.last_used_at.is_none_or(|last: Timestamp| now.since(last) >= NOTE_EVERY)
            && let Err(error) = self.store.use_access_token(&token.id, now).await
        {
            // Whether it opens something does not depend on it.
            tracing::warn!(%error, "the use of an access token could not be noted");
        }
        Ok((token, user))
    }
}

/// The name and the scopes, or everything that is wrong.
fn checked(
    wanted: &NewToken<'_>,
    offered: &[Permission],
) -> Result<(DisplayName, Vec<Permission>), Vec<NewTokenMistake>> {
    let name = DisplayName::parse(wanted.name);
    let chosen = |scope: &&Permission| wanted.scopes.contains(&scope.as_str());
    let scopes: Vec<Permission> = offered.iter().filter(chosen).cloned().collect();
    let mistakes = [
        (name.is_err(), NewTokenMistake::Name),
        (scopes.is_empty(), NewTokenMistake::Scopes),
        (!(1..=MOST_DAYS).contains(&wanted.days), NewTokenMistake::Days),
    ];
    let made: Vec<NewTokenMistake> =
        mistakes.into_iter().filter_map(|(made, mistake)| made.then_some(mistake)).collect();
    match name {
        Ok(name) if made.is_empty() => Ok((name, scopes)),
        _ => Err(made),
    }
}

fn unknown(error: &store::Error) -> SessionError {
    tracing::error!(%error, "an access token could not be looked up");
    SessionError::Unavailable
}
