//! What people change about their own account.

use super::errors::SignInError;
use super::limits::{Attempt, Counted};
use super::service::{Client, SignIn};
use crate::clock::Timestamp;
use crate::model::{DisplayName, DisplayNameError, Email, SessionRecord};
use crate::providers::hasher::HashError;
use crate::providers::passwords::{self, PasswordError};
use crate::providers::{Credentials, CredentialsError};
use crate::secret::Password;
use crate::session::{Issued, SessionData};
use crate::store;

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The new name is none.
    #[error(transparent)]
    Name(#[from] DisplayNameError),
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
        Ok(Account { name, created_at: user.map(|user| user.created_at), sessions })
    }

    /// Changes the display name; an empty text removes it. The session shows the new name from now on: the answer is
    /// its renewed carrier.
    ///
    /// # Errors
    /// [`AccountError`]; the name is as before then.
    pub async fn change_name(
        &self,
        session: &SessionData,
        presented: &str,
        name: &str,
    ) -> Result<Option<Issued>, AccountError> {
        let name = if name.is_empty() { None } else { Some(DisplayName::parse(name)?) };
        let changed = self.store.set_name(&session.user_id, name.as_ref()).await;
        changed.map_err(SignInError::from)?;
        self.sessions.forget_user(&session.user_id);
        let mut renamed = session.clone();
        renamed.name = name.as_ref().map(|name| name.as_str().to_owned());
        renamed.claims.set("name", renamed.name.clone());
        Ok(self.renew(&renamed, presented, None).await?)
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
        self.prove(credentials, &email, &change).await?;
        let hash = credentials.hasher().hash(&change.new).await.map_err(hash_error)?;
        let changed = self.sessions.change_password(session, &hash).await.map_err(SignInError::from)?;
        if changed { Ok(()) } else { Err(AccountError::WrongPassword) }
    }

    async fn prove(
        &self,
        credentials: &Credentials,
        email: &Email,
        change: &PasswordChange,
    ) -> Result<(), AccountError> {
        let attempt = Attempt { account: email.as_str(), address: change.client.address };
        let receipt = match self.limits.count_sign_in(attempt).await.map_err(SignInError::from)? {
            Counted::Allowed(receipt) => receipt,
            Counted::Refused(hit) => return Err(SignInError::Limited(hit).into()),
        };
        let proof = credentials.identify(Some(email), &change.current).await;
        if !matches!(proof, Err(CredentialsError::Wrong)) {
            self.forgive(receipt).await;
        }
        match proof {
            Ok(_) => Ok(()),
            Err(CredentialsError::Wrong) => Err(AccountError::WrongPassword),
            Err(error) => Err(SignInError::from(error).into()),
        }
    }
}

fn hash_error(error: HashError) -> SignInError {
    match error {
        HashError::Busy { retry_after } => SignInError::Busy(retry_after),
        other => SignInError::Internal(other.to_string()),
    }
}
