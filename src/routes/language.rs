//! `POST language`: the switch that is remembered.

use rocket::{State, post};

use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::session::Sender;
use crate::guards::{Auth, Outbox};
use crate::pages::Pages;

#[post("/language", data = "<form>")]
pub(super) async fn choose(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        Err(error) => return Failure::from(&error.reason).answer(sender.0).await,
    };
    if let Some(code) = pages.locales().find(form.text("lang")) {
        Outbox::of(sender.0).put([auth.cookies.language(code)]);
    }
    Answer::see_other(auth.redirects.choose([form.optional("returnTo")]))
}
