//! Another framework that trusts Countersign's tokens: axum, by the same cookie, without Rocket and without a database.
//!
//! ```console
//! COUNTERSIGN_SECRET=… PORT=8002 cargo run --example axum_guard --no-default-features
//! ```
//!
//! `countersign::token` knows no framework: a [`Codec`] verifies, and [`CookieHeader`] finds the cookie as safely as the
//! service does (byte-exact names, chunks put together, differing twins refused).

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use countersign::clock::{Clock as _, SystemClock, Timestamp};
use countersign::secret::{Secret, SecretRing};
use countersign::session::{CookieHeader, Found, SoughtName};
use countersign::token::{Claims, Codec, CodecOptions, Format, session_cookie_name};

/// What the service is configured with: the same format, the same secrets, http or https.
struct Verifier {
    codec: Codec,
    cookie: SoughtName,
}

impl Verifier {
    fn new(secret: &str, format: Format, secure_cookies: bool) -> Self {
        let secrets = SecretRing::new(Secret::new(secret), Vec::new());
        let options = CodecOptions {
            secrets: &secrets,
            mint: format,
            accept: &[],
            secure_cookies,
            max_age: 30 * 86_400,
        };
        Self {
            codec: Codec::new(options),
            cookie: SoughtName::new(session_cookie_name(format, secure_cookies)),
        }
    }

    /// The claims of whoever sends these headers; `None` is everybody else.
    fn claims(&self, headers: &HeaderMap, now: Timestamp) -> Option<Claims> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let cookies = CookieHeader::parse(lines);
        let bearer = || headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ");
        let token = match cookies.find_chunked(&self.cookie) {
            Found::Value(value) => value,
            Found::Absent => bearer()?.into(),
            Found::Unusable => return None,
        };
        Some(self.codec.verify(&token, now).ok()?.claims)
    }
}

/// The guard: a handler that takes it does not run for strangers.
struct SignedIn(Claims);

impl FromRequestParts<Arc<Verifier>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, verifier: &Arc<Verifier>) -> Result<Self, Response> {
        let refused = || {
            let body = Json(serde_json::json!({ "status": 401, "code": "session_missing" }));
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
        };
        verifier.claims(&parts.headers, SystemClock.now()).map(Self).ok_or_else(refused)
    }
}

async fn claims(SignedIn(claims): SignedIn) -> Json<Claims> {
    Json(claims)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verifier = Verifier::new(&std::env::var("COUNTERSIGN_SECRET")?, Format::NextAuthV3, false);
    let port: u16 = std::env::var("PORT").unwrap_or_else(|_| "8002".to_owned()).parse()?;
    let app = Router::new().route("/claims", get(claims)).with_state(Arc::new(verifier));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, app).await?)
}
