//! `GET signout` and `POST signout`.

use rocket::http::Status;
use rocket::{Request, State, get, post};
use serde_json::json;

use super::answer::Answer;
use super::callback_url::{self, CallbackUrl};
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::{Sender, delete_session_cookie};
use crate::guards::{Auth, CsrfError, Outbox, lookup, rotate};
use crate::pages::{PageContext, Pages};

#[get("/signout")]
pub(super) fn page(
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    callback_url: CallbackUrl,
) -> Answer {
    if let Some(own) = &auth.config.pages.sign_out {
        return Answer::redirect(format!("{}{own}", auth.config.url.origin));
    }
    render(pages, Status::Ok, "sign_out", &context, json!({ "callback_url": callback_url.0 }))
}

/// Ends the session for good and clears the cookie; without a session, clears the cookie.
#[post("/signout", data = "<form>")]
pub(super) async fn sign_out(
    sender: Sender<'_>,
    auth: &State<Auth>,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let site = &auth.config.url;
    let form = match form {
        Ok(form) => form,
        Err(error) => {
            let page = format!("{}?csrf=true", site.base("signout"));
            let location = (error.reason == CsrfError::Csrf).then_some(page);
            let failure = Failure { location, ..Failure::from(&error.reason) };
            return failure.answer_action(sender.0, site, error.script).await;
        }
    };
    // Chosen first: a hook of the host's has its word in it, and might fail.
    let url = callback_url::choose(sender.0, auth, form.optional("callbackUrl"));
    if let Err(failure) = end(sender.0, auth).await {
        return failure.answer_action(sender.0, site, form.is_script()).await;
    }
    if form.is_script() { Answer::script_redirect(Status::Ok, &url) } else { Answer::redirect(url) }
}

async fn end(request: &Request<'_>, auth: &Auth) -> Result<(), Failure> {
    let sign_in = auth.sign_in.as_ref().ok_or_else(Failure::internal)?;
    match lookup(request).await {
        Ok(session) => sign_in.sign_out(&session).await?,
        Err(reason) => Failure::unless_verdict(reason).map_or(Ok(()), Err)?,
    }
    rotate(request, auth).map_err(|error| {
        tracing::error!(%error, "a sign-out could not be finished");
        Failure::internal()
    })?;
    delete_session_cookie(request, auth);
    // Nor is a sign-in left that waits for its second proof, or a code that was mailed for this browser.
    Outbox::of(request).put(auth.cookies.delete_pending());
    Outbox::of(request).put([auth.cookies.delete_mailed_code()]);
    Ok(())
}
