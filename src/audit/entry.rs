//! An event with whom and what it concerns.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::event::AuditEvent;
use crate::clock::Timestamp;
use crate::model::{AuditEntry, Email, RequestId, UserId};
use crate::secret::TokenHash;

/// The longest text of a record, in characters.
const LONGEST: usize = 256;

/// What is to be recorded. Where it comes from (network address, request) is added when it is recorded within a request.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(super) event: AuditEvent,
    pub(super) user: Option<UserId>,
    pub(super) email: Option<Email>,
    pub(super) address: Option<IpAddr>,
    pub(super) request: Option<RequestId>,
    pub(super) session: Option<TokenHash>,
    pub(super) details: Map<String, Value>,
}

/// A value of a detail: a code of the program's own, a number, or something that was parsed. There is no way from any
/// other text to here but [`Detail::words`], and so none for what somebody typed.
#[derive(Debug, Clone)]
pub struct Detail(Value);

impl Detail {
    /// A text of the program or its configuration, such as a route or the name of a provider; never what a stranger
    /// typed. Control characters are left out and it is cut.
    #[must_use]
    pub fn words(text: &str) -> Self {
        Self(Value::String(printable(text)))
    }
}

impl Entry {
    /// Of this event.
    #[must_use]
    pub fn new(event: AuditEvent) -> Self {
        Self {
            event,
            user: None,
            email: None,
            address: None,
            request: None,
            session: None,
            details: Map::new(),
        }
    }

    /// What happened.
    #[must_use]
    pub const fn event(&self) -> AuditEvent {
        self.event
    }

    /// Whom it concerns.
    #[must_use]
    pub fn user(mut self, id: &UserId) -> Self {
        self.user = Some(id.clone());
        self
    }

    /// The address that was named. What cannot be an address has no place here.
    #[must_use]
    pub fn email(mut self, email: Option<&Email>) -> Self {
        self.email = email.cloned();
        self
    }

    /// From where, when it is not the sender of the present request.
    #[must_use]
    pub fn address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    /// In which request, when it is not recorded within it.
    #[must_use]
    pub fn request(mut self, id: &RequestId) -> Self {
        self.request = Some(id.clone());
        self
    }

    /// The session it concerns.
    #[must_use]
    pub fn session(mut self, id: &TokenHash) -> Self {
        self.session = Some(*id);
        self
    }

    /// What else is worth knowing.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<Detail>) -> Self {
        self.details.insert(name.to_owned(), value.into().0);
        self
    }

    /// What the store keeps.
    pub(super) fn at(self, now: Timestamp) -> AuditEntry {
        AuditEntry {
            at: now,
            event: self.event.code().to_owned(),
            outcome: self.event.outcome().code().to_owned(),
            // A token of another issuer names its user as it likes.
            user_id: self.user.map(|id| UserId::from_existing(printable(id.as_str()))),
            email: self.email.map(|email| email.as_str().to_owned()),
            address: self.address.map(|address| address.to_string()),
            request_id: self.request.map(|id| id.as_str().to_owned()),
            session_id: self.session,
            details: Value::Object(self.details).to_string(),
        }
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}

impl From<&'static str> for Detail {
    fn from(code: &'static str) -> Self {
        Self(code.into())
    }
}

impl From<i64> for Detail {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}

impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl From<&Email> for Detail {
    fn from(email: &Email) -> Self {
        Self(email.as_str().into())
    }
}

impl From<&TokenHash> for Detail {
    fn from(hash: &TokenHash) -> Self {
        Self(hash.to_hex().into())
    }
}

impl From<&UserId> for Detail {
    fn from(id: &UserId) -> Self {
        Self::words(id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // ASVS: 16.4.1
    #[test]
    fn an_entry_holds_one_line_of_bounded_length() {
        let id = UserId::from_existing(format!("a\u{1b}[31m\n\0{}", "b".repeat(1000)));
        let entry =
            Entry::new(AuditEvent::CsrfRefused).user(&id).detail("route", Detail::words("/a\r\nb\u{7}"));
        let entry = entry.at(Timestamp(0));
        let user = entry.user_id.unwrap();
        assert!(user.as_str().starts_with("a[31mbbb") && user.as_str().len() == LONGEST);
        assert_eq!(entry.details, r#"{"route":"/ab"}"#);
        assert_eq!((entry.event.as_str(), entry.outcome.as_str()), ("csrf.refused", "refused"));
    }
}
