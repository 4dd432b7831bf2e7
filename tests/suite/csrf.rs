//! Cross-site request forgery: every unsafe route of the mounted application is driven by what another site can make a
//! browser send; each of them refuses it as the forgery it is, and none of it has an effect.
//!
//! The routes are asked of Rocket and the effects of the database, so there is no list to keep: a route that is added
//! later is driven too, and one that does not check fails the test.

use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::{CsrfForm, CsrfJson, Session};
use rocket::form::Form;
use rocket::http::{ContentType, Method, Status};
use rocket::{FromForm, State};
use serde_json::{Value, json};

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, Steps as _};
use crate::dump::Dump;
use crate::forgeries::{FIELDS, Forgery, Kind, body, forgeries};
use crate::idp::Idp;
use crate::oidc::ERROR;

const BASE: &str = "/api/auth/";
const SITE: &str = "http://localhost:8000/api/auth/";
/// Where another site's answers arrive, and whatever nobody knows.
const CALLBACK: &str = "/api/auth/callback/<provider>";
const UNKNOWN: &str = "/api/auth/<path..>";

/// Routes that answer everybody: what they do is no effect. Each says why.
const HARMLESS: [(&str, &str); 1] = [("/api/auth/_log", "a cut text is logged at debug level")];

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

/// It would do something to a note, if there were one of this id.
#[rocket::post("/unchecked/find")]
fn unchecked_find(_session: Session) -> Status {
    Status::NotFound
}

/// It would take a code, if it were right.
#[rocket::post("/unchecked/take")]
fn unchecked_take(_session: Session) -> Status {
    Status::BadRequest
}

/// The application, and the other site of both its providers: the answers of one come back by GET, those of the other by
/// POST.
async fn start(strategy: &str, routes: Vec<rocket::Route>) -> (App, Idp) {
    let generous = "[default.auth.limits]\nsign_ups_per_address = 100000\nper_address = 100000\n";
    let idp = Idp::start().await;
    let posted = format!("{}response_mode = \"form_post\"\n", idp.toml("posted"));
    let setup = Setup::new(strategy).toml(generous).toml(&idp.toml("acme")).toml(&posted);
    let app = setup.build(|rocket| rocket.mount("/", routes).manage(Effects::default())).start().await;
    idp.follow(&app.clock);
    (app, idp)
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
    pattern: String,
}

impl Target {
    /// Whether it is a route of the application's own.
    fn is_hosts(&self) -> bool {
        !self.pattern.starts_with(BASE)
    }
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
            targets.push(Target { method: route.method, path, pattern: pattern.to_owned() });
        }
    }
    targets.sort_by(|one: &Target, other| {
        (&one.path, one.method.as_str()).cmp(&(&other.path, other.method.as_str()))
    });
    targets.dedup();
    targets
}

/// The code of a problem document.
fn code_of(answer: &Answer) -> String {
    let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    problem["code"].as_str().unwrap_or_default().to_owned()
}

/// Refused as a forgery, and for nothing else: an id that is not found, or a code that is wrong, shows nothing of the check.
fn is_refused(target: &Target, kind: Kind, answer: &Answer) -> bool {
    let code = code_of(answer);
    match answer.status {
        302 => {
            ["signin", "signout"].iter().any(|page| answer.location() == format!("{SITE}{page}?csrf=true"))
        }
        // Which guard of a host's route refused is not told.
        403 => code == "csrf_failed" || (target.is_hosts() && code == "forbidden"),
        415 => target.is_hosts() || (code == "content_type" && !matches!(kind, Kind::Form | Kind::Json)),
        // NextAuth's clients understand nothing else here.
        400 => target.path == "/api/auth/session" && answer.body == "{}",
        _ => false,
    }
}

/// Nothing is there that could have checked.
fn is_nowhere(target: &Target, answer: &Answer) -> bool {
    if target.is_hosts() {
        answer.status == 404
    } else {
        answer.status == 400 && code_of(answer) == "action_unknown"
    }
}

