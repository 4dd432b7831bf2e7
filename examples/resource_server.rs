//! A second application that trusts Countersign's tokens: it has the secret and no database.
//!
//! ```console
//! COUNTERSIGN_SECRET=… ROCKET_PORT=8001 cargo run --example resource_server --no-default-features
//! ```
//!
//! Whoever is signed in at the service sends the same cookie here (same host), or the token as `Authorization: Bearer`.

use countersign::{Countersign, OptionalToken, Token};
use rocket::serde::json::Json;

#[rocket::get("/claims")]
fn claims(token: Token) -> Json<countersign::token::Claims> {
    Json(token.claims().clone())
}

#[rocket::get("/greeting")]
fn greeting(token: OptionalToken) -> String {
    let name = token.get().and_then(|token| token.claims().name());
    format!("Hello, {}", name.unwrap_or("stranger"))
}

#[rocket::launch]
fn rocket() -> _ {
    rocket::build().attach(Countersign::verifier()).mount("/", rocket::routes![claims, greeting])
}
