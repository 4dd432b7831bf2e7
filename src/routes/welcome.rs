//! What every way of signing in shares, whoever vouched for the person.

use std::sync::Arc;

use rocket::Request;
use rocket::http::Status;

use super::answer::Answer;
use super::failure::Failure;
use crate::guards::{Auth, Outbox, SentCookies, lookup, rotate};
use crate::session::{Carrier, SessionData};
use crate::signin::{Entered, PENDING_AGE};

/// The browser's old session, which ends with a new sign-in; whether it has one must be known.
pub(super) async fn replaced_session(request: &Request<'_>) -> Result<Option<Arc<SessionData>>, Failure> {
    match lookup(request).await {
        Ok(session) if session.carrier == Carrier::Cookie => Ok(Some(session)),
        Ok(_) => Ok(None),
        Err(reason) => Failure::unless_verdict(reason).map_or(Ok(None), Err),
    }
}

/// The end of every sign-in: a fresh CSRF pair, the session cookie, and on to where the person wanted to go.
pub(super) async fn welcome(
    request: &Request<'_>,
    auth: &Auth,
    entered: &Entered,
    url: &str,
    script: bool,
) -> Answer {
    let issued = match entered {
        Entered::Session(issued) => issued,
        Entered::SecondFactor(pending) => return ask_second_factor(request, auth, pending, url, script),
    };
    if let Err(error) = rotate(request, auth) {
        tracing::error!(%error, "a sign-in could not be finished");
        return Failure::internal().answer(request).await;
    }
    let sent = SentCookies::of(request).header();
    Outbox::of(request).put(auth.cookies.session(&issued.value, issued.expires_at, &sent));
    if script { Answer::script_redirect(Status::Ok, url) } else { Answer::redirect(url.to_owned()) }
}

/// The browser keeps the pending sign-in and goes to the page that asks for the second proof. Where the person wanted to go is
/// remembered by the callback URL's cookie, as always.
fn ask_second_factor(request: &Request<'_>, auth: &Auth, pending: &str, url: &str, script: bool) -> Answer {
    Outbox::of(request).put([auth.cookies.pending(pending, PENDING_AGE), auth.cookies.callback_url(url)]);
    let page = auth.config.url.base("factor");
    if script { Answer::script_redirect(Status::Ok, &page) } else { Answer::redirect(page) }
}
