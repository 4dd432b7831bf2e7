//! People.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DisplayName, Email};
use crate::clock::Timestamp;
use crate::secret::{EntropyError, hex, random_bytes};

/// The stable, opaque id of a user: the claim `sub`. Never reused, never derived from the address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// A fresh id: 128 random bits as 32 hexadecimal digits.
    ///
    /// # Errors
    /// [`EntropyError`] when the operating system has no random bytes.
    pub fn generate() -> Result<Self, EntropyError> {
        random_bytes::<16>().map(|bytes| Self(hex(&bytes)))
    }

    /// An id that already exists, from the store or from a verified token.
    #[must_use]
    pub fn from_existing(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts what ended a user's sessions: a new password, an eviction, "sign out everywhere". Whoever proves who they are
/// does so under one stamp, and a session begins only while it is still that one: what ends sessions also ends the sign-ins
/// that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecurityStamp(pub i64);

impl SecurityStamp {
    /// The stamp after one more such act.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The stable id.
    pub id: UserId,
    /// The canonical address; unique.
    pub email: Email,
    /// The name shown to people, as text.
    pub name: Option<DisplayName>,
    /// Address of a picture (https), when known.
    pub image: Option<String>,
    /// When the address was proven, when it was.
    pub email_verified_at: Option<Timestamp>,
    /// Set while the user is disabled: no sign-in, no session.
    pub disabled_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// The stamp of this moment.
    pub security_stamp: SecurityStamp,
}

/// What an account is made from.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The id it will have.
    pub id: UserId,
    /// The canonical address.
    pub email: Email,
    /// The name shown to people.
    pub name: Option<DisplayName>,
    /// The password's hash in PHC string format, when the person signs in by password.
    pub password_hash: Option<String>,
    /// When the account is made.
    pub created_at: Timestamp,
}
