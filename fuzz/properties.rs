//! What must hold for any input: run by cargo-fuzz (`fuzz/targets`), and for a bounded time by the test suite
//! (`tests/fuzz`).

use std::cell::RefCell;
use std::sync::OnceLock;

use countersign::clock::Timestamp;
use countersign::config::Config;
use countersign::model::{DisplayName, Email};
use countersign::secret::{Secret, SecretRing};
use countersign::session::{CookieHeader, Found, Presented, SoughtName};
use countersign::signin::Redirects;
use countersign::token::{Codec, CodecOptions, Format};
use rocket::figment::Figment;
use rocket::figment::providers::{Format as _, Toml};
use rocket::http::{ContentType, Header};
use rocket::local::blocking::{Client, LocalResponse};

const ORIGIN: &str = "https://app.example.com";

/// No text is a token, unless it was minted.
pub(crate) fn token(text: &str) {
    static CODECS: OnceLock<Vec<Codec>> = OnceLock::new();
    let all = [Format::NextAuthV3, Format::NextAuthV3Encrypted, Format::NextAuthV4, Format::AuthJsV5];
    let codecs = CODECS.get_or_init(|| {
        let secrets = SecretRing::new(Secret::generate().unwrap(), Vec::new());
        let codec = |mint| {
            Codec::new(CodecOptions {
                secrets: &secrets,
                mint,
                accept: &all,
                secure_cookies: true,
                max_age: 1000,
            })
        };
        all.map(codec).into()
    });
    for codec in codecs {
        assert!(
            codec.decode(text, Timestamp(1_800_000_000)).is_err(),
            "a token that nobody minted: {text:?}"
        );
    }
}

/// A value that is found stands in the header, under exactly its name.
pub(crate) fn cookies(header: &str) {
    for name in ["next-auth.session-token", "__Secure-authjs.session-token", "__Host-next-auth.csrf-token"] {
        let cookies = CookieHeader::parse([header]);
        if let Found::Value(_) = cookies.find(name) {
            assert!(header.contains(name), "{header:?}");
        }
        if let Found::Value(value) = cookies.find_chunked(&SoughtName::new(name)) {
            assert!(header.contains(name) && value.len() <= header.len(), "{header:?}");
        }
    }
}