/// What answers otherwise, because there is nothing to check.
async fn is_excepted(all: &[Target], target: &Target, forgery: &mut Forgery<'_>, answer: &Answer) -> bool {
    let overridden = forgery.extra.iter().find(|(name, _)| *name == "_method");
    let method =
        overridden.filter(|_| target.method == Method::Post).and_then(|(_, method)| method.parse().ok());
    if let Some(method) = method.filter(|method| *method != target.method) {
        // Rocket asks the routes of the other method: there are none, or they refuse it.
        let asked = |other: &Target| (&other.path, other.method) == (&target.path, method);
        let other = all.iter().any(|other| asked(other) && other.pattern != UNKNOWN);
        return !other && is_nowhere(target, answer);
    }
    match target.pattern.as_str() {
        UNKNOWN => is_nowhere(target, answer),
        // Another site has no token of ours. What it posts is sent on as a GET, and is bound to the browser by its state.
        CALLBACK if answer.status == 303 => {
            let onwards = answer.location().strip_prefix("http://localhost:8000").unwrap_or_default();
            onwards.starts_with(&format!("{}?", target.path))
                && forgery.browser.get(onwards).await.location() == ERROR
        }
        CALLBACK => answer.location() == ERROR || is_nowhere(target, answer),
        _ => HARMLESS.iter().any(|(known, _)| *known == target.path),
    }
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
    for target in &targets {
        let Target { method, path, .. } = target;
        for mut forgery in forgeries(&ada, &token, &eve, &others) {
            driven += 1;
            let (label, text) = body(forgery.kind, forgery.token.as_deref(), &forgery.extra);
            let label = label.unwrap_or(ContentType::Any);
            let sent = format!("{path}{}", forgery.query);
            let answer = forgery.browser.send(*method, &sent, Some((label, text))).await;
            let what = format!("{method} {path}, {}: {}", forgery.name, answer.status);
            let refused = is_refused(target, forgery.kind, &answer);
            if !refused && !is_excepted(&targets, target, &mut forgery, &answer).await {
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
        let (app, _idp) = start(strategy, routes).await;
        let driven = targets(&app).await;
        for path in ["/api/auth/signin/acme", "/api/auth/callback/acme", "/api/auth/callback/posted"] {
            assert!(driven.iter().any(|target| target.path == path), "{path}");
        }
        let (wrong, driven) = drive(&app).await;
        assert!(wrong.is_empty(), "{strategy}:\n{}", wrong.join("\n"));
        assert!(driven > 500, "{strategy}: {driven}");
    }
}

/// The control: what this site itself sends gets past the check on every route, by a form or by JSON.
#[rocket::async_test]
async fn what_this_site_sends_gets_past_the_check_everywhere() {
    let (app, _idp) = start("jwt", rocket::routes![add, replace, delete, change, add_by_script]).await;
    let mut refused = Vec::new();
    for (number, Target { method, path, .. }) in targets(&app).await.into_iter().enumerate() {
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

/// The test of the test: a route that does not check is found, whatever its method, and whatever it has to say against
/// these requests besides.
#[rocket::async_test]
async fn a_route_without_the_check_is_found() {
    let (app, _idp) = start("jwt", rocket::routes![unchecked_form, unchecked_find, unchecked_take]).await;
    let (wrong, _) = drive(&app).await;
    let found = |text: &str| wrong.iter().any(|line| line.starts_with(text));
    for text in [
        "POST /unchecked/form had an effect",
        "POST /unchecked/form, no token, a form: 200 is no refusal",
        "POST /unchecked/find, no token, a form: 404 is no refusal",
        "POST /unchecked/find, another site: 404 is no refusal",
        "POST /unchecked/take, no token, JSON: 400 is no refusal",
        "POST /unchecked/take, text/plain: 400 is no refusal",
    ] {
        assert!(found(text), "{text}: {wrong:#?}");
    }
    let (app, _idp) = start("jwt", rocket::routes![unchecked_delete]).await;
    let (wrong, _) = drive(&app).await;
    assert!(
        wrong.iter().any(|line| line.starts_with("DELETE /unchecked/") && line.ends_with("had an effect")),
        "{wrong:#?}"
    );
    let others: Vec<_> = wrong.iter().filter(|line| !line.starts_with("DELETE /unchecked/")).collect();
    assert!(others.is_empty(), "{others:#?}");
}

// ASVS: 3.5.3, 7.6.2
/// No link, and no address that a page can make a browser fetch, changes anything (ASVS 5.0, 3.5.3).
#[rocket::async_test]
async fn safe_methods_change_nothing() {
    for strategy in STRATEGIES {
        let (app, _idp) = start(strategy, Vec::new()).await;
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
