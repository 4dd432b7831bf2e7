//! Routes say who may ask, and are held to it.

use countersign::{Countersign, Policy, Session};
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::local::asynchronous::Client;
use rocket::{Build, Rocket, get, routes};

use crate::app::figment;

#[get("/own")]
fn own(_session: Session) {}

#[get("/late")]
fn late() {}

fn application(audit: &str, folder: &tempfile::TempDir) -> Rocket<Build> {
    let toml = format!("[default.auth]\naudit = \"{audit}\"\n");
    rocket::custom(figment("jwt", &toml, folder.path())).attach(Countersign::fairing())
}

/// Whether it launches, or the audit refuses.
async fn launches(rocket: Rocket<Build>) -> bool {
    match Client::untracked(rocket).await {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::SentinelAborts(_)), "{error:?}");
            false
        }
    }
}

#[rocket::async_test]
async fn a_route_that_declares_nothing_refuses_the_launch_when_configured() {
    let folder = tempfile::TempDir::new().unwrap();
    for (audit, expected) in [("off", true), ("warn", true), ("deny", false)] {
        let rocket = application(audit, &folder).mount("/", routes![own]);
        assert_eq!(launches(rocket).await, expected, "{audit}");
        let rocket = application(audit, &folder).mount("/", Policy::Session.routes(routes![own]));
        assert!(launches(rocket).await, "{audit}");
    }
}

/// Whenever it is mounted: by a fairing that a fairing attached, too.
#[rocket::async_test]
async fn a_late_route_is_seen() {
    let folder = tempfile::TempDir::new().unwrap();
    let later = |routes: Vec<rocket::Route>| {
        AdHoc::on_ignite("Attaches", |rocket| async move {
            rocket.attach(AdHoc::on_ignite("Mounts", |rocket| async move { rocket.mount("/", routes) }))
        })
    };
    assert!(!launches(application("deny", &folder).attach(later(routes![late]))).await);
    let declared = Policy::Public.routes(routes![late]);
    assert!(launches(application("deny", &folder).attach(later(declared))).await);
}

/// One would never be reached. Rocket says so for most routes; what is tried before all others has a rank of its own.
#[rocket::async_test]
async fn a_route_at_the_place_of_one_of_the_librarys_refuses_the_launch() {
    let folder = tempfile::TempDir::new().unwrap();
    let at = |base: &'static str| application("off", &folder).mount(base, routes![session_of_its_own]);
    assert!(!launches(at("/api/auth")).await);
    assert!(launches(at("/api/other")).await);
    assert!(launches(at("/")).await);
}

#[get("/session")]
fn session_of_its_own() {}

/// A program that only verifies tokens is held to it as well.
#[rocket::async_test]
async fn a_verifier_is_audited() {
    let folder = tempfile::TempDir::new().unwrap();
    let verifier = || {
        rocket::custom(figment("jwt", "[default.auth]\naudit = \"deny\"\n", folder.path()))
            .attach(Countersign::verifier())
            .mount("/", Policy::Session.routes(routes![own]))
    };
    assert!(launches(verifier()).await);
    assert!(!launches(verifier().mount("/", routes![late])).await);
}