/// Only the scheme Bearer carries a token.
pub(crate) fn bearer(header: &str) {
    if let Presented::Bearer(token) = Presented::from_authorization(header) {
        assert!(header.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")), "{header:?}");
        assert!(header.ends_with(token) || header.trim_end().ends_with(token), "{header:?}");
    }
}

/// Whatever is asked for, people stay on the site, as a browser reads the address too.
pub(crate) fn callback_url(text: &str) {
    let redirects = Redirects::new(ORIGIN, &[]);
    let chosen = redirects.choose([Some(text)]);
    let parsed = url::Url::parse(&chosen).unwrap();
    assert_eq!(parsed.origin().ascii_serialization(), ORIGIN, "{text:?} led to {chosen:?}");
    assert!(chosen.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?} became {chosen:?}");
}

/// An address is plain, and is its own canonical form.
pub(crate) fn names(text: &str) {
    if let Ok(email) = Email::parse(text) {
        assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
        assert_eq!(email.as_str().matches('@').count(), 1, "{text:?}");
        assert_eq!(Email::parse(email.as_str()).unwrap(), email);
    }
    if let Ok(name) = DisplayName::parse(text) {
        assert!(!name.as_str().trim().is_empty() && !name.as_str().contains('\0'), "{text:?}");
    }
}

/// Any text in the place of the configuration is read or refused.
pub(crate) fn configuration(text: &str) {
    let figment = Figment::from(rocket::Config::release_default()).select("release");
    match Config::from_figment(&figment.merge(Toml::string(text).nested())) {
        Ok(config) => assert!(config.session.max_age > 0),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// A whole application, for what takes more than a parser.
pub(crate) struct Site {
    client: Client,
    /// Of somebody signed in: the CSRF token and the cookies.
    person: RefCell<Option<(String, String)>>,
    _folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let toml = format!(
            "[default]\nlog_level = \"off\"\n[default.auth]\nsecret = \"{}\"\ndatabase_url = \"sqlite://{}\"\n\
             [default.auth.limits]\nper_address = 1000000\nsign_ups_per_address = 1000000\n\
             [default.auth.providers.credentials.argon2]\nmemory_kib = 8192\niterations = 1\n",
            Secret::generate().unwrap().expose(),
            folder.path().join("fuzz.db").display()
        );
        let figment = Figment::from(rocket::Config::debug_default()).merge(Toml::string(&toml).nested());
        let rocket = rocket::custom(figment).attach(countersign::Countersign::fairing());
        Self { client: Client::untracked(rocket).unwrap(), person: RefCell::default(), _folder: folder }
    }

    /// Whatever stands in the headers that say who somebody is: it opens nothing and breaks nothing.
    pub(crate) fn headers(&self, text: &str) {
        for (name, value) in [
            ("Cookie", text.to_owned()),
            ("Cookie", format!("next-auth.session-token={text}")),
            ("Cookie", format!("next-auth.session-token.0={text}; next-auth.callback-url={text}")),
            ("Authorization", text.to_owned()),
            ("Authorization", format!("Bearer {text}")),
            ("X-Forwarded-For", text.to_owned()),
            ("Accept-Language", text.to_owned()),
            ("Accept", text.to_owned()),
        ] {
            for path in ["session", "account", "signin", "csrf"] {
                let request = self.client.get(format!("/api/auth/{path}"));
                let response = request.header(Header::new(name, value.clone())).dispatch();
                let status = response.status().code;
                assert!(status < 500, "{path}: {status} by {name}: {value:?}");
                // What is set is ours; no byte of what was sent becomes part of a header.
                for set in response.headers().get("set-cookie").chain(response.headers().get("location")) {
                    assert!(
                        set.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                        "{set:?} by {name}: {value:?}"
                    );
                }
                let body = response.into_string().unwrap_or_default();
                assert!(
                    path != "account" || !body.contains("currentPassword"),
                    "an account by {name}: {value:?}"
                );
            }
        }
    }

    /// Whatever a callback URL is, by query and by form, nobody is sent elsewhere.
    pub(crate) fn redirect(&self, text: &str) {
        let (token, cookie) = csrf(&self.client);
        let encoded = countersign::session::encode_component(text);
        for (query, body) in [
            (format!("?callbackUrl={encoded}"), format!("csrfToken={token}")),
            (String::new(), format!("csrfToken={token}&callbackUrl={encoded}")),
        ] {
            let request =
                self.client.post(format!("/api/auth/signout{query}")).header(ContentType::Form).body(body);
            let response = request.header(Header::new("Cookie", cookie.clone())).dispatch();
            let location = response.headers().get_one("location").unwrap_or_default().to_owned();
            assert_eq!(response.status().code, 302, "{text:?}");
            let origin = url::Url::parse(&location).unwrap().origin().ascii_serialization();
            assert_eq!(origin, "http://localhost:8000", "{text:?} led to {location:?}");
        }
    }

    /// Any body of a form or a JSON document is the client's fault, never ours.
    pub(crate) fn body(&self, bytes: &[u8]) {
        let (token, cookie) = csrf(&self.client);
        for path in
            ["signup", "callback/credentials", "signout", "session", "language", "_log", "account/name"]
        {
            for kind in [ContentType::Form, ContentType::JSON, ContentType::Plain] {
                // Also behind a right token, so that the fields themselves are reached.
                let start =
                    if kind == ContentType::Form { format!("csrfToken={token}&") } else { String::new() };
                let sent = [start.as_bytes(), bytes].concat();
                let request = self.client.post(format!("/api/auth/{path}")).header(kind).body(sent);
                let response = request.header(Header::new("Cookie", cookie.clone())).dispatch();
                assert!(response.status().code < 500, "{path}: {} by {bytes:?}", response.status());
            }
        }
    }
}

impl Site {
    /// As [`Site::body`], from somebody who is signed in, at every route that takes a body.
    pub(crate) fn body_signed_in(&self, bytes: &[u8]) {
        let paths: Vec<String> = self.client.rocket().routes().filter_map(path_of_a_body).collect();
        assert!(paths.len() > 20, "{paths:?}");
        for path in paths {
            let (token, cookie) = self.person();
            let json = bytes.strip_prefix(b"{").unwrap_or(bytes);
            for (kind, start, rest) in [
                (ContentType::Form, format!("csrfToken={token}&"), bytes),
                (ContentType::JSON, format!("{{\"csrfToken\":\"{token}\","), json),
            ] {
                let request = self.client.post(&path).header(kind).body([start.as_bytes(), rest].concat());
                let response = request.header(Header::new("Cookie", cookie.clone())).dispatch();
                assert!(response.status().code < 500, "{path}: {} by {bytes:?}", response.status());
            }
        }
    }

    /// Somebody who is signed in: again, when what was sent has signed them out.
    fn person(&self) -> (String, String) {
        let mut person = self.person.borrow_mut();
        let is_in = |(_, cookie): &(String, String)| {
            let request = self.client.get("/api/auth/session").header(Header::new("Cookie", cookie.clone()));
            request.dispatch().into_string().is_some_and(|body| body.contains("ada@example.com"))
        };
        if let Some(person) = person.as_ref().filter(|person| is_in(person)) {
            return person.clone();
        }
        let (token, cookie) = csrf(&self.client);
        let form =
            format!("csrfToken={token}&email=ada%40example.com&password=correct+horse+battery&json=true");
        let mut session = String::new();
        for path in ["signup", "callback/credentials"] {
            let request = self.client.post(format!("/api/auth/{path}")).header(ContentType::Form).body(&form);
            let response = request.header(Header::new("Cookie", cookie.clone())).dispatch();
            let set = response.headers().get("set-cookie").find(|set| set.contains("session-token="));
            set.and_then(|set| set.split(';').next()).unwrap_or_default().clone_into(&mut session);
        }
        let request = self.client.get("/api/auth/csrf").header(Header::new("Cookie", session.clone()));
        let (token, cookie) = pair(request.dispatch());
        let fresh = (token, format!("{session}; {cookie}"));
        assert!(is_in(&fresh), "the control: nobody can sign in any more");
        person.insert(fresh).clone()
    }
}

/// Where a route takes a body, with some name in the place of what its path takes.
fn path_of_a_body(route: &rocket::Route) -> Option<String> {
    let takes = route.method == rocket::http::Method::Post;
    let part = |part: &str| if part.starts_with('<') { "credentials".to_owned() } else { part.to_owned() };
    let path = route.uri.path().split('/').map(part).collect::<Vec<_>>().join("/");
    takes.then_some(path)
}

fn csrf(client: &Client) -> (String, String) {
    pair(client.get("/api/auth/csrf").dispatch())
}

/// A CSRF token and its cookie.
fn pair(response: LocalResponse<'_>) -> (String, String) {
    let set = response.headers().get("set-cookie").find(|cookie| cookie.contains("csrf-token")).unwrap();
    let cookie = set.split(';').next().unwrap().to_owned();
    let body: rocket::serde::json::Value = response.into_json().unwrap();
    (body.get("csrfToken").and_then(|token| token.as_str()).unwrap().to_owned(), cookie)
}
