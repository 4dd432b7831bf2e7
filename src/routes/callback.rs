//! `POST callback/credentials`: a sign-in by password ends here.

use rocket::http::Status;
use rocket::{Request, State, get, head, post};

use super::again;
use super::answer::Answer;
use super::callback_url;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::session::Sender;
use super::welcome::{replaced_session, welcome};
use crate::guards::{Auth, client_of};
use crate::secret::Password;
use crate::signin::{Entered, PasswordSignIn};

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
        Ok(entered) => welcome(sender.0, auth, &entered, &url, form.is_script()).await,
        Err(failure) => again::answer(sender.0, auth, failure, &form, &url).await,
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
        provider: None,
    };
    failure.answer(request).await.with("Allow", "POST")
}

async fn sign_in(request: &Request<'_>, auth: &Auth, form: &CheckedForm) -> Result<Entered, Failure> {
    let sign_in = auth.sign_in.as_ref().ok_or_else(Failure::internal)?;
    let old = replaced_session(request).await?;
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
