//! `POST callback/credentials`: a sign-in by password ends here.

use rocket::http::Status;
use rocket::{Request, State, get, head, post};

use super::answer::Answer;
use super::callback_url;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::session::Sender;
use crate::guards::{Auth, Outbox, client_of, cookie_header, lookup, rotate};
use crate::secret::Password;
use crate::session::{Carrier, CookieHeader, Issued, SessionError};
use crate::signin::PasswordSignIn;

#[post("/callback/credentials", data = "<form>")]
pub(super) async fn credentials(
    sender: Sender<'_>,
    auth: &State<Auth>,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let site = &auth.config.url;
    let form = match form {
        Ok(form) => form,
        Err(error) => {
            return Failure::from(&error.reason).answer_action(sender.0, site, error.script).await;
        }
    };
    let url = callback_url::choose(sender.0, auth, form.optional("callbackUrl"));
    match sign_in(sender.0, auth, &form).await {
        Ok(issued) => welcome(sender.0, auth, &issued, &url, form.is_script()).await,
        Err(failure) => failure.answer_action(sender.0, site, form.is_script()).await,
    }
}

/// A password is never taken from a URL.
#[get("/callback/credentials")]
pub(super) async fn credentials_get(sender: Sender<'_>) -> Answer {
    method_not_allowed(sender.0).await
}

/// Rocket would answer HEAD by the GET handler.
#[head("/callback/credentials")]
pub(super) fn credentials_head() -> Answer {
    Answer::empty(Status::MethodNotAllowed).with("Allow", "POST")
}

async fn method_not_allowed(request: &Request<'_>) -> Answer {
    let failure = Failure {
        status: Status::MethodNotAllowed,
        code: "method_not_allowed",
        error: "default",
        retry_after: None,
        location: None,
    };
    failure.answer(request).await.with("Allow", "POST")
}

async fn sign_in(request: &Request<'_>, auth: &Auth, form: &CheckedForm) -> Result<Issued, Failure> {
    let sign_in = auth.sign_in.as_ref().ok_or_else(Failure::internal)?;
    // The browser's old session ends with the new sign-in; whether it has one must be known.
    let old = match lookup(request).await {
        Ok(session) if session.carrier == Carrier::Cookie => Some(session),
        Err(SessionError::Unavailable) => return Err(Failure::unavailable()),
        _ => None,
    };
    // NextAuth's own examples call the field `username`.
    let email = form.optional("email").unwrap_or_else(|| form.text("username"));
    let attempt = PasswordSignIn {
        email,
        password: Password::new(form.text("password")),
        client: client_of(request, &auth.config.trusted_proxies),
        replaces: old.as_deref(),
    };
    Ok(sign_in.by_password(attempt).await?)
}

async fn welcome(request: &Request<'_>, auth: &Auth, issued: &Issued, url: &str, script: bool) -> Answer {
    if let Err(error) = rotate(request, auth) {
        tracing::error!(%error, "a sign-in could not be finished");
        return Failure::internal().answer(request).await;
    }
    let sent = cookie_header(request).unwrap_or_else(|| CookieHeader::parse([]));
    Outbox::of(request).put(auth.cookies.session(&issued.value, issued.expires_at, &sent));
    if script { Answer::script_redirect(Status::Ok, url) } else { Answer::redirect(url.to_owned()) }
}
