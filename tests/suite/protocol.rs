//! The wire protocol: every exchange the real packages were recorded in, replayed.
//!
//! Where our answer differs on purpose, the reason stands in [`REASONS`]; the table in `docs/deviations-http.md` is
//! generated from the run, so it cannot drift. A difference without a reason fails, and so does a reason without a
//! difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use countersign::signin::{Decision, HookError, Hooks, SignInAttempt};
use rocket::http::{ContentType, Method};
use serde_json::{Map, Value, json};

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::idp::{Idp, Reply};
use crate::{data, document};

/// Why an exchange is answered otherwise: the beginning of its label, and the reason.
const REASONS: &[(&str, &str)] = &include!("protocol_reasons.in");

/// Further ones that hold with the database strategy only: the packages refuse passwords there, or hand out a session
/// that they do not read afterwards.
const DATABASE_REASONS: &[(&str, &str)] = &[
    ("credentials, foreign callbackUrl", BOTH),
    ("credentials ok", BOTH),
    ("session update, JSON, good csrf", BOTH),
    ("signout, json mode", BOTH),
];
const BOTH: &str = "credentials work with both strategies";

/// The recorded packages and the formats that speak as they do; each was recorded with both strategies.
const PACKAGES: [(&str, &str); 3] = [("v3", "nextauth-v3"), ("v4", "nextauth-v4"), ("v5", "authjs-v5")];

/// Exchanges with providers that are configured only in the recording.
fn is_ours(exchange: &Value) -> bool {
    let Some(path) = exchange["request"]["path"].as_str() else {
        return false;
    };
    let other = ["/email", "webauthn", "/nodb", "/oidc", "token="];
    !other.iter().any(|part| path.contains(part)) && exchange["response"]["status"].is_u64()
}

/// A recorded application that both sides have: how its exchanges are labelled, its pages, and what its `signIn`
/// callback says.
struct Recorded {
    label: &'static str,
    pages: &'static str,
    callback: Callback,
}

