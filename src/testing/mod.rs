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
//! // Nobody gets through a route that declares a policy without what it asks for.
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
//! # Every way in
//! The ways people really come are there as well: a mail is read, another site vouches, a passkey signs.
//!
//! ```
//! use countersign::testing::{OpenIdProvider, TestApp};
//! use countersign::{Admin, Countersign, Policy, Role};
//! use rocket::{Build, Rocket, get, routes};
//! use serde_json::json;
//!
//! #[get("/salaries")]
//! fn salaries(_admin: Role<Admin>) -> &'static str {
//!     "a lot"
//! }
//!
//! fn rocket() -> Rocket<Build> {
//!     rocket::build()
//!         .attach(Countersign::fairing())
//!         .mount("/", Policy::Role("admin").routes(routes![salaries]))
//! }
//!
//! # rocket::async_test(async {
//! // Another site vouches for Ada: a real OpenID provider, on a port of this machine.
//! let acme = OpenIdProvider::start().await;
//! let app = TestApp::of(rocket()).provider("acme", &acme).start().await;
//! let claims = json!({ "sub": "1815", "name": "Ada", "email": "ada@example.com", "email_verified": true });
//! let mut ada = app.browser();
//! ada.sign_in_with("acme", &acme, &claims).await;
//!
//! // She has no role yet; a role counts from the next request on.
//! assert_eq!(ada.get("/salaries").await.status, 403);
//! app.grant_role("ada@example.com", "admin").await;
//! assert_eq!(ada.get("/salaries").await.status, 200);
//!
//! // She adds a passkey and signs in with it on her phone.
//! let mut key = app.passkey();
//! assert_eq!(ada.add_passkey(&mut key).await.status, 200);
//! let mut phone = app.browser();
//! assert_eq!(phone.sign_in_by_passkey(&mut key).await.status, 200);
//! assert_eq!(phone.get("/salaries").await.status, 200);
//!
//! // Bob asks for a link by mail, reads it, and presses the button on its page.
//! let mut bob = app.browser();
//! let token = bob.csrf().await;
//! bob.form("/api/auth/signin/email", &[("csrfToken", &token), ("email", "bob@example.com")]).await;
//! let mail = app.mails().take("bob@example.com").await.expect("a mail");
//! let link = mail.link().expect("a link").replace("http://localhost:8000", "");
//! let page = bob.visit(&link).await;
//! assert!(page.body.contains("bob@example.com"));
//!
//! // A program has a token for what it needs, and for nothing else.
//! let token = app.access_token("bob@example.com", &["notes:read"]).await;
//! let mut script = app.browser().with_header("Authorization", &format!("Bearer {token}"));
//! assert_eq!(script.get("/salaries").await.status, 401);
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
//! | give roles, make access tokens | [`TestApp::grant_role`], [`TestApp::access_token`] |
//! | disable or delete somebody, end their sessions | [`TestApp::disable`], [`TestApp::delete_user`], [`TestApp::end_sessions`] |
//! | see what is kept: users, roles, sessions, factors, links, the audit log | [`TestApp::users`], [`TestApp::roles`], [`TestApp::sessions`], [`TestApp::factors`], [`TestApp::linked_accounts`], [`TestApp::audit_records`] |
//! | read what was mailed, with its link and code | [`TestApp::mails`] |
//! | sign in through another site, which may do everything wrong | [`OpenIdProvider`], [`Browser::sign_in_with`] |
//! | sign in by passkey | [`SoftPasskey`], [`Browser::sign_in_by_passkey`] |
//! | follow links, post forms and JSON, look at cookies | [`Browser`] |
//! | find a route whose guard is missing | [`assert_guarded`], [`GuardCheck`] |
//!
//! # Why it is no feature
//! As with Rocket's own `local` module, what a program does not call is not in it, and a test needs no second set of
//! features, nor a second set of dependencies: the local provider and the passkey sign with the crate that the service
//! verifies with, under keys made when they are needed. Nothing here is a way in from outside: a program must call it, and
//! whoever writes the program could issue a session as well.
//!
//! # Panics
//! Everything here panics when it cannot do what it is asked: a test that cannot be prepared has failed.

#![expect(clippy::panic, reason = "tests fail by panicking")]

mod app;
mod browser;
mod folder;
mod guard_check;
mod kept;
mod key;
mod passkey;
mod people;
mod probe;
mod provider;
mod provider_wire;
mod steps;
mod visitors;

pub use app::{START, Setup, Stopped, TestApp};
pub use browser::{Answer, Browser, Cookies};
pub use guard_check::{GuardCheck, Violation, assert_guarded};
pub use passkey::SoftPasskey;
pub use provider::OpenIdProvider;
pub use provider_wire::{ProviderReply, ProviderRequest};
