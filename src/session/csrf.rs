//! Cross-site request forgery: the double-submit pair of NextAuth.
//!
//! The cookie holds `token|sha256(token + secret)`; a form repeats the token (protocol of all three generations). The
//! pair alone can be planted by whoever can write cookies for the site, so an unsafe request must also come from this
//! site by its own headers: see [`FetchOrigin`].

use sha2::{Digest as _, Sha256};

use crate::secret::{EntropyError, Secret, Secrets, digest_of_hex, hex, random_bytes, same_digest};

/// Makes and checks CSRF pairs.
#[derive(Debug, Clone)]
pub struct Csrf {
    secrets: Secrets,
}

/// A token and the cookie value that vouches for it.
#[derive(Clone)]
pub struct CsrfPair {
    token: String,
    cookie: String,
    is_vouched_anew: bool,
}

impl CsrfPair {
    /// What a form repeats: 64 hexadecimal digits.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What the cookie holds: `token|hash`.
    #[must_use]
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Whether a previous secret vouched for the cookie that was read: [`CsrfPair::cookie`] then holds the same token,
    /// vouched for by the present one, to be set again. Forms that were sent out go on working.
    #[must_use]
    pub fn is_vouched_anew(&self) -> bool {
        self.is_vouched_anew
    }
}

impl std::fmt::Debug for CsrfPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CsrfPair([redacted])")
    }
}

impl Csrf {
    /// With these secrets: the first vouches, all are believed.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets }
    }

    /// A fresh pair.
    ///
    /// # Errors
    /// [`EntropyError`] when the operating system has no random bytes.
    pub fn generate(&self) -> Result<CsrfPair, EntropyError> {
        let token = hex(&random_bytes::<32>()?);
        let cookie = vouched(&token, self.secrets.ring().current());
        Ok(CsrfPair { cookie, token, is_vouched_anew: false })
    }

    /// The pair a cookie value holds, if one of our secrets vouches for it. Strict where NextAuth is lax: exactly 64
    /// lower-case hexadecimal digits, one `|`, and a hash of the same form.
    #[must_use]
    pub fn read(&self, cookie: &str) -> Option<CsrfPair> {
        let (token, given) = parts(cookie)?;
        let ring = self.secrets.ring();
        let vouches = |secret: &Secret| same_digest(&hash(token, secret), &given);
        let by_current = vouches(ring.current());
        let by_previous = ring.all().skip(1).fold(false, |found, secret| found | vouches(secret));
        let (cookie, is_vouched_anew) = match (by_current, by_previous) {
            (true, _) => (cookie.to_owned(), false),
            (false, true) => (vouched(token, ring.current()), true),
            (false, false) => return None,
        };
        Some(CsrfPair { token: token.to_owned(), cookie, is_vouched_anew })
    }

    /// Whether the present secret vouches for a cookie value: nothing is to be done about it then.
    #[must_use]
    pub fn is_up_to_date(&self, cookie: &str) -> bool {
        let secrets = self.secrets.ring();
        parts(cookie).is_some_and(|(token, given)| same_digest(&hash(token, secrets.current()), &given))
    }
}

/// Whether a request's own headers say that this site sent it.
#[derive(Debug, Clone, Copy, Default)]
pub struct FetchOrigin<'a> {
    /// `Origin` (RFC 6454 section 7).
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site` (Fetch Metadata).
    pub fetch_site: Option<&'a str>,
}

impl FetchOrigin<'_> {
    /// Every browser of this decade sends at least one of the two headers with a POST; what is neither is a program
    /// that carries no ambient cookies of anybody else.
    #[must_use]
    pub fn is_allowed(&self, own: &str, allowed: &[String]) -> bool {
        let by_origin = match self.origin {
            None => true,
            // A page whose policy is `no-referrer` posts to its own site with this; no other site can claim to be the
            // same origin, and a sandboxed frame does not.
            Some("null") => self.fetch_site == Some("same-origin"),
            Some(origin) => origin == own || allowed.iter().any(|other| other == origin),
        };
        let by_site = match self.fetch_site {
            None | Some("same-origin" | "none") => true,
            // A listed origin is another site's page that was let in by configuration; its `Origin` proves it.
            Some(_) => self.origin.is_some_and(|origin| allowed.iter().any(|other| other == origin)),
        };
        by_origin && by_site
    }
}

/// The cookie's value for a token.
fn vouched(token: &str, secret: &Secret) -> String {
    format!("{token}|{}", hex(&hash(token, secret)))
}

fn hash(token: &str, secret: &Secret) -> [u8; 32] {
    Sha256::new().chain_update(token).chain_update(secret.expose()).finalize().into()
}

/// The token and the hash of a cookie value that has the form of one.
fn parts(cookie: &str) -> Option<(&str, [u8; 32])> {
    let (token, given) = cookie.split_once('|')?;
    digest_of_hex(token)?;
    Some((token, digest_of_hex(given)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretRing;

    fn csrf(current: &str, previous: &[&str]) -> Csrf {
        let previous = previous.iter().map(|text| Secret::new(*text)).collect();
        Csrf::new(Secrets::new(SecretRing::new(Secret::new(current), previous)))
    }

    #[test]
    fn a_pair_reads_back_and_survives_rotation() {
        let pair = csrf("old", &[]).generate().unwrap();
        assert_eq!(csrf("old", &[]).read(pair.cookie()).unwrap().token(), pair.token());
        assert!(!csrf("old", &[]).read(pair.cookie()).unwrap().is_vouched_anew());
        assert!(csrf("old", &[]).is_up_to_date(pair.cookie()));
        assert!(!csrf("new", &["old"]).is_up_to_date(pair.cookie()));
        let again = csrf("new", &["old"]).read(pair.cookie()).unwrap();
        assert!(again.is_vouched_anew() && again.token() == pair.token());
        assert!(csrf("new", &[]).read(pair.cookie()).is_none());
        assert_eq!(csrf("new", &[]).read(again.cookie()).unwrap().token(), pair.token());
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let csrf = csrf("secret", &[]);
        let pair = csrf.generate().unwrap();
        let (token, hash) = pair.cookie().split_once('|').unwrap();
        let secret = |text: &str| Secret::new(text);
        let empty = hex(&super::hash("", &secret("secret")));
        for cookie in [
            format!("{}|{hash}", token.to_uppercase()),
            format!("{token}|{}", hash.to_uppercase()),
            format!("{token}|{hash}|x"),
            format!("|{empty}"),
            token.to_owned(),
            format!("{token}|{}", hex(&super::hash(token, &secret("")))),
            String::new(),
        ] {
            assert!(csrf.read(&cookie).is_none() && !csrf.is_up_to_date(&cookie), "{cookie}");
        }
    }

    #[test]
    fn other_sites_are_refused_by_their_headers() {
        let own = "https://app.example.com";
        let from = |origin, fetch_site| FetchOrigin { origin, fetch_site }.is_allowed(own, &[]);
        assert!(from(None, None));
        assert!(from(Some(own), Some("same-origin")));
        assert!(from(None, Some("none")));
        assert!(!from(Some("null"), None));
        assert!(!from(Some("null"), Some("cross-site")));
        assert!(from(Some("null"), Some("same-origin")));
        assert!(!from(Some("https://evil.example"), None));
        assert!(!from(Some(own), Some("cross-site")));
        assert!(!from(None, Some("same-site")));
        let allowed = ["https://front.example".to_owned()];
        let listed = FetchOrigin { origin: Some("https://front.example"), fetch_site: Some("cross-site") };
        assert!(listed.is_allowed(own, &allowed));
    }
}
