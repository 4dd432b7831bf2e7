//! `GET factor` and `POST factor`: the second proof of a sign-in, and `POST factor/options` for a passkey as that proof.

use rocket::http::Status;
use rocket::{Request, State, get, post};
use serde_json::json;

use super::answer::Answer;
use super::callback_url::{self, CallbackUrl};
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use super::welcome::{replaced_session, welcome};
use crate::guards::{Auth, Outbox, SentCookies, client_of};
use crate::pages::{PageContext, Pages};
use crate::session::encode_component;
use crate::signin::{CHALLENGE_AGE, Entered, Entry, FactorError, SecondFactors, SecondProof, SignIn};

#[get("/factor")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    callback_url: CallbackUrl,
) -> Answer {
    show(sender.0, auth, pages, &context, &callback_url.0, None).await
}

#[post("/factor", data = "<form>")]
pub(super) async fn prove(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        Err(error) => {
            let failure = Failure::from(&error.reason);
            return failure.answer_action(sender.0, &auth.config.url, error.script).await;
        }
    };
    let url = callback_url::choose(sender.0, auth, form.optional("callbackUrl"));
    match finish(sender.0, auth, context.lang(), &form).await {
        Ok(entered) => {
            Outbox::of(sender.0).put(auth.cookies.delete_pending());
            welcome(sender.0, auth, &entered, &url, form.is_script()).await
        }
        Err(Stop::Factor(FactorError::Wrong)) if !form.is_script() => {
            show(sender.0, auth, pages, &context, &url, Some("error_SecondFactor")).await
        }
        Err(Stop::Factor(FactorError::Expired)) => start_again(auth, &url, form.is_script()),
        Err(Stop::Factor(error)) => {
            Failure::from(error).answer_action(sender.0, &auth.config.url, form.is_script()).await
        }
        Err(Stop::Other(failure)) => {
            failure.answer_action(sender.0, &auth.config.url, form.is_script()).await
        }
    }
}

/// What a browser asks a passkey, as the second proof.
#[post("/factor/options", data = "<form>")]
pub(super) async fn options(
    sender: Sender<'_>,
    auth: &State<Auth>,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    if let Err(error) = form {
        return Failure::from(&error.reason).answer(sender.0).await;
    }
    let started = match (&auth.sign_in, SentCookies::of(sender.0).text(auth.cookies.pending_name())) {
        (Some(sign_in), Some(pending)) => sign_in.start_passkey(Some(&pending)),
        _ => Err(FactorError::Expired),
    };
    give_challenge(sender.0, auth, started).await
}

/// Hands a challenge out: the options as JSON, the sealed challenge as a cookie.
pub(super) async fn give_challenge(
    request: &Request<'_>,
    auth: &Auth,
    started: Result<(serde_json::Value, String), FactorError>,
) -> Answer {
    match started {
        Ok((options, challenge)) => {
            Outbox::of(request).put([auth.cookies.challenge(&challenge, CHALLENGE_AGE)]);
            Answer::json(Status::Ok, &options)
        }
        Err(error) => Failure::from(error).answer(request).await,
    }
}

enum Stop {
    Factor(FactorError),
    Other(Failure),
}

async fn finish(
    request: &Request<'_>,
    auth: &Auth,
    language: &str,
    form: &CheckedForm,
) -> Result<Entered, Stop> {
    let sign_in = auth.sign_in.as_ref().ok_or_else(|| Stop::Other(Failure::internal()))?;
    let pending = SentCookies::of(request).text(auth.cookies.pending_name());
    let pending = pending.ok_or(Stop::Factor(FactorError::Expired))?;
    let challenge = SentCookies::of(request).text(auth.cookies.challenge_name());
    let proof = match (form.optional("credential").filter(|answer| !answer.is_empty()), &challenge) {
        (Some(answer), Some(challenge)) => SecondProof::Passkey { answer, challenge },
        (Some(_), None) => return Err(Stop::Factor(FactorError::Wrong)),
        (None, _) => SecondProof::Code(form.text("code")),
    };
    let old = replaced_session(request).await.map_err(Stop::Other)?;
    let client = client_of(request, &auth.config.trusted_proxies);
    let entry = Entry { client: &client, replaces: old.as_deref() };
    let issued = sign_in.by_second_factor(&pending, proof, entry, language).await;
    let issued = issued.map_err(Stop::Factor)?;
    Ok(Entered::Session(Box::new(issued)))
}

async fn show(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    context: &PageContext,
    callback_url: &str,
    error: Option<&str>,
) -> Answer {
    let found = match (&auth.sign_in, SentCookies::of(request).text(auth.cookies.pending_name())) {
        (Some(sign_in), Some(pending)) => sign_in.pending_factors(&pending).await,
        _ => Err(FactorError::Expired),
    };
    let found = match found {
        Ok(found) => found,
        Err(FactorError::Expired) => return start_again(auth, callback_url, false),
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let offered = auth.sign_in.as_ref().and_then(SignIn::second_factors);
    let error = error.map(|key| pages.locales().text(context.lang(), key));
    let errors: Vec<_> = error.iter().map(|text| json!({ "field": "code", "message": text })).collect();
    let own = json!({
        "callback_url": callback_url,
        "error": error,
        "errors": errors,
        "has_totp": found.totp.is_some(),
        "has_codes": found.recovery_codes > 0,
        "has_passkeys": !found.passkeys.is_empty() && offered.is_some_and(SecondFactors::offers_passkeys),
    });
    let status = if error.is_some() { Status::Unauthorized } else { Status::Ok };
    render(pages, status, "factor", context, own)
}

/// A sign-in that waited for too long begins anew.
fn start_again(auth: &Auth, callback_url: &str, script: bool) -> Answer {
    let wanted = encode_component(callback_url);
    let url = format!("{}?error=SignInExpired&callbackUrl={wanted}", auth.config.url.base("signin"));
    if script { Answer::script_redirect(Status::Unauthorized, &url) } else { Answer::redirect(url) }
}
