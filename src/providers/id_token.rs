//! ID tokens (OpenID Connect Core section 3.1.3.7).
//!
//! The signature is checked by the crate that the session tokens use, under keys of the issuer alone: whatever the token
//! says of keys (`jwk`, `jku`, `x5u`) is not read. The algorithm must be one that is expected *and* fit the key. The rest
//! is a list of rules, each a line.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::profile::is_subject;
use crate::clock::Timestamp;
use crate::secret::{Secret, same_text};
use crate::token::CLOCK_TOLERANCE;
use crate::token::compact;

/// Longer tokens are refused before anything is decoded.
const MAX_TOKEN: usize = 16 * 1024;

/// What an ID token must be.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The issuer identifier; with `{tenantid}` in it, the token's `tid` stands there.
    pub issuer: &'a str,
    /// This client.
    pub client_id: &'a str,
    /// Its secret, for the algorithms that use one.
    pub client_secret: Option<&'a Secret>,
    /// The nonce of this very sign-in.
    pub nonce: &'a str,
    /// The algorithms that are accepted.
    pub algorithms: &'a [Algorithm],
    /// The access token that came with it.
    pub access_token: Option<&'a str>,
    /// This moment.
    pub now: Timestamp,
}

/// Why an ID token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Signed by a key that is not known: it may be newer than what is known.
    #[error("it is signed by a key that is not known")]
    UnknownKey,
    /// Another issuer's (rule 2).
    #[error("another issuer")]
    Issuer,
    /// Of another sign-in (rule 11): an old token, or somebody else's.
    #[error("its nonce is not that of this sign-in")]
    Nonce,
    /// Anything else; for logs.
    #[error("{0}")]
    Refused(&'static str),
}

use IdTokenError::{Refused, UnknownKey};

/// Verifies an ID token and tells its claims.
///
/// # Errors
/// [`IdTokenError`].
pub fn verify(
    token: &str,
    keys: &[Jwk],
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, IdTokenError> {
    if token.len() > MAX_TOKEN {
        return Err(Refused("it is too long"));
    }
    let [header, payload, signature] = compact::parts::<3>(token).ok_or(Refused("it has not three parts"))?;
    let signed = token.rsplit_once('.').map(|(signed, _)| signed).unwrap_or_default();
    let header = compact::header(header).map_err(|_| Refused("its header is malformed"))?;
    let algorithm = check_header(&header, expected)?;
    compact::decode(signature).map_err(|_| Refused("its signature is malformed"))?;
    check_signature(&header, algorithm, signed, signature, keys, expected)?;
    let claims = compact::decode(payload).and_then(|payload| compact::object(&payload));
    let claims = claims.map_err(|_| Refused("its claims are malformed"))?;
    check_parties(&claims, expected)?;
    check_times(&claims, expected.now)?;
    let nonce = claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
    if nonce.is_empty() || !same_text(nonce, expected.nonce) {
        return Err(IdTokenError::Nonce);
    }
    check_access_token(&claims, algorithm, expected.access_token)?;
    Ok(claims)
}

fn check_header(header: &Map<String, Value>, expected: &Expected<'_>) -> Result<Algorithm, IdTokenError> {
    // RFC 8725 section 3.11: a token of another kind is not an ID token.
    match header.get("typ") {
        None => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("jwt") => {}
        Some(_) => return Err(Refused("it is of another type")),
    }
    let name = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let algorithm: Algorithm = name.parse().map_err(|_| Refused("its algorithm is not known"))?;
    if expected.algorithms.contains(&algorithm) {
        Ok(algorithm)
    } else {
        Err(Refused("its algorithm is not expected"))
    }
}

fn check_signature(
    header: &Map<String, Value>,
    algorithm: Algorithm,
    signed: &str,
    signature: &str,
    keys: &[Jwk],
    expected: &Expected<'_>,
) -> Result<(), IdTokenError> {
    let is_right =
        |key: &DecodingKey| crypto::verify(signature, signed.as_bytes(), key, algorithm) == Ok(true);
    if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        let secret = expected.client_secret.ok_or(Refused("there is no secret to check it by"))?;
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        return if is_right(&key) { Ok(()) } else { Err(Refused("its signature is wrong")) };
    }
    let id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.as_str()),
        Some(_) => return Err(Refused("its header is malformed")),
    };
    let mut fitting = keys.iter().filter(|key| fits(key, algorithm, id)).peekable();
    if fitting.peek().is_none() {
        return Err(UnknownKey);
    }
    let verified = fitting.filter_map(|key| DecodingKey::from_jwk(key).ok()).any(|key| is_right(&key));
    if verified { Ok(()) } else { Err(Refused("its signature is wrong")) }
}

