//! Roles, the administrator's pages, and personal access tokens.

use countersign::model::UserId;
use countersign::{Role, RoleName, Scope, ScopeName, Session};
use scraper::{Html, Selector};

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, Steps as _};
use crate::faults::Fault;

struct Editor;

impl RoleName for Editor {
    const NAME: &'static str = "editor";
}

struct Read;

impl ScopeName for Read {
    const NAME: &'static str = "read";
}

#[rocket::get("/drafts")]
fn drafts(editor: Role<Editor>) -> String {
    editor.session().email().unwrap_or_default().to_owned()
}

#[rocket::get("/notes")]
fn notes(caller: Scope<Read>) -> String {
    format!("{} {}", caller.user().email, caller.token().name)
}

#[rocket::get("/either")]
fn either_by_token(caller: Scope<Read>) -> String {
    caller.token().name.clone()
}

#[rocket::get("/either", rank = 2)]
fn either_by_session(session: Session) -> String {
    session.email().unwrap_or_default().to_owned()
}

fn setup(strategy: &str) -> Setup {
    let routes = rocket::routes![drafts, notes, either_by_token, either_by_session];
    Setup::new(strategy).build(move |rocket| rocket.mount("/", routes.clone()))
}

async fn id_of(app: &App, email: &str) -> UserId {
    app.user(email).await.unwrap().id
}

fn texts(page: &str, selector: &str) -> Vec<String> {
    let document = Html::parse_document(page);
    let selector = Selector::parse(selector).unwrap();
    document.select(&selector).map(|found| found.text().collect::<String>().trim().to_owned()).collect()
}

#[rocket::async_test]
async fn a_role_counts_from_the_next_request_on() {
    for strategy in STRATEGIES {
        let app = setup(strategy).start().await;
        let mut nobody = app.browser();
        assert_eq!(nobody.get("/drafts").await.status, 401, "{strategy}");
        let mut ada = app.browser().enter("ada@example.com").await;
        assert_eq!(ada.get("/drafts").await.status, 403, "{strategy}");
        // On whichever instance it was given.
        let elsewhere = app.elsewhere(setup(strategy)).await;
        elsewhere.grant_role("ada@example.com", "editor").await;
        let shown = ada.get("/drafts").await;
        assert_eq!((shown.status, shown.body.as_str()), (200, "ada@example.com"), "{strategy}");
        elsewhere.take_role("ada@example.com", "editor").await;
        assert_eq!(ada.get("/drafts").await.status, 403, "{strategy}");
        // A store that is down is no "no".
        app.store.fail_after(0);
        let unknown = ada.get("/drafts").await;
        assert_eq!(unknown.status, 503, "{strategy}");
        assert!(unknown.headers("set-cookie").is_empty(), "{strategy}");
        app.store.recover();
    }
}

#[rocket::async_test]
async fn the_token_carries_the_roles_of_the_sign_in() {
    let app = setup("jwt").start().await;
    app.browser().sign_up("ada@example.com").await;
    app.grant_role("ada@example.com", "editor").await;
    let mut ada = app.browser().enter_again("ada@example.com").await;
    assert_eq!(ada.get("/claims").await.json()["roles"], serde_json::json!(["editor"]));
}

async fn act(browser: &mut Browser<'_>, id: &UserId, fields: &[(&str, &str)]) -> Answer {
    let token = browser.csrf().await;
    let mut all = vec![("csrfToken", token.as_str())];
    all.extend(fields);
    browser.form(&format!("/api/auth/admin/users/{id}"), &all).await
}

