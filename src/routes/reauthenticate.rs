//! `GET reauthenticate`: proving again who one is, and going on where one was.
//!
//! A proof is a sign-in like any other: by password, by link, by whatever else is configured. It replaces the session of
//! this browser by a fresh one (ASVS 5.0, 7.2.4).

use rocket::http::Status;
use rocket::{Request, State, get};
use serde_json::json;

use super::answer::Answer;
use super::callback_url::CallbackUrl;
use super::failure::Failure;
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Auth, Session};
use crate::model::Email;
use crate::pages::{PageContext, Pages};
use crate::session::encode_component;

#[get("/reauthenticate")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    session: Session,
    context: PageContext,
    callback_url: CallbackUrl,
) -> Answer {
    show(sender.0, auth, pages, &session, &context, &callback_url.0, None).await
}

/// The page, or the page again with what went wrong.
pub(super) async fn show(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    callback_url: &str,
    wrong: Option<String>,
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(request).await;
    };
    let email = session.email().and_then(|email| Email::parse(email).ok());
    let has_password = match &email {
        Some(email) if auth.config.credentials.is_some() => sign_in.has_password(email).await,
        _ => Ok(false),
    };
    let has_password = match has_password {
        Ok(has_password) => has_password,
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let status = if wrong.is_some() { Status::Unauthorized } else { Status::Ok };
    let errors: Vec<_> =
        wrong.iter().map(|message| json!({ "field": "password", "message": message })).collect();
    let path =
        format!("{}?callbackUrl={}", auth.config.url.base("reauthenticate"), encode_component(callback_url));
    let own = json!({
        "callback_url": callback_url,
        "errors": errors,
        "path": path,
        "email": session.email(),
        "has_password": has_password,
        "by_email": email.is_some() && sign_in.signs_in_by_email(),
    });
    render(pages, status, "reauthenticate", context, own)
}
