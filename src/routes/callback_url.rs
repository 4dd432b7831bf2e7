//! Where to go after signing in or out, and the cookie that remembers it.

use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};

use crate::guards::{Auth, Outbox, SentCookies};
use crate::session::Found;

/// The validated callback URL of a GET: query, else cookie, else the site's origin. A change is remembered by cookie.
pub(super) struct CallbackUrl(pub(super) String);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for CallbackUrl {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match request.rocket().state::<Auth>() {
            Some(auth) => Outcome::Success(Self(choose(request, auth, None))),
            None => Outcome::Error((Status::InternalServerError, ())),
        }
    }
}

/// Remembers the callback URL of a GET that leads nowhere by itself.
pub(super) fn remember(request: &Request<'_>, auth: &Auth, sent: &SentCookies<'_>) {
    choose_of(request, auth, sent, None);
}

/// The validated callback URL: the body's, else the query's, else the cookie's, else the site's origin. A value that is
/// not allowed is dropped, never an error, and never stays in the cookie.
pub(super) fn choose(request: &Request<'_>, auth: &Auth, body: Option<&str>) -> String {
    choose_of(request, auth, &SentCookies::of(request), body)
}

fn choose_of(request: &Request<'_>, auth: &Auth, sent: &SentCookies<'_>, body: Option<&str>) -> String {
    let query = request.query_value::<&str>("callbackUrl").and_then(Result::ok);
    let found = sent.find_sought(auth.cookies.sought_callback_url());
    let cookie = match &found {
        Found::Value(url) => Some(url.as_ref()),
        Found::Absent | Found::Unusable => None,
    };
    let mut url = auth.redirects.choose([body, query, cookie]);
    if let Some(sign_in) = &auth.sign_in {
        // The host's word is validated like everybody's.
        if let Some(own) = sign_in.hooks().redirect(&url).and_then(|own| auth.redirects.resolve(&own)) {
            url = own;
        }
    }
    if cookie != Some(url.as_str()) {
        Outbox::of(request).put([auth.cookies.callback_url(&url)]);
    }
    url
}
