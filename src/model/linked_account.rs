//! Accounts at other sites.

use super::UserId;
use crate::clock::Timestamp;
use crate::secret::{EntropyError, hex, random_bytes};

/// Who somebody is at another site: provider, issuer and subject together, and nothing else. An address can change hands;
/// a subject identifier cannot (OpenID Connect Core section 5.7).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExternalId {
    /// The provider's id in the configuration.
    pub provider: String,
    /// The issuer identifier; for OAuth 2.0 without OpenID Connect, the origin of the token endpoint.
    pub issuer: String,
    /// The subject identifier, unique at the issuer and never reassigned.
    pub subject: String,
}

/// An account at another site that opens a user's account here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedAccount {
    /// The row's own opaque id.
    pub id: String,
    /// Whose account it opens.
    pub user_id: UserId,
    /// Who they are there.
    pub external: ExternalId,
    /// What people recognise it by: their address or name there.
    pub label: Option<String>,
    /// When it was linked.
    pub linked_at: Timestamp,
}

/// What a link is made from.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The row's own opaque id.
    pub id: String,
    /// Who they are there.
    pub external: ExternalId,
    /// What people recognise it by.
    pub label: Option<String>,
    /// When it is linked.
    pub linked_at: Timestamp,
    /// The provider's tokens, sealed.
    pub tokens: Option<String>,
}

impl NewAccount {
    /// A fresh id for a row: 128 random bits as 32 hexadecimal digits.
    ///
    /// # Errors
    /// [`EntropyError`] when the operating system has no random bytes.
    pub fn generate_id() -> Result<String, EntropyError> {
        random_bytes::<16>().map(|bytes| hex(&bytes))
    }
}
