//! A browser: keeps cookies as they were sent, byte for byte, and sends them as one raw header.

use rocket::http::{ContentType, Header, Method};
use rocket::local::asynchronous::{Client, LocalResponse};
use serde_json::Value;

use super::app::auth;

/// Where every browser's requests come from (RFC 5737: an address for documentation).
const ADDRESS: &str = "192.0.2.1:4000";

/// A browser with its cookies.
///
/// ```
/// # use countersign::Countersign;
/// # use countersign::testing::TestApp;
/// # rocket::async_test(async {
/// # let app = TestApp::start(rocket::build().attach(Countersign::fairing())).await;
/// let mut ada = app.sign_in("ada@example.com").await;
/// let token = ada.csrf().await;
/// let saved = ada.form("/api/auth/account/name", &[("csrfToken", &token), ("name", "Ada L.")]).await;
/// assert_eq!(saved.status, 303);
/// assert!(saved.location().ends_with("/api/auth/account?notice=name_saved"));
/// # });
/// ```
#[derive(Clone)]
pub struct Browser<'a> {
    client: &'a Client,
    cookies: Cookies,
    headers: Vec<(String, String)>,
}

/// Cookies of a browser, as they were sent.
#[derive(Clone, Default)]
pub struct Cookies(Vec<(String, String)>);

impl std::fmt::Debug for Browser<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("cookies", &self.cookies).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// An answer, read whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; empty when it is no text.
    pub body: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// Every header of this name.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Where it leads; empty when it leads nowhere.
    #[must_use]
    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_default()
    }

    /// The cookie of this name that it sets: value and attributes.
    #[must_use]
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let start = format!("{name}=");
        self.headers("set-cookie").into_iter().find_map(|header| header.strip_prefix(start.as_str()))
    }
}

impl<'a> Browser<'a> {
    /// A browser without cookies. It keeps them itself, so the client must not.
    #[must_use]
    pub fn new(client: &'a Client) -> Self {
        Self { client, cookies: Cookies::default(), headers: Vec::new() }
    }

    /// Its cookies, which outlive the application that set them.
    #[must_use]
    pub fn cookies(&self) -> Cookies {
        self.cookies.clone()
    }

    /// Has these cookies and no others.
    #[must_use]
    pub fn with_cookies(mut self, cookies: Cookies) -> Self {
        self.cookies = cookies;
        self
    }

    /// Sends this header with every request from now on.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends no extra header any more.
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// Has these cookies, as a `Cookie` header lists them, and no others.
    #[must_use]
    pub fn with_only_cookies(mut self, header: &str) -> Self {
        self.cookies.0.clear();
        for (name, value) in header.split("; ").filter_map(|pair| pair.split_once('=')) {
            self.set_cookie(name, value);
        }
        self
    }

    /// The application it talks to.
    #[must_use]
    pub fn client(&self) -> &'a Client {
        self.client
    }

    /// The names of its cookies.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.cookies.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value of a cookie, as it was sent.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Puts a cookie into the jar, replacing one of that name.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.forget(name);
        self.cookies.0.push((name.to_owned(), value.to_owned()));
    }

    /// Forgets a cookie.
    pub fn forget(&mut self, name: &str) {
        self.cookies.0.retain(|(found, _)| found != name);
    }

    /// The session cookie's value, when it travels in one piece.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.cookie(auth(self.client).cookies.session_name())
    }

    /// The page at a path, asked as a script or program does.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::Get, path, None).await
    }

    /// The page at a path, asked as a person does who follows a link.
    pub async fn visit(&mut self, path: &str) -> Answer {
        let mut navigating = self.clone().with_header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let answer = navigating.get(path).await;
        self.cookies = navigating.cookies;
        answer
    }

    /// Posts a form.
    pub async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::Post, path, Some((ContentType::Form, body))).await
    }

    /// Posts JSON.
    pub async fn json(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::Post, path, Some((ContentType::JSON, body.to_string()))).await
    }

    /// Sends anything.
    pub async fn send(&mut self, method: Method, path: &str, body: Option<(ContentType, String)>) -> Answer {
        let mut request = self.client.req(method, path.to_owned());
        if let Ok(address) = ADDRESS.parse() {
            request.set_remote(address);
        }
        for (name, value) in &self.headers {
            request.add_header(Header::new(name.clone(), value.clone()));
        }
        if !self.cookies.0.is_empty() {
            let pairs: Vec<String> =
                self.cookies.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.add_header(Header::new("Cookie", pairs.join("; ")));
        }
        if let Some((kind, body)) = body {
            request.add_header(kind);
            request.set_body(body);
        }
        let answer = read(request.dispatch().await).await;
        self.take(answer.headers("set-cookie"));
        answer
    }

    /// The CSRF token that a form of this browser repeats.
    ///
    /// # Panics
    /// When the application gives none.
    pub async fn csrf(&mut self) -> String {
        let path = format!("{}/csrf", auth(self.client).config.url.base_path);
        let answer = self.get(&path).await.json();
        let token = answer.get("csrfToken").and_then(Value::as_str);
        token.unwrap_or_else(|| panic!("no CSRF token in {answer}")).to_owned()
    }

    /// Signs out, as the form on the page does.
    pub async fn sign_out(&mut self) -> Answer {
        let token = self.csrf().await;
        let path = format!("{}/signout", auth(self.client).config.url.base_path);
        self.form(&path, &[("csrfToken", &token), ("json", "true")]).await
    }

    /// Takes in what `Set-Cookie` headers say, as browsers do.
    pub(super) fn take<'h>(&mut self, headers: impl IntoIterator<Item = &'h str>) {
        for header in headers {
            let (pair, attributes) = header.split_once(';').unwrap_or((header, ""));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if attributes.contains("Max-Age=0") {
                self.forget(name);
            } else {
                self.set_cookie(name, value);
            }
        }
    }
}

async fn read(response: LocalResponse<'_>) -> Answer {
    let status = response.status().code;
    let headers = response.headers().iter().map(|header| (header.name.to_string(), header.value.to_string()));
    let headers = headers.collect();
    let body = response.into_string().await.unwrap_or_default();
    Answer { status, body, headers }
}