#[derive(Clone, Copy)]
enum Callback {
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

const PAGES: &str = "[default.auth.pages]\nsign_in = \"/login\"\nsign_out = \"/logout\"\nerror = \"/oops\"\n\
                     verify_request = \"/sent\"\nnew_user = \"/welcome\"\n";

/// The first is everything up to the first provider that only the recording has.
const RECORDED: [Recorded; 7] = [
    Recorded { label: "", pages: "", callback: Callback::Allow },
    Recorded { label: "oauth ", pages: "", callback: Callback::Allow },
    Recorded { label: "custom pages: ", pages: PAGES, callback: Callback::Allow },
    Recorded { label: "signIn callback false: ", pages: "", callback: Callback::Deny },
    Recorded { label: "signIn callback string: ", pages: "", callback: Callback::Redirect("/denied?x=1") },
    Recorded {
        label: "signIn callback foreign string: ",
        pages: "",
        callback: Callback::Redirect("https://elsewhere.test/x"),
    },
    Recorded { label: "signIn callback throw: ", pages: "", callback: Callback::Throw },
];

/// The exchanges of one recorded application.
fn comparable(name: &str, recorded: &Recorded) -> Vec<Value> {
    let transcripts = data::read("vectors", "http-transcripts.json");
    let all = transcripts[name].as_array().unwrap();
    let label = |exchange: &Value| exchange["label"].as_str().unwrap_or_default().to_owned();
    let end = all.iter().position(|exchange| label(exchange).starts_with("email, no address")).unwrap();
    let part = if recorded.label.is_empty() { &all[..end] } else { &all[end..] };
    let own = part.iter().filter(|exchange| label(exchange).starts_with(recorded.label));
    own.filter(|exchange| is_ours(exchange)).cloned().collect()
}

/// What is not replayed, by the first words of its label: the rest of the document.
fn left_out() -> String {
    let transcripts = data::read("vectors", "http-transcripts.json");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (package, _) in PACKAGES {
        let name = format!("{package}-jwt");
        let replayed: Vec<Value> = RECORDED.iter().flat_map(|recorded| comparable(&name, recorded)).collect();
        for exchange in transcripts[&name].as_array().unwrap().iter().filter(|e| !replayed.contains(e)) {
            let label = exchange["label"].as_str().unwrap_or_default();
            let start: Vec<&str> = label.split([',', ':', ' ']).take(2).collect();
            *counts.entry(start.join(" ").trim().to_owned()).or_default() += 1;
        }
    }
    let rows = counts.iter().map(|(label, count)| format!("| {label} | {count} |\n"));
    format!(
        "\n## Not replayed\n\nExchanges with what Countersign does not have yet (e-mail links), with a package that is \
         misconfigured (no adapter), the CSRF tokens fetched for them, one that the package never answered, and notes of the \
         recorder. Names and attributes of secure cookies are compared by a test of their own.\n\n| beginning with | exchanges |\n| --- | --- |\n{}",
        rows.collect::<String>()
    )
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

/// An answer of the other site, with the state of a sign-in of our own: each is good for one answer only, while the recording
/// uses one for several.
async fn come_back(browser: &mut Browser<'_>, path: String, label: &str) -> String {
    if !label.starts_with("oauth callback") {
        return path;
    }
    let url = crate::oidc::begin(browser, "mock", "/o").await;
    let state = crate::oidc::param(&url, "state").unwrap();
    let (before, _) = path.split_once("state=").unwrap();
    if label.contains("forged") { path } else { format!("{before}state={state}") }
}

async fn replay(browser: &mut Browser<'_>, exchange: &Value) -> Answer {
    let (request, label) = (&exchange["request"], exchange["label"].as_str().unwrap());
    let path = request["path"].as_str().unwrap().replace("HOST", "localhost:8000");
    let method: Method = request["method"].as_str().unwrap().parse().unwrap();
    let path = come_back(browser, path, label).await;
    let mut fresh = browser.clone();
    let token = if label.contains("wrong csrf") { "0".repeat(64) } else { fresh.csrf().await };
    let mut sender = if label.contains("no csrf cookie")
        || label.contains("not callback")
        || label.contains("other browser")
    {
        Browser::new(browser.client())
    } else {
        fresh
    };
    let mut own_jar = true;
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        let value = ours(value.as_str().unwrap());
        own_jar &= name != "cookie";
        sender = if name == "cookie" {
            sender.with_only_cookies(&value)
        } else {
            sender.with_header(name, &value)
        };
    }
    let body = if request["form"].is_object() {
        let pairs = fields(&request["form"], &token);
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Some((ContentType::Form, text))
    } else if request["json"].is_object() {
        Some((ContentType::JSON, Value::Object(fields(&request["json"], &token)).to_string()))
    } else {
        None
    };
    let answer = sender.send(method, &path, body).await;
    let single_use = label.contains("no csrf cookie")
        || label.contains("not callback")
        || label.contains("other browser")
        || !own_jar;
    if !single_use {
        *browser = sender.without_headers();
    }
    answer
}

/// What is compared: status, target, the JSON's shape, and which kinds of cookies are set.
fn summary(status: u64, location: Option<&str>, body: &str, cookies: &[String]) -> String {
    let mask = |text: &str| {
        let text = text.replace("http://localhost:8000", "http://HOST");
        let text = text.replace("http%3A%2F%2Flocalhost%3A8000", "http%3A%2F%2FHOST");
        // The parameters of an authorization request have tests of their own.
        let text = match text.split_once("/_oauth/authorize?") {
            Some((before, _)) => format!("{before}/_oauth/authorize"),
            None => text,
        };
        // A target on the same host may be written without it.
        if text.starts_with('/') { format!("http://HOST{text}") } else { text }
    };
    let shape = match serde_json::from_str::<Value>(body) {
        Ok(Value::Object(object)) if object.contains_key("url") => {
            mask(object["url"].as_str().unwrap_or("?"))
        }
        Ok(Value::Object(object)) => format!("{{{}}}", object.keys().cloned().collect::<Vec<_>>().join(",")),
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    };
    let mut cookies: Vec<&str> =
        cookies.iter().map(|cookie| kind(cookie)).filter(|kind| *kind == "session").collect();
    cookies.dedup();
    format!("{status} {} {shape} {}", location.map(mask).unwrap_or_default(), cookies.join(" "))
        .trim()
        .to_owned()
}

fn kind(cookie: &str) -> &'static str {
    if cookie.contains("session-token") { "session" } else { "helper" }
}

