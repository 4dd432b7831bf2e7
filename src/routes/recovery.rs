//! `GET, POST forgot-password` and `GET, POST reset-password`.

use rocket::http::Status;
use rocket::{State, get, post};
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Auth, client_of};
use crate::pages::{PageContext, Pages};
use crate::secret::Password;
use crate::session::encode_component;
use crate::signin::{AccountError, PasswordReset, ResetRequest, SignIn, SignInError};

fn sign_in(auth: &Auth) -> Result<&SignIn, Failure> {
    let sign_in = auth.sign_in.as_ref().ok_or_else(Failure::internal)?;
    if sign_in.can_reset_passwords() { Ok(sign_in) } else { Err(SignInError::NoMail.into()) }
}

#[get("/forgot-password?<sent>")]
pub(super) async fn forgot_page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    sent: Option<bool>,
) -> Answer {
    if let Err(failure) = sign_in(auth) {
        return failure.answer(sender.0).await;
    }
    let own = json!({ "sent": sent == Some(true), "errors": [], "email": "" });
    render(pages, Status::Ok, "forgot_password", &context, own)
}

/// Mails a link. The same work and the same answer, whoever has the address.
#[post("/forgot-password", data = "<form>")]
pub(super) async fn forgot(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        Err(error) => return Failure::from(&error.reason).answer(sender.0).await,
    };
    let sign_in = match sign_in(auth) {
        Ok(sign_in) => sign_in,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let request = ResetRequest {
        email: form.text("email"),
        language: context.lang(),
        client: &client_of(sender.0, &auth.config.trusted_proxies),
    };
    match sign_in.request_reset(request).await {
        Ok(()) => go_on(&form, format!("{}?sent=true", auth.config.url.base("forgot-password"))),
        Err(SignInError::Email) if !wants_json(&form) => {
            let errors = mistake(pages, &context, "email", "email_invalid");
            let typed: String = form.text("email").chars().take(320).collect();
            let own = json!({ "sent": false, "errors": errors, "email": typed });
            render(pages, Status::BadRequest, "forgot_password", &context, own)
        }
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

#[get("/reset-password?<email>&<token>")]
pub(super) async fn reset_page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    email: Option<&str>,
    token: Option<&str>,
) -> Answer {
    if let Err(failure) = sign_in(auth) {
        return failure.answer(sender.0).await;
    }
    let own = json!({ "email": email, "token": token, "errors": [] });
    render(pages, Status::Ok, "reset_password", &context, own)
}

/// Sets the password. One that breaks a rule does not use the link up.
#[post("/reset-password", data = "<form>")]
pub(super) async fn reset(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        Err(error) => return Failure::from(&error.reason).answer(sender.0).await,
    };
    let sign_in = match sign_in(auth) {
        Ok(sign_in) => sign_in,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let reset = PasswordReset {
        email: form.text("email"),
        token: form.text("token"),
        password: Password::new(form.text("password")),
        language: context.lang(),
    };
    match sign_in.reset_password(reset).await {
        Ok(()) => go_on(&form, format!("{}?notice=password_reset", auth.config.url.base("signin"))),
        Err(AccountError::NewPassword(error)) if wants_json(&form) => {
            let body = json!({
                "type": "urn:countersign:problem:form_invalid",
                "title": "The form has errors",
                "status": 400,
                "code": "form_invalid",
                "errors": mistake(pages, &context, "password", error.code()),
            });
            Answer::problem_with(Status::BadRequest, body)
        }
        Err(AccountError::NewPassword(error)) => {
            let errors = mistake(pages, &context, "password", error.code());
            let (email, token) = (form.text("email"), form.text("token"));
            let query = format!("email={}&token={}", encode_component(email), encode_component(token));
            let path = format!("{}?{query}", auth.config.url.base("reset-password"));
            let own = json!({ "email": email, "token": token, "errors": errors, "path": path });
            render(pages, Status::BadRequest, "reset_password", &context, own)
        }
        Err(AccountError::Other(error)) => Failure::from(error).answer(sender.0).await,
        Err(_) => Failure::from(SignInError::Verification).answer(sender.0).await,
    }
}

fn wants_json(form: &CheckedForm) -> bool {
    form.is_json() || form.is_script()
}

fn go_on(form: &CheckedForm, url: String) -> Answer {
    if wants_json(form) { Answer::script_redirect(Status::Ok, &url) } else { Answer::see_other(url) }
}

fn mistake(pages: &Pages, context: &PageContext, field: &str, code: &str) -> Value {
    json!([{ "field": field, "code": code, "message": pages.locales().text(context.lang(), code) }])
}
