//! Countersign: sign-in, sessions and guarded routes for Rocket, speaking NextAuth's wire protocol.
//!
//! # Quick start
//! 1. Attach the fairing.
//! 2. Write guards into your handlers' signatures.
//!
//! ```no_run
//! use countersign::{Countersign, CsrfForm, OptionalSession, Session};
//! use rocket::{FromForm, get, post, routes};
//!
//! #[derive(FromForm)]
//! struct Note {
//!     text: String,
//! }
//!
//! #[get("/")] // a page: branches on the session
//! fn home(session: OptionalSession) -> String {
//!     session.get().and_then(Session::name).unwrap_or("stranger").to_owned()
//! }
//!
//! #[get("/api/me")] // an API route: 401 before the body runs
//! fn me(session: Session) -> String {
//!     session.user_id().to_string()
//! }
//!
//! #[post("/notes", data = "<form>")] // no CSRF token, no Note
//! fn add(session: Session, form: CsrfForm<Note>) -> String {
//!     format!("{}: {}", session.user_id(), form.into_inner().text)
//! }
//!
//! #[rocket::launch]
//! fn rocket() -> _ {
//!     rocket::build().attach(Countersign::fairing()).mount("/", routes![home, me, add])
//! }
//! ```
//!
//! In a debug build nothing needs to be configured: the fairing makes an SQLite database and a secret in `data/`, and
//! mounts the REST API and its pages at `/api/auth`.
//!
//! # Guide
//! | to learn about | read |
//! | --- | --- |
//! | guards, and why `OptionalSession` is a type of its own | [`guards`] |
//! | saying who may ask for a route, and having it checked | [`policy`] |
//! | every configuration key | [`config`] |
//! | your own part in signing in: hooks and events | [`signin::hooks`] |
//! | your own pages and languages | [`pages`] |
//! | mail: links, letters, your own way of sending | `mail` |
//! | both session strategies, and how a session ends | [`session`] |
//! | signing in with other sites | [`providers`], [`presets`] |
//! | reading tokens without Rocket and without a database | [`token`] |
//! | what is recorded, and how records are verified | [`audit`] |
//! | a database of your own | [`store`] |
//! | testing your application: sign in as anyone, move the clock, find a missing guard | [`testing`] |
//!
//! # Features
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `server` | yes | everything that needs a database: sign-in, the REST API, the pages |
//! | `cli` | yes | the `countersign` program |
//!
//! With `default-features = false` there are guards and tokens: [`Countersign::verifier`] in a program that has only the
//! secret.
//!
//! # Architecture
//! Imports go one way, and a test reads every one of them: `clock`, `secret`, `metrics` → `token`, `model`, `store`, `config` →
//! `audit` → `session` → `providers` → `signin` → `policy` → `guards` → `pages` → `routes` → the fairing → the service's own
//! `site`, which uses the public API only. Up to `signin` nothing knows Rocket's requests. Only one file builds cookies, only one reads them,
//! and only one turns errors into HTTP.

mod answers;
pub mod audit;
pub mod clock;
pub mod config;
mod fairing;
pub mod guards;
#[cfg(feature = "server")]
pub mod mail;
#[cfg(feature = "server")]
mod metrics;
pub mod model;
#[cfg(feature = "server")]
pub mod pages;
pub mod policy;
pub mod presets;
#[cfg(feature = "server")]
pub mod providers;
#[cfg(feature = "server")]
mod readiness;
#[cfg(feature = "server")]
mod routes;
#[cfg(feature = "server")]
pub mod sealed;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
pub mod session;
#[cfg(feature = "server")]
pub mod signin;
#[cfg(feature = "server")]
mod stopping;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod testing;
pub mod token;

#[doc(inline)]
pub use answers::SecurityHeaders;
#[doc(inline)]
pub use fairing::Countersign;
#[cfg(feature = "server")]
#[doc(inline)]
pub use guards::{Admin, Role, RoleName, Scope, ScopeName};
#[doc(inline)]
pub use guards::{CsrfForm, CsrfJson, CsrfToken, Fresh, OptionalSession, OptionalToken, Session, Token};
#[doc(inline)]
pub use model::RequestId;
#[cfg(feature = "server")]
#[doc(inline)]
pub use pages::PageContext;
#[doc(inline)]
pub use policy::Policy;
#[cfg(feature = "server")]
#[doc(inline)]
pub use readiness::Readiness;
#[cfg(feature = "server")]
#[doc(inline)]
pub use routes::error_catchers;

#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../docs/adding-a-provider.md")]
struct AddingAProvider;

#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.ko.md")]
struct ReadmeKo;