fn theirs(exchange: &Value) -> String {
    let response = &exchange["response"];
    let cookies: Vec<String> = response["set_cookie"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|cookie| cookie.as_str().unwrap().to_owned())
        .collect();
    // v5 keeps the Location header on the JSON answer; no client looks at it there.
    let location = response["location"].as_str().filter(|_| response["status"] != 200);
    summary(
        response["status"].as_u64().unwrap(),
        location,
        response["body"].as_str().unwrap_or_default(),
        &cookies,
    )
}

async fn differences(name: &str, format: &str, strategy: &str) -> Vec<(String, String, String)> {
    let mut differences = Vec::new();
    for recorded in RECORDED {
        let exchanges = comparable(name, &recorded);
        assert!(!exchanges.is_empty(), "{name}: nothing is recorded of {}", recorded.label);
        let toml = format!("[default.auth.jwt]\nformat = \"{format}\"\n{}", recorded.pages);
        let (_site, mock) = other_site().await;
        let setup = Setup::new(strategy).toml(&toml).toml(&mock);
        let app = setup.fairing(move |fairing| fairing.hooks(recorded.callback)).start().await;
        assert_eq!(app.browser().sign_up("kim@example.com").await.status, 200);
        let mut browser = app.browser();
        for exchange in exchanges {
            let answer = replay(&mut browser, &exchange).await;
            let (own, other) = (ours_of(&answer), theirs(&exchange));
            if own != other {
                differences.push((exchange["label"].as_str().unwrap().to_owned(), other, own));
            }
        }
    }
    differences
}

fn ours_of(answer: &Answer) -> String {
    let cookies: Vec<String> = answer.headers("set-cookie").into_iter().map(str::to_owned).collect();
    let is_json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let body = if is_json { answer.body.as_str() } else { "" };
    summary(answer.status.into(), answer.header("location"), body, &cookies)
}

#[rocket::async_test]
async fn every_recorded_exchange_agrees_or_has_its_reason() {
    let mut table = String::from(
        "# Deviations from NextAuth's HTTP answers\n\nGenerated by the test that replays the recorded exchanges of the real \
         packages, with both strategies. Each row is an exchange that is answered otherwise on purpose.\n\n\
         | package | exchange | NextAuth | Countersign | why |\n| --- | --- | --- | --- | --- |\n",
    );
    let all = REASONS.iter().chain(DATABASE_REASONS);
    let mut used: BTreeMap<&str, usize> = all.map(|(label, _)| (*label, 0)).collect();
    let mut unexplained = Vec::new();
    for ((package, format), strategy) in PACKAGES.iter().flat_map(|p| STRATEGIES.map(|s| (*p, s))) {
        let name = format!("{package}-{strategy}");
        let more = if strategy == "database" { DATABASE_REASONS } else { &[] };
        for (label, theirs, ours) in differences(&name, format, strategy).await {
            match REASONS.iter().chain(more).find(|(start, _)| label.starts_with(start)) {
                Some((start, reason)) => {
                    *used.get_mut(start).unwrap() += 1;
                    let label = label.replace('|', "\\|").replace('<', "&lt;");
                    writeln!(table, "| {package}, {strategy} | {label} | `{theirs}` | `{ours}` | {reason} |")
                        .unwrap();
                }
                None => unexplained.push(format!("{name}: {label}: theirs `{theirs}`, ours `{ours}`")),
            }
        }
    }
    assert!(unexplained.is_empty(), "{} without a reason:\n{}", unexplained.len(), unexplained.join("\n"));
    let unused: Vec<_> = used.iter().filter(|(_, times)| **times == 0).collect();
    assert!(unused.is_empty(), "reasons without a difference: {unused:?}");
    table.push_str(&left_out());
    document::compare("deviations-http.md", &table);
}

