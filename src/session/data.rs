//! What is known about a signed-in person.

use serde::de::DeserializeOwned;

use super::held::Held;
use crate::clock::Timestamp;
use crate::model::{AuthMethod, Strategy, UserId};
use crate::secret::TokenHash;
use crate::token::Claims;

/// A verified session.
#[derive(Debug, Clone)]
pub struct SessionData {
    /// The key under which the session can be listed, renewed and ended.
    pub id: TokenHash,
    /// The stable id of the user; the claim `sub`.
    pub user_id: UserId,
    /// The name to show, as text.
    pub name: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// Address of a picture.
    pub image: Option<String>,
    /// Where the truth about this session lives.
    pub strategy: Strategy,
    /// How the person proved who they are.
    pub method: AuthMethod,
    /// When the person did so.
    pub authenticated_at: Timestamp,
    /// When the session was issued or last renewed.
    pub renewed_at: Timestamp,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
    /// How the request carried it.
    pub carrier: Carrier,
    /// Whether it was signed by a secret that signs no more: it is then issued anew by the present one.
    pub by_previous_secret: bool,
    /// Where its claims come from.
    pub(crate) held: Held,
    /// What it shows, once that was asked for.
    #[cfg(feature = "server")]
    pub(crate) shown: super::shown::Shown,
}

/// How a request carried its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// In the session cookie.
    Cookie,
    /// In `Authorization: Bearer` (RFC 6750 section 2.1).
    Bearer,
}

impl SessionData {
    /// Whether we asked the person for a proof ourselves, at `authenticated_at`. A token of another issuer says when it was
    /// issued, and is issued anew again and again without anybody being asked: that is no proof.
    #[must_use]
    pub fn is_proven_here(&self) -> bool {
        let says_so = |claims: &Claims| claims.session_id().is_some() && claims.authenticated_at().is_some();
        self.strategy == Strategy::Database || says_so(self.token_claims())
    }

    /// The claims as a type of the application's own.
    ///
    /// # Errors
    /// When the claims do not have that shape.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(serde_json::Value::Object(self.token_claims().0.clone()))
    }
}

/// Why a request has no session. [`SessionError::Unavailable`] and [`SessionError::Failed`] are no verdict on the person:
/// they must never be read as "signed out"; ask [`SessionError::is_verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SessionError {
    /// No session cookie and no `Authorization: Bearer`.
    #[error("no session was presented")]
    Missing,
    /// The session's life is over.
    #[error("the session has expired")]
    Expired,
    /// Not a token or cookie of ours, or tampered with.
    #[error("the session is not valid")]
    Invalid,
    /// Ended by sign-out, by the person, or because the user was disabled.
    #[error("the session was ended")]
    Revoked,
    /// Whether there is a session cannot be told now.
    #[error("the session cannot be checked at the moment")]
    Unavailable,
    /// There is one, and a hook of the application's own failed at it.
    #[error("the application failed")]
    Failed,
}

impl SessionError {
    /// The stable code that problem documents carry.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "session_missing",
            Self::Expired => "session_expired",
            Self::Invalid => "session_invalid",
            Self::Revoked => "session_revoked",
            Self::Unavailable => "session_unavailable",
            Self::Failed => "internal_error",
        }
    }

    /// Whether this says that nobody is signed in. What is no verdict says nothing about the person.
    #[must_use]
    pub const fn is_verdict(self) -> bool {
        !matches!(self, Self::Unavailable | Self::Failed)
    }
}

/// The credential of a request, as found and not yet verified.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// Nothing.
    None,
    /// A cookie or header of ours that cannot be a credential.
    Unusable,
    /// The session cookie's value, as it was sent: percent-decoded only where it is not known already.
    Cookie(&'a str),
    /// The token after `Bearer`.
    Bearer(&'a str),
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Unusable => "Unusable",
            Self::Cookie(_) => "Cookie([redacted])",
            Self::Bearer(_) => "Bearer([redacted])",
        })
    }
}

impl<'a> Presented<'a> {
    /// The text and how it was carried, when there is one.
    pub(super) fn credential(self) -> Option<(&'a str, Carrier)> {
        match self {
            Self::Cookie(text) => Some((text, Carrier::Cookie)),
            Self::Bearer(text) => Some((text, Carrier::Bearer)),
            Self::None | Self::Unusable => None,
        }
    }

    /// Reads an `Authorization` header as NextAuth's `getToken` does: exactly `Bearer`, one blank, and a token of the
    /// characters RFC 6750 allows. Another scheme is none of our business; a malformed Bearer is unusable.
    #[must_use]
    pub fn from_authorization(header: &'a str) -> Self {
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Self::None;
        }
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        if scheme != "Bearer" || token.is_empty() || !token.bytes().all(legal) {
            return Self::Unusable;
        }
        Self::Bearer(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_is_read_strictly() {
        let read = |header| format!("{:?}", Presented::from_authorization(header));
        assert_eq!(read("Bearer abc.def"), "Bearer([redacted])");
        assert_eq!(read("Basic abc"), "None");
        for header in ["bearer abc", "Bearer  abc", "Bearer", "Bearer ", "Bearer %", "Bearer a b", "Bearer é"]
        {
            assert_eq!(read(header), "Unusable", "{header}");
        }
    }
}
