//! The address of an account: `POST account/email/verify`, `POST account/email`, and the pages of the links that are
//! mailed, `verify-email` and `change-email`.

use rocket::http::Status;
use rocket::{Request, State, get, post};
use serde_json::json;

use super::account_page::{checked, done, explain};
use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Auth, Fresh, Outbox, SentCookies, Session, client_of};
use crate::pages::{PageContext, Pages};
use crate::session::Found;
use crate::signin::AddressLink;

#[post("/account/email/verify", data = "<form>")]
pub(super) async fn send_verification(
    sender: Sender<'_>,
    auth: &State<Auth>,
    session: Session,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let sign_in = match checked(auth, form) {
        Ok((_, sign_in)) => sign_in,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let client = client_of(sender.0, &auth.config.trusted_proxies);
    match sign_in.send_verification(session.data(), context.lang(), &client).await {
        Ok(()) => done(auth, "verification_sent"),
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

/// Whoever is not signed in signs in first and comes back: the link alone proves an address, not an account.
#[get("/verify-email?<email>&<token>")]
pub(super) fn verify_page(
    pages: &State<Pages>,
    _session: Session,
    context: PageContext,
    email: Option<&str>,
    token: Option<&str>,
) -> Answer {
    follow(pages, &context, ("verify_email", "verify-email"), email, token)
}

#[post("/verify-email", data = "<form>")]
pub(super) async fn verify(
    sender: Sender<'_>,
    auth: &State<Auth>,
    session: Session,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    match sign_in.confirm_email(session.data(), &link_of(&form)).await {
        Ok(()) => done(auth, "email_verified"),
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

#[post("/account/email", data = "<form>")]
pub(super) async fn request_change(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    fresh: Fresh,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let (session, email) = (fresh.session(), form.text("email"));
    let client = client_of(sender.0, &auth.config.trusted_proxies);
    match sign_in.request_email_change(session.data(), email, context.lang(), &client).await {
        Ok(()) => done(auth, "email_change_sent"),
        Err(error) => explain(sender.0, auth, pages, session, &context, &form, error).await,
    }
}

#[get("/change-email?<email>&<token>")]
pub(super) fn change_page(
    pages: &State<Pages>,
    _session: Session,
    context: PageContext,
    email: Option<&str>,
    token: Option<&str>,
) -> Answer {
    follow(pages, &context, ("change_email", "change-email"), email, token)
}

#[post("/change-email", data = "<form>")]
pub(super) async fn change(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    session: Session,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let Found::Value(presented) = SentCookies::of(sender.0).session(auth) else {
        return Failure::not_found().answer(sender.0).await;
    };
    match sign_in.change_email(session.data(), &presented, &link_of(&form), context.lang()).await {
        Ok(issued) => {
            carry(sender.0, auth, &issued);
            done(auth, "email_changed")
        }
        Err(error) => explain(sender.0, auth, pages, &session, &context, &form, error).await,
    }
}

fn carry(request: &Request<'_>, auth: &Auth, issued: &crate::session::Issued) {
    let sent = SentCookies::of(request).header();
    Outbox::of(request).put(auth.cookies.session(&issued.value, issued.expires_at, &sent));
}

fn link_of(form: &CheckedForm) -> AddressLink<'_> {
    AddressLink { email: form.text("email"), token: form.text("token") }
}

/// The page of a link: it looks nothing up and uses nothing up.
fn follow(
    pages: &Pages,
    context: &PageContext,
    (purpose, action): (&str, &str),
    email: Option<&str>,
    token: Option<&str>,
) -> Answer {
    let own = json!({
        "purpose": purpose,
        "action": action,
        "email": email.unwrap_or_default(),
        "token": token.unwrap_or_default(),
        "callback_url": "",
    });
    render(pages, Status::Ok, "follow_link", context, own)
}
