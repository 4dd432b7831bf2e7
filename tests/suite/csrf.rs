//! Cross-site request forgery: every unsafe route of the mounted application is driven by what another site can make a
//! browser send, and none of it has an effect.
//!
//! The routes are asked of Rocket and the effects of the database, so there is no list to keep: a route that is added
//! later is driven too, and one that does not check fails the test.

use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::{CsrfForm, CsrfJson, Session};
use rocket::form::Form;
use rocket::http::{ContentType, Method};
use rocket::{FromForm, State};
use serde_json::{Value, json};

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::dump::Dump;

/// Routes that answer everybody: what they do is no effect. Each says why.
const HARMLESS: [(&str, &str); 1] = [("/api/auth/_log", "a cut text is logged at debug level")];

/// What every request carries, whatever the route takes of it.
const FIELDS: [(&str, &str); 15] = [
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

/// Somebody who may do everything: what is refused is refused for what it is, and not for want of a role.
async fn enter<'a>(app: &'a App, email: &str) -> Browser<'a> {
    let browser = app.browser().enter(email).await;
    app.confirm(email).await;
    app.grant_role(email, "admin").await;
    browser
}

/// How often a route of the host did something.
#[derive(Default)]
struct Effects(AtomicUsize);

#[derive(FromForm, serde::Deserialize)]
struct Note {
    text: String,
}

fn write(effects: &Effects, note: &Note) -> String {
    effects.0.fetch_add(1, Ordering::SeqCst);
    note.text.clone()
}

#[rocket::post("/notes", data = "<form>")]
fn add(_session: Session, effects: &State<Effects>, form: CsrfForm<Note>) -> String {
    write(effects, form.get())
}

#[rocket::put("/notes/<_id>", data = "<form>")]
fn replace(_id: &str, _session: Session, effects: &State<Effects>, form: CsrfForm<Note>) -> String {
    write(effects, form.get())
}

#[rocket::delete("/notes/<_id>", data = "<form>")]
fn delete(_id: &str, _session: Session, effects: &State<Effects>, form: CsrfForm<Note>) -> String {
    write(effects, form.get())
}

#[rocket::patch("/api/notes/<_id>", data = "<body>")]
fn change(_id: &str, _session: Session, effects: &State<Effects>, body: CsrfJson<Note>) -> String {
    write(effects, body.get())
}

#[rocket::post("/api/notes", data = "<body>")]
fn add_by_script(_session: Session, effects: &State<Effects>, body: CsrfJson<Note>) -> String {
    write(effects, body.get())
}

#[rocket::post("/unchecked/form", data = "<form>")]
fn unchecked_form(_session: Session, effects: &State<Effects>, form: Form<Note>) -> String {
    write(effects, &form)
}

#[rocket::delete("/unchecked/<_id>")]
fn unchecked_delete(_id: &str, _session: Session, effects: &State<Effects>) {
    effects.0.fetch_add(1, Ordering::SeqCst);
}

fn setup(strategy: &str, routes: Vec<rocket::Route>) -> Setup {
    let generous = "[default.auth.limits]\nsign_ups_per_address = 100000\nper_address = 100000\n";
    Setup::new(strategy).toml(generous).build(|rocket| rocket.mount("/", routes).manage(Effects::default()))
}

/// The application, and everything in which it could have been changed.
struct World<'a> {
    app: &'a App,
    dump: Dump,
}

impl<'a> World<'a> {
    async fn of(app: &'a App) -> Self {
        Self { app, dump: Dump::of(app).await }
    }

    /// Every row of every table, and what the host did. That something was refused may be written down.
    async fn state(&self) -> String {
        let effects = self.app.client().rocket().state::<Effects>().unwrap();
        let rows = self.dump.state().await;
        assert!(rows.contains("users:"), "{rows}");
        let attempts = self.dump.rows_of("attempts").await;
        format!("{} effects\n{rows}{attempts}", effects.0.load(Ordering::SeqCst))
    }
}

/// An unsafe route, with a value in the place of each parameter.
#[derive(PartialEq)]
struct Target {
    method: Method,
    path: String,
}

