//! Session tokens in NextAuth's four formats.
//!
//! This module knows nothing of Rocket and needs no database: another Rust program reads the session cookie of a
//! NextAuth or Countersign site with it alone.
//!
//! ```
//! use countersign::clock::Timestamp;
//! use countersign::secret::{Secret, SecretRing};
//! use countersign::token::{Claims, Codec, CodecOptions, Format};
//!
//! let secrets = SecretRing::new(Secret::new("a secret of at least thirty-two characters"), vec![]);
//! let codec = Codec::new(CodecOptions {
//!     secrets: &secrets,
//!     mint: Format::NextAuthV4,
//!     accept: &[Format::NextAuthV3],
//!     secure_cookies: true,
//!     max_age: 30 * 24 * 60 * 60,
//! });
//!
//! let mut claims = Claims::default();
//! claims.set("sub", "1815");
//! let now = Timestamp(1_800_000_000);
//! let token = codec.mint(&claims, now, now.plus(3600))?;
//! let verified = codec.verify(&token, now)?;
//! assert_eq!(verified.claims.subject(), Some("1815"));
//! assert!(codec.verify(&token, now.plus(3616)).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Formats
//! | name | what it is | key (HKDF-SHA256 of the secret) |
//! | --- | --- | --- |
//! | `nextauth-v3` | HS512 JWS | 64 bytes, its own label |
//! | `nextauth-v3-encrypted` | that inside a `dir` + A256GCM JWE, compressed | 32 bytes |
//! | `nextauth-v4` | `dir` + A256GCM JWE | the same 32 bytes |
//! | `authjs-v5` | `dir` + A256CBC-HS512 JWE | 64 bytes, salted with the cookie's name |
//!
//! # Why a list of formats and not the header's word
//! A token says of itself how it wants to be verified; believing it is how algorithm confusion happens (RFC 8725
//! section 3.1). Here the configured formats are tried, each with exactly its own algorithms and keys.
//!
//! # Stricter than the real packages
//! One spelling per token, no member given twice, no `crit`, no compression in v4 and v5, inflated size bounded, and a
//! session must name somebody (`sub`) and an end (`exp`).

#[doc(hidden)]
pub mod aead;
mod claims;
mod codec;
pub(crate) mod compact;
pub(crate) mod footprint;
#[doc(hidden)]
pub mod keys;
mod v3;
mod v3_encrypted;
mod v4;
mod v5;
mod validate;

use serde::{Deserialize, Serialize};

pub use claims::Claims;
pub use codec::{Codec, CodecOptions, Verified};
pub use validate::CLOCK_TOLERANCE;

/// A token format of NextAuth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// v3: HS512 JWS.
    #[serde(rename = "nextauth-v3")]
    NextAuthV3,
    /// v3 with `encryption: true`: that JWS inside a `dir` + A256GCM JWE.
    #[serde(rename = "nextauth-v3-encrypted")]
    NextAuthV3Encrypted,
    /// v4: `dir` + A256GCM.
    #[serde(rename = "nextauth-v4")]
    NextAuthV4,
    /// v5: `dir` + A256CBC-HS512, salted with the cookie's name.
    #[serde(rename = "authjs-v5")]
    AuthJsV5,
}

/// The session cookie's name for a format's generation and the site's scheme.
#[must_use]
pub const fn session_cookie_name(format: Format, secure: bool) -> &'static str {
    match (format, secure) {
        (Format::AuthJsV5, true) => "__Secure-authjs.session-token",
        (Format::AuthJsV5, false) => "authjs.session-token",
        (_, true) => "__Secure-next-auth.session-token",
        (_, false) => "next-auth.session-token",
    }
}

/// The same where all cookies belong to one host (`session.host_cookies`): RFC 6265bis section 4.1.3.2.
#[must_use]
pub const fn host_session_cookie_name(format: Format) -> &'static str {
    match format {
        Format::AuthJsV5 => "__Host-authjs.session-token",
        _ => "__Host-next-auth.session-token",
    }
}

/// Why a token was not minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// No random bytes for `jti` or the initialisation vector.
    #[error("the operating system's random generator failed")]
    Entropy,
    /// The claims cannot be written.
    #[error("the token could not be written")]
    Encode,
    /// The claims make a token longer than any that is read.
    #[error("the claims are too large for a token")]
    TooLarge,
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Its life is over.
    #[error("the token has expired")]
    Expired,
    /// Its life has not begun.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is not one of ours, or not a session. The cause is for logs only: all causes look alike from outside.
    #[error("the token is not valid: {0}")]
    Invalid(Cause),
}

/// What was wrong with a token, for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Longer than any token of ours.
    #[error("too large")]
    TooLarge,
    /// Not the strict compact serialisation.
    #[error("malformed")]
    Malformed,
    /// Not the algorithms of a format that is accepted.
    #[error("another algorithm")]
    Algorithm,
    /// It names extensions that must be understood.
    #[error("critical extensions")]
    Critical,
    /// No key of ours.
    #[error("no key of ours")]
    Key,
    /// Signature, tag or padding are wrong.
    #[error("wrong signature")]
    Signature,
    /// It inflates beyond the limit, or not at all.
    #[error("cannot be inflated")]
    Inflate,
    /// Issued longer ago than allowed.
    #[error("too old")]
    TooOld,
    /// A claim breaks a rule.
    #[error("{0}")]
    Claims(&'static str),
}
