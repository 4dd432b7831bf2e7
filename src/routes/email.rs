//! Signing in by e-mail: `POST signin/email`, `GET callback/email` and `POST callback/email`.
//!
//! The link in a mail leads to a page, and the page's button signs in. Mail scanners and previews fetch links; they do
//! not press buttons.

use rocket::http::Status;
use rocket::{Request, State, get, post};
use serde_json::json;

use super::again;
use super::answer::Answer;
use super::callback_url::{self, CallbackUrl};
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use super::welcome::{replaced_session, welcome};
use crate::guards::{Auth, Outbox, SentCookies, client_of};
use crate::pages::{PageContext, Pages, language_of};
use crate::session::encode_component;
use crate::signin::{EmailSignIn, EnteredByEmail, LinkRequest, MailedProof, SignInError};

/// Mails a link. The same work and the same answer, whoever has the address.
#[post("/signin/email", data = "<form>")]
pub(super) async fn start(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let site = &auth.config.url;
    let form = match form {
        Ok(form) => form,
        Err(error) => return Failure::from(&error.reason).answer_action(sender.0, site, error.script).await,
    };
    let callback_url = callback_url::choose(sender.0, auth, form.optional("callbackUrl"));
    let request = LinkRequest {
        email: form.text("email"),
        callback_url: &callback_url,
        language: language_of(sender.0, auth, pages),
        client: &client_of(sender.0, &auth.config.trusted_proxies),
    };
    let sent = match &auth.sign_in {
        Some(sign_in) => sign_in.send_link(request).await.map_err(Failure::from),
        None => Err(Failure::internal()),
    };
    match sent {
        Ok(browser) => {
            Outbox::of(sender.0).put([auth.cookies.mailed_code(&browser.expose())]);
            let url = format!("{}?provider=email&type=email", site.base("verify-request"));
            if form.is_script() { Answer::script_redirect(Status::Ok, &url) } else { Answer::redirect(url) }
        }
        Err(failure) => again::answer(sender.0, auth, failure, &form, &callback_url).await,
    }
}

/// The page of the link. It looks nothing up and uses nothing up: HEAD, previews and scanners may come as they like.
#[get("/callback/email?<email>&<token>")]
pub(super) fn page(
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    callback_url: CallbackUrl,
    email: Option<&str>,
    token: Option<&str>,
) -> Answer {
    let (Some(email), Some(token)) = (email, token) else {
        return Answer::redirect(format!("{}?error=Verification", auth.config.url.base("error")));
    };
    let own = json!({
        "purpose": "sign_in",
        "action": "callback/email",
        "email": email,
        "token": token,
        "callback_url": callback_url.0,
    });
    render(pages, Status::Ok, "follow_link", &context, own)
}

/// Signs in: by the link's page, or by the code.
#[post("/callback/email", data = "<form>")]
pub(super) async fn finish(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let site = &auth.config.url;
    let form = match form {
        Ok(form) => form,
        Err(error) => return Failure::from(&error.reason).answer_action(sender.0, site, error.script).await,
    };
    let url = callback_url::choose(sender.0, auth, form.optional("callbackUrl"));
    match sign_in(sender.0, auth, context.lang(), &form).await {
        Ok(EnteredByEmail { entered, is_new }) => {
            let url = if is_new { newcomers_page(auth, url) } else { url };
            Outbox::of(sender.0).put([auth.cookies.delete_mailed_code()]);
            welcome(sender.0, auth, &entered, &url, form.is_script()).await
        }
        Err(Refused::Code) if !form.is_script() && !form.is_json() => {
            let message = pages.locales().text(context.lang(), "code_wrong");
            let errors = json!([{ "field": "code", "message": message }]);
            let path = site.base("verify-request");
            let own = json!({ "code": true, "callback_url": url, "errors": errors, "path": path });
            render(pages, Status::BadRequest, "verify_request", &context, own)
        }
        Err(refused) => refused.into_failure().answer_action(sender.0, site, form.is_script()).await,
    }
}

/// Why there is no session: a mistyped code can be typed again.
enum Refused {
    Code,
    Other(Failure),
}

impl Refused {
    fn into_failure(self) -> Failure {
        match self {
            Self::Code => SignInError::WrongCode.into(),
            Self::Other(failure) => failure,
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

async fn sign_in(
    request: &Request<'_>,
    auth: &Auth,
    language: &str,
    form: &CheckedForm,
) -> Result<EnteredByEmail, Refused> {
    let sign_in = auth.sign_in.as_ref().ok_or_else(Failure::internal)?;
    let old = replaced_session(request).await?;
    let browser = mailed_code_cookie(request, auth);
    let proof = match form.optional("code") {
        Some(code) => MailedProof::Code { browser: browser.as_deref(), code },
        None => MailedProof::Link { email: form.text("email"), token: form.text("token") },
    };
    let client = client_of(request, &auth.config.trusted_proxies);
    let attempt = EmailSignIn { proof, language, client, replaces: old.as_deref() };
    sign_in.by_email(attempt).await.map_err(|error| match error {
        SignInError::WrongCode => Refused::Code,
        error => Refused::Other(error.into()),
    })
}

/// What this browser keeps to be able to use a code.
pub(super) fn mailed_code_cookie(request: &Request<'_>, auth: &Auth) -> Option<String> {
    SentCookies::of(request).text(auth.cookies.mailed_code_name())
}

/// Where somebody whose account was made just now goes first, as NextAuth's `pages.newUser`.
fn newcomers_page(auth: &Auth, url: String) -> String {
    match &auth.config.pages.new_user {
        Some(own) => {
            let mark = if own.contains('?') { '&' } else { '?' };
            format!("{}{own}{mark}callbackUrl={}", auth.config.url.origin, encode_component(&url))
        }
        None => url,
    }
}
