//! Keys, derived once from the configured secrets as each generation of NextAuth derives them (HKDF with SHA-256,
//! RFC 5869).

use hkdf::Hkdf;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::compact::encode;
use crate::secret::Secret;

/// HKDF-SHA256 of a secret.
///
/// The length is one of 32 and 64 bytes, which HKDF can always give.
#[doc(hidden)]
#[must_use]
pub fn derive<const N: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    let filled = Hkdf::<Sha256>::new(Some(salt), secret).expand(info, key.as_mut());
    debug_assert!(filled.is_ok(), "at most 255 hashes of output are asked for");
    key
}

/// v3: the key that signs.
#[doc(hidden)]
#[must_use]
pub fn v3_signing(secret: &Secret) -> Zeroizing<[u8; 64]> {
    derive(secret.expose().as_bytes(), b"", b"NextAuth.js Generated Signing Key")
}

/// v3 and v4: the key that encrypts session tokens. The two generations share it.
#[doc(hidden)]
#[must_use]
pub fn v4_encryption(secret: &Secret) -> Zeroizing<[u8; 32]> {
    derive(secret.expose().as_bytes(), b"", b"NextAuth.js Generated Encryption Key")
}

/// v5: the key that encrypts, for the cookie of this name; the first half authenticates, the second encrypts
/// (RFC 7518 section 5.2.2.1).
#[doc(hidden)]
#[must_use]
pub fn v5_encryption(secret: &Secret, cookie: &str) -> Zeroizing<[u8; 64]> {
    derive(secret.expose().as_bytes(), cookie.as_bytes(), v5_info(cookie).as_bytes())
}

/// v5: the shorter key for tokens encrypted with A256GCM, which Auth.js reads besides.
#[doc(hidden)]
#[must_use]
pub fn v5_encryption_gcm(secret: &Secret, cookie: &str) -> Zeroizing<[u8; 32]> {
    derive(secret.expose().as_bytes(), cookie.as_bytes(), v5_info(cookie).as_bytes())
}

fn v5_info(cookie: &str) -> String {
    format!("Auth.js Generated Encryption Key ({cookie})")
}

/// The RFC 7638 thumbprint of a symmetric key, as v5 writes it into `kid`: SHA-512 for its 64-byte key.
#[doc(hidden)]
#[must_use]
pub fn thumbprint_sha512(key: &[u8]) -> String {
    encode(Sha512::digest(jwk(key).as_bytes()))
}

/// As [`thumbprint_sha512`], for the 32-byte key.
#[doc(hidden)]
#[must_use]
pub fn thumbprint_sha256(key: &[u8]) -> String {
    encode(Sha256::digest(jwk(key).as_bytes()))
}

fn jwk(key: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(format!("{{\"k\":\"{}\",\"kty\":\"oct\"}}", Zeroizing::new(encode(key)).as_str()))
}