// ASVS: 7.4.5
#[rocket::async_test]
async fn administrators_see_and_change_everybody_else() {
    for strategy in STRATEGIES {
        let app = setup(strategy).start().await;
        let mut bob = app.browser().enter("bob@example.com").await;
        let bobs = id_of(&app, "bob@example.com").await;
        for path in ["/api/auth/admin", &format!("/api/auth/admin/users/{bobs}"), "/api/auth/admin/log"] {
            assert_eq!(bob.get(path).await.status, 403, "{strategy}: {path}");
            assert_eq!(app.browser().get(path).await.status, 401, "{strategy}: {path}");
        }
        assert_eq!(act(&mut bob, &bobs, &[("act", "grant"), ("role", "admin")]).await.status, 403);
        assert!(app.roles("bob@example.com").await.is_empty(), "nobody gives themselves a role");

        let mut ada = app.browser().enter("ada@example.com").await;
        app.grant_role("ada@example.com", "admin").await;
        let list = ada.visit("/api/auth/admin?q=bo").await;
        assert_eq!(texts(&list.body, ".device a"), ["bob@example.com"], "{}", list.body);
        assert_eq!(ada.visit(&format!("/api/auth/admin/users/{bobs}")).await.status, 200);
        assert_eq!(ada.visit("/api/auth/admin/users/nobody").await.status, 404);

        assert_eq!(act(&mut ada, &bobs, &[("act", "grant"), ("role", "editor")]).await.status, 303);
        assert_eq!(bob.get("/drafts").await.status, 200, "{strategy}");
        assert_eq!(act(&mut ada, &bobs, &[("act", "take"), ("role", "editor")]).await.status, 303);
        assert_eq!(bob.get("/drafts").await.status, 403, "{strategy}");
        for wrong in [[("act", "grant"), ("role", "No Name")], [("act", "nonsense"), ("role", "")]] {
            assert_eq!(act(&mut ada, &bobs, &wrong).await.status, 400);
        }
        assert_eq!(act(&mut ada, &bobs, &[("act", "end_sessions")]).await.status, 303);
        assert_eq!(bob.me().await.0, 401, "{strategy}: at once");
        let mut bob = app.browser().enter_again("bob@example.com").await;
        assert_eq!(act(&mut ada, &bobs, &[("act", "disable")]).await.status, 303);
        assert_eq!(bob.me().await.0, 401, "{strategy}: at once");
        assert_eq!(bob.try_sign_in("bob@example.com", crate::browser::PASSWORD).await.status, 401);
        assert_eq!(act(&mut ada, &bobs, &[("act", "enable")]).await.status, 303);
        app.clock.advance(1);
        app.browser().enter_again("bob@example.com").await;

        let own = id_of(&app, "ada@example.com").await;
        assert_eq!(
            act(&mut ada, &own, &[("act", "disable")]).await.status,
            400,
            "nobody locks themselves out"
        );
        assert!(app.user("ada@example.com").await.unwrap().disabled_at.is_none());
        let log = ada.visit("/api/auth/admin/log").await;
        let events = texts(&log.body, ".log .device code");
        for event in ["role.granted", "role.taken", "user.disabled", "user.enabled"] {
            assert!(events.iter().any(|found| found == event), "{event}: {events:?}");
        }
        assert!(ada.visit("/api/auth/admin/log?before=1").await.body.contains("Nothing was recorded"));
    }
}

/// Whichever call of the store fails, an act that is done is reported as done, and one that is not as unknown.
#[rocket::async_test]
async fn what_an_administrator_did_is_reported_as_done() {
    let app = setup("database").start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.grant_role("ada@example.com", "admin").await;
    let mut after_the_act = Vec::new();
    for healthy in 0.. {
        let email = format!("bob{healthy}@example.com");
        app.browser().enter(&email).await;
        let bob = id_of(&app, &email).await;
        // One token for all: asking for it would use up the fault.
        let token = ada.csrf().await;
        app.store.plan(Fault::Once, healthy);
        let fields = [("csrfToken", token.as_str()), ("act", "disable")];
        let answer = ada.form(&format!("/api/auth/admin/users/{bob}"), &fields).await;
        let met = app.store.recover();
        let disabled = app.user(&email).await.unwrap().disabled_at.is_some();
        assert_eq!(answer.status, if disabled { 303 } else { 503 }, "{met:?}: {disabled}: {}", answer.body);
        match met.first() {
            None => break,
            Some(call) if disabled => after_the_act.push(*call),
            Some(_) => {}
        }
    }
    assert!(after_the_act.contains(&"revocations_after"), "{after_the_act:?}");
}

