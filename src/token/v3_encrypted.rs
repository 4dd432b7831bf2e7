//! NextAuth v3 with `encryption: true`: the JWS of [`super::v3`] inside a `dir` + A256GCM JWE, compressed.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::v3::V3;
use super::v4::Gcm;
use super::{Cause, Claims, MintError};
use crate::secret::SecretRing;

/// v3 writes exactly this header.
const HEADER: &str = r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#;

/// A token may not inflate beyond this: the package itself has no limit, and 20 KB can become megabytes.
const INFLATE_LIMIT: usize = 64 * 1024;

/// Seals and opens.
pub(super) struct V3Encrypted {
    outer: Gcm,
    inner: V3,
}

impl V3Encrypted {
    pub(super) fn new(secrets: &SecretRing) -> Self {
        Self { outer: Gcm::new(secrets), inner: V3::new(secrets) }
    }

    pub(super) fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        let inner = self.inner.mint(claims)?;
        if inner.len() > INFLATE_LIMIT {
            return Err(MintError::TooLarge);
        }
        self.outer.seal(HEADER, &compress_to_vec(inner.as_bytes(), 6))
    }

    pub(super) fn open(&self, token: &str) -> Result<Claims, Cause> {
        let (header, plain) = self.outer.open(token)?;
        let plain = match header.get("zip").map(|zip| zip.as_str()) {
            None => plain,
            Some(Some("DEF")) => {
                decompress_to_vec_with_limit(&plain, INFLATE_LIMIT).map_err(|_| Cause::Inflate)?
            }
            Some(_) => return Err(Cause::Algorithm),
        };
        let inner = String::from_utf8(plain).map_err(|_| Cause::Malformed)?;
        self.inner.open(&inner)
    }
}
