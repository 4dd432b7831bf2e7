//! What guards answer.

use std::sync::atomic::{AtomicU32, Ordering};

use countersign::guards::failure_of;
use countersign::{Countersign, CsrfForm, CsrfJson, OptionalSession, OptionalToken, Session, Token};
use rocket::http::{ContentType, Method, Status};
use rocket::serde::Deserialize;
use rocket::{FromForm, Request, catch, catchers, get, post, routes};
use serde_json::json;

use crate::app::{App, START, STRATEGIES, Setup};
use crate::browser::{Browser, Steps as _};

#[derive(FromForm, Deserialize)]
#[serde(crate = "rocket::serde")]
struct Note {
    text: String,
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[get("/all")]
fn all(_a: Session, _b: OptionalSession, _c: Token, _d: OptionalToken, _e: Session) -> &'static str {
    "all"
}

#[get("/counted")]
fn counted(_session: Session) -> &'static str {
    RUNS.fetch_add(1, Ordering::SeqCst);
    "ran"
}

#[post("/note", data = "<note>")]
fn note(_session: Session, note: CsrfForm<Note>) -> String {
    note.into_inner().text
}

#[post("/note.json", data = "<note>")]
fn note_json(_session: Session, note: CsrfJson<Note>) -> String {
    note.into_inner().text
}

#[rocket::put("/note", data = "<note>")]
fn note_put(note: CsrfForm<Note>) -> String {
    note.into_inner().text
}

fn with_routes(strategy: &str) -> Setup {
    Setup::new(strategy).build(|rocket| rocket.mount("/", routes![all, counted, note, note_json, note_put]))
}

#[rocket::async_test]
async fn a_guarded_api_route_is_a_typed_401_before_the_handler_runs() {
    for strategy in STRATEGIES {
        let app = with_routes(strategy).start().await;
        let answer = app.browser().get("/counted").await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("content-type"), Some("application/problem+json; charset=utf-8"));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(answer.header("cache-control").unwrap().contains("no-store"));
        assert!(answer.header("vary").unwrap().contains("Cookie"));
        let problem = answer.json();
        assert_eq!(problem["code"], "session_missing");
        assert_eq!(problem["status"], 401);
        assert!(problem["type"].is_string() && problem["title"].is_string());
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
}

#[rocket::async_test]
async fn a_person_is_sent_to_sign_in_and_lands_where_they_wanted_to_go() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser();
        ada.sign_up("ada@example.com").await;
        let refused = ada.visit("/page?a=b").await;
        assert_eq!(refused.status, 303);
        let expected =
            "http://localhost:8000/api/auth/signin?callbackUrl=http%3A%2F%2Flocalhost%3A8000%2Fpage%3Fa%3Db";
        assert_eq!(refused.location(), expected);
        let sign_in = ada.visit(refused.location().strip_prefix("http://localhost:8000").unwrap()).await;
        assert_eq!(sign_in.status, 200);
        let token = ada.csrf().await;
        // Only what the page's form holds: the callback URL comes from its cookie.
        let fields = [
            ("csrfToken", token.as_str()),
            ("email", "ada@example.com"),
            ("password", crate::browser::PASSWORD),
        ];
        let done = ada.form("/api/auth/callback/credentials", &fields).await;
        assert_eq!((done.status, done.location()), (302, "http://localhost:8000/page?a=b"));
        assert_eq!(ada.visit("/page?a=b").await.status, 200);
    }
}

#[rocket::async_test]
async fn any_number_of_guards_costs_one_look_up() {
    let app = with_routes("database").start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let before = app.store.calls();
    assert_eq!(ada.get("/all").await.status, 200);
    assert_eq!(app.store.calls() - before, 1);

    let app = with_routes("jwt").start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let before = app.store.calls();
    assert_eq!(ada.get("/all").await.status, 200);
    assert_eq!(app.store.calls() - before, 0, "a token is verified without the store");
}