/// Cookies by name and attribute, in each generation and over both schemes.
#[rocket::async_test]
async fn cookies_are_named_by_generation_and_scheme() {
    for (format, plain) in
        [("nextauth-v3", "next-auth"), ("nextauth-v4", "next-auth"), ("authjs-v5", "authjs")]
    {
        for secure in [false, true] {
            let scheme = if secure { "https" } else { "http" };
            let toml = format!(
                "[default.auth]\nurl = \"{scheme}://localhost:8000\"\n[default.auth.jwt]\nformat = \"{format}\"\n"
            );
            let app = Setup::new("jwt").toml(&toml).start().await;
            let ada = app.browser();
            let answer = ada.clone().get("/api/auth/csrf").await;
            let (host, prefix) = if secure { ("__Host-", "__Secure-") } else { ("", "") };
            let csrf = answer.set_cookie(&format!("{host}{plain}.csrf-token")).unwrap();
            let url = answer.set_cookie(&format!("{prefix}{plain}.callback-url")).unwrap();
            let mut entered = ada.enter("ada@example.com").await;
            assert!(entered.cookie(&format!("{prefix}{plain}.session-token")).is_some());
            assert_eq!(entered.get("/me").await.status, 200);
            for cookie in [csrf, url] {
                assert!(
                    cookie.contains("HttpOnly")
                        && cookie.contains("SameSite=Lax")
                        && cookie.contains("Path=/")
                );
                assert!(!cookie.contains("Domain") && !cookie.contains("Expires"), "{cookie}");
                assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
            }
        }
    }
}

#[rocket::async_test]
async fn nobody_is_an_empty_object_or_null_by_configuration() {
    for (toml, expected) in [
        ("", "{}"),
        ("[default.auth.session]\nempty = \"null\"\n", "null"),
        ("[default.auth.jwt]\nformat = \"authjs-v5\"\n", "null"),
        ("[default.auth.jwt]\nformat = \"authjs-v5\"\n[default.auth.session]\nempty = \"object\"\n", "{}"),
    ] {
        let app = Setup::new("jwt").toml(toml).start().await;
        assert_eq!(app.browser().get("/api/auth/session").await.body, expected, "{toml}");
    }
}

// ASVS: 3.3.4
#[rocket::async_test]
async fn the_session_body_holds_four_things() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let expected = json!({
        "user": { "name": "Ada", "email": "ada@example.com", "image": null },
        "expires": crate::app::START.plus(2_592_000).to_iso(),
    });
    assert_eq!(ada.get("/api/auth/session").await.json(), expected);
    assert_eq!(ada.get("/api/auth/session?callback=f").await.json(), expected, "never a script");
}

#[rocket::async_test]
async fn gets_and_heads_change_nothing() {
    for strategy in crate::app::STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let token = ada.csrf().await;
        for method in [Method::Get, Method::Head] {
            for path in [
                "signout",
                "callback/credentials",
                "signin/credentials",
                "signup",
                "account/sessions/end-others",
            ] {
                let path = format!("/api/auth/{path}?csrfToken={token}&email=ada%40example.com&password=x");
                let mut prefetching = ada.clone().with_header("Sec-Purpose", "prefetch");
                let answer = prefetching.send(method, &path, None).await;
                assert!(answer.set_cookie("next-auth.session-token").is_none(), "{method} {path}");
                assert!(answer.status < 500, "{method} {path}");
            }
        }
        assert_eq!(ada.me().await.0, 200, "{strategy}");
    }
}

#[rocket::async_test]
async fn every_unsafe_route_needs_the_token() {
    let app = App::new("jwt").await;
    let ada = app.browser().enter("ada@example.com").await;
    let mut driven = 0;
    for route in app.client().rocket().routes() {
        let path = route.uri.path();
        let safe = matches!(route.method, Method::Get | Method::Head | Method::Options);
        // Unknown actions do nothing; `_log` takes what anybody sends and only logs it.
        if safe || path.contains("<path..>") || path.ends_with("/_log") {
            continue;
        }
        driven += 1;
        let path = path.replace("<provider>", "credentials");
        let answer = ada.clone().form(&path, &[("csrfToken", "0")]).await;
        let refused = answer.status == 403 || answer.location().contains("csrf=true") || answer.status == 400;
        assert!(refused, "{path}: {} {}", answer.status, answer.body);
    }
    assert!(driven >= 9, "only {driven} unsafe routes were found");
    assert_eq!(ada.clone().me().await.0, 200);
}
