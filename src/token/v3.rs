//! NextAuth v3: an HS512 JWS.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use sha2::Sha512;

use super::{Cause, Claims, MintError, compact, keys};
use crate::clock::Timestamp;
use crate::secret::SecretRing;

/// `{"alg":"HS512"}`: v3 writes nothing else into its header.
const ENCODED_HEADER: &str = "eyJhbGciOiJIUzUxMiJ9";

/// Signs and verifies. What HMAC makes of a key is made once.
pub(super) struct V3 {
    sign: EncodingKey,
    verify: Vec<Hmac<Sha512>>,
}

impl V3 {
    pub(super) fn new(secrets: &SecretRing) -> Self {
        let current = keys::v3_signing(secrets.current());
        // HMAC takes keys of any length, so none is lost here.
        let verify =
            secrets.all().filter_map(|secret| Hmac::new_from_slice(keys::v3_signing(secret).as_ref()).ok());
        Self { sign: EncodingKey::from_secret(current.as_ref()), verify: verify.collect() }
    }

    pub(super) fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        let payload = serde_json::to_vec(claims).map_err(|_| MintError::Encode)?;
        let message = format!("{ENCODED_HEADER}.{}", compact::encode(payload));
        let signature = crypto::sign(message.as_bytes(), &self.sign, Algorithm::HS512);
        Ok(format!("{message}.{}", signature.map_err(|_| MintError::Encode)?))
    }

    /// The claims of a token one of our keys signed; times are not looked at.
    pub(super) fn open(&self, token: &str) -> Result<Claims, Cause> {
        let [header, payload, signature] = compact::parts::<3>(token).ok_or(Cause::Malformed)?;
        // The header that everybody writes needs no reading.
        if header != ENCODED_HEADER && !compact::is(&compact::header(header)?, "alg", "HS512") {
            return Err(Cause::Algorithm);
        }
        // Strictly decoded: what verifies must also be spelled in the one way.
        let signature = compact::decode(signature)?;
        let message = token.get(..header.len() + 1 + payload.len()).ok_or(Cause::Malformed)?;
        let signed = self
            .verify
            .iter()
            .any(|key| key.clone().chain_update(message.as_bytes()).verify_slice(&signature).is_ok());
        if !signed {
            return Err(Cause::Signature);
        }
        compact::object(&compact::decode(payload)?).map(Claims)
    }
}

/// The claim rules of v3's JOSE library: texts are texts, and a token is no older than `max_age`, whatever it says of
/// its own end.
pub(super) fn check(claims: &Claims, now: Timestamp, max_age: i64) -> Result<(), Cause> {
    for name in ["sub", "jti", "nonce", "acr", "azp"] {
        let wrong = claims.get(name).is_some_and(|value| value.as_str().is_none_or(str::is_empty));
        if wrong {
            return Err(Cause::Claims("a claim must be a text that is not empty"));
        }
    }
    for name in ["iss", "aud", "amr"] {
        if claims.get(name).is_some_and(|value| !is_text_or_texts(value)) {
            return Err(Cause::Claims("a claim must be a text or a list of texts"));
        }
    }
    let issued = claims.issued_at().ok_or(Cause::Claims("iat is missing"))?;
    if now.since(issued) > max_age { Err(Cause::TooOld) } else { Ok(()) }
}

fn is_text_or_texts(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(_) => true,
        serde_json::Value::Array(items) => {
            !items.is_empty() && items.iter().all(serde_json::Value::is_string)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_it_is_said_to_say() {
        assert_eq!(compact::encode(r#"{"alg":"HS512"}"#), ENCODED_HEADER);
    }
}
