//! A stranger's application, on the public API only.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use countersign::signin::{HookError, Hooks, Trigger};
use countersign::token::Claims;
use countersign::{Countersign, CsrfForm, CsrfToken, OptionalSession, Session};
use rocket::fs::relative;
use rocket::http::{ContentType, Status};
use rocket::local::asynchronous::Client;
use rocket::{FromForm, get, post, routes};
use serde::Deserialize;

#[derive(Deserialize)]
struct Plan {
    plan: String,
}

struct Plans;

#[rocket::async_trait]
impl Hooks for Plans {
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

async fn client(folder: &tempfile::TempDir) -> Client {
    let figment = rocket::Config::figment()
        .merge(("log_level", "off"))
        .merge(("template_dir", relative!("tests/nothing-of-its-own")))
        .merge(("auth.secret", "the-embedding-applications-own-secret-0123"))
        .merge(("auth.database_url", format!("sqlite://{}/own.db", folder.path().display())))
        .merge(("auth.providers.credentials.argon2.memory_kib", 8192))
        .merge(("auth.providers.credentials.argon2.iterations", 1));
    let rocket = rocket::custom(figment)
        .attach(Countersign::fairing().hooks(Plans))
        .mount("/", routes![dashboard, plan, note_form, note]);
    Client::tracked(rocket).await.unwrap()
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
