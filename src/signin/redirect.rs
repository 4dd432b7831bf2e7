//! Where a person may be sent: the callback URL.
//!
//! What was validated is what is emitted: a candidate is parsed by the URL standard, its scheme and origin are compared
//! with the site's own and the configured ones, and the *parsed* URL is serialised. Everything else falls back to the
//! site's origin; a bad value is never an error page and never sticks in a cookie.
//!
//! ```
//! use countersign::signin::Redirects;
//!
//! let redirects = Redirects::new("https://app.example.com", &[]);
//! assert_eq!(redirects.resolve("/inbox?a=1"), Some("https://app.example.com/inbox?a=1".to_owned()));
//! assert_eq!(redirects.resolve("https://app.example.com.evil.example/"), None);
//! assert_eq!(redirects.resolve("/\\evil.example"), None);
//! ```

use url::Url;

/// The longest callback URL, in bytes: it must fit into a cookie.
const MAX_LENGTH: usize = 2048;

/// Decides where a person may be sent.
#[derive(Debug, Clone)]
pub struct Redirects {
    origin: String,
    allowed: Vec<String>,
}

impl Redirects {
    /// To `origin`, and to the origins in `allowed`.
    #[must_use]
    pub fn new(origin: &str, allowed: &[String]) -> Self {
        Self { origin: origin.to_owned(), allowed: allowed.to_vec() }
    }

    /// The site's own origin: where everybody goes who may not go elsewhere.
    #[must_use]
    pub fn home(&self) -> &str {
        &self.origin
    }

    /// The absolute URL a candidate stands for, if people may be sent there.
    #[must_use]
    pub fn resolve(&self, candidate: &str) -> Option<String> {
        if self.is_as_parsed(candidate) { Some(candidate.to_owned()) } else { self.parsed(candidate) }
    }

    /// Whether a candidate is the site's origin or a page of it, and so plainly written that the parser would write the same.
    /// Browsers ask for their session again and again with such a one in their cookie.
    fn is_as_parsed(&self, candidate: &str) -> bool {
        let Some(rest) = candidate.strip_prefix(&self.origin) else { return false };
        let is_path = rest.starts_with('/') && rest.bytes().all(is_never_escaped);
        let has_odd_segment = || rest.as_bytes().windows(2).any(|pair| matches!(pair, b"/." | b"//"));
        rest.is_empty() || (candidate.len() <= MAX_LENGTH && is_path && !has_odd_segment())
    }

    fn parsed(&self, candidate: &str) -> Option<String> {
        if candidate.is_empty() || candidate.len() > MAX_LENGTH || !candidate.bytes().all(is_plain) {
            return None;
        }
        // NextAuth would append `//evil` to the origin as a path; nobody means that, and old clients read a host in it.
        let url = if candidate.starts_with('/') && !candidate.starts_with("//") {
            Url::parse(&format!("{}{candidate}", self.origin))
        } else if has_http_authority(candidate) {
            Url::parse(candidate)
        } else {
            return None;
        };
        let url = url.ok()?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        let origin = url.origin().ascii_serialization();
        let is_ours = origin == self.origin || self.allowed.contains(&origin);
        // An empty port or user part parses to nothing and would be lost silently; who writes it is probing.
        let is_canonical = candidate.starts_with('/') || same_authority(candidate, &url);
        (is_ours && !has_user && is_canonical).then(|| String::from(url))
    }

    /// The first candidate that is allowed, else home.
    #[must_use]
    pub fn choose<'a>(&self, candidates: impl IntoIterator<Item = Option<&'a str>>) -> String {
        candidates
            .into_iter()
            .flatten()
            .find(|candidate| !candidate.is_empty())
            .and_then(|candidate| self.resolve(candidate))
            .unwrap_or_else(|| self.origin.clone())
    }
}

/// Printable ASCII without blanks and backslash, which browsers read as a slash.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'\\'
}

