//! `GET account` and the forms on it: name, password, sessions.

use rocket::{State, get, post};

use super::account_page::{Outcome, checked, done, explain, show};
use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::session::Sender;
use crate::guards::{Auth, Outbox, SentCookies, Session, client_of};
use crate::pages::{PageContext, Pages};
use crate::secret::{Password, TokenHash};
use crate::session::Found;
use crate::signin::PasswordChange;

#[get("/account?<notice>")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    session: Session,
    context: PageContext,
    notice: Option<&str>,
) -> Answer {
    // A closed list: the query chooses among our own texts.
    const NOTICES: [&str; 11] = [
        "name_saved",
        "password_changed",
        "password_set",
        "session_ended",
        "sessions_ended",
        "verification_sent",
        "email_verified",
        "email_change_sent",
        "email_changed",
        "account_unlinked",
        "last_way_in",
    ];
    let notice = NOTICES.into_iter().find(|known| Some(*known) == notice);
    let text = |known: &str| pages.locales().text(context.lang(), &format!("notice_{known}"));
    let outcome = match notice {
        Some(refusal @ "last_way_in") => Outcome { complaint: Some(text(refusal)), ..Outcome::default() },
        notice => Outcome { notice: notice.map(text), ..Outcome::default() },
    };
    show(sender.0, auth, pages, &session, &context, outcome).await
}

#[post("/account/name", data = "<form>")]
pub(super) async fn change_name(
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
        return Failure::internal().answer(sender.0).await;
    };
    match sign_in.change_name(session.data(), &presented, form.text("name")).await {
        Ok(issued) => {
            let sent = SentCookies::of(sender.0).header();
            Outbox::of(sender.0).put(auth.cookies.session(&issued.value, issued.expires_at, &sent));
            done(auth, "name_saved")
        }
        Err(error) => explain(sender.0, auth, pages, &session, &context, &form, error).await,
    }
}

#[post("/account/password", data = "<form>")]
pub(super) async fn change_password(
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
    let change = PasswordChange {
        current: Password::new(form.text("currentPassword")),
        new: Password::new(form.text("newPassword")),
        language: context.lang().to_owned(),
        client: client_of(sender.0, &auth.config.trusted_proxies),
    };
    match sign_in.change_password(session.data(), change).await {
        Ok(()) => done(auth, "password_changed"),
        Err(error) => explain(sender.0, auth, pages, &session, &context, &form, error).await,
    }
}

#[post("/account/sessions/end", data = "<form>")]
pub(super) async fn end_session(
    sender: Sender<'_>,
    auth: &State<Auth>,
    session: Session,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let id = TokenHash::from_hex(form.text("id"));
    let ended = match id {
        Some(id) => sign_in.end_session(session.data(), &id).await,
        None => Ok(false),
    };
    match ended {
        Ok(true) => done(auth, "session_ended"),
        // Somebody else's session and none at all look alike (ASVS 5.0, 8.2.2).
        Ok(false) => Failure::not_found().answer(sender.0).await,
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

#[post("/account/sessions/end-others", data = "<form>")]
pub(super) async fn end_others(
    sender: Sender<'_>,
    auth: &State<Auth>,
    session: Session,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let sign_in = match checked(auth, form) {
        Ok((_, sign_in)) => sign_in,
        Err(failure) => return failure.answer(sender.0).await,
    };
    match sign_in.end_other_sessions(session.data()).await {
        Ok(_) => done(auth, "sessions_ended"),
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}
