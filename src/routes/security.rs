//! `GET account/security` and the forms on it: time-based codes, recovery codes, passkeys.

use rocket::http::Status;
use rocket::{Request, State, get, post};
use serde_json::{Value, json};

use super::answer::Answer;
use super::factor::give_challenge;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::medium::prefers_html;
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Auth, Fresh, Outbox, SentCookies, Session};
use crate::model::PasskeyRecord;
use crate::pages::{PageContext, Pages};
use crate::secret::TokenHash;
use crate::signin::{FactorError, SecondFactors, SignIn};

#[get("/account/security?<notice>")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    fresh: Fresh,
    context: PageContext,
    notice: Option<&str>,
) -> Answer {
    const NOTICES: [&str; 3] = ["totp_off", "passkey_added", "passkey_removed"];
    let notice = NOTICES.iter().find(|known| Some(**known) == notice);
    let notice = notice.map(|known| pages.locales().text(context.lang(), &format!("notice_{known}")));
    show(sender.0, auth, pages, fresh.session(), &context, (Status::Ok, json!({ "notice": notice }))).await
}

/// A secret as a picture and as text; the first code that the app shows for it switches it on.
#[get("/account/security/totp")]
pub(super) async fn totp_page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    fresh: Fresh,
    context: PageContext,
) -> Answer {
    totp_setup(sender.0, auth, pages, fresh.session(), &context, None).await
}

#[post("/account/security/totp", data = "<form>")]
pub(super) async fn enable_totp(
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
    let (secret, code) = (form.text("secret"), form.text("code"));
    match sign_in.enable_totp(fresh.session().data(), secret, code, context.lang()).await {
        Ok(codes) => show_codes(pages, &context, &codes),
        Err(FactorError::Wrong | FactorError::Expired) => {
            totp_setup(sender.0, auth, pages, fresh.session(), &context, Some(form.text("secret"))).await
        }
        Err(error) => refuse(sender.0, auth, pages, fresh.session(), &context, error).await,
    }
}