/// Every unsafe route; one with a parameter once for every provider, and once for something else.
async fn targets(app: &App) -> Vec<Target> {
    // Somebody whom an administrator could do something to.
    app.browser().sign_up("victim@example.com").await;
    let providers = app.browser().get("/api/auth/providers").await.json();
    let mut values: Vec<String> = providers.as_object().unwrap().keys().cloned().collect();
    values.push("placeholder".to_owned());
    values.push(app.user("victim@example.com").await.unwrap().id.to_string());
    let mut targets = Vec::new();
    for route in app.client().rocket().routes() {
        if matches!(route.method, Method::Get | Method::Head | Method::Options | Method::Trace) {
            continue;
        }
        let pattern = route.uri.path();
        for value in if pattern.contains('<') { values.as_slice() } else { &values[..1] } {
            let filled =
                |segment: &str| if segment.starts_with('<') { value.clone() } else { segment.to_owned() };
            let path = pattern.split('/').map(filled).collect::<Vec<_>>().join("/");
            targets.push(Target { method: route.method, path });
        }
    }
    targets.sort_by(|one: &Target, other| {
        (&one.path, one.method.as_str()).cmp(&(&other.path, other.method.as_str()))
    });
    targets.dedup();
    targets
}

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Form,
    Json,
    /// JSON that says it is text, which a browser sends across sites without asking first.
    Text,
    Multipart,
    /// A form that says nothing of what it is.
    Unlabelled,
}

fn body(kind: Kind, token: Option<&str>, extra: &[(&str, &str)]) -> (Option<ContentType>, String) {
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
struct Forgery<'a> {
    name: &'static str,
    browser: Browser<'a>,
    kind: Kind,
    token: Option<String>,
    extra: Vec<(&'static str, &'static str)>,
    query: String,
}

