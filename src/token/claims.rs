//! The contents of a session token.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// The claims of a session token: a JSON object with typed access to those Countersign knows (RFC 7519 section 4 and
/// NextAuth's own).
///
/// ```
/// use countersign::token::Claims;
///
/// let mut claims = Claims::default();
/// claims.set("sub", "1815");
/// claims.set("name", "Ada Lovelace");
/// assert_eq!(claims.subject(), Some("1815"));
/// assert_eq!(claims.email(), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// A claim of any kind.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// A claim that is a moment (NumericDate); a fraction of a second is dropped.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<Timestamp> {
        let value = self.get(name)?;
        let whole = value.as_i64().or_else(|| value.as_f64().map(whole_seconds))?;
        Some(Timestamp(whole))
    }

    /// Sets a claim, replacing one of that name.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Removes a claim.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// `sub`: the user's id.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `name`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    /// `email`.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.text("email")
    }

    /// `picture`.
    #[must_use]
    pub fn picture(&self) -> Option<&str> {
        self.text("picture")
    }

    /// `jti`: the token's own id.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.text("jti")
    }

    /// `sid`: the session's id, the same through every renewal.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.text("sid")
    }

    /// `iat`.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.seconds("iat")
    }

    /// `exp`.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.seconds("exp")
    }

    /// `auth_time`: when the person authenticated.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.seconds("auth_time")
    }
}

/// Saturates at the ends of the integers, as `as` does.
#[expect(clippy::cast_possible_truncation, reason = "saturation is what is wanted")]
fn whole_seconds(value: f64) -> i64 {
    value.floor() as i64
}