#[post("/account/security/totp/disable", data = "<form>")]
pub(super) async fn disable_totp(
    sender: Sender<'_>,
    auth: &State<Auth>,
    fresh: Fresh,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let sign_in = match checked(auth, form) {
        Ok((_, sign_in)) => sign_in,
        Err(failure) => return failure.answer(sender.0).await,
    };
    match sign_in.disable_totp(fresh.session().data(), context.lang()).await {
        Ok(()) => done(auth, "totp_off"),
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

#[post("/account/security/recovery-codes", data = "<form>")]
pub(super) async fn renew_codes(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    fresh: Fresh,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let sign_in = match checked(auth, form) {
        Ok((_, sign_in)) => sign_in,
        Err(failure) => return failure.answer(sender.0).await,
    };
    match sign_in.renew_recovery_codes(fresh.session().data(), context.lang()).await {
        Ok(codes) => show_codes(pages, &context, &codes),
        Err(error) => refuse(sender.0, auth, pages, fresh.session(), &context, error).await,
    }
}

/// What a browser asks a new passkey.
#[post("/account/security/passkeys/options", data = "<form>")]
pub(super) async fn passkey_options(
    sender: Sender<'_>,
    auth: &State<Auth>,
    fresh: Fresh,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let sign_in = match checked(auth, form) {
        Ok((_, sign_in)) => sign_in,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let started = sign_in.start_adding_passkey(fresh.session().data()).await;
    give_challenge(sender.0, auth, started).await
}

#[post("/account/security/passkeys", data = "<form>")]
pub(super) async fn add_passkey(
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
    let challenge = SentCookies::of(sender.0).text(auth.cookies.challenge_name()).unwrap_or_default();
    let (answer, name) = (form.text("credential"), form.text("name"));
    let session = fresh.session();
    match sign_in.add_passkey(session.data(), answer, &challenge, name, context.lang()).await {
        Ok(codes) => {
            Outbox::of(sender.0).put(auth.cookies.delete_pending());
            if codes.is_empty() { done(auth, "passkey_added") } else { show_codes(pages, &context, &codes) }
        }
        Err(FactorError::Wrong | FactorError::Expired) => {
            let error = pages.locales().text(context.lang(), "error_passkey_refused");
            let own = (Status::BadRequest, json!({ "error": error }));
            show(sender.0, auth, pages, session, &context, own).await
        }
        Err(error) => refuse(sender.0, auth, pages, session, &context, error).await,
    }
}

#[post("/account/security/passkeys/remove", data = "<form>")]
pub(super) async fn remove_passkey(
    sender: Sender<'_>,
    auth: &State<Auth>,
    fresh: Fresh,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let removed = match TokenHash::from_hex(form.text("id")) {
        Some(id) => sign_in.remove_passkey(fresh.session().data(), &id, context.lang()).await,
        None => Ok(false),
    };
    match removed {
        Ok(true) => done(auth, "passkey_removed"),
        // Somebody else's passkey and none at all look alike (ASVS 5.0, 8.2.2).
        Ok(false) => Failure::not_found().answer(sender.0).await,
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

fn checked(auth: &Auth, form: Result<CheckedForm, FormError>) -> Result<(CheckedForm, &SignIn), Failure> {
    let form = form.map_err(|error| Failure::from(&error.reason))?;
    Ok((form, auth.sign_in.as_ref().ok_or_else(Failure::internal)?))
}

/// Back to the page, which says what was done: reloading it does nothing twice.
fn done(auth: &Auth, notice: &str) -> Answer {
    Answer::see_other(format!("{}?notice={notice}", auth.config.url.base("account/security")))
}

/// Shown once, in the answer to the form itself: nobody finds them at an address.
fn show_codes(pages: &Pages, context: &PageContext, codes: &[String]) -> Answer {
    // No address leads back to them: a change of the language would lose them.
    render(pages, Status::Ok, "recovery_codes", context, json!({ "codes": codes, "path": "" }))
}

async fn totp_setup(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    refused: Option<&str>,
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(request).await;
    };
    let setup = match sign_in.start_totp(session.data(), refused).await {
        Ok(setup) => setup,
        Err(FactorError::Wrong) => return Failure::not_found().answer(request).await,
        Err(error) => return refuse(request, auth, pages, session, context, error).await,
    };
    let mistake =
        |key: &str| json!({ "field": "code", "message": pages.locales().text(context.lang(), key) });
    let errors: Vec<Value> = refused.map(|_| mistake("error_first_code")).into_iter().collect();
    let own = json!({
        "secret": setup.sealed,
        "base32": setup.base32,
        "url": setup.url,
        "qr": setup.qr,
        "errors": errors,
        "path": auth.config.url.base("account/security/totp"),
    });
    let status = if refused.is_some() { Status::BadRequest } else { Status::Ok };
    render(pages, status, "totp", context, own)
}

/// A person whose account may be given no factor yet is shown what to do about it.
async fn refuse(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    error: FactorError,
) -> Answer {
    let is_unconfirmed = matches!(error, FactorError::Unconfirmed);
    let failure = Failure::from(error);
    if is_unconfirmed && prefers_html(request) {
        return show(request, auth, pages, session, context, (failure.status, json!({}))).await;
    }
    failure.answer(request).await
}

/// The page, with a status and with what a form on it came to: `notice` or `error`.
async fn show(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    (status, came_to): (Status, Value),
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(request).await;
    };
    let found = match sign_in.factors_of(session.data()).await {
        Ok(found) => found,
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let must_confirm = match sign_in.must_confirm_address(session.data()).await {
        Ok(must_confirm) => must_confirm,
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let offered = sign_in.second_factors().filter(|_| !must_confirm);
    let own = json!({
        "notice": came_to.get("notice"),
        "error": came_to.get("error"),
        "path": auth.config.url.base("account/security"),
        "must_confirm": must_confirm,
        "email": session.email(),
        "offers_totp": offered.is_some_and(SecondFactors::offers_totp),
        "offers_passkeys": offered.is_some_and(SecondFactors::offers_passkeys),
        "totp_since": found.totp.map(|totp| totp.created_at.to_rfc3339()),
        "recovery_codes": found.recovery_codes,
        "passkeys": found.passkeys.iter().map(shown).collect::<Vec<_>>(),
    });
    render(pages, status, "security", context, own)
}

fn shown(passkey: &PasskeyRecord) -> Value {
    json!({
        "id": passkey.id.to_hex(),
        "name": passkey.name,
        "added": passkey.created_at.to_rfc3339(),
        "last_used": passkey.last_used_at.map(crate::clock::Timestamp::to_rfc3339),
    })
}
