//! Why somebody could not sign in or up.

use super::hooks::HookError;
use super::limits::LimitHit;
use crate::model::{DisplayNameError, EmailError};
use crate::providers::hasher::HashError;
use crate::providers::passwords::PasswordError;
use crate::providers::{CredentialsError, ProviderError};
use crate::secret::EntropyError;
use crate::session::IssueError;
use crate::store;

/// Why somebody could not sign in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The address or the password is wrong, the user unknown or disabled: one answer for all.
    #[error("the address or the password is wrong")]
    Credentials,
    /// What was mailed is wrong, used or expired, or its user may not sign in: one answer for all.
    #[error("the link has expired or was used already")]
    Verification,
    /// The code is not the one that was mailed last to this browser's wish, or it has expired.
    #[error("the code is wrong or has expired")]
    WrongCode,
    /// Not an address that mail can be sent to.
    #[error("this is no e-mail address")]
    Email,
    /// Mail cannot be sent here, or is no way to sign in.
    #[error("no mail is sent here")]
    NoMail,
    /// The host's hook refused, perhaps naming a page that explains.
    #[error("the application refused this sign-in")]
    Denied(Option<String>),
    /// Too many attempts.
    #[error("too many attempts; try again in {} seconds", .0.retry_after)]
    Limited(LimitHit),
    /// Too many passwords are being checked right now.
    #[error("too many passwords are being checked; try again in {0} seconds")]
    Busy(u32),
    /// The account at the other site, or its address, is somebody else's here.
    #[error("the account at the other site belongs to somebody else here")]
    NotLinked,
    /// The other site, which is named, tells no address, and without one there is no account.
    #[error("{0} tells no address")]
    NoAddress(String),
    /// The person signed in too long ago for this.
    #[error("this needs a recent sign-in")]
    Stale,
    /// Another request was faster: decide again.
    #[error("what was decided on has changed")]
    Overtaken,
    /// The other site did not vouch.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A hook of the host failed.
    #[error("a hook failed: {0}")]
    Hook(HookError),
    /// Something that should not happen: no random bytes, a token that cannot be minted.
    #[error("{0}")]
    Internal(String),
}

/// Why an account could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// What was typed breaks rules; all of them at once.
    #[error("the form has errors")]
    Invalid(Vec<FieldError>),
    /// Too many accounts from this address.
    #[error("too many attempts; try again in {} seconds", .0.retry_after)]
    Limited(LimitHit),
    /// Too many passwords are being hashed right now.
    #[error("too many passwords are being checked; try again in {0} seconds")]
    Busy(u32),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Something that should not happen.
    #[error("{0}")]
    Internal(String),
}

/// A rule that one field of a form breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldError {
    /// `email`.
    Email(EmailError),
    /// `name`.
    Name(DisplayNameError),
    /// `password`.
    Password(PasswordError),
}

impl FieldError {
    /// The field's name in forms and JSON.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Name(_) => "name",
            Self::Password(_) => "password",
        }
    }

    /// The stable code, also the key of the text that people see.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Email(_) => "email_invalid",
            Self::Name(_) => "name_invalid",
            Self::Password(error) => error.code(),
        }
    }
}

impl From<CredentialsError> for SignInError {
    fn from(error: CredentialsError) -> Self {
        match error {
            CredentialsError::Wrong => Self::Credentials,
            CredentialsError::Hash(HashError::Busy { retry_after }) => Self::Busy(retry_after),
            CredentialsError::Hash(HashError::Corrupt(_)) => {
                Self::Store(store::Error::Corrupt("a user's password hash".to_owned()))
            }
            CredentialsError::Hash(error) => Self::Internal(error.to_string()),
            CredentialsError::Store(error) => Self::Store(error),
        }
    }
}

impl From<EntropyError> for SignInError {
    fn from(error: EntropyError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<IssueError> for SignInError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Store(error) => Self::Store(error),
            // Disabled or signed out everywhere between the password and the session: as if it had come after.
            IssueError::UserChanged => Self::Credentials,
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<HashError> for SignUpError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::Busy(retry_after),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<EntropyError> for SignUpError {
    fn from(error: EntropyError) -> Self {
        Self::Internal(error.to_string())
    }
}