/// What stands for itself in a path and in a query (RFC 3986 section 2.3), and what takes them apart.
fn is_never_escaped(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~?&=".contains(&byte)
}

/// `http://host` or `https://host` written out; not `https:host` and not `https:/host`, which browsers repair.
fn has_http_authority(candidate: &str) -> bool {
    let lower = candidate.get(..8).unwrap_or(candidate).to_ascii_lowercase();
    let after = if lower.starts_with("https://") {
        candidate.get(8..)
    } else if lower.starts_with("http://") {
        candidate.get(7..)
    } else {
        None
    };
    after.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '['))
}

/// Whether the authority was written as it parsed, up to letter case and a default port.
fn same_authority(candidate: &str, url: &Url) -> bool {
    let written = candidate
        .split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let host = url.host_str().unwrap_or_default();
    let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
    written == host || Some(written) == with_port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(candidate: &str) -> Option<String> {
        Redirects::new("https://app.example.com", &["https://docs.example.com".to_owned()]).resolve(candidate)
    }

    #[test]
    fn own_pages_are_reached() {
        for (candidate, url) in [
            ("/", "https://app.example.com/"),
            ("/a?b=c#d", "https://app.example.com/a?b=c#d"),
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://APP.example.com:443/x", "https://app.example.com/x"),
            ("https://docs.example.com/guide", "https://docs.example.com/guide"),
        ] {
            assert_eq!(resolve(candidate).as_deref(), Some(url), "{candidate}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for candidate in [
            "",
            "nonsense",
            "//evil.example",
            "javascript:alert(1)",
            "https://evil.example",
            "https://app.example.com.evil.example",
            "https://app.example.com@evil.example",
            "https://user@app.example.com/",
            "http://app.example.com/",
            "https://app.example.com:444/",
            "https:app.example.com",
            "https:/app.example.com",
            "https:///app.example.com",
            "blob:https://app.example.com/x",
            "/\\evil.example",
            "/a\r\nSet-Cookie: b=c",
            "/\u{e9}",
        ] {
            assert_eq!(resolve(candidate), None, "{candidate}");
        }
        assert_eq!(resolve(&format!("/{}", "a".repeat(3000))), None);
    }

    #[test]
    fn what_is_not_parsed_is_what_the_parser_makes_of_it() {
        let redirects = Redirects::new("https://app.example.com", &[]);
        let pieces = ["/", ".", "..", "a", "Z9", "?", "&=", "#", "%2e", "~", "-_", "@", ":1", ";", "\\", "é"];
        let mut unparsed = 0;
        for number in 0..pieces.len().pow(4) {
            let digits = (0..4).map(|place| number / pieces.len().pow(place) % pieces.len());
            let rest: String = digits.map(|digit| pieces[digit]).collect();
            let candidate = format!("{}/{rest}", redirects.home());
            assert_eq!(redirects.resolve(&candidate), redirects.parsed(&candidate), "{candidate}");
            unparsed += usize::from(redirects.is_as_parsed(&candidate));
        }
        assert!(unparsed > 1000, "{unparsed}");
        for rest in ["", "a", ".evil.example", "@evil.example", ":444", ":443", "\\"] {
            let candidate = format!("{}{rest}", redirects.home());
            assert_eq!(redirects.is_as_parsed(&candidate), rest.is_empty(), "{candidate}");
        }
        let long = format!("{}/{}", redirects.home(), "a".repeat(MAX_LENGTH));
        assert_eq!(redirects.resolve(&long), None);
    }

    #[test]
    fn the_first_given_candidate_decides() {
        let redirects = Redirects::new("https://app.example.com", &[]);
        assert_eq!(redirects.choose([None, Some("/a"), Some("/b")]), "https://app.example.com/a");
        assert_eq!(redirects.choose([Some("https://evil.example"), Some("/b")]), "https://app.example.com");
        assert_eq!(redirects.choose([]), "https://app.example.com");
    }
}
