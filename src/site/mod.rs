//! The service: the pages and API routes that show what Countersign does.
//!
//! It is written against the crate's public API only, so it is also an example of a Rocket application that uses it.

mod api;
mod pages;
pub(crate) mod templates;
#[cfg(test)]
mod tests;

use std::io::Write as _;

use countersign::config::{Config, ConfigErrors};
use countersign::{Countersign, Policy, SecurityHeaders};
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::{Build, Rocket, routes};

/// The service, ready to be launched.
pub(crate) fn rocket(figment: Figment) -> Rocket<Build> {
    rocket::custom(figment)
        .attach(Countersign::fairing().templates(templates::embedded()))
        .attach(SecurityHeaders)
        .attach(AdHoc::on_liftoff("Welcome", |rocket| Box::pin(async move { welcome(rocket) })))
        .mount(
            "/",
            Policy::Public.routes(routes![
                pages::home,
                pages::server_side_example,
                pages::client_side_example,
                pages::script,
                api::healthz,
                api::readyz,
            ]),
        )
        .mount("/", Policy::Session.routes(routes![pages::protected, api::get_session_example]))
        .mount("/", Policy::Token.routes(routes![api::get_token_example]))
        .register("/", countersign::error_catchers())
}

/// The configuration as the service reads it: Rocket.toml and the environment.
pub(crate) fn figment() -> Figment {
    rocket::Config::figment()
}

/// The checked configuration.
pub(crate) fn config(figment: &Figment) -> Result<Config, ConfigErrors> {
    Config::from_figment(figment)
}

/// Tells a person which address to open. Nobody may be listening: that is no reason to stop.
fn welcome(rocket: &Rocket<rocket::Orbit>) {
    if let Ok(config) = config(rocket.figment()) {
        writeln!(std::io::stdout(), "Countersign is ready: open {}", config.url.origin).ok();
    }
}
