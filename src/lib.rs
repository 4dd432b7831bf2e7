//! Countersign: sign-in, sessions and guarded routes for Rocket.

mod answers;
pub mod clock;
pub mod config;
mod fairing;
pub mod guards;
pub mod model;
#[cfg(feature = "server")]
pub mod pages;
#[cfg(feature = "server")]
pub mod providers;
#[cfg(feature = "server")]
mod routes;
pub mod secret;
#[cfg(feature = "server")]
pub mod server;
pub mod session;
#[cfg(feature = "server")]
pub mod signin;
#[cfg(feature = "server")]
pub mod store;
pub mod token;

#[doc(inline)]
pub use answers::SecurityHeaders;
#[doc(inline)]
pub use fairing::Countersign;
#[doc(inline)]
pub use guards::{CsrfForm, CsrfJson, CsrfToken, OptionalSession, OptionalToken, Session, Token};
#[cfg(feature = "server")]
#[doc(inline)]
pub use pages::PageContext;
#[cfg(feature = "server")]
#[doc(inline)]
pub use routes::error_catchers;
