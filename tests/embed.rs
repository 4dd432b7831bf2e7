//! A stranger's application, on the public API only.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use countersign::signin::{Decision, HookError, Hooks, SignInAttempt, Trigger};
use countersign::testing::{START, TestApp, assert_guarded};
use countersign::token::Claims;
use countersign::{Countersign, CsrfForm, CsrfToken, OptionalSession, Policy, Session};
use rocket::fs::relative;
use rocket::http::{ContentType, Status};
use rocket::local::asynchronous::Client;
use rocket::{Build, FromForm, Rocket, get, post, routes};
use serde::Deserialize;

#[derive(Deserialize)]
struct Plan {
    plan: String,
}

struct Plans;

#[rocket::async_trait]
impl Hooks for Plans {
    async fn sign_in(&self, attempt: &SignInAttempt<'_>) -> Result<Decision, HookError> {
        let is_banned = attempt.user.email.as_str().starts_with("banned@");
        Ok(if is_banned { Decision::Deny } else { Decision::Allow })
    }

    async fn jwt(&self, claims: &mut Claims, trigger: &Trigger<'_>) -> Result<(), HookError> {
        if let Trigger::SignIn { user, .. } = trigger {
            claims
                .set("plan", if user.email.as_str().ends_with("@paying.example") { "paid" } else { "free" });
        }
        Ok(())
    }
}

#[derive(FromForm)]
struct Note<'r> {
    text: &'r str,
}

#[get("/dashboard")]
fn dashboard(session: OptionalSession) -> String {
    session
        .get()
        .and_then(Session::name)
        .map_or_else(|| "Please sign in".to_owned(), |name| format!("Hello {name}"))
}

#[get("/plan")]
fn plan(session: Session) -> Result<String, Status> {
    session.claims::<Plan>().map(|own| own.plan).map_err(|_| Status::InternalServerError)
}

#[get("/note")]
fn note_form(token: CsrfToken) -> String {
    token.value().to_owned()
}

#[post("/note", data = "<form>")]
fn note(session: Session, form: CsrfForm<Note<'_>>) -> String {
    format!("{}: {}", session.email().unwrap_or_default(), form.get().text)
}

/// The application, with the database it has in production.
fn application(database_url: &str) -> Rocket<Build> {
    let figment = rocket::Config::figment()
        .merge(("log_level", "off"))
        .merge(("template_dir", relative!("tests/nothing-of-its-own")))
        .merge(("auth.secret", "the-embedding-applications-own-secret-0123"))
        .merge(("auth.database_url", database_url))
        .merge(("auth.providers.credentials.argon2.memory_kib", 8192))
        .merge(("auth.providers.credentials.argon2.iterations", 1));
    rocket::custom(figment)
        .attach(Countersign::fairing().hooks(Plans))
        .mount("/", Policy::Public.routes(routes![dashboard, note_form]))
        .mount("/", Policy::Session.routes(routes![plan, note]))
}

async fn client(folder: &tempfile::TempDir) -> Client {
    let url = format!("sqlite://{}/own.db", folder.path().display());
    Client::tracked(application(&url)).await.unwrap()
}

async fn text(client: &Client, path: &'static str) -> String {
    client.get(path).dispatch().await.into_string().await.unwrap()
}

async fn post_form(client: &Client, path: &'static str, body: String) -> (Status, String) {
    let answer = client.post(path).header(ContentType::Form).body(body).dispatch().await;
    (answer.status(), answer.into_string().await.unwrap_or_default())
}

