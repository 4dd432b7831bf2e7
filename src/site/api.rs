//! The API routes of the contract.

use countersign::{Readiness, Session, Token};
use rocket::get;
use rocket::http::Status;
use rocket::serde::json::{Json, Value, json};

/// The session as JSON; 401 before this runs when nobody is signed in.
#[get("/api/get-session-example")]
pub(crate) fn get_session_example(session: Session) -> Json<Value> {
    Json(json!({
        "user": { "name": session.name(), "email": session.email(), "image": session.image() },
        "expires": session.expires_at().to_iso(),
    }))
}

/// The token's claims as JSON, by cookie or `Authorization: Bearer`.
#[get("/api/get-token-example")]
pub(crate) fn get_token_example(token: Token) -> Json<Value> {
    Json(json!(token.claims()))
}

/// Whether the process answers at all.
#[get("/healthz")]
pub(crate) fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Whether the process can do its work now: the store answers and has this program's schema, and nobody told it to stop.
#[get("/readyz")]
pub(crate) fn readyz(readiness: Readiness) -> (Status, Json<Value>) {
    (readiness.status(), Json(json!({ "status": readiness.as_str() })))
}
