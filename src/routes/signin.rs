//! `GET signin` and `POST signin/<provider>`.

use rocket::http::Status;
use rocket::{State, get, post};
use serde_json::json;

use super::answer::Answer;
use super::callback_url::{self, CallbackUrl};
use super::failure::Failure;
use super::federated;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use super::small::public_providers;
use crate::guards::Auth;
use crate::pages::{PageContext, Pages};
use crate::session::encode_component;
use crate::signin::{SecondFactors, SignIn};

/// What was done just before; the query chooses among our own texts.
const NOTICES: [&str; 3] = ["signed_up", "password_reset", "account_deleted"];

#[get("/signin?<error>&<csrf>&<notice>")]
pub(super) fn page(
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    callback_url: CallbackUrl,
    error: Option<&str>,
    csrf: Option<&str>,
    notice: Option<&str>,
) -> Answer {
    if let Some(own) = &auth.config.pages.sign_in {
        return Answer::redirect(own_page(auth, own, &callback_url.0, error));
    }
    let lang = context.lang();
    let shown = match (error.filter(|code| !code.is_empty()), csrf) {
        (Some(code), _) => Some(pages.locales().error_text(lang, code)),
        (None, Some("true")) => Some(pages.locales().text(lang, "error_csrf")),
        _ => None,
    };
    let notice = NOTICES.iter().find(|known| Some(**known) == notice);
    let notice = notice.map(|known| pages.locales().text(lang, &format!("notice_{known}")));
    let said = json!({ "callback_url": callback_url.0, "error": shown, "notice": notice });
    show(auth, pages, &context, Status::Ok, said)
}

/// The page, with what is to be said on it.
pub(super) fn show(
    auth: &Auth,
    pages: &Pages,
    context: &PageContext,
    status: Status,
    said: serde_json::Value,
) -> Answer {
    let others: Vec<_> = public_providers(auth)
        .into_iter()
        .filter(|other| !matches!(other.kind, "credentials" | "email"))
        .collect();
    let mut own = json!({
        "error": null,
        "errors": [],
        "notice": null,
        "providers": others,
        "credentials": auth.config.credentials.is_some(),
        "by_email": auth.sign_in.as_ref().is_some_and(SignIn::signs_in_by_email),
        "reset": auth.sign_in.as_ref().is_some_and(SignIn::can_reset_passwords),
        "sign_up": auth.sign_in.as_ref().is_some_and(SignIn::is_sign_up_open),
        "email": "",
        "passkeys": auth.sign_in.as_ref().and_then(SignIn::second_factors).is_some_and(SecondFactors::offers_passkeys),
    });
    if let (Some(own), serde_json::Value::Object(said)) = (own.as_object_mut(), said) {
        own.extend(said);
    }
    render(pages, status, "sign_in", context, own)
}

/// As NextAuth: the page, whatever the provider. A GET never starts anything (ASVS 5.0, 3.5.3 and 7.6.2).
#[get("/signin/<_provider>")]
pub(super) fn page_of_provider(
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    callback_url: CallbackUrl,
    _provider: &str,
) -> Answer {
    page(auth, pages, context, callback_url, None, None, None)
}

/// Starts a sign-in. With credentials there is nothing to start: the form posts to the callback.
#[post("/signin/<provider>", data = "<form>")]
pub(super) async fn start(
    sender: Sender<'_>,
    auth: &State<Auth>,
    provider: &str,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        Err(error) => {
            let failure = Failure::from(&error.reason);
            return failure.answer_action(sender.0, &auth.config.url, error.script).await;
        }
    };
    let wanted = callback_url::choose(sender.0, auth, form.optional("callbackUrl"));
    let federation = auth.sign_in.as_ref().and_then(crate::signin::SignIn::federation);
    if let Some(provider) = federation.and_then(|federation| federation.find(provider)) {
        return federated::begin(sender.0, auth, provider, &wanted, form.is_script()).await;
    }
    let url = auth.config.url.base("signin");
    if form.is_script() { Answer::script_redirect(Status::Ok, &url) } else { Answer::redirect(url) }
}

/// The host's own sign-in page, told where to go afterwards.
fn own_page(auth: &Auth, path: &str, callback_url: &str, error: Option<&str>) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    let error = error.map(|code| format!("&error={}", encode_component(code))).unwrap_or_default();
    format!("{}{path}{mark}callbackUrl={}{error}", auth.config.url.origin, encode_component(callback_url))
}
