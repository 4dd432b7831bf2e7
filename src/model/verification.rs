//! What is mailed to prove that somebody reads an address.

use super::{Email, UserId};
use crate::clock::Timestamp;
use crate::secret::{PlainToken, ShortCode, TokenHash};

/// What a mailed secret is for. It is part of the secret's hash and of every statement, so that nothing sent for one
/// purpose can be redeemed for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signing in.
    SignIn,
    /// Confirming the address an account has.
    VerifyEmail,
    /// Choosing a new password without the old one.
    ResetPassword,
    /// Confirming the address an account is to have.
    ChangeEmail,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SignIn, Self::VerifyEmail, Self::ResetPassword, Self::ChangeEmail];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
        }
    }

    /// Reads a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// A secret that was mailed, as the store keeps it: by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Hash of purpose, address and the link's secret: the row's key.
    pub id: TokenHash,
    /// What it is for.
    pub purpose: Purpose,
    /// The address it was mailed to, and the only one it proves.
    pub email: Email,
    /// Whose account it is about, when there was one.
    pub user_id: Option<UserId>,
    /// The code in the same mail, when there is one.
    pub code: Option<MailedCode>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// The code of a mail, good only in the browser that asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailedCode {
    /// Hash of the secret that the browser keeps.
    pub browser: TokenHash,
    /// Hash of purpose, address, the browser's secret and the code.
    pub hash: TokenHash,
}

impl Verification {
    /// The key of the row for a link's secret.
    #[must_use]
    pub fn id_of(purpose: Purpose, email: &Email, token: &PlainToken) -> TokenHash {
        TokenHash::of_parts(&["link", purpose.as_str(), email.as_str(), &token.expose()])
    }
}

impl MailedCode {
    /// The hashes of a code that is mailed to `email` at the wish of `browser`.
    #[must_use]
    pub fn of(purpose: Purpose, email: &Email, browser: &PlainToken, code: &ShortCode) -> Self {
        let parts = ["code", purpose.as_str(), email.as_str(), &browser.expose(), code.expose()];
        Self { browser: browser.hash(), hash: TokenHash::of_parts(&parts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_another_hash_for_every_purpose_and_address() {
        let token = PlainToken::generate().unwrap();
        let (ada, eve) = (Email::parse("a@example.com").unwrap(), Email::parse("e@example.com").unwrap());
        let ids: std::collections::HashSet<TokenHash> = Purpose::ALL
            .into_iter()
            .flat_map(|purpose| [&ada, &eve].map(|email| Verification::id_of(purpose, email, &token)))
            .collect();
        assert_eq!(ids.len(), 8);
        assert!(
            Purpose::ALL.into_iter().all(|purpose| Purpose::from_name(purpose.as_str()) == Some(purpose))
        );
    }
}
