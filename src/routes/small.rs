//! `GET csrf`, `GET providers` and `POST _log`.

use rocket::data::ToByteUnit as _;
use rocket::http::Status;
use rocket::{Data, State, get, post};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::callback_url::CallbackUrl;
use crate::guards::{Auth, CsrfToken};
use crate::providers::PublicProvider;

/// The most that a client may log at once.
const LOG_LIMIT: u64 = 4096;

#[get("/csrf")]
pub(super) fn csrf(token: CsrfToken, _url: CallbackUrl) -> Answer {
    Answer::json(Status::Ok, &json!({ "csrfToken": token.value() }))
}

#[get("/providers")]
pub(super) fn providers(auth: &State<Auth>) -> Answer {
    let mut all = Map::new();
    for provider in public_providers(auth) {
        let shown = serde_json::to_value(&provider).unwrap_or(Value::Null);
        all.insert(provider.id, shown);
    }
    Answer::json(Status::Ok, &Value::Object(all))
}

/// The providers people can choose from.
pub(super) fn public_providers(auth: &Auth) -> Vec<PublicProvider> {
    let credentials = auth.config.credentials.as_ref();
    let credentials = credentials.map(|rules| PublicProvider::credentials(&rules.name, &auth.config.url));
    let email = auth.sign_in.as_ref().is_some_and(crate::signin::SignIn::signs_in_by_email);
    let email = email.then(|| PublicProvider::email(&auth.config.email.name, &auth.config.url));
    let federation = auth.sign_in.as_ref().and_then(crate::signin::SignIn::federation);
    let v5 = auth.config.jwt.format == crate::token::Format::AuthJsV5;
    let others = federation.into_iter().flat_map(crate::providers::Federation::all);
    let others = others.map(|provider| provider.public(&auth.config.url, v5));
    credentials.into_iter().chain(email).chain(others).collect()
}

/// NextAuth's browser clients report their errors here. Anybody can send anything: it is cut, stripped of control
/// characters, logged at debug level only, and always answered the same.
#[post("/_log", data = "<data>")]
pub(super) async fn log(data: Data<'_>) -> Answer {
    if let Ok(body) = data.open(LOG_LIMIT.bytes()).into_bytes().await {
        let text = String::from_utf8_lossy(&body);
        let field = |name: &str| {
            let found = url::form_urlencoded::parse(text.as_bytes()).find(|(key, _)| key == name);
            let clean =
                |value: String| value.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
            found.map(|(_, value)| clean(value.into_owned())).unwrap_or_default()
        };
        if ["error", "warn", "debug"].contains(&field("level").as_str()) {
            tracing::debug!(code = ?field("code"), "a browser client reports");
        }
    }
    Answer::empty(Status::Ok)
}
