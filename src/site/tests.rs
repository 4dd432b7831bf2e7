//! Every guard of the service, removed in turn.
//!
//! A handler is replaced while the program runs: by one that answers everybody. From outside it is what a guard that was
//! taken out of the signature is, and no program is compiled for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::Policy;
use countersign::testing::{GuardCheck, TestApp, Violation, assert_guarded};
use rocket::error::ErrorKind;
use rocket::fairing::{AdHoc, Fairing};
use rocket::http::Status;
use rocket::route::{Handler, Outcome, dummy_handler};
use rocket::{Data, Request, Route};

use super::{figment, rocket};

/// None of them.
const WHOLE: usize = usize::MAX;

/// Answers everybody while its number is up, and otherwise leaves the route to its real handler.
#[derive(Clone)]
struct Unguarded {
    number: usize,
    removed: Arc<AtomicUsize>,
}

#[rocket::async_trait]
impl Handler for Unguarded {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        if self.removed.load(Ordering::SeqCst) == self.number {
            Outcome::from(request, "anybody's")
        } else {
            Outcome::forward(data, Status::NotFound)
        }
    }
}

/// Puts an [`Unguarded`] before every route that is not public.
fn replace(removed: &Arc<AtomicUsize>) -> impl Fairing {
    let removed = Arc::clone(removed);
    AdHoc::on_ignite("Removes guards", |rocket| async move {
        let guarded =
            rocket.routes().filter(|route| Policy::of(route).is_some_and(|policy| !policy.is_public()));
        let replaced: Vec<Route> = guarded
            .cloned()
            .enumerate()
            .map(|(number, mut route)| {
                route.handler = Box::new(Unguarded { number, removed: Arc::clone(&removed) });
                route.rank -= 1000;
                route
            })
            .collect();
        rocket.mount("/", replaced)
    })
}

#[rocket::async_test]
async fn every_guard_of_the_service_is_missed_when_it_is_removed() {
    let removed = Arc::new(AtomicUsize::new(WHOLE));
    let app = TestApp::start(rocket(figment()).attach(replace(&removed))).await;
    assert_guarded(app.client()).await;
    let is_real =
        |route: &&Route| route.rank > -900 && Policy::of(route).is_some_and(|policy| !policy.is_public());
    let guarded: Vec<&Route> = app.client().rocket().routes().filter(is_real).collect();
    assert!(guarded.len() >= 8, "only {} routes are guarded", guarded.len());
    for number in 0..guarded.len() {
        removed.store(number, Ordering::SeqCst);
        let violations = GuardCheck::new(app.client()).violations().await;
        let missed: Vec<&Route> =
            guarded.iter().copied().filter(|route| is_named(&violations, route)).collect();
        assert_eq!(missed.len(), 1, "guard {number} of {guarded:?}: {violations:?}");
    }
}

/// Whether a violation is about this route, and every one is about somebody who was let in.
fn is_named(violations: &[Violation], route: &Route) -> bool {
    let start = format!("{} {} (", route.method, route.uri.as_str());
    violations.iter().any(|violation| match violation {
        Violation::LetIn { route, status: 200, .. } => route.starts_with(&start),
        other => panic!("{other}"),
    })
}

#[rocket::async_test]
async fn a_route_of_the_service_that_declares_nothing_refuses_the_launch() {
    let undeclared = Route::new(rocket::http::Method::Get, "/forgotten", dummy_handler);
    let outcome = TestApp::of(rocket(figment()).mount("/", [undeclared.clone()])).try_start().await;
    let error = outcome.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::SentinelAborts(_)), "{error:?}");
    let declared = Policy::Public.routes([undeclared]);
    assert!(TestApp::of(rocket(figment()).mount("/", declared)).try_start().await.is_ok());
}

/// The control: whoever may ask gets an answer.
#[rocket::async_test]
async fn whoever_is_signed_in_gets_what_is_guarded() {
    for strategy in ["jwt", "database"] {
        let app = TestApp::of(rocket(figment())).set("session.strategy", strategy).start().await;
        let mut ada = app.sign_in("ada@example.com").await;
        let paths = ["/protected", "/api/get-session-example", "/api/get-token-example", "/api/auth/account"];
        for path in paths {
            let answer = ada.get(path).await;
            assert_eq!(answer.status, 200, "{strategy} {path}: {}", answer.body);
        }
        app.advance(31 * 24 * 60 * 60);
        for path in paths {
            assert_eq!(ada.get(path).await.status, 401, "{strategy} {path}");
        }
    }
}
