//! The token that forms repeat.

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};

use super::{Auth, Outbox, SentCookies};
use crate::secret::{EntropyError, same_text};
use crate::session::{CsrfPair, Found};

/// The CSRF token of this browser, to be put into a form's hidden field `csrfToken`.
///
/// A browser without one gets one: the cookie is set with the answer.
#[derive(Debug, Clone)]
pub struct CsrfToken(CsrfPair);

impl CsrfToken {
    /// 64 hexadecimal digits.
    #[must_use]
    pub fn value(&self) -> &str {
        self.0.token()
    }
}

/// The pair of this request, made once.
struct Pair(Result<CsrfPair, EntropyError>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for CsrfToken {
    type Error = EntropyError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, EntropyError> {
        let Some(auth) = request.rocket().state::<Auth>() else {
            return Outcome::Error((Status::InternalServerError, EntropyError));
        };
        match pair_of(request, auth) {
            Ok(pair) => Outcome::Success(Self(pair.clone())),
            Err(error) => Outcome::Error((Status::ServiceUnavailable, error)),
        }
    }
}

impl Sentinel for CsrfToken {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "CsrfToken")
    }
}

/// The pair of this browser; one without gets one with the answer.
fn pair_of<'r>(request: &'r Request<'_>, auth: &Auth) -> Result<&'r CsrfPair, EntropyError> {
    let pair = request.local_cache(|| {
        let send = |pair: &CsrfPair| Outbox::of(request).put([auth.cookies.csrf(pair.cookie())]);
        Pair(match sent_pair(request, auth) {
            Some(pair) if pair.is_vouched_anew() => Ok(pair).inspect(send),
            Some(pair) => Ok(pair),
            None => auth.csrf.generate().inspect(send),
        })
    });
    pair.0.as_ref().map_err(|error| *error)
}

/// Sees to it that this browser has a CSRF cookie once it is answered, where nobody asks what stands in it.
#[cfg(feature = "server")]
pub(crate) fn ensure_cookie(
    request: &Request<'_>,
    auth: &Auth,
    sent: &SentCookies<'_>,
) -> Result<(), EntropyError> {
    match sent.find_sought(auth.cookies.sought_csrf()) {
        Found::Value(value) if auth.csrf.is_up_to_date(&value) => Ok(()),
        _ => pair_of(request, auth).map(drop),
    }
}

/// The pair this browser sent, if we vouch for it.
fn sent_pair(request: &Request<'_>, auth: &Auth) -> Option<CsrfPair> {
    match SentCookies::of(request).find_sought(auth.cookies.sought_csrf()) {
        Found::Value(value) => auth.csrf.read(&value),
        Found::Absent | Found::Unusable => None,
    }
}

/// Whether a form's token is the one of this browser's cookie, and the cookie is ours.
pub(crate) fn is_vouched(request: &Request<'_>, auth: &Auth, token: &str) -> bool {
    sent_pair(request, auth).is_some_and(|pair| same_text(pair.token(), token))
}

/// Gives the browser a fresh pair: at sign-in and sign-out, so that no token outlives the session it was fetched in.
#[cfg(feature = "server")]
pub(crate) fn rotate(request: &Request<'_>, auth: &Auth) -> Result<(), EntropyError> {
    let pair = auth.csrf.generate()?;
    Outbox::of(request).put([auth.cookies.csrf(pair.cookie())]);
    Ok(())
}
