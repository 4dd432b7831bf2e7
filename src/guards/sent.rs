//! The cookies a request carries.

use std::borrow::Cow;

use rocket::Request;
use rocket::http::CookieJar;

use super::Auth;
use crate::session::{CookieHeader, Found, SoughtName};

/// The cookies of one request. Whoever asks for several of them makes it once: Rocket hashes a header's name letter by letter.
pub(crate) enum SentCookies<'r> {
    /// As they were sent.
    Header(CookieHeader<'r>),
    /// Rocket's local client puts its cookies into the jar and sends no header. Over the network a jar without a header is
    /// always empty, so nothing can be smuggled in this way.
    Jar(&'r CookieJar<'r>),
}

impl<'r> SentCookies<'r> {
    /// Of this request.
    pub(crate) fn of(request: &'r Request<'_>) -> Self {
        let mut lines = request.headers().get("cookie").peekable();
        match lines.peek() {
            Some(_) => Self::Header(CookieHeader::parse(lines)),
            None => Self::Jar(request.cookies()),
        }
    }

    /// The one value under exactly this name.
    #[cfg(feature = "server")]
    pub(crate) fn find(&self, name: &str) -> Found<'r> {
        match self {
            Self::Header(header) => header.find(name),
            Self::Jar(jar) => in_jar(jar, name),
        }
    }

    /// The same, as a text of its own; of a cookie that cannot be read there is none.
    #[cfg(feature = "server")]
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.find(name) {
            Found::Value(value) => Some(value.into_owned()),
            Found::Absent | Found::Unusable => None,
        }
    }

    /// The one value under a name that was made ready.
    pub(crate) fn find_sought(&self, sought: &SoughtName) -> Found<'r> {
        match self {
            Self::Header(header) => header.find_sought(sought),
            Self::Jar(jar) => in_jar(jar, sought.name()),
        }
    }

    /// The session cookie, as it was sent.
    pub(crate) fn session(&self, auth: &Auth) -> Found<'r> {
        let sought = auth.cookies.sought_session();
        match self {
            Self::Header(header) => header.find_chunked_as_sent(sought),
            Self::Jar(jar) => in_jar(jar, sought.name()),
        }
    }

    /// The header alone, to see which chunks of a session cookie the browser has.
    #[cfg(feature = "server")]
    pub(crate) fn header(self) -> CookieHeader<'r> {
        match self {
            Self::Header(header) => header,
            Self::Jar(_) => CookieHeader::parse([]),
        }
    }
}

fn in_jar<'r>(jar: &CookieJar<'_>, name: &str) -> Found<'r> {
    jar.get(name).map_or(Found::Absent, |cookie| Found::Value(Cow::Owned(cookie.value().to_owned())))
}
