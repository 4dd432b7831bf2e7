//! `POST passkey/options` and `POST callback/passkey`: signing in by a passkey alone.

use rocket::{Request, State, post};

use super::answer::Answer;
use super::callback_url;
use super::factor::give_challenge;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::session::Sender;
use super::welcome::{replaced_session, welcome};
use crate::guards::{Auth, Outbox, SentCookies, client_of};
use crate::signin::{Entered, Entry, FactorError};

/// What a browser asks whichever passkey it has for this site.
#[post("/passkey/options", data = "<form>")]
pub(super) async fn options(
    sender: Sender<'_>,
    auth: &State<Auth>,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    if let Err(error) = form {
        return Failure::from(&error.reason).answer(sender.0).await;
    }
    let started = match &auth.sign_in {
        Some(sign_in) => sign_in.start_passkey(None),
        None => Err(FactorError::Wrong),
    };
    give_challenge(sender.0, auth, started).await
}

#[post("/callback/passkey", data = "<form>")]
pub(super) async fn sign_in(
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
    match enter(sender.0, auth, &form).await {
        Ok(entered) => {
            Outbox::of(sender.0).put(auth.cookies.delete_pending());
            welcome(sender.0, auth, &entered, &url, form.is_script()).await
        }
        Err(failure) => failure.answer_action(sender.0, site, form.is_script()).await,
    }
}

async fn enter(request: &Request<'_>, auth: &Auth, form: &CheckedForm) -> Result<Entered, Failure> {
    let sign_in = auth.sign_in.as_ref().ok_or_else(Failure::internal)?;
    let challenge = SentCookies::of(request).text(auth.cookies.challenge_name()).unwrap_or_default();
    let old = replaced_session(request).await?;
    let client = client_of(request, &auth.config.trusted_proxies);
    let entry = Entry { client: &client, replaces: old.as_deref() };
    Ok(sign_in.by_passkey(form.text("credential"), &challenge, entry).await?)
}
