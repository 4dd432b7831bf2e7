//! What another site can make a browser send: every kind of forged request.

use rocket::http::ContentType;
use serde_json::Value;

use crate::browser::{Browser, PASSWORD};

/// What every request carries, whatever the route takes of it.
pub(crate) const FIELDS: [(&str, &str); 15] = [
    ("name", "Eve"),
    ("email", "eve@example.com"),
    ("password", PASSWORD),
    ("currentPassword", PASSWORD),
    ("newPassword", "another correct horse"),
    ("id", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("code", "123456"),
    ("token", "0123456789"),
    ("lang", "ko"),
    ("text", "written"),
    ("role", "admin"),
    ("act", "disable"),
    ("scope", "read"),
    ("callbackUrl", "/"),
    ("returnTo", "/"),
];

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Form,
    Json,
    /// JSON that says it is text, which a browser sends across sites without asking first.
    Text,
    Multipart,
    /// A form that says nothing of what it is.
    Unlabelled,
}

pub(crate) fn body(kind: Kind, token: Option<&str>, extra: &[(&str, &str)]) -> (Option<ContentType>, String) {
    let token = token.map(|token| ("csrfToken", token));
    let fields = extra.iter().copied().chain(FIELDS).chain(token);
    match kind {
        Kind::Form | Kind::Unlabelled => {
            let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            ((kind == Kind::Form).then_some(ContentType::Form), text)
        }
        Kind::Json | Kind::Text => {
            let object: serde_json::Map<String, Value> =
                fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
            let label = if kind == Kind::Json { ContentType::JSON } else { ContentType::Plain };
            (Some(label), Value::Object(object).to_string())
        }
        Kind::Multipart => {
            let part = |(name, value)| {
                format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let text: String = fields.map(part).collect();
            let label = ContentType::new("multipart", "form-data").with_params(("boundary", "b"));
            (Some(label), text + "--b--\r\n")
        }
    }
}

/// A request that another site could cause, in Ada's browser.
pub(crate) struct Forgery<'a> {
    pub(crate) name: &'static str,
    pub(crate) browser: Browser<'a>,
    pub(crate) kind: Kind,
    pub(crate) token: Option<String>,
    pub(crate) extra: Vec<(&'static str, &'static str)>,
    pub(crate) query: String,
}

/// Every kind of it. Ada is signed in; Eve is somebody else, whose pair of token and cookie is right in itself.
pub(crate) fn forgeries<'a>(
    ada: &Browser<'a>,
    token: &str,
    eve: &Browser<'a>,
    others: &str,
) -> Vec<Forgery<'a>> {
    let csrf = "next-auth.csrf-token";
    let forgery = |name, browser: Browser<'a>, kind, token: Option<&str>| Forgery {
        name,
        browser,
        kind,
        token: token.map(str::to_owned),
        extra: Vec::new(),
        query: String::new(),
    };
    let with = |name: &str, value: &str| ada.clone().with_header(name, value);
    let mut planted = ada.clone().with_header("Origin", "https://evil.example");
    planted.set_cookie(csrf, eve.cookie(csrf).unwrap());
    let mut forged = ada.clone();
    forged.set_cookie(csrf, &format!("{}%7C{}", "a".repeat(64), "b".repeat(64)));
    let mut empty = ada.clone();
    empty.set_cookie(csrf, "%7C");
    let mut bare = ada.clone();
    bare.forget(csrf);
    let evil = "https://evil.example";
    let mut all = vec![
        forgery("no token, a form", ada.clone(), Kind::Form, None),
        forgery("no token, JSON", ada.clone(), Kind::Json, None),
        forgery("another browser's token", ada.clone(), Kind::Form, Some(others)),
        forgery("another browser's token, JSON", ada.clone(), Kind::Json, Some(others)),
        forgery("another browser's pair, planted", planted.clone(), Kind::Form, Some(others)),
        forgery("another browser's pair, planted, JSON", planted, Kind::Json, Some(others)),
        forgery("a pair nobody vouches for", forged, Kind::Form, Some(&"a".repeat(64))),
        forgery("an empty pair", empty, Kind::Form, Some("")),
        forgery("no cookie of the pair", bare, Kind::Form, Some(token)),
        forgery("text/plain", ada.clone(), Kind::Text, Some(token)),
        forgery("multipart", ada.clone(), Kind::Multipart, Some(token)),
        forgery("no content type", ada.clone(), Kind::Unlabelled, Some(token)),
        forgery("the token in a header of a form", with("X-CSRF-Token", token), Kind::Form, None),
        forgery(
            "two origins",
            with("Origin", "http://localhost:8000").with_header("Origin", evil),
            Kind::Form,
            Some(token),
        ),
        forgery(
            "two sites",
            with("Sec-Fetch-Site", "same-origin").with_header("Sec-Fetch-Site", "cross-site"),
            Kind::Form,
            Some(token),
        ),
    ];
    for kind in [Kind::Form, Kind::Json] {
        for (name, header, value) in [
            ("another origin", "Origin", evil),
            ("an origin without a name", "Origin", "null"),
            ("another port", "Origin", "http://localhost:8001"),
            ("another scheme", "Origin", "https://localhost:8000"),
            ("an origin that begins alike", "Origin", "http://localhost:8000.evil.example"),
            ("another site", "Sec-Fetch-Site", "cross-site"),
            ("a sibling site", "Sec-Fetch-Site", "same-site"),
        ] {
            all.push(forgery(name, with(header, value), kind, Some(token)));
        }
    }
    for method in ["PUT", "PATCH", "DELETE", "POST"] {
        let overridden = forgery("_method", ada.clone(), Kind::Form, None);
        all.push(Forgery { extra: vec![("_method", method)], ..overridden });
    }
    let in_query = forgery("the token in the query", ada.clone(), Kind::Form, None);
    all.push(Forgery { query: format!("?csrfToken={token}"), ..in_query });
    all
}
