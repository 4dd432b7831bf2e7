//! NextAuth v4: a `dir` + A256GCM JWE around the claims.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Cause, Claims, MintError, aead, compact, keys};
use crate::secret::{SecretRing, random_bytes};

/// v4 writes exactly this header.
const HEADER: &str = r#"{"alg":"dir","enc":"A256GCM"}"#;

/// The JWE that v3 and v4 share, down to its key.
pub(super) struct Gcm {
    keys: Vec<Zeroizing<[u8; 32]>>,
}

/// Seals and opens.
pub(super) struct V4(Gcm);

impl V4 {
    pub(super) fn new(secrets: &SecretRing) -> Self {
        Self(Gcm::new(secrets))
    }

    pub(super) fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        self.0.seal(HEADER, &serde_json::to_vec(claims).map_err(|_| MintError::Encode)?)
    }

    pub(super) fn open(&self, token: &str) -> Result<Claims, Cause> {
        let (header, plain) = self.0.open(token)?;
        // v4 never compresses; a reader that inflates for a stranger is a bomb's friend.
        if header.contains_key("zip") {
            return Err(Cause::Algorithm);
        }
        let claims = Claims(compact::object(&plain)?);
        replicated_claims_agree(&header, &claims)?;
        Ok(claims)
    }
}

impl Gcm {
    pub(super) fn new(secrets: &SecretRing) -> Self {
        Self { keys: secrets.all().map(keys::v4_encryption).collect() }
    }

    pub(super) fn seal(&self, header: &str, plain: &[u8]) -> Result<String, MintError> {
        let key = self.keys.first().ok_or(MintError::Encode)?;
        let header = compact::encode(header);
        let nonce = random_bytes().map_err(|_| MintError::Entropy)?;
        let (iv, text, tag) =
            aead::seal_gcm(key, nonce, header.as_bytes(), plain).map_err(|_| MintError::Encode)?;
        let [iv, text, tag] = [iv, text, tag].map(compact::encode);
        Ok(format!("{header}..{iv}.{text}.{tag}"))
    }

    /// Header and plaintext of a JWE sealed by one of our keys, with exactly these algorithms.
    pub(super) fn open(&self, token: &str) -> Result<(Map<String, Value>, Vec<u8>), Cause> {
        let [header, key, iv, text, tag] = compact::parts::<5>(token).ok_or(Cause::Malformed)?;
        let fields = compact::header(header)?;
        if !compact::is(&fields, "alg", "dir") || !compact::is(&fields, "enc", "A256GCM") {
            return Err(Cause::Algorithm);
        }
        if !key.is_empty() {
            return Err(Cause::Malformed);
        }
        let (iv, text, tag) = (compact::decode(iv)?, compact::decode(text)?, compact::decode(tag)?);
        let mut verdict = Err(Cause::Key);
        for key in &self.keys {
            verdict = aead::open_gcm(key, &iv, header.as_bytes(), &text, &tag);
            if verdict.is_ok() {
                break;
            }
        }
        Ok((fields, verdict?))
    }
}

/// Claims repeated in the header must be those inside (RFC 7519 section 5.3).
pub(super) fn replicated_claims_agree(header: &Map<String, Value>, claims: &Claims) -> Result<(), Cause> {
    let differ = ["iss", "sub", "aud"]
        .iter()
        .any(|name| header.get(*name).is_some_and(|value| claims.get(name) != Some(value)));
    if differ { Err(Cause::Claims("header and payload disagree")) } else { Ok(()) }
}
