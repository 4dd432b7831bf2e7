//! What another site says of a person, by the rules of its preset.

use serde_json::{Map, Value};

use super::ProviderError;
use crate::config::ProfileRules;
use crate::model::{DisplayName, Email};

/// The longest subject identifier (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;
/// The longest address of a picture.
const MAX_IMAGE: usize = 2048;

/// Who somebody is at another site.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Profile {
    /// The issuer identifier; for OAuth 2.0, the origin of the token endpoint.
    pub issuer: String,
    /// The subject identifier: the key. Everything else may change or change hands.
    pub subject: String,
    /// The name, when there is one that fits.
    pub name: Option<DisplayName>,
    /// The address, when there is one that we accept.
    pub email: Option<Email>,
    /// Whether the site says that the person proved the address.
    pub email_verified: bool,
    /// Address of a picture (https).
    pub image: Option<String>,
    /// Everything the site said.
    pub claims: Map<String, Value>,
}

impl Profile {
    /// Reads claims by the rules.
    pub(super) fn read(
        rules: &ProfileRules,
        issuer: &str,
        claims: Map<String, Value>,
    ) -> Result<Self, ProviderError> {
        let subject = find(&rules.id, &claims).filter(|subject| is_subject(subject));
        let subject = subject.ok_or_else(|| ProviderError::Profile("no subject identifier".to_owned()))?;
        let email = find(&rules.email, &claims).and_then(|text| Email::parse(&text).ok());
        Ok(Self {
            issuer: issuer.to_owned(),
            subject,
            name: find(&rules.name, &claims).and_then(|name| display_name(&name)),
            email_verified: email.is_some() && all_true(&rules.email_verified, &claims),
            email,
            image: find(&rules.image, &claims).filter(|image| is_image(image)),
            claims,
        })
    }
}

/// Whether a text can be a subject identifier; a NUL or a line break in one is an attempt at something.
pub(super) fn is_subject(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_SUBJECT && !text.chars().any(char::is_control)
}

/// The first alternative of a rule that is there.
fn find(rule: &str, claims: &Map<String, Value>) -> Option<String> {
    rule.split('|').map(str::trim).filter(|part| !part.is_empty()).find_map(|part| {
        let found = if part.contains('{') { fill(part, claims) } else { text_at(part, claims) };
        found.filter(|text| !text.is_empty())
    })
}

fn value_at<'a>(path: &str, claims: &'a Map<String, Value>) -> Option<&'a Value> {
    let mut steps = path.trim().split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

/// A text, or a whole number as its digits: many sites number people.
fn text_at(path: &str, claims: &Map<String, Value>) -> Option<String> {
    match value_at(path, claims)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// A text with paths in it; nothing when one of them is not there.
fn fill(template: &str, claims: &Map<String, Value>) -> Option<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (path, after) = after.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&text_at(path, claims)?);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

/// Whether all paths are true. Some sites write it as a text or a number (Apple, Microsoft).
fn all_true(rule: &str, claims: &Map<String, Value>) -> bool {
    let is_true = |path: &str| match value_at(path, claims) {
        Some(Value::Bool(on)) => *on,
        Some(Value::String(text)) => text == "true" || text == "1",
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        _ => false,
    };
    !rule.trim().is_empty() && rule.split('&').all(is_true)
}

/// A name that fits, cut when it is too long.
fn display_name(text: &str) -> Option<DisplayName> {
    let cut: String = text.chars().filter(|c| *c != '\0').take(DisplayName::MAX_CHARS).collect();
    DisplayName::parse(&cut).ok()
}

/// Whether a page can show it: an address without a name and password in it, and written as addresses are.
fn is_image(text: &str) -> bool {
    let plain = text.len() <= MAX_IMAGE && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let safe =
        |url: url::Url| url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    plain && url::Url::parse(text).is_ok_and(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules() -> ProfileRules {
        ProfileRules {
            id: "response.id|id".to_owned(),
            name: "nick|name".to_owned(),
            email: "account.email".to_owned(),
            email_verified: "account.valid & account.proven".to_owned(),
            image: "https://cdn.example/{id}/{hash}.png".to_owned(),
        }
    }

    fn read(claims: Value) -> Result<Profile, ProviderError> {
        let Value::Object(claims) = claims else { panic!("an object") };
        Profile::read(&rules(), "https://id.example", claims)
    }

    #[test]
    fn rules_name_fields() {
        let account = json!({ "email": "Ada@Example.com", "valid": true, "proven": "true" });
        let profile =
            read(json!({ "id": 7, "hash": "x", "nick": "", "name": "Ada", "account": account })).unwrap();
        assert_eq!((profile.subject.as_str(), profile.email_verified), ("7", true));
        assert_eq!(profile.email.unwrap().as_str(), "ada@example.com");
        assert_eq!(profile.name.unwrap().as_str(), "Ada");
        assert_eq!(profile.image.as_deref(), Some("https://cdn.example/7/x.png"));
        let half = json!({ "email": "ada@example.com", "valid": true, "proven": false });
        let profile = read(json!({ "response": { "id": "r" }, "account": half })).unwrap();
        assert_eq!((profile.subject.as_str(), profile.email_verified, profile.image), ("r", false, None));
        let absent = read(json!({ "id": "1", "account": { "valid": true, "proven": true } })).unwrap();
        assert!(!absent.email_verified, "no address, nothing proven");
    }

    #[test]
    fn a_subject_is_a_plain_short_text() {
        for id in [
            json!(""),
            json!(" "),
            json!(null),
            json!(1.5),
            json!(true),
            json!(["1"]),
            json!("1\u{0}admin"),
            json!("x".repeat(256)),
        ] {
            assert!(read(json!({ "id": id })).is_err(), "{id}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let account = json!({ "email": "a@b@c", "valid": true, "proven": true });
        let profile = read(json!({ "id": "1", "name": "x".repeat(500), "account": account })).unwrap();
        assert!(profile.email.is_none() && !profile.email_verified);
        assert_eq!(profile.name.unwrap().as_str().len(), 200);
        for image in [
            "javascript:alert(1)",
            "http://cdn.example/x.png",
            "data:image/png;base64,x",
            "/x.png",
            "https://user:pass@cdn.example/x.png",
            "https://user@cdn.example/x.png",
            "ht\ntps://cdn.example/x.png",
            " https://cdn.example/x.png",
        ] {
            assert!(!is_image(image), "{image}");
        }
    }
}
