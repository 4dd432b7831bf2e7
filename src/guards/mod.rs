//! What a handler may ask for.
//!
//! | guard | gives | nobody signed in | store down |
//! | --- | --- | --- | --- |
//! | [`Session`] | who is signed in | forward with 401 | error 503 |
//! | [`OptionalSession`] | who is signed in, if anybody | none | error 503 |
//! | [`Token`] | the token's claims | forward with 401 | error 503 |
//! | [`OptionalToken`] | the token's claims, if any | none | error 503 |
//! | [`Role`] | who is signed in and has a role | forward with 401; without the role, error 403 | error 503 |
//! | [`Scope`] | whose personal access token it is | forward with 401; without the scope, error 403 | error 503 |
//! | [`CsrfForm`], [`CsrfJson`] | a body whose CSRF token was checked | | |
//! | [`CsrfToken`] | the token a form must repeat | | |
//! | [`&RequestId`](crate::RequestId) | the request's name | | |
//!
//! Any number of them in a signature costs one look-up per request. Forgetting the fairing refuses the launch with the
//! line to add.
//!
//! # Why `OptionalSession` and not `Option<Session>`
//! Rocket turns every failure of a guard into `None`, so with `Option<Session>` a store that is down looks like a person
//! who is signed out. [`OptionalSession`] is none only for the latter.
//!
//! # The typed reason
//! A guard's error never reaches a catcher in Rocket. An application with catchers of its own reads it with
//! [`failure_of`]:
//!
//! ```
//! use countersign::guards::failure_of;
//! use rocket::{Request, catch};
//!
//! #[catch(401)]
//! fn unauthorized(request: &Request<'_>) -> String {
//!     let code = failure_of(request).map_or("unknown", |reason| reason.code());
//!     format!("Please sign in ({code}).")
//! }
//! ```

mod auth;
mod client;
mod csrf_body;
mod csrf_form;
mod csrf_json;
mod csrf_token;
mod fresh;
mod lookup;
mod noted;
mod optional_session;
mod outbox;
mod request;
#[cfg(feature = "server")]
mod role;
#[cfg(feature = "server")]
mod scope;
mod sent;
mod session;
mod token;
#[cfg(feature = "server")]
pub(crate) mod trail;

pub use auth::Auth;
#[cfg(feature = "server")]
pub(crate) use client::client_of;
pub use csrf_body::CsrfError;
#[cfg(feature = "server")]
pub(crate) use csrf_body::{BodyKind, is_same_site, limit_of, read_body};
pub use csrf_form::CsrfForm;
pub use csrf_json::CsrfJson;
pub use csrf_token::CsrfToken;
#[cfg(feature = "server")]
pub(crate) use csrf_token::{ensure_cookie, is_vouched, rotate};
pub use fresh::{Fresh, FreshError, is_stale};
pub use lookup::failure_of;
#[cfg(feature = "server")]
pub(crate) use lookup::{lookup, recall};
pub(crate) use noted::Noted;
pub use optional_session::OptionalSession;
pub(crate) use outbox::Outbox;
pub(crate) use request::context_of;
#[cfg(feature = "server")]
pub use role::{Admin, Role, RoleError, RoleName};
#[cfg(feature = "server")]
pub use scope::{Scope, ScopeError, ScopeName};
pub(crate) use sent::SentCookies;
pub use session::Session;
pub use token::{OptionalToken, Token};