#[rocket::async_test]
async fn a_list_goes_on_where_the_page_ended() {
    let app = setup("jwt").start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.grant_role("ada@example.com", "admin").await;
    for number in 0..120 {
        app.add_user(&format!("user{number:03}@example.com"), None).await;
    }
    let (mut path, mut seen) = ("/api/auth/admin?q=user".to_owned(), Vec::new());
    for _ in 0..3 {
        let page = ada.visit(&path).await;
        seen.extend(texts(&page.body, ".device a"));
        let document = Html::parse_document(&page.body);
        let next = Selector::parse("a[rel=next]").unwrap();
        let Some(next) = document.select(&next).next() else { break };
        path = next.attr("href").unwrap().replace("http://localhost:8000", "");
    }
    assert_eq!(seen.len(), 120);
    assert!(seen.is_sorted());
}

// ASVS: 6.4.4
#[rocket::async_test]
async fn an_administrator_removes_lost_factors() {
    let app = setup("jwt").start().await;
    let mut bob = app.browser().enter("bob@example.com").await;
    let bobs = id_of(&app, "bob@example.com").await;
    app.confirm("bob@example.com").await;
    assert_eq!(bob.add_passkey(&mut app.passkey()).await.status, 200);
    assert!(app.factors("bob@example.com").await.is_on());
    let mut ada = app.browser().enter("ada@example.com").await;
    app.grant_role("ada@example.com", "admin").await;
    assert_eq!(act(&mut ada, &bobs, &[("act", "remove_factors")]).await.status, 303);
    assert!(!app.factors("bob@example.com").await.is_on());
    let mut bob = app.browser().enter_again("bob@example.com").await;
    assert_eq!(bob.me().await.0, 200);
}

async fn make_token(browser: &mut Browser<'_>, scope: &str, days: &str) -> Answer {
    let token = browser.csrf().await;
    let field = format!("scope.{scope}");
    let fields = [("csrfToken", token.as_str()), ("name", "script"), (field.as_str(), "on"), ("days", days)];
    browser.form("/api/auth/account/tokens", &fields).await
}

fn bearer<'a>(app: &'a App, token: &str) -> Browser<'a> {
    app.browser().with_header("Authorization", &format!("Bearer {token}"))
}

#[rocket::async_test]
async fn a_token_opens_its_scope_and_nothing_else() {
    for strategy in STRATEGIES {
        let app = setup(strategy).start().await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let made = make_token(&mut ada, "read", "30").await;
        let shown = texts(&made.body, "#fresh-token");
        let token = shown.first().unwrap_or_else(|| panic!("{}", made.body));
        assert!(token.starts_with("cst_") && token.len() == 47, "{token}");
        let again = ada.visit("/api/auth/account/tokens").await;
        assert!(again.body.contains("script") && !again.body.contains(token), "shown once");
        let answer = bearer(&app, token).get("/notes").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ada@example.com script"), "{strategy}");
        // No session, whatever asks for one; and a session opens no scope.
        for path in ["/me", "/claims", "/api/auth/account", "/drafts"] {
            assert_eq!(bearer(&app, token).get(path).await.status, 401, "{strategy}: {path}");
        }
        assert_eq!(ada.get("/notes").await.status, 401, "{strategy}");
        let other = make_token(&mut ada, "write", "30").await;
        let other = texts(&other.body, "#fresh-token").remove(0);
        assert_eq!(bearer(&app, &other).get("/notes").await.status, 403, "{strategy}: another scope");
        let wrongs =
            ["", "cst_", "x", &token[..46], &format!("{token}x"), &token.to_uppercase(), &token[4..]];
        for wrong in wrongs {
            assert_eq!(bearer(&app, wrong).get("/notes").await.status, 401, "{strategy}: {wrong}");
        }
        app.store.fail_after(0);
        assert_eq!(bearer(&app, token).get("/notes").await.status, 503, "{strategy}");
        app.store.recover();
        // Kept by hash.
        let (kept, plain) = (crate::dump::kept(&app).await, &token.as_bytes()[4..]);
        assert!(!kept.windows(plain.len()).any(|found| found == plain), "in the clear");
    }
}

