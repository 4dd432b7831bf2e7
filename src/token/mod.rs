//! Session tokens in NextAuth's four formats.
//!
//! This module knows nothing of Rocket and needs no database.

mod claims;

pub use claims::Claims;

use serde::{Deserialize, Serialize};

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
