//! The only code that builds a cookie.
//!
//! Every cookie is `Path=/; HttpOnly; SameSite=Lax` without a `Domain`; over https it is `Secure` and its name carries
//! the prefix that makes browsers insist on it (`__Host-` for the CSRF cookie, `__Secure-` for the others, as NextAuth
//! names them; with `session.host_cookies` it is `__Host-` for all, so that no sibling host can set one). Lax, not
//! Strict: a person who comes back from an identity provider or a mail must arrive signed in.

use cookie::{Cookie, Expiration, SameSite};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::cookie_header::{CookieHeader, SoughtName};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::token::{Format, host_session_cookie_name, session_cookie_name};

/// JavaScript's `encodeURIComponent`: everything but these is percent-encoded.
const ENCODE_URI_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// A year: how long a chosen language is remembered.
const LANGUAGE_AGE: i64 = 365 * 24 * 60 * 60;

/// How long a mailed code is good, seconds.
const MAILED_CODE_AGE: i64 = 600;

/// Percent-encodes as JavaScript's `encodeURIComponent` does, the encoding of cookie values and query parts.
#[must_use]
pub fn encode_component(text: &str) -> String {
    utf8_percent_encode(text, ENCODE_URI_COMPONENT).to_string()
}

/// Whether `sent` is what [`encode_component`] makes of the text.
pub(super) fn is_encoded(sent: &str, text: &str) -> bool {
    let mut pieces = utf8_percent_encode(text, ENCODE_URI_COMPONENT);
    pieces.try_fold(sent, str::strip_prefix).is_some_and(str::is_empty)
}

/// One `Set-Cookie` header, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    header: String,
}

impl SetCookie {
    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The header's value. It may carry a session: never log it.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }
}

impl std::fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SetCookie({}=[redacted])", self.name)
    }
}

/// Names and attributes of this site's cookies.
#[derive(Debug, Clone)]
pub struct CookieRules {
    secure: bool,
    chunk: usize,
    session: SoughtName,
    csrf: SoughtName,
    callback_url: SoughtName,
    language: &'static str,
    mailed_code: &'static str,
}

impl CookieRules {
    /// The rules for a token format's generation of NextAuth and the site's scheme.
    #[must_use]
    pub fn new(format: Format, secure: bool) -> Self {
        let (csrf, callback_url) = match (format, secure) {
            (Format::AuthJsV5, false) => ("authjs.csrf-token", "authjs.callback-url"),
            (Format::AuthJsV5, true) => ("__Host-authjs.csrf-token", "__Secure-authjs.callback-url"),
            (_, false) => ("next-auth.csrf-token", "next-auth.callback-url"),
            (_, true) => ("__Host-next-auth.csrf-token", "__Secure-next-auth.callback-url"),
        };
        Self {
            secure,
            // NextAuth cuts where 4096 less its estimate of name and attributes ends.
            chunk: if format == Format::AuthJsV5 { 3936 } else { 3933 },
            session: SoughtName::new(session_cookie_name(format, secure)),
            csrf: SoughtName::new(csrf),
            callback_url: SoughtName::new(callback_url),
            language: if secure { "__Secure-countersign.language" } else { "countersign.language" },
            mailed_code: if secure { "__Host-countersign.mailed-code" } else { "countersign.mailed-code" },
        }
    }

