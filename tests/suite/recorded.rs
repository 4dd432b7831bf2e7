//! What the real packages were recorded in: their applications, and what of an answer is compared.

use std::collections::BTreeMap;

use countersign::signin::{Decision, HookError, Hooks, SignInAttempt};
use serde_json::Value;

use crate::data;

/// The recorded packages and the formats that speak as they do; each was recorded with both strategies.
pub(crate) const PACKAGES: [(&str, &str); 3] =
    [("v3", "nextauth-v3"), ("v4", "nextauth-v4"), ("v5", "authjs-v5")];

/// What was noted of a mail, between the exchanges.
pub(crate) const MAILED: &str = "mail that was sent";

/// A recorded application that both sides have: how its exchanges are labelled, its configuration, and what its `signIn`
/// callback says.
pub(crate) struct Recorded {
    labels: &'static [&'static str],
    pub(crate) toml: &'static str,
    pub(crate) callback: Callback,
}

#[derive(Clone, Copy)]
pub(crate) enum Callback {
    Allow,
    Deny,
    Redirect(&'static str),
    Throw,
}

#[rocket::async_trait]
impl Hooks for Callback {
    async fn sign_in(&self, _: &SignInAttempt<'_>) -> Result<Decision, HookError> {
        match self {
            Self::Allow => Ok(Decision::Allow),
            Self::Deny => Ok(Decision::Deny),
            Self::Redirect(page) => Ok(Decision::Redirect((*page).to_owned())),
            Self::Throw => Err("no & way".into()),
        }
    }
}

const fn recorded(labels: &'static [&'static str], toml: &'static str, callback: Callback) -> Recorded {
    Recorded { labels, toml, callback }
}

const PAGES: &str = "[default.auth.pages]\nsign_in = \"/login\"\nsign_out = \"/logout\"\nerror = \"/oops\"\n\
                     verify_request = \"/sent\"\nnew_user = \"/welcome\"\n";

/// The first is everything up to the first exchange about mail.
pub(crate) const RECORDED: [Recorded; 9] = [
    recorded(&[""], "", Callback::Allow),
    recorded(&["email", MAILED, "session after email"], "", Callback::Allow),
    recorded(&["oauth ", "session after oauth"], "", Callback::Allow),
    recorded(&["custom pages: "], PAGES, Callback::Allow),
    recorded(&["signIn callback false: "], "", Callback::Deny),
    recorded(&["signIn callback string: "], "", Callback::Redirect("/denied?x=1")),
    recorded(&["signIn callback foreign string: "], "", Callback::Redirect("https://elsewhere.test/x")),
    recorded(&["signIn callback throw: "], "", Callback::Throw),
    recorded(&["secure cookies: "], "[default.auth]\nurl = \"https://localhost:8000\"\n", Callback::Allow),
];

/// The label of an exchange.
pub(crate) fn label(exchange: &Value) -> &str {
    exchange["label"].as_str().unwrap_or_default()
}

/// The exchanges of one recorded application; one that the package never answered is none.
pub(crate) fn exchanges(name: &str, recorded: &Recorded) -> Vec<Value> {
    let transcripts = data::read("vectors", "http-transcripts.json");
    let all = transcripts[name].as_array().unwrap();
    let end = all.iter().position(|exchange| label(exchange).starts_with("email, no address")).unwrap();
    let part = if recorded.labels.contains(&"") { &all[..end] } else { &all[end..] };
    let own =
        part.iter().filter(|exchange| recorded.labels.iter().any(|start| label(exchange).starts_with(start)));
    own.filter(|exchange| label(exchange) == MAILED || exchange["response"]["status"].is_u64())
        .cloned()
        .collect()
}

/// What is not replayed, by the first words of its label: the rest of the document.
pub(crate) fn left_out() -> String {
    let transcripts = data::read("vectors", "http-transcripts.json");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (package, _) in PACKAGES {
        let name = format!("{package}-jwt");
        let replayed: Vec<Value> = RECORDED.iter().flat_map(|recorded| exchanges(&name, recorded)).collect();
        for exchange in transcripts[&name].as_array().unwrap().iter().filter(|e| !replayed.contains(e)) {
            let start: Vec<&str> = label(exchange).split([',', ':', ' ']).take(2).collect();
            *counts.entry(start.join(" ").trim().to_owned()).or_default() += 1;
        }
    }
    let rows = counts.iter().map(|(label, count)| format!("| {label} | {count} |\n"));
    format!(
        "\n## Not replayed\n\nTwo exchanges that v3 never answered (`credentials, broken callbackUrl in body` and `email, no @`), those \
         with a package that is misconfigured (no adapter), the CSRF tokens fetched in between, and what the recorder noted \
         of events and of the database.\n\n| beginning with | exchanges of the three packages |\n| --- | --- |\n{}",
        rows.collect::<String>()
    )
}

/// An address on the recorded host or on ours, as on one that both could have.
pub(crate) fn mask(text: &str) -> String {
    let text =
        text.replace("http://localhost:8000", "http://HOST").replace("https://localhost:8000", "http://HOST");
    let text = text.replace("http%3A%2F%2Flocalhost%3A8000", "http%3A%2F%2FHOST");
    // The parameters of an authorization request have tests of their own.
    let text = match text.split_once("/_oauth/authorize?") {
        Some((before, _)) => format!("{before}/_oauth/authorize"),
        None => text,
    };
    // A target on the same host may be written without it.
    if text.starts_with('/') { format!("http://HOST{text}") } else { text }
}

/// What is compared: status, target, the JSON's shape, and which kinds of cookies are set.
pub(crate) fn summary(status: u64, location: Option<&str>, body: &str, cookies: &[&str]) -> String {
    let shape = match serde_json::from_str::<Value>(body) {
        Ok(Value::Object(object)) if object.contains_key("url") => {
            mask(object["url"].as_str().unwrap_or("?"))
        }
        Ok(Value::Object(object)) => format!("{{{}}}", object.keys().cloned().collect::<Vec<_>>().join(",")),
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    };
    let mut kinds: Vec<&str> = cookies.iter().filter_map(|cookie| kind(cookie)).collect();
    kinds.dedup();
    format!("{status} {} {shape} {}", location.map(mask).unwrap_or_default(), kinds.join(" "))
        .trim()
        .to_owned()
}

/// The kind of a cookie that matters to others: names and attributes of all have a test of their own.
fn kind(cookie: &str) -> Option<&'static str> {
    let (name, _) = cookie.split_once('=')?;
    let secure = name.starts_with("__Secure-");
    name.contains("session-token").then_some(if secure { "secure session" } else { "session" })
}

/// A mail: whom it went to, and where its link leads.
pub(crate) fn mailed(to: &str, link: &str) -> String {
    let (before, rest) = link.split_once("token=").unwrap();
    let after = rest.find('&').map_or("", |end| &rest[end..]);
    format!("to {to}: {}token=…{after}", mask(before))
}

/// What a package answered.
pub(crate) fn theirs(exchange: &Value) -> String {
    if label(exchange) == MAILED {
        return mailed(exchange["identifier"].as_str().unwrap(), exchange["url"].as_str().unwrap());
    }
    let response = &exchange["response"];
    let cookies: Vec<&str> = response["set_cookie"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|cookie| cookie.as_str().unwrap())
        .collect();
    // v5 keeps the Location header on the JSON answer; no client looks at it there.
    let location = response["location"].as_str().filter(|_| response["status"] != 200);
    let body = response["body"].as_str().unwrap_or_default();
    summary(response["status"].as_u64().unwrap(), location, body, &cookies)
}
