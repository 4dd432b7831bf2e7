//! A JSON body that came from this site.

use rocket::data::{FromData, Outcome};
use rocket::{Data, Ignite, Request, Rocket, Sentinel};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Auth;
use super::csrf_body::{BodyKind, CsrfError, is_same_site, limit_of, read_body};
use super::csrf_token::is_vouched;

/// A JSON object whose member `csrfToken`, or a request whose header `X-CSRF-Token`, is this browser's token, sent by a
/// page of this site. There is no way to the body past the check.
#[derive(Debug)]
pub struct CsrfJson<T>(T);

impl<T> CsrfJson<T> {
    /// The body.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// The body.
    pub fn get(&self) -> &T {
        &self.0
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned> FromData<'r> for CsrfJson<T> {
    type Error = CsrfError;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match checked_json(request, data).await {
            Ok(body) => Outcome::Success(Self(body)),
            Err(error) => Outcome::Error((error.status(), error)),
        }
    }
}

impl<T> Sentinel for CsrfJson<T> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "CsrfJson")
    }
}

async fn checked_json<T: DeserializeOwned>(request: &Request<'_>, data: Data<'_>) -> Result<T, CsrfError> {
    let auth = request.rocket().state::<Auth>().ok_or(CsrfError::Csrf)?;
    if BodyKind::of(request)? != BodyKind::Json {
        return Err(CsrfError::ContentType);
    }
    let body = read_body(data, limit_of(request, BodyKind::Json)).await?;
    let body: Value = serde_json::from_str(&body).map_err(|_| CsrfError::Malformed)?;
    let in_header = request.headers().get_one("x-csrf-token");
    let token = in_header.or_else(|| body.get("csrfToken").and_then(Value::as_str));
    let vouched = token.is_some_and(|token| is_vouched(request, auth, token));
    if !vouched || !is_same_site(request, auth) {
        #[cfg(feature = "server")]
        super::trail::csrf_refused(request);
        return Err(CsrfError::Csrf);
    }
    serde_json::from_value(body).map_err(|error| CsrfError::Shape(error.to_string()))
}
