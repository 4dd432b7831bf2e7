//! What one request is called in answers, logs and the audit log.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::secret::{hex, random_bytes};

/// The name of one request: `X-Request-Id` of its answer, `request_id` of problem documents, log lines and audit records.
///
/// It tells requests apart and is no secret: eight random bytes of this process and a running number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(String);

/// Ids longer than this are not taken from anybody.
const LONGEST: usize = 64;

impl RequestId {
    /// The next id of this process.
    #[must_use]
    pub fn next() -> Self {
        static PROCESS: OnceLock<String> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(1);
        // Without random bytes nothing is issued to anybody, but requests are still told apart.
        let process =
            PROCESS.get_or_init(|| random_bytes::<8>().map(|bytes| hex(&bytes)).unwrap_or_default());
        Self(format!("{process}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// An id that somebody else gave: up to 64 letters, digits, `-`, `_` and `.`, so that it is one word in every log.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(word);
        fits.then(|| Self(text.to_owned()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_read_back() {
        let (one, two) = (RequestId::next(), RequestId::next());
        assert_ne!(one, two);
        assert_eq!(RequestId::parse(one.as_str()), Some(one));
    }

    #[test]
    fn an_id_is_one_word() {
        for wrong in ["", "a b", "a\nb", "a\u{1b}[31m", "é", "{}", "a\"b", &"a".repeat(65)] {
            assert_eq!(RequestId::parse(wrong), None, "{wrong:?}");
        }
        assert!(RequestId::parse(&"a".repeat(64)).is_some());
        assert!(RequestId::parse("01JD-abc_9.x").is_some());
    }
}