    /// The rules of a configured site.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let format = config.jwt.format;
        let rules = Self::new(format, config.url.secure);
        if !config.session.host_cookies {
            return rules;
        }
        let callback_url = match format {
            Format::AuthJsV5 => "__Host-authjs.callback-url",
            _ => "__Host-next-auth.callback-url",
        };
        Self {
            session: SoughtName::new(host_session_cookie_name(format)),
            callback_url: SoughtName::new(callback_url),
            language: "__Host-countersign.language",
            ..rules
        }
    }

    /// The session cookie's name.
    #[must_use]
    pub fn session_name(&self) -> &'static str {
        self.session.name()
    }

    /// The same, to be looked for in requests.
    #[must_use]
    pub fn sought_session(&self) -> &SoughtName {
        &self.session
    }

    /// The CSRF cookie's name.
    #[must_use]
    pub fn csrf_name(&self) -> &'static str {
        self.csrf.name()
    }

    /// The same, to be looked for in requests.
    #[must_use]
    pub fn sought_csrf(&self) -> &SoughtName {
        &self.csrf
    }

    /// The name of the cookie that remembers where to go after signing in.
    #[must_use]
    pub fn callback_url_name(&self) -> &'static str {
        self.callback_url.name()
    }

    /// The same, to be looked for in requests.
    #[must_use]
    pub fn sought_callback_url(&self) -> &SoughtName {
        &self.callback_url
    }

    /// The name of the cookie that remembers a chosen language.
    #[must_use]
    pub fn language_name(&self) -> &'static str {
        self.language
    }

    /// Sets the session cookie, in chunks when it is long, and deletes what the request had of it and is not replaced.
    #[must_use]
    pub fn session(&self, value: &str, expires_at: Timestamp, sent: &CookieHeader<'_>) -> Vec<SetCookie> {
        let encoded = encode_component(value);
        let pieces: Vec<(String, &str)> = if encoded.len() <= self.chunk {
            vec![(self.session_name().to_owned(), encoded.as_str())]
        } else {
            chunks(&encoded, self.chunk)
                .enumerate()
                .map(|(index, piece)| (format!("{}.{index}", self.session_name()), piece))
                .collect()
        };
        let present = sent.session_names(self.session_name()).into_iter();
        let mut cookies: Vec<SetCookie> = present
            .filter(|name| !pieces.iter().any(|(kept, _)| kept == name))
            .map(|name| self.delete(name))
            .collect();
        let expires = Expiration::from(expires_at.to_datetime());
        cookies.extend(pieces.iter().map(|(name, piece)| self.build(name, piece, Some(expires), None)));
        cookies
    }

    /// Deletes the session cookie and every chunk of it that the request had.
    #[must_use]
    pub fn delete_session(&self, sent: &CookieHeader<'_>) -> Vec<SetCookie> {
        let mut names = sent.session_names(self.session_name());
        if !names.contains(&self.session_name()) {
            names.push(self.session_name());
        }
        names.into_iter().map(|name| self.delete(name)).collect()
    }

    /// Sets the CSRF cookie, for as long as the browser stays open.
    #[must_use]
    pub fn csrf(&self, value: &str) -> SetCookie {
        self.build(self.csrf.name(), &encode_component(value), None, None)
    }

    /// Remembers where to go after signing in, for as long as the browser stays open.
    #[must_use]
    pub fn callback_url(&self, url: &str) -> SetCookie {
        self.build(self.callback_url.name(), &encode_component(url), None, None)
    }

    /// Remembers a chosen language for a year.
    #[must_use]
    pub fn language(&self, code: &str) -> SetCookie {
        let age = time::Duration::seconds(LANGUAGE_AGE);
        self.build(self.language, &encode_component(code), None, Some(age))
    }

    /// The name of the cookie that carries a pending sign-in.
    #[must_use]
    pub fn pending_name(&self) -> &'static str {
        if self.secure { "__Host-countersign.pending" } else { "countersign.pending" }
    }

    /// The name of the cookie that carries a challenge for a passkey.
    #[must_use]
    pub fn challenge_name(&self) -> &'static str {
        if self.secure { "__Host-countersign.challenge" } else { "countersign.challenge" }
    }

    /// Carries a sealed pending sign-in for `age` seconds.
    #[must_use]
    pub fn pending(&self, sealed: &str, age: i64) -> SetCookie {
        self.build(self.pending_name(), &encode_component(sealed), None, Some(time::Duration::seconds(age)))
    }

    /// Carries a sealed challenge for `age` seconds.
    #[must_use]
    pub fn challenge(&self, sealed: &str, age: i64) -> SetCookie {
        self.build(self.challenge_name(), &encode_component(sealed), None, Some(time::Duration::seconds(age)))
    }

    /// Deletes what carried a sign-in to its end.
    #[must_use]
    pub fn delete_pending(&self) -> [SetCookie; 2] {
        [self.delete(self.pending_name()), self.delete(self.challenge_name())]
    }

    /// What the names of cookies for sign-ins under way begin with.
    #[must_use]
    pub fn transaction_prefix(&self) -> &'static str {
        if self.secure { "__Host-countersign.oauth." } else { "countersign.oauth." }
    }

    /// Remembers a sign-in under way, in a cookie of its own.
    #[must_use]
    pub fn transaction(&self, id: &str, sealed: &str, max_age: i64) -> SetCookie {
        let age = time::Duration::seconds(max_age);
        let name = format!("{}{id}", self.transaction_prefix());
        self.build(&name, &encode_component(sealed), None, Some(age))
    }

    /// Forgets a sign-in under way.
    #[must_use]
    pub fn delete_transaction(&self, id: &str) -> SetCookie {
        self.delete(&format!("{}{id}", self.transaction_prefix()))
    }

    /// The name of the cookie without which a mailed code is worth nothing.
    #[must_use]
    pub fn mailed_code_name(&self) -> &'static str {
        self.mailed_code
    }

    /// Lets this browser use the code that is being mailed, for as long as the code is good.
    #[must_use]
    pub fn mailed_code(&self, value: &str) -> SetCookie {
        let age = time::Duration::seconds(MAILED_CODE_AGE);
        self.build(self.mailed_code, &encode_component(value), None, Some(age))
    }

    /// The code was used.
    #[must_use]
    pub fn delete_mailed_code(&self) -> SetCookie {
        self.delete(self.mailed_code)
    }

    fn delete(&self, name: &str) -> SetCookie {
        self.build(name, "", None, Some(time::Duration::ZERO))
    }

    fn build(
        &self,
        name: &str,
        encoded: &str,
        expires: Option<Expiration>,
        max_age: Option<time::Duration>,
    ) -> SetCookie {
        let mut cookie = Cookie::build((name.to_owned(), encoded.to_owned()))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .build();
        // `secure(false)` would still suppress nothing, but an absent attribute is the plainer header.
        if self.secure {
            cookie.set_secure(true);
        }
        if let Some(expires) = expires {
            cookie.set_expires(expires);
        }
        if let Some(max_age) = max_age {
            cookie.set_max_age(max_age);
        }
        SetCookie { name: name.to_owned(), header: cookie.to_string() }
    }
}