#[rocket::async_test]
async fn one_address_may_serve_scripts_and_people() {
    for strategy in STRATEGIES {
        let app = setup(strategy).start().await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let made = make_token(&mut ada, "read", "30").await;
        let token = texts(&made.body, "#fresh-token").remove(0);
        for (mut browser, said) in [(bearer(&app, &token), "script"), (ada, "ada@example.com")] {
            let answer = browser.get("/either").await;
            assert_eq!((answer.status, answer.body.as_str()), (200, said), "{strategy}");
            assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{strategy}: {said}");
        }
        for (mut browser, code) in
            [(app.browser(), "session_missing"), (bearer(&app, "cst_x"), "session_invalid")]
        {
            let answer = browser.get("/either").await;
            assert_eq!(answer.status, 401, "{strategy}");
            assert!(answer.body.contains(code), "{strategy}: {}", answer.body);
        }
    }
}

#[rocket::async_test]
async fn a_token_ends_with_its_time_its_revocation_and_its_owner() {
    let app = setup("jwt").start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.browser().enter("bob@example.com").await;
    let made = make_token(&mut ada, "read", "1").await;
    let token = texts(&made.body, "#fresh-token").remove(0);
    app.clock.advance(24 * 60 * 60 - 1);
    assert_eq!(bearer(&app, &token).get("/notes").await.status, 200);
    app.clock.advance(1);
    assert_eq!(bearer(&app, &token).get("/notes").await.status, 401, "expired");
    // Making one needs a recent sign-in.
    assert_eq!(make_token(&mut ada, "read", "30").await.status, 403);
    let mut ada = app.browser().enter_again("ada@example.com").await;
    let mut bob = app.browser().enter_again("bob@example.com").await;
    let made = make_token(&mut ada, "read", "30").await;
    let token = texts(&made.body, "#fresh-token").remove(0);
    let page = ada.visit("/api/auth/account/tokens").await;
    let document = Html::parse_document(&page.body);
    let ids = Selector::parse("input[name=id]").unwrap();
    let id = document.select(&ids).next().unwrap().attr("value").unwrap().to_owned();
    drop(document);
    let csrf = bob.csrf().await;
    let path = "/api/auth/account/tokens/revoke";
    assert_eq!(bob.form(path, &[("csrfToken", &csrf), ("id", &id)]).await.status, 404, "somebody else's");
    assert_eq!(bearer(&app, &token).get("/notes").await.status, 200);
    let csrf = ada.csrf().await;
    assert_eq!(ada.form(path, &[("csrfToken", &csrf), ("id", &id)]).await.status, 303);
    assert_eq!(bearer(&app, &token).get("/notes").await.status, 401, "revoked");
    let made = make_token(&mut bob, "read", "30").await;
    let token = texts(&made.body, "#fresh-token").remove(0);
    app.disable("bob@example.com").await;
    assert_eq!(bearer(&app, &token).get("/notes").await.status, 401, "its owner is disabled");
    for (scope, days) in [("nonsense", "30"), ("read", "0"), ("read", "367"), ("read", "x"), ("read", "-1")] {
        assert_eq!(make_token(&mut ada, scope, days).await.status, 400, "{scope}, {days}");
    }
}