/// Every kind of it. Ada is signed in; Eve is somebody else, whose pair of token and cookie is right in itself.
fn forgeries<'a>(ada: &Browser<'a>, token: &str, eve: &Browser<'a>, others: &str) -> Vec<Forgery<'a>> {
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

/// Refused: by a status, or by a redirect to a page of ours that says so.
fn is_refused(answer: &Answer) -> bool {
    let told = answer.location().contains("csrf=true") || answer.location().contains("error=");
    (400..500).contains(&answer.status) || (matches!(answer.status, 302 | 303) && told)
}

/// Refused for want of the token, and for nothing else that a right request would meet too.
fn is_forgery_refused(answer: &Answer) -> bool {
    matches!(answer.status, 403 | 415)
        || answer.location().contains("csrf=true")
        || (answer.status == 400 && answer.body == "{}")
}

/// Cookies that a refusal may set: none that means anything.
fn sets_a_cookie_that_counts(answer: &Answer) -> bool {
    let harmless = |cookie: &str| {
        let name = cookie.split('=').next().unwrap_or_default();
        name.ends_with("csrf-token") || name.ends_with("callback-url")
    };
    answer.headers("set-cookie").into_iter().any(|cookie| !harmless(cookie))
}

/// Drives every unsafe route with every forgery; what had an effect, or was not refused. How many requests it took.
async fn drive(app: &App) -> (Vec<String>, usize) {
    let world = World::of(app).await;
    let mut ada = enter(app, "ada@example.com").await;
    let token = ada.csrf().await;
    let mut eve = app.browser();
    let others = eve.csrf().await;
    let (mut wrong, mut driven) = (Vec::new(), 0);
    let targets = targets(app).await;
    let mut before = world.state().await;
    for target in targets {
        let Target { method, path } = &target;
        let harmless = HARMLESS.iter().any(|(known, _)| known == path);
        for mut forgery in forgeries(&ada, &token, &eve, &others) {
            driven += 1;
            let (label, text) = body(forgery.kind, forgery.token.as_deref(), &forgery.extra);
            let label = label.unwrap_or(ContentType::Any);
            let sent = format!("{path}{}", forgery.query);
            let answer = forgery.browser.send(*method, &sent, Some((label, text))).await;
            let what = format!("{method} {path}, {}: {}", forgery.name, answer.status);
            if !harmless && !is_refused(&answer) {
                wrong.push(format!("{what} is no refusal"));
            }
            if sets_a_cookie_that_counts(&answer) {
                wrong.push(format!("{what} with {:?}", answer.headers("set-cookie")));
            }
        }
        // Whatever a route takes, it does not take it from a link.
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(FIELDS)
            .append_pair("csrfToken", &token)
            .finish();
        for safe in [Method::Get, Method::Head] {
            let answer = ada.clone().send(safe, &format!("{path}?{query}"), None).await;
            if sets_a_cookie_that_counts(&answer) {
                wrong.push(format!("{safe} {path} with {:?}", answer.headers("set-cookie")));
            }
        }
        let after = world.state().await;
        if after != before {
            wrong.push(format!("{method} {path} had an effect"));
            before = after;
        }
    }
    (wrong, driven)
}

// ASVS: 3.5.1
#[rocket::async_test]
async fn nothing_another_site_can_send_has_an_effect() {
    for strategy in STRATEGIES {
        let routes = rocket::routes![add, replace, delete, change, add_by_script];
        let app = setup(strategy, routes).start().await;
        let (wrong, driven) = drive(&app).await;
        assert!(wrong.is_empty(), "{strategy}:\n{}", wrong.join("\n"));
        assert!(driven > 500, "{strategy}: {driven}");
    }
}

/// The control: what this site itself sends gets past the check on every route, by a form or by JSON.
#[rocket::async_test]
async fn what_this_site_sends_gets_past_the_check_everywhere() {
    let app = setup("jwt", rocket::routes![add, replace, delete, change, add_by_script]).start().await;
    let mut refused = Vec::new();
    for (number, Target { method, path }) in targets(&app).await.into_iter().enumerate() {
        let mut passed = false;
        for (kind, letter) in [(Kind::Form, 'f'), (Kind::Json, 'j')] {
            // Some routes end a session or an account: each has its own.
            let mut own = enter(&app, &format!("{letter}{number}@example.com")).await;
            let token = own.csrf().await;
            own = own
                .with_header("Origin", "http://localhost:8000")
                .with_header("Sec-Fetch-Site", "same-origin");
            let (label, text) = body(kind, Some(&token), &[]);
            let answer = own.send(method, &path, Some((label.unwrap(), text))).await;
            passed |= !is_forgery_refused(&answer);
        }
        if !passed {
            refused.push(format!("{method} {path}"));
        }
    }
    assert!(refused.is_empty(), "refused although right: {refused:#?}");
    let effects = app.client().rocket().state::<Effects>().unwrap().0.load(Ordering::SeqCst);
    // A value per provider, somebody's id and a placeholder for each parameter of three routes, and two routes without.
    let providers = app.browser().get("/api/auth/providers").await.json().as_object().unwrap().len();
    assert_eq!(effects, 3 * (providers + 2) + 2, "every route of the host worked");
}

/// The test of the test: a route that does not check is found, whatever its method.
#[rocket::async_test]
async fn a_route_without_the_check_is_found() {
    let form = setup("jwt", rocket::routes![unchecked_form]).start().await;
    let (wrong, _) = drive(&form).await;
    let found = |text: &str| wrong.iter().any(|line| line.contains(text));
    assert!(
        found("POST /unchecked/form had an effect") && found("no token, a form: 200 is no refusal"),
        "{wrong:#?}"
    );
    let other = setup("jwt", rocket::routes![unchecked_delete]).start().await;
    let (wrong, _) = drive(&other).await;
    assert!(
        wrong.iter().any(|line| line.starts_with("DELETE /unchecked/") && line.ends_with("had an effect")),
        "{wrong:#?}"
    );
}

// ASVS: 3.5.3, 7.6.2
/// No link, and no address that a page can make a browser fetch, changes anything (ASVS 5.0, 3.5.3).
#[rocket::async_test]
async fn safe_methods_change_nothing() {
    for strategy in STRATEGIES {
        let app = setup(strategy, Vec::new()).start().await;
        let world = World::of(&app).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let token = ada.csrf().await;
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(FIELDS)
            .append_pair("csrfToken", &token)
            .finish();
        let before = world.state().await;
        let mut driven = 0;
        for route in app.client().rocket().routes().filter(|route| route.method == Method::Get) {
            let path = route.uri.path();
            let filled: Vec<&str> = path
                .split('/')
                .map(|part| if part.starts_with('<') { "credentials" } else { part })
                .collect();
            for method in [Method::Get, Method::Head] {
                driven += 1;
                let mut sender = ada.clone().with_header("Sec-Fetch-Site", "cross-site");
                let answer = sender.send(method, &format!("{}?{query}", filled.join("/")), None).await;
                let cookies = answer.headers("set-cookie");
                assert!(answer.status < 500, "{method} {path}: {}", answer.status);
                assert!(
                    !cookies.iter().any(|cookie| cookie.contains("session-token")),
                    "{method} {path}: {cookies:?}"
                );
            }
            assert_eq!(world.state().await, before, "{strategy} GET {path}");
        }
        assert!(driven > 30, "{driven}");
        assert_eq!(ada.me().await.0, 200);
    }
}

/// A token is of one browser and one stay: signing in and out changes it.
#[rocket::async_test]
async fn the_pair_changes_with_the_session() {
    let app = App::new("jwt").await;
    let mut ada = app.browser();
    let first = ada.csrf().await;
    let mut ada = ada.enter("ada@example.com").await;
    let second = ada.csrf().await;
    assert_ne!(first, second);
    let old = json!({ "csrfToken": first });
    assert_eq!(ada.json("/api/auth/account/name", &old).await.status, 403, "the old token");
    ada.sign_out().await;
    assert_ne!(ada.csrf().await, second);
}
