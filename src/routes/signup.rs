//! `GET signup` and `POST signup`.

use rocket::http::Status;
use rocket::{Request, State, get, post};
use serde_json::{Value, json};

use super::answer::Answer;
use super::callback_url::{self, CallbackUrl};
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Auth, client_of};
use crate::pages::{PageContext, Pages};
use crate::secret::Password;
use crate::session::encode_component;
use crate::signin::{FieldError, SignUp, SignUpError};

#[get("/signup")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    callback_url: CallbackUrl,
) -> Answer {
    if !is_open(auth) {
        return closed().answer(sender.0).await;
    }
    let own = json!({ "callback_url": callback_url.0, "errors": [], "name": "", "email": "" });
    render(pages, Status::Ok, "sign_up", &context, own)
}

#[post("/signup", data = "<form>")]
pub(super) async fn sign_up(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        Err(error) => return Failure::from(&error.reason).answer(sender.0).await,
    };
    if !is_open(auth) {
        return closed().answer(sender.0).await;
    }
    let url = callback_url::choose(sender.0, auth, form.optional("callbackUrl"));
    match create(sender.0, auth, context.lang(), &form).await {
        Ok(()) => next_step(auth, &form, &url),
        Err(SignUpError::Invalid(errors)) => explain(pages, &context, &form, &url, &errors),
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

fn is_open(auth: &Auth) -> bool {
    auth.sign_in.as_ref().is_some_and(crate::signin::SignIn::is_sign_up_open)
}

fn closed() -> Failure {
    Failure {
        status: Status::NotFound,
        code: "sign_up_closed",
        error: "default",
        retry_after: None,
        location: None,
        provider: None,
    }
}

async fn create(
    request: &Request<'_>,
    auth: &Auth,
    language: &str,
    form: &CheckedForm,
) -> Result<(), SignUpError> {
    let sign_in = auth.sign_in.as_ref();
    let sign_in = sign_in.ok_or_else(|| SignUpError::Internal("sign-up is closed".to_owned()))?;
    let sign_up = SignUp {
        name: form.optional("name"),
        email: form.text("email"),
        password: Password::new(form.text("password")),
        language,
        address: client_of(request, &auth.config.trusted_proxies).address,
    };
    sign_in.sign_up(sign_up, auth.clock.now()).await
}

/// The same for a free and a taken address: go and sign in, or to the application's own page for newcomers.
fn next_step(auth: &Auth, form: &CheckedForm, callback_url: &str) -> Answer {
    let wanted = encode_component(callback_url);
    let url = match &auth.config.pages.new_user {
        Some(own) => {
            let mark = if own.contains('?') { '&' } else { '?' };
            format!("{}{own}{mark}callbackUrl={wanted}", auth.config.url.origin)
        }
        None => format!("{}?notice=signed_up&callbackUrl={wanted}", auth.config.url.base("signin")),
    };
    if form.is_json() || form.is_script() {
        Answer::script_redirect(Status::Ok, &url)
    } else {
        Answer::see_other(url)
    }
}

/// Says what to change: the form again with its texts kept (the password excepted), or a problem document.
fn explain(
    pages: &Pages,
    context: &PageContext,
    form: &CheckedForm,
    callback_url: &str,
    errors: &[FieldError],
) -> Answer {
    let message = |error: &FieldError| pages.locales().text(context.lang(), error.code());
    let shown: Vec<Value> = errors
        .iter()
        .map(|error| json!({ "field": error.field(), "code": error.code(), "message": message(error) }))
        .collect();
    if form.is_json() || form.is_script() {
        let body = json!({
            "type": "urn:countersign:problem:form_invalid",
            "title": "The form has errors",
            "status": 400,
            "code": "form_invalid",
            "errors": shown,
        });
        return Answer::problem_with(Status::BadRequest, body);
    }
    let kept = |name: &str| form.text(name).chars().take(320).collect::<String>();
    let own = json!({
        "callback_url": callback_url,
        "errors": shown,
        "name": kept("name"),
        "email": kept("email"),
    });
    render(pages, Status::BadRequest, "sign_up", context, own)
}
