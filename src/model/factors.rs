//! Second factors as the store keeps them.

use super::UserId;
use crate::clock::Timestamp;
use crate::secret::TokenHash;

/// What a person has besides the first proof.
#[derive(Debug, Clone, Default)]
pub struct Factors {
    /// Time-based codes, when they are on.
    pub totp: Option<TotpRecord>,
    /// Unused recovery codes.
    pub recovery_codes: u64,
    /// Passkeys, oldest first.
    pub passkeys: Vec<PasskeyRecord>,
}

impl Factors {
    /// Whether a second proof is asked for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.totp.is_some() || !self.passkeys.is_empty()
    }
}

/// Time-based codes (RFC 6238) of one person.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpRecord {
    /// The secret, sealed for this person.
    pub secret: String,
    /// The step of the last code that was accepted: only later ones are.
    pub last_step: i64,
    /// When they were switched on.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for TotpRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TotpRecord").field("last_step", &self.last_step).finish_non_exhaustive()
    }
}

/// A passkey of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRecord {
    /// SHA-256 of the credential's id: the row's key.
    pub id: TokenHash,
    /// Whose it is.
    pub user_id: UserId,
    /// What the person calls it.
    pub name: String,
    /// The public key and its counter, as JSON of the library that verifies it.
    pub credential: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}
