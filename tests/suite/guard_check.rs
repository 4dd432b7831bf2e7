//! What the check of guards finds, and what it leaves alone.

use countersign::testing::{GuardCheck, TestApp, Violation, assert_guarded};
use countersign::{Countersign, CsrfForm, CsrfJson, OptionalSession, Policy, Session};
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::request::{FromParam, FromRequest, Outcome};
use rocket::response::Redirect;
use rocket::serde::Deserialize;
use rocket::{Build, FromForm, Request, Rocket, Route, catch, catchers, delete, get, post, routes};

use crate::app::{App, STRATEGIES, figment};

#[derive(FromForm, Deserialize)]
#[serde(crate = "rocket::serde")]
struct Note {
    text: String,
}

/// Something that `1` is not.
struct Day;

impl<'a> FromParam<'a> for Day {
    type Error = ();

    fn from_param(text: &'a str) -> Result<Self, ()> {
        (text == "monday").then_some(Self).ok_or(())
    }
}

/// A host's own guard for a role.
struct Boss;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Boss {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match request.guard::<Session>().await {
            Outcome::Success(session) if session.email() == Some("boss@example.com") => {
                Outcome::Success(Self)
            }
            Outcome::Success(_) => Outcome::Error((Status::Forbidden, ())),
            Outcome::Error((status, _)) => Outcome::Error((status, ())),
            Outcome::Forward(status) => Outcome::Forward(status),
        }
    }
}

#[get("/days/<_day>")]
fn guarded_day(_session: Session, _day: Day) {}

#[get("/days/<_day>")]
fn open_day(_day: Day) {}

#[post("/notes", data = "<note>")]
fn guarded_note(_session: Session, note: CsrfForm<Note>) -> String {
    note.into_inner().text
}

#[post("/notes", data = "<note>")]
fn open_note(note: CsrfForm<Note>) -> String {
    note.into_inner().text
}

#[post("/notes.json", format = "json", data = "<note>")]
fn open_json(note: CsrfJson<Note>) -> String {
    note.into_inner().text
}

#[delete("/notes/<_id>")]
fn open_delete(_id: u32) {}

#[get("/home")]
fn mine(_session: Session) {}

#[get("/home", rank = 2)]
fn anybodys() {}

#[get("/people/<_id>")]
fn colleague(_session: Session, _id: &str) {}

#[get("/people/<_id>", rank = 20)]
fn stranger(_id: &str, _session: OptionalSession) {}

#[get("/salaries")]
fn salaries(_boss: Boss) {}

#[get("/salaries")]
fn anyones_salaries(_session: Session) {}

fn application(routes: Vec<Route>) -> Rocket<Build> {
    let figment = figment("jwt", "", std::path::Path::new("nothing-is-opened-here"));
    rocket::custom(figment).attach(Countersign::fairing()).mount("/", routes)
}

async fn violations(routes: Vec<Route>) -> Vec<String> {
    let app = TestApp::start(application(routes)).await;
    GuardCheck::new(app.client()).violations().await.iter().map(ToString::to_string).collect()
}

async fn violation(routes: Vec<Route>) -> String {
    let mut found = violations(routes).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[rocket::async_test]
async fn the_librarys_own_routes_are_guarded_as_they_declare() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        assert_guarded(app.client()).await;
    }
}

#[rocket::async_test]
async fn a_guard_is_a_guard_whatever_the_parameters_are() {
    let routes = Policy::Session.routes(routes![guarded_day, guarded_note, mine]);
    assert_eq!(violations(routes).await, [""; 0]);
}

/// A check of something else must not pass for a guard.
#[rocket::async_test]
async fn neither_a_csrf_check_nor_a_parameter_is_a_guard() {
    let found = violation(Policy::Session.routes(routes![open_day])).await;
    assert_eq!(found, "GET /days/<_day> (open_day, session) answered 422 to nobody");
    let found = violation(Policy::Token.routes(routes![open_note])).await;
    assert_eq!(found, "POST /notes (open_note, token) answered 422 to nobody");
    let found = violation(Policy::Session.routes(routes![open_json])).await;
    assert_eq!(found, "POST /notes.json (open_json, session) answered 422 to nobody");
    let found = violation(Policy::Scope("notes").routes(routes![open_delete])).await;
    assert_eq!(found, "DELETE /notes/<_id> (open_delete, scope notes) answered 200 to nobody");
}

#[rocket::async_test]
async fn a_role_is_more_than_a_session() {
    assert_eq!(violations(Policy::Role("boss").routes(routes![salaries])).await, [""; 0]);
    let found = violation(Policy::Role("boss").routes(routes![anyones_salaries])).await;
    let expected = "GET /salaries (anyones_salaries, role boss) answered 200 to somebody who has no role";
    assert_eq!(found, expected);
}

#[rocket::async_test]
async fn what_declares_nothing_is_reported() {
    assert_eq!(violation(routes![anybodys]).await, "GET /home (anybodys) does not declare who may ask");
}

/// Rocket's way to serve a page to both: the guard forwards, and the next route is for everybody.
#[rocket::async_test]
async fn a_route_may_pass_on_to_a_public_one() {
    let pair = |guarded: Vec<Route>, open: Vec<Route>| {
        [Policy::Session.routes(guarded), Policy::Public.routes(open)].concat()
    };
    assert_eq!(violations(pair(routes![mine], routes![anybodys])).await, [""; 0]);
    let people = || pair(routes![colleague], routes![stranger]);
    let found = violation(people()).await;
    assert!(
        found.contains("passed nobody on, and GET /people/<_id> (stranger, public) answered 200"),
        "{found}"
    );
    let app = TestApp::start(application(people())).await;
    GuardCheck::new(app.client()).fill("_id", "ada").assert().await;
}

#[catch(401)]
fn to_login() -> Redirect {
    Redirect::to("/login?next=/")
}

#[catch(401)]
fn elsewhere() -> Redirect {
    Redirect::to("/login-help")
}

#[rocket::async_test]
async fn a_redirect_counts_when_it_leads_to_the_sign_in_page() {
    let start = |catchers| {
        let rocket = application(Policy::Session.routes(routes![mine])).register("/", catchers);
        TestApp::of(rocket).set("pages.sign_in", "/login").start()
    };
    assert_guarded(start(catchers![to_login]).await.client()).await;
    let app = start(catchers![elsewhere]).await;
    let found = GuardCheck::new(app.client()).violations().await;
    assert!(
        found
            .iter()
            .any(|one| matches!(one, Violation::LetIn { status: 303, route, .. } if route.contains("/home"))),
        "{found:?}"
    );
}

#[rocket::async_test]
#[should_panic(expected = "the client has a session")]
async fn a_client_that_is_signed_in_is_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let rocket = rocket::custom(figment("jwt", "", folder.path())).attach(Countersign::fairing());
    let client = Client::tracked(rocket.mount("/", routes![set_cookie])).await.unwrap();
    client.get("/set-cookie").dispatch().await;
    assert_guarded(&client).await;
}

#[get("/set-cookie")]
fn set_cookie(jar: &rocket::http::CookieJar<'_>) {
    jar.add(("next-auth.session-token", "whatever"));
}
