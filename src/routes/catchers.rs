//! What guards refuse, answered by what the client asked for.

use rocket::http::{Method, Status};
use rocket::{Catcher, Request, catch};

use super::answer::Answer;
use super::failure::Failure;
use super::medium::prefers_html;
use super::reauthenticate;
use crate::guards::{Auth, failure_of, is_stale, trail};
use crate::session::{SessionError, encode_component};

/// For 401, 403 and 503.
pub(super) fn catchers() -> Vec<Catcher> {
    rocket::catchers![unauthorized, forbidden, unavailable]
}

/// A browser goes to the sign-in page and comes back afterwards; everybody else gets a problem document.
#[catch(401)]
fn unauthorized(request: &Request<'_>) -> Answer {
    let reason = failure_of(request).unwrap_or(SessionError::Missing);
    trail::session_refused(request, reason);
    match request.rocket().state::<Auth>() {
        Some(auth) if prefers_html(request) => Answer::see_other(sign_in_url(request, auth)),
        _ => Answer::problem(Status::Unauthorized, reason.code(), Some(&reason.to_string()))
            .with("WWW-Authenticate", challenge(reason)),
    }
}

/// Who signed in too long ago proves again who they are and goes on; everybody else may not.
#[catch(403)]
async fn forbidden(request: &Request<'_>) -> Answer {
    if is_stale(request) {
        return match request.rocket().state::<Auth>() {
            Some(auth) if prefers_html(request) => {
                Answer::see_other(reauthenticate::url_after(request, auth, None))
            }
            _ => Answer::problem(
                Status::Forbidden,
                "reauthentication_required",
                Some("this needs a recent sign-in"),
            ),
        };
    }
    let failure = Failure {
        status: Status::Forbidden,
        code: "forbidden",
        error: "AccessDenied",
        retry_after: None,
        location: None,
        provider: None,
    };
    failure.answer(request).await
}

#[catch(503)]
async fn unavailable(request: &Request<'_>) -> Answer {
    Failure::unavailable().answer(request).await
}

/// Every other failure of an application: a page for a browser, a problem document for a program.
#[catch(default)]
async fn any(status: Status, request: &Request<'_>) -> Answer {
    let code = match status.code {
        400 => "bad_request",
        404 => "not_found",
        405 => "method_not_allowed",
        413 => "body_too_large",
        415 => "content_type",
        422 => "body_shape",
        429 => "rate_limited",
        500 => "internal_error",
        _ => "error",
    };
    let error = if status == Status::NotFound { "NotFound" } else { "default" };
    Failure { status, code, error, retry_after: None, location: None, provider: None }.answer(request).await
}

/// The catcher of [`any`] failure.
pub(super) fn default_catchers() -> Vec<Catcher> {
    rocket::catchers![any]
}

/// Only a page that can be visited again is worth coming back to.
fn sign_in_url(request: &Request<'_>, auth: &Auth) -> String {
    let site = &auth.config.url;
    let wanted = match request.method() {
        Method::Get | Method::Head => format!("{}{}", site.origin, request.uri()),
        _ => site.origin.clone(),
    };
    let page = match &auth.config.pages.sign_in {
        Some(own) => format!("{}{own}", site.origin),
        None => site.base("signin"),
    };
    let mark = if page.contains('?') { '&' } else { '?' };
    format!("{page}{mark}callbackUrl={}", encode_component(&wanted))
}

/// RFC 6750 section 3: an error code only when there was a credential.
fn challenge(reason: SessionError) -> &'static str {
    if reason == SessionError::Missing { "Bearer" } else { "Bearer error=\"invalid_token\"" }
}
