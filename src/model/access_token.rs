//! Personal access tokens and what they allow, and the names of roles.

use std::fmt;

use super::UserId;
use crate::clock::Timestamp;
use crate::secret::TokenHash;

/// The name of a role or a scope: 1 to 64 of lower-case letters, digits, `-`, `_`, `.` and `:` (RFC 6749 section 3.3
/// allows more; this is what reads the same everywhere).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permission(String);

/// The text is no name of a role or scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 of lower-case letters, digits, `-`, `_`, `.` and `:`")]
pub struct PermissionError;

impl Permission {
    /// Takes a name that is one.
    ///
    /// # Errors
    /// [`PermissionError`].
    pub fn parse(text: &str) -> Result<Self, PermissionError> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.:".contains(&byte);
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(legal);
        if fits { Ok(Self(text.to_owned())) } else { Err(PermissionError) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A personal access token as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRecord {
    /// SHA-256 of the token: the row's key.
    pub id: TokenHash,
    /// Whose it is.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_or_refused() {
        for good in ["admin", "notes:read", "a", "x.y_z-1"] {
            assert_eq!(Permission::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "Admin", "a b", "é", "a,b", "a\n", &"a".repeat(65)] {
            assert_eq!(Permission::parse(bad), Err(PermissionError), "{bad}");
        }
    }
}
