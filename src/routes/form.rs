//! The body of a POST to the REST API: a form or a JSON object, whose CSRF token was checked.

use std::collections::BTreeMap;
use std::fmt;

use rocket::data::{FromData, Outcome, ToByteUnit as _};
use rocket::{Data, Request};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::medium::wants_script_redirect;
use crate::guards::{Auth, BodyKind, CsrfError, is_same_site, is_vouched, limit_of, read_body, trail};

/// The largest body that our own routes read, in KiB, however much the application allows on its routes: anybody may send
/// it, and it is held in memory while it is read.
const MOST: u32 = 64;

/// A body that passed the CSRF check. There is no other way to its fields.
pub(super) struct CheckedForm {
    fields: BTreeMap<String, Value>,
    kind: BodyKind,
    script: bool,
}

/// A body that did not get through, and how its sender wants to be answered.
#[derive(Debug)]
pub(super) struct FormError {
    pub(super) reason: CsrfError,
    pub(super) script: bool,
}

impl CheckedForm {
    /// A text field; empty when it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.optional(name).unwrap_or_default()
    }

    /// A text field, if it is there.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    /// Any field, as JSON.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Whether the sender is a script that wants redirects as JSON.
    pub(super) fn is_script(&self) -> bool {
        self.script
    }

    /// Whether the body was JSON.
    pub(super) fn is_json(&self) -> bool {
        self.kind == BodyKind::Json
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for CheckedForm {
    type Error = FormError;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match check(request, data).await {
            Ok(form) => Outcome::Success(form),
            Err(error) => Outcome::Error((error.reason.status(), error)),
        }
    }
}

async fn check(request: &Request<'_>, data: Data<'_>) -> Result<CheckedForm, FormError> {
    let by_header = wants_script_redirect(request);
    let refuse = |reason| FormError { reason, script: by_header };
    let kind = BodyKind::of(request).map_err(refuse)?;
    let limit = limit_of(request, kind).min(MOST.kibibytes());
    let body = read_body(data, limit).await.map_err(refuse)?;
    let fields = match kind {
        BodyKind::Form => parse_form(&body),
        BodyKind::Json => parse_json(&body),
    };
    let fields = fields.map_err(refuse)?;
    // NextAuth v3 and v4 take the text `true` for this wish, and only that.
    let script = by_header || fields.get("json").and_then(Value::as_str) == Some("true");
    let auth = request.rocket().state::<Auth>();
    let token = fields.get("csrfToken").and_then(Value::as_str).unwrap_or_default();
    let passed = auth.is_some_and(|auth| is_vouched(request, auth, token) && is_same_site(request, auth));
    if !passed {
        trail::csrf_refused(request);
        return Err(FormError { reason: CsrfError::Csrf, script });
    }
    Ok(CheckedForm { fields, kind, script })
}

/// A field that comes twice has no meaning two readers agree on (ASVS 5.0, 15.3.7).
fn parse_form(body: &str) -> Result<BTreeMap<String, Value>, CsrfError> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
        if fields.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return Err(CsrfError::Malformed);
        }
    }
    Ok(fields)
}

/// The fields we read must be texts; `data` of a session update may be anything, and wishes of scripts may be booleans.
fn parse_json(body: &str) -> Result<BTreeMap<String, Value>, CsrfError> {
    const ANY: [&str; 3] = ["data", "json", "redirect"];
    let Members(mut fields) = serde_json::from_str(body).map_err(|_| CsrfError::Malformed)?;
    fields.retain(|_, value| !value.is_null());
    let wrong = fields.iter().find(|(name, value)| !value.is_string() && !ANY.contains(&name.as_str()));
    match wrong {
        Some((name, _)) => Err(CsrfError::Shape(format!("{} must be a text", printable(name)))),
        None => Ok(fields),
    }
}

/// The members of an object, each of which comes once: the same rule as for forms.
struct Members(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member comes twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        source.deserialize_map(Once)
    }
}

/// A name of the sender's, safe to repeat.
fn printable(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_comes_twice_is_refused() {
        assert_eq!(parse_form("a=1&b=2").unwrap().len(), 2);
        assert_eq!(parse_form("a=1&a=1"), Err(CsrfError::Malformed));
    }

    #[test]
    fn json_fields_are_texts() {
        assert!(parse_json(r#"{"email":"a","json":true,"data":[1],"name":null}"#).is_ok());
        for body in [r#"{"email":["a"]}"#, r#"{"email":0}"#, r#"{"password":{}}"#, r#"{"csrfToken":true}"#] {
            assert!(matches!(parse_json(body), Err(CsrfError::Shape(_))), "{body}");
        }
        for body in ["", "[]", "1", r#"{"a":"\ud800"}"#, r#"{"a":"1","a":"2"}"#, &"[".repeat(20_000)] {
            assert_eq!(parse_json(body), Err(CsrfError::Malformed), "{}", body.len());
        }
    }
}
