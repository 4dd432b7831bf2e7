//! A key pair of P-256, for what signs in tests: the crate that checks the signatures makes them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;

use crate::secret::random_bytes;

/// PKCS #8 around a private key of P-256 (RFC 5208 section 5, RFC 5915 section 3), up to its 32 bytes.
const PKCS8_HEAD: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04,
    0x20,
];
/// Bytes of each half of a signature, and of each coordinate.
const HALF: usize = 32;

/// A private key that a test made.
#[derive(Clone)]
pub(super) struct Key {
    pkcs8: Vec<u8>,
}

impl Key {
    /// A fresh one.
    pub(super) fn generate() -> Self {
        loop {
            let secret = random_bytes::<HALF>().unwrap_or_else(|error| panic!("{error}"));
            let key = Self { pkcs8: [PKCS8_HEAD.as_slice(), &secret].concat() };
            // Once in 2^32 the bytes are no number below the order of the curve.
            if crypto::sign(b"", &key.encoding(), Algorithm::ES256).is_ok() {
                return key;
            }
        }
    }

    fn encoding(&self) -> EncodingKey {
        EncodingKey::from_ec_der(&self.pkcs8)
    }

    /// The private half, as sites hand it out.
    pub(super) fn pem(&self) -> String {
        let body = STANDARD.encode(&self.pkcs8);
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----")
    }

    /// The public half as a JWK.
    pub(super) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.encoding(), Algorithm::ES256);
        let jwk = jwk.unwrap_or_else(|error| panic!("{error}"));
        serde_json::to_value(jwk).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The public half: both coordinates of the point.
    pub(super) fn point(&self) -> [Vec<u8>; 2] {
        let jwk = self.jwk();
        ["x", "y"].map(|name| {
            let text = jwk.get(name).and_then(Value::as_str).unwrap_or_default();
            URL_SAFE_NO_PAD.decode(text).unwrap_or_else(|error| panic!("{error}"))
        })
    }

    /// A signature as JWS has it: base64url of both halves (RFC 7518 section 3.4).
    pub(super) fn sign(&self, message: &[u8]) -> String {
        let signed = crypto::sign(message, &self.encoding(), Algorithm::ES256);
        signed.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A signature as WebAuthn has it: DER (WebAuthn section 6.5.5).
    pub(super) fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let halves = URL_SAFE_NO_PAD.decode(self.sign(message)).unwrap_or_else(|error| panic!("{error}"));
        let integers: Vec<u8> = halves.chunks(HALF).flat_map(integer).collect();
        [vec![0x30, length(&integers)], integers].concat()
    }
}

/// A positive integer in DER: as few bytes as hold it, and the first bit clear.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let significant: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    let sign = significant.first().is_none_or(|byte| byte & 0x80 != 0).then_some(0);
    let value: Vec<u8> = sign.into_iter().chain(significant).collect();
    [vec![0x02, length(&value)], value].concat()
}

/// A length below 128 is one byte in DER; a signature of P-256 is never longer.
fn length(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).ok().filter(|length| *length < 128).unwrap_or_else(|| panic!("too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_as_short_as_they_can_be_and_positive() {
        assert_eq!(integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0xff, 0]), [2, 3, 0, 0xff, 0]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }

    #[test]
    fn what_it_signs_its_public_half_verifies() {
        let key = Key::generate();
        let public = serde_json::from_value(key.jwk()).unwrap();
        let public = jsonwebtoken::DecodingKey::from_jwk(&public).unwrap();
        let verify =
            |signature: &str, text: &[u8]| crypto::verify(signature, text, &public, Algorithm::ES256);
        let signature = key.sign(b"hello");
        assert!(verify(&signature, b"hello").unwrap() && !verify(&signature, b"hullo").unwrap());
        assert_ne!(Key::generate().point(), key.point());
        assert!(key.point().iter().all(|half| half.len() == HALF));
        // Each time as long as it must be: about half of all halves begin with a set bit.
        for number in 0..64_u8 {
            let der = key.sign_der(&[number]);
            assert_eq!((der[0], usize::from(der[1])), (0x30, der.len() - 2));
            assert!((68..=72).contains(&der.len()), "{}", der.len());
        }
    }
}
