//! Testing an application that signs people in.
//!
//! ```
//! use countersign::testing::{TestApp, assert_guarded};
//! use countersign::{Countersign, Policy, Session};
//! use rocket::{Build, Rocket, get, routes};
//!
//! #[get("/api/me")]
//! fn me(session: Session) -> String {
//!     session.email().unwrap_or_default().to_owned()
//! }
//!
//! // The application as it is: nothing in it knows that it is tested.
//! fn rocket() -> Rocket<Build> {
//!     rocket::build()
//!         .attach(Countersign::fairing())
//!         .mount("/", Policy::Session.routes(routes![me]))
//! }
//!
//! # rocket::async_test(async {
//! let app = TestApp::start(rocket()).await;
//!
//! // Nobody gets through a route that declares a policy.
//! assert_guarded(app.client()).await;
//!
//! // Anybody is signed in, without a password and without its hash.
//! let mut ada = app.sign_in("ada@example.com").await;
//! assert_eq!(ada.get("/api/me").await.body, "ada@example.com");
//!
//! // A month passes.
//! app.advance(31 * 24 * 60 * 60);
//! assert_eq!(ada.get("/api/me").await.status, 401);
//! # });
//! ```
//!
//! # What is real and what is not
//! The routes, guards, hooks, cookies and the store are those of the application; requests go through Rocket's local client
//! and not over a socket. Four things are a test's own: the database (SQLite in a folder that goes when the test ends,
//! whatever `database_url` says), the clock (it stands until it is moved), the way out of mail (it is kept to be read), and, where the configuration sets none, the
//! secret and cheap parameters for Argon2.
//!
//! | to | use |
//! | --- | --- |
//! | start an application, sign in as anyone, move the clock, restart it | [`TestApp`] |
//! | read what was mailed, with its link and code | [`TestApp::mails`] |
//! | follow links, post forms and JSON, look at cookies | [`Browser`] |
//! | find a route whose guard is missing | [`assert_guarded`], [`GuardCheck`] |
//!
//! # Why it is no feature
//! As with Rocket's own `local` module, what a program does not call is not in it, and a test needs no second set of
//! features. Nothing here is a way in from outside: a program must call it, and whoever writes the program could issue a
//! session as well.
//!
//! # Panics
//! Everything here panics when it cannot do what it is asked: a test that cannot be prepared has failed.

#![expect(clippy::panic, reason = "tests fail by panicking")]

mod app;
mod browser;
mod folder;
mod guard_check;
mod probe;

pub use app::{START, Setup, Stopped, TestApp};
pub use browser::{Answer, Browser, Cookies};
pub use guard_check::{GuardCheck, Violation, assert_guarded};