#[rocket::async_test]
async fn each_reason_has_its_code() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let mut thief = ada.clone();
        thief.set_cookie("next-auth.session-token", "garbage");
        assert_eq!(thief.me().await, (401, "session_invalid".to_owned()), "{strategy}");
        let mut kept = ada.clone();
        ada.sign_out().await;
        assert_eq!(kept.me().await, (401, "session_revoked".to_owned()), "{strategy}");
        let mut late = app.browser().enter("eve@example.com").await;
        app.clock.advance(2_592_000 + 16);
        assert_eq!(late.me().await, (401, "session_expired".to_owned()), "{strategy}");
    }
}

#[rocket::async_test]
async fn bearer_works_when_there_is_no_cookie_and_never_breaks() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let ada = app.browser().enter("ada@example.com").await;
        let token =
            percent_encoding::percent_decode_str(ada.session().unwrap()).decode_utf8().unwrap().into_owned();
        let bearer = |value: &str| app.browser().with_header("Authorization", value);
        assert_eq!(bearer(&format!("Bearer {token}")).me().await.0, 200, "{strategy}");
        assert_eq!(bearer(&format!("Bearer {token}")).get("/claims").await.status, 200);
        assert_eq!(bearer(&format!("bearer {token}")).me().await.0, 401, "as NextAuth reads it");
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer %",
            "Bearer %ff",
            "Bearer a b",
            "Bearer\tx",
            "bearer x",
            "Token x",
            "é",
        ] {
            assert_eq!(bearer(wrong).me().await.0, 401, "{strategy}: {wrong}");
        }
        let mut both = bearer(&format!("Bearer {token}"));
        both.set_cookie("next-auth.session-token", "garbage");
        assert_eq!(both.me().await.0, 401, "a bad cookie hides a good header, as in NextAuth");
        let mut twice = bearer(&format!("Bearer {token}")).with_header("Authorization", "Bearer x");
        assert_eq!(twice.me().await.0, 401);
    }
}

#[rocket::async_test]
async fn guarded_answers_are_never_stored() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    for path in ["/me", "/page", "/maybe", "/api/auth/session", "/api/auth/csrf", "/api/auth/account"] {
        let answer = ada.get(path).await;
        assert!(answer.header("cache-control").unwrap().contains("no-store"), "{path}");
        assert!(answer.headers("vary").contains(&"Cookie"), "{path}");
    }
}

/// No body gets past the check without this browser's token.
async fn send_note(browser: &mut Browser<'_>, path: &str, token: &str) -> u16 {
    if path.ends_with("json") {
        browser.json(path, &json!({ "csrfToken": token, "text": "hello" })).await.status
    } else {
        browser.form(path, &[("csrfToken", token), ("text", "hello")]).await.status
    }
}