/// Rocket's own tracked client keeps the cookies: an application's tests need nothing of ours.
#[rocket::async_test]
async fn an_application_signs_people_in_and_guards_its_routes() {
    let folder = tempfile::TempDir::new().unwrap();
    let client = client(&folder).await;
    assert_eq!(text(&client, "/dashboard").await, "Please sign in");
    assert_eq!(client.get("/plan").dispatch().await.status(), Status::Unauthorized);
    let token = text(&client, "/note").await;
    let person = "email=ada%40paying.example&password=correct+horse+battery";
    let made = post_form(&client, "/api/auth/signup", format!("csrfToken={token}&name=Ada&{person}")).await;
    assert_eq!(made.0, Status::SeeOther, "{}", made.1);
    let signed_in =
        post_form(&client, "/api/auth/callback/credentials", format!("csrfToken={token}&{person}")).await;
    assert_eq!(signed_in.0, Status::Found, "{}", signed_in.1);
    assert_eq!(text(&client, "/dashboard").await, "Hello Ada");
    assert_eq!(text(&client, "/plan").await, "paid");
    assert_eq!(
        post_form(&client, "/note", format!("csrfToken={token}&text=x")).await.0,
        Status::Forbidden,
        "rotated"
    );
    let fresh = text(&client, "/note").await;
    let noted = post_form(&client, "/note", format!("csrfToken={fresh}&text=remember+me")).await;
    assert_eq!(noted, (Status::Ok, "ada@paying.example: remember me".to_owned()));
    assert_eq!(post_form(&client, "/api/auth/signout", format!("csrfToken={fresh}")).await.0, Status::Found);
    assert_eq!(text(&client, "/dashboard").await, "Please sign in");
}

/// The database of production: nobody listens there, so whoever asked it would notice.
const PRODUCTION: &str = "postgres://production@127.0.0.1:9/users";

/// The kit takes the application as it is, and leaves its database alone.
#[rocket::async_test]
async fn the_testing_kit_signs_anyone_in_and_moves_the_clock() {
    for strategy in ["jwt", "database"] {
        let start = || TestApp::of(application(PRODUCTION)).set("session.strategy", strategy);
        let app = start().start().await;
        assert_guarded(app.client()).await;
        assert_eq!(app.now(), START);
        assert_eq!(app.user("ada@paying.example").await, None);
        let user = app.add_user("ada@paying.example", Some("Ada")).await;
        let mut ada = app.sign_in("ada@paying.example").await;
        let same = app.user("ada@paying.example").await.unwrap();
        assert_eq!((same.id, user.email_verified_at), (user.id, None), "{strategy}: one account");
        assert_eq!(
            same.email_verified_at,
            Some(START),
            "{strategy}: whoever signs in has confirmed the address"
        );
        assert_eq!(ada.get("/dashboard").await.body, "Hello Ada");
        assert_eq!(ada.get("/plan").await.body, "paid", "{strategy}: the host's hooks were asked");
        let token = ada.get("/note").await.body;
        let noted = ada.form("/note", &[("csrfToken", &token), ("text", "remember me")]).await;
        assert_eq!((noted.status, noted.body.as_str()), (200, "ada@paying.example: remember me"));

        app.advance(29 * 24 * 60 * 60);
        assert_eq!(ada.get("/plan").await.status, 200);
        let kept = ada.cookies();
        let stopped = app.stop().await;
        let app = start().resume(stopped).start().await;
        assert_eq!(app.now(), START.plus(29 * 24 * 60 * 60));
        let mut ada = app.browser().with_cookies(kept.clone());
        assert_eq!(ada.get("/plan").await.status, 200, "{strategy}: after a restart");
        assert_eq!(ada.sign_out().await.status, 200);
        assert_eq!(app.browser().with_cookies(kept).get("/plan").await.status, 401);
        let mut eve = app.sign_in("eve@example.com").await;
        assert_eq!(eve.get("/plan").await.body, "free");
        app.advance(31 * 24 * 60 * 60);
        assert_eq!(eve.get("/plan").await.status, 401, "{strategy}: a month has passed");
    }
}

#[rocket::async_test]
#[should_panic(expected = "banned@example.com may not sign in")]
async fn the_testing_kit_asks_the_hooks() {
    let app = TestApp::start(application(PRODUCTION)).await;
    app.sign_in("banned@example.com").await;
}

#[rocket::async_test]
#[should_panic(expected = "attach `countersign::Countersign::fairing()`")]
async fn the_testing_kit_wants_the_fairing() {
    TestApp::start(rocket::custom(rocket::Config::debug_default())).await;
}