/// Pieces of `size` bytes; encoded values are ASCII, so every cut is between characters.
fn chunks(encoded: &str, size: usize) -> impl Iterator<Item = &str> {
    (0..encoded.len()).step_by(size).filter_map(move |at| encoded.get(at..(at + size).min(encoded.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(secure: bool) -> CookieRules {
        CookieRules::new(Format::NextAuthV4, secure)
    }

    #[test]
    fn what_is_encoded_is_told_without_writing_it() {
        let texts = ["", "a", "a+b/c==", "%", "é", "(a)"];
        for text in texts {
            for sent in texts.map(encode_component).iter().map(String::as_str).chain(texts) {
                assert_eq!(is_encoded(sent, text), sent == encode_component(text), "{sent} {text}");
            }
            assert!(!is_encoded(&format!("{}x", encode_component(text)), text));
        }
    }

    // ASVS: 3.3.1, 3.3.2, 3.3.4
    #[test]
    fn over_https_names_and_attributes_insist_on_it() {
        let none = CookieHeader::parse([]);
        let answer = rules(true).session("abc", Timestamp(1_700_000_000), &none);
        assert_eq!(
            answer[0].header(),
            "__Secure-next-auth.session-token=abc; HttpOnly; SameSite=Lax; Secure; Path=/; \
             Expires=Tue, 14 Nov 2023 22:13:20 GMT"
        );
        assert!(rules(true).csrf("a|b").header().starts_with("__Host-next-auth.csrf-token=a%7Cb; "));
        assert!(!rules(false).csrf("a|b").header().contains("Secure"));
    }

    #[test]
    fn a_long_value_is_cut_and_stale_pieces_are_deleted() {
        let sent = CookieHeader::parse(["next-auth.session-token=x; next-auth.session-token.0=y; \
             next-auth.session-token.2=z"]);
        let answer = rules(false).session(&"a".repeat(3934), Timestamp(0), &sent);
        let names: Vec<&str> = answer.iter().map(SetCookie::name).collect();
        assert_eq!(
            names,
            [
                "next-auth.session-token",
                "next-auth.session-token.2",
                "next-auth.session-token.0",
                "next-auth.session-token.1"
            ]
        );
        assert!(answer[0].header().contains("Max-Age=0"));
        assert!(answer.iter().all(|cookie| cookie.header().len() <= 4096));
    }

    #[test]
    fn deletion_covers_every_chunk_and_repeats_the_attributes() {
        let sent = CookieHeader::parse(["next-auth.session-token.0=a; next-auth.session-token.1=b"]);
        let answer = rules(false).delete_session(&sent);
        assert_eq!(answer.len(), 3);
        assert!(answer.iter().all(|cookie| cookie.header().contains("Path=/; Max-Age=0")));
    }

    #[test]
    fn what_a_cookie_holds_does_not_print() {
        assert_eq!(
            format!("{:?}", rules(false).csrf("secret")),
            "SetCookie(next-auth.csrf-token=[redacted])"
        );
    }
}