/// Whether a key may have made a signature of this algorithm under this id.
fn fits(key: &Jwk, algorithm: Algorithm, id: Option<&str>) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let common = &key.common;
    let by_use = !matches!(&common.public_key_use, Some(other) if *other != PublicKeyUse::Signature);
    let by_algorithm = common.key_algorithm.is_none_or(|own| own.to_string() == format!("{algorithm:?}"));
    let by_id = id.is_none_or(|id| common.key_id.as_deref() == Some(id));
    let by_kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), RS256 | RS384 | RS512 | PS256 | PS384 | PS512) => true,
        (AlgorithmParameters::EllipticCurve(curve), ES256) => curve.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(curve), ES384) => curve.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(curve), EdDSA) => curve.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    by_use && by_algorithm && by_id && by_kind
}

/// Rules 2 to 5: who issued it, about whom, and for whom.
fn check_parties(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), IdTokenError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let tenant = text("tid")
        .filter(|tid| !tid.is_empty() && tid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let issuer = match (expected.issuer.contains("{tenantid}"), tenant) {
        (true, Some(tenant)) => expected.issuer.replace("{tenantid}", tenant),
        (true, None) => return Err(Refused("it names no tenant")),
        (false, _) => expected.issuer.to_owned(),
    };
    if text("iss") != Some(issuer.as_str()) {
        return Err(IdTokenError::Issuer);
    }
    if !text("sub").is_some_and(is_subject) {
        return Err(Refused("it names no subject"));
    }
    // Another audience could hand us its own copy: only we may be named.
    let only_us = match claims.get("aud") {
        Some(Value::String(audience)) => audience == expected.client_id,
        Some(Value::Array(audiences)) => {
            !audiences.is_empty()
                && audiences.iter().all(|audience| audience.as_str() == Some(expected.client_id))
        }
        _ => false,
    };
    if !only_us {
        return Err(Refused("another audience"));
    }
    match claims.get("azp") {
        None => Ok(()),
        Some(party) if party.as_str() == Some(expected.client_id) => Ok(()),
        Some(_) => Err(Refused("another authorized party")),
    }
}

/// Rules 9 and 10.
fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), IdTokenError> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        // A fraction of a second is allowed and of no consequence.
        Some(value) => match value.as_i64() {
            Some(time) => Ok(Some(time)),
            None => value.as_f64().filter(|time| time.abs() < 1e15).map_or(
                Err(Refused("a time that is none")),
                #[expect(clippy::cast_possible_truncation, reason = "within 53 bits")]
                |time| Ok(Some(time as i64)),
            ),
        },
    };
    let expires = time("exp")?.ok_or(Refused("it has no end"))?;
    let issued = time("iat")?.ok_or(Refused("it has no beginning"))?;
    if now.0 >= expires.saturating_add(CLOCK_TOLERANCE) {
        return Err(Refused("it has expired"));
    }
    let latest = now.0.saturating_add(CLOCK_TOLERANCE);
    if issued > latest || time("nbf")?.is_some_and(|begins| begins > latest) {
        return Err(Refused("it is not valid yet"));
    }
    Ok(())
}

/// Section 3.1.3.8: `at_hash` is the left half of the access token's hash.
fn check_access_token(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    access_token: Option<&str>,
) -> Result<(), IdTokenError> {
    let (Some(stated), Some(token)) = (claims.get("at_hash"), access_token) else {
        return Ok(());
    };
    let digest = match algorithm {
        Algorithm::HS384 | Algorithm::RS384 | Algorithm::ES384 | Algorithm::PS384 => {
            Sha384::digest(token).to_vec()
        }
        Algorithm::HS512 | Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => {
            Sha512::digest(token).to_vec()
        }
        _ => Sha256::digest(token).to_vec(),
    };
    let half = digest.get(..digest.len() / 2).unwrap_or_default();
    if stated.as_str() == Some(compact::encode(half).as_str()) {
        Ok(())
    } else {
        Err(Refused("it belongs to another access token"))
    }
}
