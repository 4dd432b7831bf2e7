//! What people change about their own account.

use super::errors::SignInError;
use super::limits::{Attempt, Counted};
use super::service::{Client, SignIn};
use crate::audit::{AuditEvent, Entry};
use crate::clock::Timestamp;
use crate::mail::LetterKind;
use crate::model::{DisplayName, DisplayNameError, Email, EmailError, SecurityStamp, SessionRecord};
use crate::providers::hasher::HashError;
use crate::providers::passwords::{self, PasswordError};
use crate::providers::{Credentials, CredentialsError};
use crate::secret::{Password, TokenHash};
use crate::session::{Issued, SessionData};
use crate::store;

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The new name is none.
    #[error(transparent)]
    Name(#[from] DisplayNameError),
    /// The new address is none.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// Somebody else has the new address by now.
    #[error("the address cannot be used")]
    EmailTaken,
    /// The current password is another.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The new password breaks a rule.
    #[error(transparent)]
    NewPassword(#[from] PasswordError),
    /// Limits, load, the store.
    #[error(transparent)]
    Other(#[from] SignInError),
}

/// What the account page shows.
#[derive(Debug)]
pub struct Account {
    /// The name.
    pub name: Option<String>,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// Whether there is a password.
    pub has_password: bool,
    /// When the account was made; `None` for somebody who is known only by a token of another issuer.
    pub created_at: Option<Timestamp>,
    /// Where the person is signed in, most recently used first.
    pub sessions: Vec<SessionRecord>,
}

/// Somebody changes their password.
#[derive(Debug)]
pub struct PasswordChange {
    /// The current one, as proof.
    pub current: Password,
    /// The new one.
    pub new: Password,
    /// The language of the notice.
    pub language: String,
    /// Where from.
    pub client: Client,
}

impl SignIn {
    /// The account of the person signed in.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn account(&self, session: &SessionData) -> Result<Account, store::Error> {
        let user = self.store.find_user(&session.user_id).await?;
        let sessions = self.store.list_sessions(&session.user_id).await?;
        let name = user.as_ref().map_or_else(
            || session.name.clone(),
            |user| user.name.as_ref().map(|name| name.as_str().to_owned()),
        );
        let has_password = match &user {
            Some(user) => self.has_password(&user.email).await?,
            None => false,
        };
        let email_verified = user.as_ref().is_some_and(|user| user.email_verified_at.is_some());
        Ok(Account {
            name,
            email_verified,
            has_password,
            created_at: user.map(|user| user.created_at),
            sessions,
        })
    }

    /// Changes the display name; an empty text removes it. The session shows the new name from now on: the answer is
    /// its new carrier, made before anything is stored, so that nothing can fail afterwards.
    ///
    /// # Errors
    /// [`AccountError`]; the name is as before then.
    pub async fn change_name(
        &self,
        session: &SessionData,
        presented: &str,
        name: &str,
    ) -> Result<Issued, AccountError> {
        let name = if name.is_empty() { None } else { Some(DisplayName::parse(name)?) };
        let mut renamed = session.clone();
        renamed.name = name.as_ref().map(|name| name.as_str().to_owned());
        renamed.held.set("name", renamed.name.clone());
        let issued = self.sessions.reissue(renamed, presented).map_err(SignInError::from)?;
        let changed = self.store.set_name(&session.user_id, name.as_ref()).await;
        let changed = changed.map_err(SignInError::from)?;
        self.sessions.forget_user(&session.user_id);
        if changed {
            self.audit.record(own(AuditEvent::NameChanged, session)).await;
        }
        Ok(issued)
    }

    /// Changes the password and ends every other session. The current password is a guess like any other: it is
    /// counted.
    ///
    /// # Errors
    /// [`AccountError`]; password and sessions are as before then.
    pub async fn change_password(
        &self,
        session: &SessionData,
        change: PasswordChange,
    ) -> Result<(), AccountError> {
        let credentials = self.credentials.as_ref().ok_or(AccountError::WrongPassword)?;
        let user = self.store.find_user(&session.user_id).await.map_err(SignInError::from)?;
        let email = user.ok_or(AccountError::WrongPassword)?.email;
        passwords::check(&change.new, &email, &self.site_name)?;
        let seen = match self.prove(credentials, &email, &change).await {
            Ok(seen) => seen,
            Err(error) => {
                self.record_failed_change(session, &error).await;
                return Err(error);
            }
        };
        let hash = credentials.hasher().hash(&change.new).await.map_err(hash_error)?;
        let changed = self.sessions.change_password(session, &hash, seen).await.map_err(SignInError::from)?;
        if !changed {
            return Err(AccountError::WrongPassword);
        }
        self.audit.record(own(AuditEvent::PasswordChanged, session)).await;
        self.notify(LetterKind::PasswordChanged, &email, &change.language);
        Ok(())
    }

    async fn record_failed_change(&self, session: &SessionData, error: &AccountError) {
        let entry = match error {
            AccountError::WrongPassword => {
                own(AuditEvent::PasswordChangeFailed, session).detail("code", "wrong_password")
            }
            AccountError::Other(SignInError::Limited(_)) => {
                own(AuditEvent::LimitHit, session).detail("limit", "password_change")
            }
            _ => return,
        };
        self.audit.record(entry).await;
    }

    /// Ends one of the person's sessions from afar. `false` when it is not theirs or is gone.
    ///
    /// # Errors
    /// [`store::Error`]; the session goes on then.
    pub async fn end_session(&self, session: &SessionData, id: &TokenHash) -> Result<bool, store::Error> {
        let ended = self.sessions.end_by_id(id, &session.user_id).await?;
        if ended {
            self.audit.record(own(AuditEvent::SessionEnded, session).detail("ended", id)).await;
        }
        Ok(ended)
    }

    /// Ends all of the person's sessions but this one. How many ended.
    ///
    /// # Errors
    /// [`store::Error`]; all go on then.
    pub async fn end_other_sessions(&self, session: &SessionData) -> Result<u64, store::Error> {
        let ended = self.sessions.end_others(&session.user_id, Some(&session.id)).await?;
        self.audit.record(own(AuditEvent::OtherSessionsEnded, session).detail("ended", ended)).await;
        Ok(ended)
    }

    /// Whether whoever has this address has a password.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn has_password(&self, email: &Email) -> Result<bool, store::Error> {
        let found = self.store.find_user_by_email(email).await?;
        Ok(found.is_some_and(|found| found.password_hash.is_some()))
    }

    async fn prove(
        &self,
        credentials: &Credentials,
        email: &Email,
        change: &PasswordChange,
    ) -> Result<SecurityStamp, AccountError> {
        let attempt = Attempt { account: email.as_str(), address: change.client.address };
        let receipt = match self.limits.count_sign_in(attempt).await.map_err(SignInError::from)? {
            Counted::Allowed(receipt) => receipt,
            Counted::Refused(hit) => return Err(SignInError::Limited(hit).into()),
        };
        let proof = credentials.identify(Some(email), &change.current).await;
        match proof {
            Ok(identity) => {
                self.forgive(receipt).await;
                Ok(identity.user.security_stamp)
            }
            Err(CredentialsError::Wrong) => Err(AccountError::WrongPassword),
            Err(error) => {
                self.limits.take_back_later(receipt);
                Err(SignInError::from(error).into())
            }
        }
    }
}

/// Something a person does to their own account.
pub(super) fn own(event: AuditEvent, session: &SessionData) -> Entry {
    Entry::new(event).user(&session.user_id).session(&session.id)
}

pub(super) fn hash_error(error: HashError) -> SignInError {
    match error {
        HashError::Busy { retry_after } => SignInError::Busy(retry_after),
        other => SignInError::Internal(other.to_string()),
    }
}