#[rocket::async_test]
async fn a_body_needs_this_browsers_token_and_this_site() {
    let app = with_routes("jwt").start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let token = ada.csrf().await;
    let foreign = app.browser().csrf().await;
    for path in ["/note", "/note.json"] {
        assert_eq!(send_note(&mut ada, path, &token).await, 200);
        for wrong in ["", "0", &foreign, &token.to_uppercase()] {
            assert_eq!(send_note(&mut ada, path, wrong).await, 403, "{path}: {wrong}");
        }
        for (name, value) in [
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
            ("Origin", "http://localhost:8001"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
        ] {
            let mut other = ada.clone().with_header(name, value);
            assert_eq!(send_note(&mut other, path, &token).await, 403, "{path}: {name}: {value}");
        }
        let mut own = ada
            .clone()
            .with_header("Origin", "http://localhost:8000")
            .with_header("Sec-Fetch-Site", "same-origin");
        assert_eq!(send_note(&mut own, path, &token).await, 200);
    }
    let mut without_cookie = ada.clone();
    without_cookie.forget("next-auth.csrf-token");
    assert_eq!(send_note(&mut without_cookie, "/note", &token).await, 403);
}

// ASVS: 3.5.2
#[rocket::async_test]
async fn simple_content_types_and_method_overrides_do_not_help() {
    let app = with_routes("jwt").start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let token = ada.csrf().await;
    let body = json!({ "csrfToken": token, "text": "x" }).to_string();
    let sent = ada.send(Method::Post, "/note.json", Some((ContentType::Plain, body.clone()))).await;
    assert_eq!(sent.status, 415);
    let sent =
        ada.send(Method::Post, "/note", Some((ContentType::Plain, "csrfToken=a&text=x".to_owned()))).await;
    assert_eq!(sent.status, 415);
    // Rocket rewrites this POST to PUT before any guard runs.
    assert_eq!(ada.form("/note", &[("_method", "put"), ("text", "x")]).await.status, 403);
    let fields = [("_method", "put"), ("csrfToken", token.as_str()), ("text", "x")];
    assert_eq!(ada.form("/note", &fields).await.status, 200);
    assert_eq!(ada.form("/note", &[("csrfToken", &token)]).await.status, 422);
    let large = "x".repeat(100_000);
    assert_eq!(ada.form("/note", &[("csrfToken", &token), ("text", &large)]).await.status, 413);
}

#[catch(401)]
fn own_401(request: &Request<'_>) -> String {
    format!("own: {}", failure_of(request).map_or("?", |reason| reason.code()))
}

#[rocket::async_test]
async fn a_host_replaces_the_catcher_and_reads_the_reason() {
    let app = Setup::new("jwt").build(|rocket| rocket.register("/", catchers![own_401])).start().await;
    let answer = app.browser().get("/me").await;
    assert_eq!((answer.status, answer.body.as_str()), (401, "own: session_missing"));
}

#[rocket::async_test]
async fn a_missing_fairing_refuses_the_launch() {
    for route in routes![all, note, note_json] {
        let rocket = rocket::custom(rocket::Config::debug_default()).mount("/", [route]);
        let outcome = rocket::local::asynchronous::Client::untracked(rocket).await;
        let error = outcome.err().unwrap();
        assert!(matches!(error.kind(), rocket::error::ErrorKind::SentinelAborts(_)), "{error:?}");
    }
}

#[get("/typed")]
fn typed(session: Session) -> String {
    #[derive(Deserialize)]
    #[serde(crate = "rocket::serde")]
    struct Own {
        amr: Vec<String>,
    }
    let own: Own = session.claims().unwrap();
    format!(
        "{} {} {:?} {} {}",
        session.user_id().as_str().len(),
        session.name().unwrap(),
        session.method(),
        session.authenticated_at().0,
        own.amr.join(",")
    )
}

#[rocket::async_test]
async fn a_session_says_who_how_and_when() {
    for strategy in STRATEGIES {
        let app = Setup::new(strategy).build(|rocket| rocket.mount("/", routes![typed])).start().await;
        let mut ada = app.browser().enter("ada@example.com").await;
        assert_eq!(ada.get("/typed").await.body, format!("32 Ada Pwd {} pwd", START.0), "{strategy}");
    }
}

/// A second application that has the secret and no database reads the first one's cookie.
#[rocket::async_test]
async fn a_verifier_needs_only_the_secret() {
    let app = App::new("jwt").await;
    let ada = app.browser().enter("ada@example.com").await;
    let rocket = rocket::custom(crate::app::figment("jwt", "", app.folder.path()))
        .attach(Countersign::verifier().clock(app.clock.clone()))
        .mount("/", routes![all]);
    let client = rocket::local::asynchronous::Client::untracked(rocket).await.unwrap();
    let mut elsewhere = Browser::new(&client);
    assert_eq!(elsewhere.get("/all").await.status, Status::Unauthorized.code);
    elsewhere.set_cookie("next-auth.session-token", ada.session().unwrap());
    assert_eq!(elsewhere.get("/all").await.status, 200);
    app.clock.advance(2_592_000 + 16);
    assert_eq!(elsewhere.get("/all").await.status, 401);
}
