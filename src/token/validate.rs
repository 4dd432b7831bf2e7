//! The rules that hold for the claims of every format.

use serde_json::Value;

use super::{Cause, Claims, Rejected};
use crate::clock::Timestamp;

/// How far two clocks may be apart, seconds; v4 and v5 allow as much.
pub const CLOCK_TOLERANCE: i64 = 15;

/// Members of NextAuth's helper cookies (PKCE, state, nonce): such a token is no session, though the same key sealed it
/// (CVE-2023-48309).
const OTHER_PURPOSES: [&str; 4] = ["code_verifier", "code_challenge", "state", "nonce_value"];

/// `exp`, `nbf` and `iat` are numbers if they are there, and now lies between them.
pub(super) fn times(claims: &Claims, now: Timestamp, tolerance: i64) -> Result<(), Rejected> {
    for name in ["exp", "nbf", "iat"] {
        if claims.get(name).is_some_and(|value| !is_number(value)) {
            return Err(Rejected::Invalid(Cause::Claims("exp, nbf and iat must be numbers")));
        }
    }
    if claims.expires_at().is_some_and(|end| now.plus(-tolerance) >= end) {
        return Err(Rejected::Expired);
    }
    if claims.seconds("nbf").is_some_and(|start| start > now.plus(tolerance)) {
        return Err(Rejected::NotYetValid);
    }
    Ok(())
}

fn is_number(value: &Value) -> bool {
    value.as_f64().is_some_and(f64::is_finite)
}

/// What makes claims those of a session: somebody, until some moment, and no other purpose.
pub(super) fn session(claims: &Claims) -> Result<(), Cause> {
    if claims.subject().is_none_or(str::is_empty) {
        return Err(Cause::Claims("sub is missing"));
    }
    if claims.expires_at().is_none() {
        return Err(Cause::Claims("exp is missing"));
    }
    Ok(())
}

/// A helper cookie's token opens nothing.
pub(super) fn purpose(claims: &Claims) -> Result<(), Cause> {
    if OTHER_PURPOSES.iter().any(|name| claims.get(name).is_some()) {
        return Err(Cause::Claims("the token serves another purpose"));
    }
    Ok(())
}
