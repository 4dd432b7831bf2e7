//! The recorded exchanges, with our service.

use rocket::http::{ContentType, Method};
use serde_json::{Map, Value, json};

use crate::app::{App, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::email::{path_of, press};
use crate::idp::{Idp, Reply};
use crate::recorded::{MAILED, RECORDED, exchanges, label, mailed, summary, theirs};

/// An exchange that is answered otherwise: its label, their answer, ours.
pub(crate) type Difference = (String, String, String);

/// Every exchange of a package in which we differ.
pub(crate) async fn differences(name: &str, format: &str, strategy: &str) -> Vec<Difference> {
    let mut differences = Vec::new();
    for recorded in RECORDED {
        let exchanges = exchanges(name, &recorded);
        let toml = format!("[default.auth.jwt]\nformat = \"{format}\"\n");
        let (_site, mock) = other_site().await;
        let setup = Setup::new(strategy).toml(recorded.toml).toml(&toml).toml(&mock);
        let app = setup.fairing(move |fairing| fairing.hooks(recorded.callback)).start().await;
        assert_eq!(app.browser().sign_up("kim@example.com").await.status, 200);
        let mut replay = Replay { app: &app, browser: app.browser(), link: None };
        assert!(!exchanges.is_empty(), "{name}: nothing is recorded of an application");
        for exchange in exchanges {
            let theirs = theirs(&exchange);
            let answers = replay.exchange(&exchange).await;
            let other = answers.into_iter().filter(|(_, ours)| *ours != theirs);
            differences.extend(other.map(|(label, ours)| (label, theirs.clone(), ours)));
        }
    }
    differences
}

/// The other site of the recording: it says yes to every code. People are sent to an address of the service's own host.
async fn other_site() -> (Idp, String) {
    let idp = Idp::start().await;
    idp.answer("/token", |_| Reply::json(&json!({ "access_token": "at-1", "token_type": "bearer" })));
    idp.answer("/me", |_| Reply::json(&json!({ "id": 7, "name": "Oa", "email": "oauth@example.com" })));
    let url = idp.url();
    let toml = format!(
        "[default.auth.providers.mock]\nclient_id = \"cid\"\nclient_secret = \"s\"\nscope = \"basic\"\n\
         authorization_url = \"http://localhost:8000/_oauth/authorize\"\ntoken_url = \"{url}/token\"\n\
         userinfo_url = \"{url}/me\"\n"
    );
    (idp, toml)
}

/// The person of a recording, at our service.
struct Replay<'a> {
    app: &'a App,
    browser: Browser<'a>,
    /// The link in the last mail.
    link: Option<String>,
}

impl Replay<'_> {
    /// Our answers, each under its label: one, or two where a button stands between what NextAuth does at once.
    async fn exchange(&mut self, exchange: &Value) -> Vec<(String, String)> {
        let label = label(exchange).to_owned();
        if label == MAILED {
            return vec![(label, mailed("new@example.com", self.link.as_deref().unwrap()))];
        }
        let answer = self.send(exchange).await;
        let mut answers = vec![(label.clone(), ours_of(&answer))];
        let path = exchange["request"]["path"].as_str().unwrap();
        if path.contains("signin/email") && answer.body.contains("verify-request") {
            self.read_mail(&exchange["request"]["form"]).await;
        }
        // NextAuth asks its callback before it mails, and we when the link is used: so it is used.
        let asked_later = label.starts_with("signIn callback") && path.contains("signin/email");
        let pressed = if asked_later {
            let link = self.link.clone().unwrap();
            let page = self.browser.visit(path_of(&link)).await;
            let mut script = self.browser.clone().with_header("X-Auth-Return-Redirect", "1");
            Some(press(&mut script, &page).await)
        } else if path.contains("callback/email") && answer.status == 200 {
            Some(press(&mut self.browser, &answer).await)
        } else {
            None
        };
        answers.extend(pressed.map(|answer| (format!("button of {label}"), ours_of(&answer))));
        answers
    }

    /// Keeps the link that was mailed.
    async fn read_mail(&mut self, form: &Value) {
        let email = form["email"].as_str().unwrap().to_lowercase();
        self.link = self.app.mail(&email, "Sign in").await.link().map(str::to_owned);
    }

    async fn send(&mut self, exchange: &Value) -> Answer {
        let (request, label) = (&exchange["request"], label(exchange));
        let path = request["path"].as_str().unwrap().replace("HOST", "localhost:8000");
        let method: Method = request["method"].as_str().unwrap().parse().unwrap();
        let path = self.with_our_secrets(path, label).await;
        let mut fresh = self.browser.clone();
        let token = if label.contains("wrong csrf") { "0".repeat(64) } else { fresh.csrf().await };
        let stranger =
            ["no csrf cookie", "not callback", "other browser"].iter().any(|mark| label.contains(mark));
        let mut sender = if stranger { self.app.browser() } else { fresh };
        let mut own_jar = !stranger;
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            let value = ours(value.as_str().unwrap());
            own_jar &= name != "cookie";
            sender = if name == "cookie" {
                sender.with_only_cookies(&value)
            } else {
                sender.with_header(name, &value)
            };
        }
        let answer = sender.send(method, &path, body(request, &token)).await;
        if own_jar {
            self.browser = sender.without_headers();
        }
        answer
    }

    /// The path with a secret of our own for the one that was recorded: the state of a sign-in at the other site, which is good
    /// for one answer only, while the recording uses one for several; and the token of a mail.
    async fn with_our_secrets(&mut self, path: String, label: &str) -> String {
        if label.starts_with("oauth callback") && !label.contains("forged") {
            let url = crate::oidc::begin(&mut self.browser, "mock", "/o").await;
            let state = crate::oidc::param(&url, "state").unwrap();
            let (before, _) = path.split_once("state=").unwrap();
            return format!("{before}state={state}");
        }
        if path.contains("token=<hex64>") {
            let link = self.link.as_deref().unwrap();
            let token = link.split("token=").nth(1).unwrap().split('&').next().unwrap();
            return path.replace("<hex64>", token);
        }
        path
    }
}

/// A value of the recording as our service knows it: its host, its user, its password.
fn ours(value: &str) -> String {
    match value {
        "kim" => "kim@example.com".to_owned(),
        "pw" => PASSWORD.to_owned(),
        other => {
            // Each recorded package listened on a port of its own.
            let other = (4100..4600).fold(other.to_owned(), |text, port| {
                text.replace(&format!("http://localhost:{port}"), "http://localhost:8000")
            });
            other.replace("HOST", "localhost:8000")
        }
    }
}

fn body(request: &Value, token: &str) -> Option<(ContentType, String)> {
    if request["form"].is_object() {
        let pairs = fields(&request["form"], token);
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Some((ContentType::Form, text))
    } else if request["json"].is_object() {
        Some((ContentType::JSON, Value::Object(fields(&request["json"], token)).to_string()))
    } else {
        None
    }
}

fn fields(body: &Value, token: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        let value = match value.as_str() {
            Some("<hex64>") => token.into(),
            Some(text) => ours(text).into(),
            None => value.clone(),
        };
        fields.insert(name.clone(), value);
    }
    fields
}

fn ours_of(answer: &Answer) -> String {
    let is_json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let body = if is_json { answer.body.as_str() } else { "" };
    summary(answer.status.into(), answer.header("location"), body, &answer.headers("set-cookie"))
}
