//! Where people reach the site.

use url::Url;

/// `url`, parsed. The only source of links, redirects and cookie names; no header has a say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteUrl {
    /// Scheme, host and port as browsers write an origin: `https://app.example.com`.
    pub origin: String,
    /// The path all routes of the library live under, without a trailing slash: `/api/auth`.
    pub base_path: String,
    /// Whether the scheme is https, and so cookies are `Secure`.
    pub secure: bool,
}

impl SiteUrl {
    /// Reads a URL as NextAuth reads `NEXTAUTH_URL`: https is assumed when the scheme is missing, and a path is the
    /// base path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let url =
            if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("https://{text}")) };
        let url = url.ok()?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty());
        let path = url.path().trim_end_matches('/');
        let path_is_plain =
            path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~".contains(&b)) && !path.contains("//");
        if !plain || !path_is_plain {
            return None;
        }
        Some(Self {
            origin: url.origin().ascii_serialization(),
            base_path: if path.is_empty() { "/api/auth".to_owned() } else { path.to_owned() },
            secure: url.scheme() == "https",
        })
    }

    /// An address below the base path: `base("signin")` is `https://app.example.com/api/auth/signin`.
    #[must_use]
    pub fn base(&self, action: &str) -> String {
        format!("{}{}/{action}", self.origin, self.base_path)
    }
}

/// An origin, as browsers write it; `None` for anything with a path or more.
pub(super) fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let origin = url.origin().ascii_serialization();
    (matches!(url.scheme(), "http" | "https") && text.trim_end_matches('/').eq_ignore_ascii_case(&origin))
        .then_some(origin)
}

/// A path on this site: one slash at the start, nothing a browser reads as another host.
pub(super) fn path(text: &str) -> Option<String> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    (plain && text.starts_with('/') && !text.starts_with("//")).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_origin_and_base_path() {
        let parsed = |text| SiteUrl::parse(text).map(|url| (url.origin, url.base_path, url.secure));
        let url = |origin: &str, path: &str, secure| Some((origin.to_owned(), path.to_owned(), secure));
        assert_eq!(parsed("http://localhost:8000"), url("http://localhost:8000", "/api/auth", false));
        assert_eq!(parsed("https://App.example.com:443/"), url("https://app.example.com", "/api/auth", true));
        assert_eq!(parsed("example.com/auth/"), url("https://example.com", "/auth", true));
        for wrong in
            ["", "ftp://a.example", "https://u:p@a.example", "https://a.example?x", "https://a.example/a b"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn origins_and_paths_are_nothing_more() {
        assert_eq!(origin("https://a.example/"), Some("https://a.example".to_owned()));
        assert_eq!(origin("https://a.example/x"), None);
        assert_eq!(origin("*"), None);
        assert_eq!(path("/sign-in?x=1"), Some("/sign-in?x=1".to_owned()));
        assert_eq!(path("//evil.example"), None);
        assert_eq!(path("https://evil.example"), None);
        assert_eq!(path("/\\evil.example"), None);
    }
}
