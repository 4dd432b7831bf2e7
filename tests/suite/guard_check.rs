//! What the check of guards finds, and what it leaves alone.

use countersign::guards::Auth;
use countersign::testing::{GuardCheck, TestApp, Violation, assert_guarded};
use countersign::{
    Countersign, CsrfForm, CsrfJson, Fresh, OptionalSession, Policy, Role, RoleName, Scope, ScopeName,
    Session,
};
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

struct Clerk;

impl RoleName for Clerk {
    const NAME: &'static str = "clerk";
}

struct Notes;

impl ScopeName for Notes {
    const NAME: &'static str = "notes";
}

/// A guard that forgets which role is asked for.
struct AnyRole;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AnyRole {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let Outcome::Success(session) = request.guard::<Session>().await else {
            return Outcome::Error((Status::Unauthorized, ()));
        };
        let sign_in = request.rocket().state::<Auth>().unwrap().sign_in.as_ref().unwrap();
        if sign_in.roles_of(session.user_id()).await.unwrap().is_empty() {
            return Outcome::Error((Status::Forbidden, ()));
        }
        Outcome::Success(Self)
    }
}

/// A guard that forgets which scope is asked for.
struct AnyScope;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AnyScope {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let sign_in = request.rocket().state::<Auth>().unwrap().sign_in.as_ref().unwrap();
        let header = request.headers().get_one("authorization").unwrap_or_default();
        match sign_in.check_access_token(header.trim_start_matches("Bearer ")).await {
            Ok(_) => Outcome::Success(Self),
            Err(_) => Outcome::Error((Status::Unauthorized, ())),
        }
    }
}

#[get("/clerks")]
fn clerks(_clerk: Role<Clerk>) {}

#[get("/clerks")]
fn any_role(_role: AnyRole) {}

#[get("/payout")]
fn payout(_fresh: Fresh) {}

#[post("/payout", data = "<note>")]
fn pay(_fresh: Fresh, note: CsrfForm<Note>) -> String {
    note.into_inner().text
}

#[get("/payout", format = "html")]
fn payout_page(_fresh: Fresh) {}

#[get("/payout")]
fn payout_by_session(_session: Session) {}

#[get("/notes")]
fn notes(_caller: Scope<Notes>) {}

#[get("/notes")]
fn notes_by_session(_session: Session) {}

#[get("/notes")]
fn any_scope(_scope: AnyScope) {}

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
    let expected = "GET /salaries (anyones_salaries, role boss) answered 200 to somebody who is signed in and nothing more";
    assert_eq!(found, expected);
    assert_eq!(violations(Policy::Role("clerk").routes(routes![clerks])).await, [""; 0]);
    let found = violation(Policy::Role("clerk").routes(routes![any_role])).await;
    assert_eq!(found, "GET /clerks (any_role, role clerk) answered 200 to somebody who has another role");
}

/// Also by whoever signed in too long ago for it, in both strategies.
#[rocket::async_test]
async fn a_fresh_session_is_more_than_a_session() {
    for strategy in STRATEGIES {
        let check = async |routes: Vec<Route>| {
            let app = TestApp::of(application(routes)).set("session.strategy", strategy).start().await;
            let found = GuardCheck::new(app.client()).violations().await;
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for right in [routes![payout], routes![pay], routes![payout_page]] {
            assert_eq!(check(Policy::Fresh.routes(right)).await, [""; 0], "{strategy}");
        }
        assert_eq!(
            check(Policy::Fresh.routes(routes![payout_by_session])).await,
            ["GET /payout (payout_by_session, fresh) answered 200 to somebody who signed in too long ago"],
            "{strategy}"
        );
    }
}

#[rocket::async_test]
async fn a_scope_is_neither_a_session_nor_any_token() {
    assert_eq!(violations(Policy::Scope("notes").routes(routes![notes])).await, [""; 0]);
    assert_eq!(
        violation(Policy::Scope("notes").routes(routes![notes_by_session])).await,
        "GET /notes (notes_by_session, scope notes) answered 200 to somebody who is signed in and nothing more"
    );
    assert_eq!(
        violation(Policy::Scope("notes").routes(routes![any_scope])).await,
        "GET /notes (any_scope, scope notes) answered 200 to a script whose token has another scope"
    );
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
