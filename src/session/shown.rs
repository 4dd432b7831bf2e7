//! What a browser may see of a session.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::SessionData;
use crate::token::footprint;

/// The body of `GET session`, as members and as written.
///
/// It serializes as its members.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct SessionBody {
    members: Map<String, Value>,
    #[serde(skip)]
    json: String,
    #[serde(skip)]
    script_json: Arc<str>,
}

impl SessionBody {
    /// Name, address, picture and expiry (ASVS 5.0, 14.2.6): what every session shows.
    #[must_use]
    pub fn members_of(session: &SessionData) -> Map<String, Value> {
        let user = json!({ "name": session.name, "email": session.email, "image": session.image });
        let mut members = Map::new();
        members.insert("user".to_owned(), user);
        members.insert("expires".to_owned(), session.expires_at.to_iso().into());
        members
    }

    /// With these members.
    #[must_use]
    pub fn new(members: Map<String, Value>) -> Self {
        let json = serde_json::to_string(&members).unwrap_or_else(|_| "null".to_owned());
        Self { script_json: embeddable(&json).into(), json, members }
    }

    /// The JSON text.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub(crate) fn footprint(&self) -> usize {
        footprint::of_members(&self.members) + self.json.len() + self.script_json.len()
    }

    /// The JSON text as it can stand inside a script element: nothing in it ends the element or a line (ASVS 5.0,
    /// 1.2.3).
    #[must_use]
    pub fn script_json(&self) -> &Arc<str> {
        &self.script_json
    }
}

/// Two bodies that are written alike are alike.
impl PartialEq for SessionBody {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for SessionBody {}

impl Hash for SessionBody {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.json.hash(state);
    }
}

fn embeddable(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// The body that a session shows when no hook adds to it, made when it is first asked for. A copy of a session may be
/// changed, so it starts without.
#[derive(Debug, Default)]
pub(crate) struct Shown(OnceLock<Arc<SessionBody>>);

impl Clone for Shown {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl SessionData {
    /// What the session shows when nothing is added to it.
    #[must_use]
    pub fn body(&self) -> Arc<SessionBody> {
        let make = || Arc::new(SessionBody::new(SessionBody::members_of(self)));
        Arc::clone(self.shown.0.get_or_init(make))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_json_cannot_end_its_element() {
        let mut members = Map::new();
        members.insert("name".to_owned(), "</script><!--&\u{2028}".into());
        let body = SessionBody::new(members.clone());
        assert!(!body.script_json().contains(['<', '>', '&', '\u{2028}']));
        for text in [body.json(), body.script_json()] {
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), Value::Object(members.clone()));
        }
    }
}
