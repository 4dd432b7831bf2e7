//! The compact serialisation (RFC 7515 section 3.1, RFC 7516 section 3.1), read strictly.
//!
//! One token has one spelling: base64url without padding, without white space, with unused bits zero; JSON without a
//! member given twice. What a lenient reader would accept besides has only ever been of use to attackers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Cause;

/// The parts of a token.
pub(crate) fn parts<const N: usize>(token: &str) -> Option<[&str; N]> {
    let mut split = token.split('.');
    let mut parts = [""; N];
    for part in &mut parts {
        *part = split.next()?;
    }
    split.next().is_none().then_some(parts)
}

/// Canonical base64url.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, Cause> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Cause::Malformed)
}

/// Base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A protected header; `crit` names extensions that must be understood, and we understand none (RFC 7515 section
/// 4.1.11).
pub(crate) fn header(part: &str) -> Result<Map<String, Value>, Cause> {
    let header = object(&decode(part)?)?;
    if header.contains_key("crit") { Err(Cause::Critical) } else { Ok(header) }
}

/// A JSON object in UTF-8 in which no member is given twice, at any depth.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Cause> {
    match serde_json::from_slice::<Strict>(bytes) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        _ => Err(Cause::Malformed),
    }
}

/// Whether a header member is exactly this text.
pub(super) fn is(header: &Map<String, Value>, name: &str, value: &str) -> bool {
    header.get(name).and_then(Value::as_str) == Some(value)
}

/// Any JSON value without duplicate members.
struct Strict(Value);

impl<'de> de::Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if read.insert(name, value).is_some() {
                return Err(de::Error::custom("a member is given twice"));
            }
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        assert!(decode("YQ").is_ok());
        for other in ["YQ==", "YR", "Y Q", "YQ\n", "Y+/", "Y"] {
            assert_eq!(decode(other), Err(Cause::Malformed), "{other}");
        }
        assert!(object(br#"{"a":{"b":1}}"#).is_ok());
        for other in
            [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, "[]", "1", "", "{\"a\":1}x", "{\"a\":1e400}"]
        {
            assert_eq!(object(other.as_bytes()), Err(Cause::Malformed), "{other}");
        }
        assert_eq!(object("[".repeat(20_000).as_bytes()), Err(Cause::Malformed));
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(Cause::Malformed));
    }

    #[test]
    fn parts_are_counted() {
        assert_eq!(parts::<3>("a.b.c"), Some(["a", "b", "c"]));
        assert_eq!(parts::<3>("a.b"), None);
        assert_eq!(parts::<3>("a.b.c.d"), None);
        assert_eq!(parts::<5>("a..c.d.e"), Some(["a", "", "c", "d", "e"]));
    }

    #[test]
    fn critical_extensions_are_not_understood() {
        let header_of = |json: &str| header(&encode(json));
        assert!(header_of(r#"{"alg":"dir"}"#).is_ok());
        assert_eq!(header_of(r#"{"alg":"dir","crit":[]}"#), Err(Cause::Critical));
    }
}
