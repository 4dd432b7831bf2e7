//! A form of ours that was refused, shown again.
//!
//! The protocol answers a wrong password by a redirect, and what was typed is lost on the way. A page of ours says in its field
//! `page` which one it is: then that page itself is the answer, with the reason and with the address kept. Whoever does not
//! send the field is redirected.

use rocket::Request;
use rocket::request::FromRequest as _;
use serde_json::json;

use super::answer::Answer;
use super::failure::Failure;
use super::form::CheckedForm;
use super::{reauthenticate, signin};
use crate::guards::{Auth, Session};
use crate::pages::{PageContext, Pages};

/// Answers a sign-in that was refused.
pub(super) async fn answer(
    request: &Request<'_>,
    auth: &Auth,
    failure: Failure,
    form: &CheckedForm,
    callback_url: &str,
) -> Answer {
    let own = !form.is_script() && !form.is_json() && auth.config.pages.sign_in.is_none();
    let correctable = matches!(failure.error, "CredentialsSignin" | "EmailSignin");
    let pages = request.rocket().state::<Pages>().filter(|_| own && correctable);
    let page = match form.optional("page").zip(pages) {
        Some(("signin", pages)) => sign_in_page(request, auth, pages, &failure, form, callback_url).await,
        Some(("reauthenticate", pages)) => reauthentication_page(request, auth, pages, callback_url).await,
        _ => None,
    };
    match page {
        Some(page) => page,
        None => failure.answer_action(request, &auth.config.url, form.is_script()).await,
    }
}

async fn sign_in_page(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    failure: &Failure,
    form: &CheckedForm,
    callback_url: &str,
) -> Option<Answer> {
    let context = PageContext::from_request(request).await.succeeded()?;
    let text = |key: &str| pages.locales().text(context.lang(), key);
    let errors = match failure.error {
        "EmailSignin" => json!([{ "field": "email", "message": text("email_invalid") }]),
        _ => json!([]),
    };
    let said = json!({
        "callback_url": callback_url,
        "error": pages.locales().error_text(context.lang(), failure.error),
        "errors": errors,
        "email": form.text("email").chars().take(320).collect::<String>(),
        "path": auth.config.url.base("signin"),
    });
    Some(signin::show(auth, pages, &context, failure.status, said))
}

async fn reauthentication_page(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    callback_url: &str,
) -> Option<Answer> {
    let session = Session::from_request(request).await.succeeded()?;
    let context = PageContext::from_request(request).await.succeeded()?;
    let error = pages.locales().text(context.lang(), "password_wrong");
    Some(reauthenticate::show(request, auth, pages, &session, &context, callback_url, Some(error)).await)
}
