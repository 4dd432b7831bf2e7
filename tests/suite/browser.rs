//! A browser: keeps cookies as they were sent, byte for byte, and sends them as one raw header.

use rocket::http::{ContentType, Header, Method};
use rocket::local::asynchronous::{Client, LocalResponse};
use serde_json::{Value, json};

/// The password everybody has here.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A browser with its cookies.
#[derive(Clone)]
pub(crate) struct Browser<'a> {
    client: &'a Client,
    cookies: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// The one header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Every header of this name.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Where it leads.
    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_default()
    }

    /// The cookie of this name that it sets: value and attributes.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let start = format!("{name}=");
        self.headers("set-cookie").into_iter().find_map(|header| header.strip_prefix(start.as_str()))
    }
}

impl<'a> Browser<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client, cookies: Vec::new(), headers: Vec::new() }
    }

    /// Sends this header with every request from now on.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The application it talks to.
    pub(crate) fn client(&self) -> &'a Client {
        self.client
    }

    /// Sends no extra header any more.
    pub(crate) fn without_headers(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// Has these cookies and no others.
    pub(crate) fn with_only_cookies(mut self, header: &str) -> Self {
        self.cookies.clear();
        for (name, value) in header.split("; ").filter_map(|pair| pair.split_once('=')) {
            self.set_cookie(name, value);
        }
        self
    }

    /// The value of a cookie, as it was sent.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Puts a cookie into the jar, replacing one of that name.
    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.retain(|(found, _)| found != name);
        self.cookies.push((name.to_owned(), value.to_owned()));
    }

    /// Forgets a cookie.
    pub(crate) fn forget(&mut self, name: &str) {
        self.cookies.retain(|(found, _)| found != name);
    }

    /// The session cookie's value.
    pub(crate) fn session(&self) -> Option<&str> {
        self.cookie("next-auth.session-token")
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::Get, path, None).await
    }

    /// As a person who follows a link.
    pub(crate) async fn visit(&mut self, path: &str) -> Answer {
        let mut navigating = self.clone().with_header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let answer = navigating.get(path).await;
        self.cookies = navigating.cookies;
        answer
    }

    pub(crate) async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::Post, path, Some((ContentType::Form, body))).await
    }

    pub(crate) async fn json(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::Post, path, Some((ContentType::JSON, body.to_string()))).await
    }

    /// Sends anything.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<(ContentType, String)>,
    ) -> Answer {
        let mut request = self.client.req(method, path.to_owned());
        request.set_remote("192.0.2.1:4000".parse().unwrap());
        for (name, value) in &self.headers {
            request.add_header(Header::new(name.clone(), value.clone()));
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.add_header(Header::new("Cookie", pairs.join("; ")));
        }
        if let Some((kind, body)) = body {
            request.add_header(kind);
            request.set_body(body);
        }
        let answer = read(request.dispatch().await).await;
        self.keep(&answer);
        answer
    }

    /// The CSRF token.
    pub(crate) async fn csrf(&mut self) -> String {
        self.get("/api/auth/csrf").await.json()["csrfToken"].as_str().unwrap().to_owned()
    }

    /// Makes an account.
    pub(crate) async fn sign_up(&mut self, email: &str) -> Answer {
        let token = self.csrf().await;
        let body = json!({ "csrfToken": token, "name": "Ada", "email": email, "password": PASSWORD });
        self.json("/api/auth/signup", &body).await
    }

    /// Tries to sign in, as a script.
    pub(crate) async fn try_sign_in(&mut self, email: &str, password: &str) -> Answer {
        let token = self.csrf().await;
        let fields =
            [("csrfToken", token.as_str()), ("email", email), ("password", password), ("json", "true")];
        self.form("/api/auth/callback/credentials", &fields).await
    }

    /// Makes an account and signs in.
    pub(crate) async fn enter(mut self, email: &str) -> Self {
        let answer = self.sign_up(email).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = self.try_sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self
    }

    /// Signs in to an account that exists.
    pub(crate) async fn enter_again(mut self, email: &str) -> Self {
        let answer = self.try_sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self
    }

    pub(crate) async fn sign_out(&mut self) -> Answer {
        let token = self.csrf().await;
        self.form("/api/auth/signout", &[("csrfToken", &token), ("json", "true")]).await
    }

    /// Who the API says this is: status and body of a guarded route.
    pub(crate) async fn me(&mut self) -> (u16, String) {
        let answer = self.get("/me").await;
        let shown = if answer.status == 200 { answer.body } else { answer.json()["code"].to_string() };
        (answer.status, shown.trim_matches('"').to_owned())
    }

    /// Takes in what an answer sets, as browsers do.
    fn keep(&mut self, answer: &Answer) {
        for header in answer.headers("set-cookie") {
            let (pair, attributes) = header.split_once(';').unwrap_or((header, ""));
            let (name, value) = pair.split_once('=').unwrap();
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
