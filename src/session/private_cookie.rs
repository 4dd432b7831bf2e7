//! The encrypted cookie of the database strategy.
//!
//! It is Rocket's private cookie: the same crate seals it (AES-256-GCM, bound to the cookie's name). Its keys are
//! derived from Countersign's own secret ring and not from Rocket's single `secret_key`, so that they rotate together
//! with everything else: the newest seals, all open.

use cookie::{Cookie, CookieJar, Key};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::{PlainToken, Secret, SecretRing};

/// One key, one purpose: this label keeps these keys apart from every other derived from the same secret.
const KEY_LABEL: &[u8] = b"Countersign private session cookie v1";

/// Seals and opens session ids.
pub(super) struct PrivateCookie {
    name: &'static str,
    current: Key,
    previous: Vec<Key>,
}

impl std::fmt::Debug for PrivateCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateCookie([redacted])")
    }
}

impl PrivateCookie {
    pub(super) fn new(name: &'static str, secrets: &SecretRing) -> Self {
        let previous = secrets.all().skip(1).map(derive).collect();
        Self { name, current: derive(secrets.current()), previous }
    }

    /// The cookie value that carries this id.
    pub(super) fn seal(&self, id: &PlainToken) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(&self.current).add((self.name, id.expose()));
        jar.get(self.name).map(|cookie| cookie.value().to_owned()).unwrap_or_default()
    }

    /// The id a cookie value carries, when one of our keys sealed it under our name, and whether that is a previous one.
    pub(super) fn open(&self, sealed: &str) -> Option<(PlainToken, bool)> {
        let jar = CookieJar::new();
        let current = (&self.current, false);
        let previous = self.previous.iter().map(|key| (key, true));
        let (cookie, by_previous) =
            std::iter::once(current).chain(previous).find_map(|(key, by_previous)| {
                let cookie = jar.private(key).decrypt(Cookie::new(self.name, sealed.to_owned()))?;
                Some((cookie, by_previous))
            })?;
        PlainToken::parse(cookie.value()).map(|id| (id, by_previous))
    }

    /// The same id under the present key; a value that has it already stays as it is.
    pub(super) fn resealed(&self, sealed: &str) -> String {
        match self.open(sealed) {
            Some((id, true)) => self.seal(&id),
            _ => sealed.to_owned(),
        }
    }
}

fn derive(secret: &Secret) -> Key {
    let mut bytes = Zeroizing::new([0; 64]);
    let filled = Hkdf::<Sha256>::new(None, secret.expose().as_bytes()).expand(KEY_LABEL, bytes.as_mut());
    // RFC 5869 allows up to 255 hashes of output; 64 bytes are two.
    debug_assert!(filled.is_ok(), "64 bytes are within HKDF's limit");
    Key::from(bytes.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(current: &str, previous: &[&str]) -> PrivateCookie {
        let previous = previous.iter().map(|text| Secret::new(*text)).collect();
        PrivateCookie::new("s", &SecretRing::new(Secret::new(current), previous))
    }

    #[test]
    fn an_id_comes_back_and_survives_rotation() {
        let id = PlainToken::generate().unwrap();
        let sealed = cookie("old", &[]).seal(&id);
        assert!(!sealed.contains(&id.expose()));
        let opened =
            |cookie: PrivateCookie, sealed: &str| cookie.open(sealed).map(|(id, old)| (id.hash(), old));
        assert_eq!(opened(cookie("old", &[]), &sealed), Some((id.hash(), false)));
        assert_eq!(opened(cookie("new", &["old"]), &sealed), Some((id.hash(), true)));
        assert_eq!(opened(cookie("new", &[]), &sealed), None);
        let resealed = cookie("new", &["old"]).resealed(&sealed);
        assert_eq!(opened(cookie("new", &[]), &resealed), Some((id.hash(), false)));
        assert_eq!(cookie("new", &["old"]).resealed(&resealed), resealed);
    }

    #[test]
    fn what_was_not_sealed_does_not_open() {
        let id = PlainToken::generate().unwrap();
        let private = cookie("secret", &[]);
        let sealed = private.seal(&id);
        let elsewhere = PrivateCookie::new("t", &SecretRing::new(Secret::new("secret"), vec![]));
        assert!(elsewhere.open(&sealed).is_none());
        for text in ["", "x", &id.expose(), &sealed[1..], &sealed.to_uppercase(), &format!("{sealed} ")] {
            assert!(private.open(text).is_none(), "{text}");
        }
    }
}
