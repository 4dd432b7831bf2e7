//! Texts that only this service can read: helper cookies, and secrets at rest.
//!
//! AES-256-GCM under a key that HKDF derives from the secret ring for one purpose, with a random nonce, bound to a context
//! (whose it is, or which provider's). What was sealed for one purpose or context opens for no other, so a state cookie
//! is never a session and one person's secret never another's (RFC 8725 section 3.12; ASVS 5.0, 9.2.2).
//!
//! The newest secret seals and all open, so sealed texts rotate together with everything else. What the store keeps (the two
//! purposes named here) is sealed anew by [`Resealing`](crate::signin::Resealing), so that an old secret can leave. Keys are derived when they
//! are needed: sealing happens at sign-in, never on the way of a guarded request.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::{EntropyError, Secret, Secrets, random_bytes};

/// People's tokens at other sites, in `accounts`; the context is the link's id.
pub const PROVIDER_TOKENS: &str = "provider tokens";
/// The secrets of time-based codes, in `totp`; the context is the person's id.
pub const TOTP_SECRETS: &str = "totp secret";

/// Bytes of AES-GCM's nonce.
const NONCE: usize = 12;
/// The longest text that is opened, in characters of base64url; a browser's cookie is at most 4096 bytes.
const MAX_CHARS: usize = 64 * 1024;

/// Seals and opens texts of one purpose.
#[derive(Debug, Clone)]
pub struct Sealer {
    secrets: Secrets,
    purpose: &'static str,
}

/// Why a text could not be sealed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum SealError {
    /// No random bytes for a nonce.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The value is none that JSON can hold.
    #[error("the value cannot be sealed")]
    Value,
}

impl Sealer {
    /// For texts of one purpose, named once and never shared.
    #[must_use]
    pub const fn new(secrets: Secrets, purpose: &'static str) -> Self {
        Self { secrets, purpose }
    }

    /// Seals bytes for a context. The answer is base64url, fit for a cookie, a form field or a column.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String, SealError> {
        let nonce = random_bytes::<NONCE>()?;
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let cipher = self.cipher(self.secrets.ring().current());
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Value)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what was sealed for this context; `None` for every other text.
    #[must_use]
    pub fn open(&self, context: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.secrets.ring().all().find_map(|secret| self.open_by(secret, context, sealed))
    }

    /// Whether the newest secret sealed this: what is kept for long is sealed anew when it was another.
    #[must_use]
    pub fn is_current(&self, context: &str, sealed: &str) -> bool {
        self.open_by(self.secrets.ring().current(), context, sealed).is_some()
    }

    fn open_by(&self, secret: &Secret, context: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = (sealed.len() <= MAX_CHARS).then(|| URL_SAFE_NO_PAD.decode(sealed).ok()).flatten()?;
        let (nonce, text) = bytes.split_at_checked(NONCE)?;
        let nonce = Nonce::from(<[u8; NONCE]>::try_from(nonce).ok()?);
        let payload = Payload { msg: text, aad: context.as_bytes() };
        self.cipher(secret).decrypt(&nonce, payload).ok().map(Zeroizing::new)
    }

    /// Seals a value as JSON.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_json(&self, context: &str, value: &impl Serialize) -> Result<String, SealError> {
        let json = Zeroizing::new(serde_json::to_vec(value).map_err(|_| SealError::Value)?);
        self.seal(context, &json)
    }

    /// Opens a value that [`Sealer::seal_json`] sealed for this context.
    #[must_use]
    pub fn open_json<T: DeserializeOwned>(&self, context: &str, sealed: &str) -> Option<T> {
        serde_json::from_slice(&self.open(context, sealed)?).ok()
    }

    fn cipher(&self, secret: &Secret) -> Aes256Gcm {
        let mut key = Zeroizing::new([0; 32]);
        let label = format!("Countersign sealed {} v1", self.purpose);
        let filled =
            Hkdf::<Sha256>::new(None, secret.expose().as_bytes()).expand(label.as_bytes(), key.as_mut());
        // RFC 5869 allows up to 255 hashes of output; 32 bytes are one.
        debug_assert!(filled.is_ok(), "32 bytes are within HKDF's limit");
        Aes256Gcm::new((&*key).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretRing;

    fn sealer(current: &str, previous: &[&str], purpose: &'static str) -> Sealer {
        let previous = previous.iter().map(|text| Secret::new(*text)).collect();
        Sealer::new(Secrets::new(SecretRing::new(Secret::new(current), previous)), purpose)
    }

    #[test]
    fn a_text_comes_back_and_survives_rotation() {
        let sealed = sealer("old", &[], "test").seal("ada", b"hello").unwrap();
        assert!(!sealed.contains("hello"));
        assert_eq!(sealer("old", &[], "test").open("ada", &sealed).unwrap().as_slice(), b"hello");
        assert_eq!(sealer("new", &["old"], "test").open("ada", &sealed).unwrap().as_slice(), b"hello");
        assert!(sealer("new", &[], "test").open("ada", &sealed).is_none());
        let running = sealer("old", &[], "test");
        running.secrets.replace(SecretRing::new(Secret::new("new"), vec![]));
        assert!(running.open("ada", &sealed).is_none(), "a replacement counts at once");
        assert!(sealer("old", &[], "test").is_current("ada", &sealed));
        assert!(!sealer("new", &["old"], "test").is_current("ada", &sealed));
    }

    // ASVS: 9.2.2
    #[test]
    fn another_purpose_context_or_byte_opens_nothing() {
        let sealed = sealer("secret", &[], "test").seal("ada", b"hello").unwrap();
        assert!(sealer("secret", &[], "other").open("ada", &sealed).is_none());
        assert!(sealer("secret", &[], "test").open("bob", &sealed).is_none());
        for text in
            ["", "x", &sealed[1..], &sealed.to_lowercase(), &format!("{sealed}="), &format!("{sealed} ")]
        {
            assert!(sealer("secret", &[], "test").open("ada", text).is_none(), "{text}");
        }
        assert_ne!(sealed, sealer("secret", &[], "test").seal("ada", b"hello").unwrap());
    }
}
