//! What is to be written, before it is put into words.

use std::fmt;

use super::Mail;
use crate::clock::Timestamp;
use crate::model::Email;
use crate::secret::ShortCode;

/// Why somebody is written to. Its name is the key of its texts in the language files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LetterKind {
    /// A link and a code to sign in with.
    SignIn,
    /// A link that confirms the address.
    VerifyEmail,
    /// Somebody signed up with an address that has an account.
    AccountExists,
    /// A link to choose a new password with.
    ResetPassword,
    /// A link that confirms the address an account is to have.
    ChangeEmail,
    /// To the former address: it is another now.
    EmailChanged,
    /// The password is another now.
    PasswordChanged,
    /// The owner of the address has arrived: password and sessions of before are gone.
    OwnerArrived,
    /// The account is deleted.
    AccountDeleted,
    /// A new password was chosen by way of a mailed link.
    PasswordReset,
    /// Codes from an app are asked for from now on.
    TotpOn,
    /// Codes from an app are not asked for any more.
    TotpOff,
    /// There is another passkey.
    PasskeyAdded,
    /// There is a passkey less.
    PasskeyRemoved,
    /// There are new recovery codes, and the old ones are void.
    RecoveryCodesRenewed,
    /// A recovery code was used up. It is about how many are left.
    RecoveryCodeUsed,
    /// An account at another site opens the account from now on. It is about the site.
    AccountLinked,
    /// An account at another site opens it no more. It is about the site.
    AccountUnlinked,
    /// There is another personal access token.
    AccessTokenMade,
}

impl LetterKind {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::SignIn,
        Self::VerifyEmail,
        Self::AccountExists,
        Self::ResetPassword,
        Self::ChangeEmail,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::OwnerArrived,
        Self::AccountDeleted,
        Self::PasswordReset,
        Self::TotpOn,
        Self::TotpOff,
        Self::PasskeyAdded,
        Self::PasskeyRemoved,
        Self::RecoveryCodesRenewed,
        Self::RecoveryCodeUsed,
        Self::AccountLinked,
        Self::AccountUnlinked,
        Self::AccessTokenMade,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::VerifyEmail => "verify_email",
            Self::AccountExists => "account_exists",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::OwnerArrived => "owner_arrived",
            Self::AccountDeleted => "account_deleted",
            Self::PasswordReset => "password_reset",
            Self::TotpOn => "totp_on",
            Self::TotpOff => "totp_off",
            Self::PasskeyAdded => "passkey_added",
            Self::PasskeyRemoved => "passkey_removed",
            Self::RecoveryCodesRenewed => "recovery_codes_renewed",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::AccountLinked => "account_linked",
            Self::AccountUnlinked => "account_unlinked",
            Self::AccessTokenMade => "access_token_made",
        }
    }

    /// Whether it tells of what was done to an account. A notice has no link: people learn from it not to press links in
    /// such mails.
    #[must_use]
    pub const fn is_notice(self) -> bool {
        !matches!(
            self,
            Self::SignIn | Self::VerifyEmail | Self::AccountExists | Self::ResetPassword | Self::ChangeEmail
        )
    }
}

/// A letter to one person. Nothing in it is of somebody's choosing but the recipient's canonical address: a mail that
/// carries a stranger's words is a stranger's mail. What it is about is a word of the operator's or a number.
#[derive(Clone)]
pub struct Letter {
    pub(crate) kind: LetterKind,
    pub(crate) to: Email,
    pub(crate) language: String,
    pub(crate) link: Option<String>,
    pub(crate) code: Option<ShortCode>,
    pub(crate) about: Option<String>,
    pub(crate) at: Option<Timestamp>,
    pub(crate) good_until: Option<Timestamp>,
    pub(crate) for_nobody: bool,
}

impl Letter {
    /// A letter in a language.
    #[must_use]
    pub fn new(kind: LetterKind, to: Email, language: &str) -> Self {
        Self {
            kind,
            to,
            language: language.to_owned(),
            link: None,
            code: None,
            about: None,
            at: None,
            good_until: None,
            for_nobody: false,
        }
    }

    /// With a link.
    #[must_use]
    pub fn link(self, link: String) -> Self {
        Self { link: Some(link), ..self }
    }

    /// With a code.
    #[must_use]
    pub fn code(self, code: ShortCode) -> Self {
        Self { code: Some(code), ..self }
    }

    /// About this: the name of another site as configured, or a number.
    #[must_use]
    pub fn about(self, about: String) -> Self {
        Self { about: Some(about), ..self }
    }

    /// Of something that was done at this moment.
    #[must_use]
    pub fn at(self, moment: Timestamp) -> Self {
        Self { at: Some(moment), ..self }
    }

    /// Not worth sending any more from this moment on.
    #[must_use]
    pub fn good_until(self, moment: Timestamp) -> Self {
        Self { good_until: Some(moment), ..self }
    }

    /// Goes through the queue and is thrown away: what is asked for an address that may not have it must cost the same.
    #[must_use]
    pub fn for_nobody_if(self, nobody: bool) -> Self {
        Self { for_nobody: nobody, ..self }
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A letter could not be put into words.
#[derive(Debug, thiserror::Error)]
#[error("a letter cannot be written: {0}")]
pub struct ComposeError(pub String);

/// Puts letters into words.
pub trait Compose: Send + Sync + fmt::Debug {
    /// The mail a letter becomes.
    ///
    /// # Errors
    /// [`ComposeError`] when a template is broken.
    fn compose(&self, letter: &Letter) -> Result<Mail, ComposeError>;
}
