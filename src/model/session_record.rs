//! Sessions and revocations as the store keeps them.

use serde::{Deserialize, Serialize};

use super::UserId;
use crate::clock::Timestamp;
use crate::secret::TokenHash;

/// Where the truth about a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// In a JSON Web Token that the browser carries; the store keeps only what was revoked.
    Jwt,
    /// In a row of the store; the browser carries its encrypted random id.
    Database,
}

/// How a person proved who they are, by the names of RFC 8176 (Authentication Method Reference Values).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AuthMethod {
    /// A password.
    Pwd,
    /// A link or code sent by mail (no registered name).
    Email,
    /// Another site vouched for the person (no registered name).
    Federated,
    /// A passkey: proof of possession of a key.
    Passkey,
    /// Unknown: the token was minted elsewhere and does not say.
    Unknown,
}

impl AuthMethod {
    /// The registered name, as stored and as found in the claim `amr`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pwd => "pwd",
            Self::Email => "email",
            Self::Federated => "fed",
            Self::Passkey => "pop",
            Self::Unknown => "unknown",
        }
    }

    /// Reads a stored or claimed name; what is not known is [`AuthMethod::Unknown`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "pwd" => Self::Pwd,
            "email" => Self::Email,
            "fed" => Self::Federated,
            "pop" => Self::Passkey,
            _ => Self::Unknown,
        }
    }
}

impl Strategy {
    /// The name in configuration and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Database => "database",
        }
    }

    /// Reads a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "jwt" => Some(Self::Jwt),
            "database" => Some(Self::Database),
            _ => None,
        }
    }
}

/// One signed-in browser. Both strategies keep a row, so that people can list and end their sessions;
/// only [`Strategy::Database`] reads it on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// SHA-256 of the session's random id: the row's key.
    pub id: TokenHash,
    /// Whose session it is.
    pub user_id: UserId,
    /// Which strategy issued it.
    pub strategy: Strategy,
    /// How the person authenticated.
    pub method: AuthMethod,
    /// When the person authenticated; the absolute age counts from here.
    pub authenticated_at: Timestamp,
    /// When the idle life ends unless it is renewed.
    pub expires_at: Timestamp,
    /// When it was last renewed: the "last use" people see, exact to `update_age`.
    pub renewed_at: Timestamp,
    /// The browser's own description of itself (`User-Agent`), cut to a bounded length.
    pub user_agent: Option<String>,
    /// The network address at sign-in.
    pub address: Option<String>,
    /// The host's own claims, as JSON text of an object.
    pub claims: String,
}

/// What a revocation is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One session, by the hash of its id.
    Session(TokenHash),
    /// Everything a user held that was issued up to [`Revocation::not_after`].
    User(UserId),
}

/// A persisted "no": it outlives restarts, and is read into memory at launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the order of revocations; 0 before it is stored.
    pub sequence: i64,
    /// Who or what is refused.
    pub subject: Subject,
    /// Sessions whose person authenticated at or before this moment are refused (for [`Subject::User`]).
    pub not_after: Timestamp,
    /// When the revoked sessions would have ended by themselves, and this entry may be forgotten.
    pub expires_at: Timestamp,
}
