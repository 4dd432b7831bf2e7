//! `GET account/data`, `POST account/delete` and `POST account/password/first`: what needs a recent sign-in.

use rocket::http::Status;
use rocket::{State, get, post};

use super::account_page::{checked, done, explain, refuse};
use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::session::{Sender, delete_session_cookie};
use crate::guards::{Auth, Fresh, rotate};
use crate::pages::{PageContext, Pages};
use crate::secret::Password;

/// Everything that is stored about the person, as a file.
#[get("/account/data")]
pub(super) async fn data(sender: Sender<'_>, auth: &State<Auth>, fresh: Fresh) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(sender.0).await;
    };
    match sign_in.data_of(fresh.session().data()).await {
        Ok(data) => Answer::json(Status::Ok, &data)
            .with("Content-Disposition", "attachment; filename=\"account.json\""),
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

/// Deletes the account and signs the person out everywhere.
#[post("/account/delete", data = "<form>")]
pub(super) async fn delete(
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
    let session = fresh.session();
    if form.text("confirm") != "yes" {
        let mistake = ("confirm", "confirm_required");
        return refuse(sender.0, auth, pages, session, &context, mistake).await;
    }
    if let Err(error) = sign_in.delete_account(session.data(), context.lang()).await {
        return Failure::from(error).answer(sender.0).await;
    }
    if let Err(error) = rotate(sender.0, auth) {
        tracing::warn!(%error, "a browser keeps its CSRF pair after its account was deleted");
    }
    delete_session_cookie(sender.0, auth);
    Answer::see_other(format!("{}?notice=account_deleted", auth.config.url.base("signin")))
}

/// Sets a password for somebody who has none.
#[post("/account/password/first", data = "<form>")]
pub(super) async fn set_first_password(
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
    let (session, password) = (fresh.session(), Password::new(form.text("newPassword")));
    match sign_in.set_first_password(session.data(), &password, context.lang()).await {
        Ok(()) => done(auth, "password_set"),
        Err(error) => explain(sender.0, auth, pages, session, &context, &form, error).await,
    }
}
