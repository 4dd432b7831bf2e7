//! Auth.js v5: a `dir` + A256CBC-HS512 JWE around the claims, its key salted with the session cookie's name.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::v4::replicated_claims_agree;
use super::{Cause, Claims, MintError, aead, compact, keys};
use crate::secret::{Secret, SecretRing, random_bytes};

/// The keys of one secret.
struct KeySet {
    cbc: Zeroizing<[u8; 64]>,
    cbc_id: String,
    gcm: Zeroizing<[u8; 32]>,
    gcm_id: String,
}

/// Seals and opens.
pub(super) struct V5 {
    keys: Vec<KeySet>,
}

/// The two content encryptions Auth.js reads; it writes the first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Cbc,
    Gcm,
}

impl KeySet {
    fn new(secret: &Secret, cookie: &str) -> Self {
        let cbc = keys::v5_encryption(secret, cookie);
        let gcm = keys::v5_encryption_gcm(secret, cookie);
        Self {
            cbc_id: keys::thumbprint_sha512(cbc.as_ref()),
            gcm_id: keys::thumbprint_sha256(gcm.as_ref()),
            cbc,
            gcm,
        }
    }

    fn id(&self, encryption: Encryption) -> &str {
        if encryption == Encryption::Cbc { &self.cbc_id } else { &self.gcm_id }
    }
}

impl V5 {
    pub(super) fn new(secrets: &SecretRing, cookie: &str) -> Self {
        Self { keys: secrets.all().map(|secret| KeySet::new(secret, cookie)).collect() }
    }

    pub(super) fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        let key = self.keys.first().ok_or(MintError::Encode)?;
        let plain = serde_json::to_vec(claims).map_err(|_| MintError::Encode)?;
        let header = format!(r#"{{"alg":"dir","enc":"A256CBC-HS512","kid":"{}"}}"#, key.cbc_id);
        let header = compact::encode(header);
        let iv = random_bytes().map_err(|_| MintError::Entropy)?;
        let (iv, text, tag) =
            aead::seal_cbc(&key.cbc, iv, header.as_bytes(), &plain).map_err(|_| MintError::Encode)?;
        let [iv, text, tag] = [iv, text, tag].map(compact::encode);
        Ok(format!("{header}..{iv}.{text}.{tag}"))
    }

    /// `kid` chooses among our own keys and never brings one along; without it every key of ours is tried, where
    /// Auth.js tries the newest only and so signs people out during a rotation.
    pub(super) fn open(&self, token: &str) -> Result<Claims, Cause> {
        let [header, key, iv, text, tag] = compact::parts::<5>(token).ok_or(Cause::Malformed)?;
        let fields = compact::header(header)?;
        let encryption = encryption_of(&fields)?;
        if !key.is_empty() {
            return Err(Cause::Malformed);
        }
        let (iv, text, tag) = (compact::decode(iv)?, compact::decode(text)?, compact::decode(tag)?);
        let mut verdict = Err(Cause::Key);
        for key in self.candidates(&fields, encryption)? {
            verdict = match encryption {
                Encryption::Cbc => aead::open_cbc(&key.cbc, &iv, header.as_bytes(), &text, &tag),
                Encryption::Gcm => aead::open_gcm(&key.gcm, &iv, header.as_bytes(), &text, &tag),
            };
            if verdict.is_ok() {
                break;
            }
        }
        let claims = Claims(compact::object(&verdict?)?);
        replicated_claims_agree(&fields, &claims)?;
        Ok(claims)
    }

    fn candidates(
        &self,
        header: &Map<String, Value>,
        encryption: Encryption,
    ) -> Result<impl Iterator<Item = &KeySet>, Cause> {
        let id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(Cause::Key),
        };
        Ok(self.keys.iter().filter(move |key| id.as_deref().is_none_or(|id| id == key.id(encryption))))
    }
}

/// `dir` with one of the two, uncompressed.
fn encryption_of(header: &Map<String, Value>) -> Result<Encryption, Cause> {
    if !compact::is(header, "alg", "dir") || header.contains_key("zip") {
        return Err(Cause::Algorithm);
    }
    match header.get("enc").and_then(Value::as_str) {
        Some("A256CBC-HS512") => Ok(Encryption::Cbc),
        Some("A256GCM") => Ok(Encryption::Gcm),
        _ => Err(Cause::Algorithm),
    }
}
