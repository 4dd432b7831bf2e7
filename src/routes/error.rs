//! `GET error` and `GET verify-request`.

use rocket::http::Status;
use rocket::{State, get};
use serde_json::json;

use super::answer::Answer;
use super::callback_url::CallbackUrl;
use super::email::mailed_code_cookie;
use super::failure::ADDRESS_MISSING;
use super::page::{error_context, page};
use super::session::Sender;
use crate::guards::Auth;
use crate::pages::{PageContext, Pages};
use crate::providers::Provider;
use crate::session::encode_component;
use crate::signin::SignIn;

/// Codes that are shown on the sign-in page, where the person can try again (protocol section 11).
const SIGN_IN_CODES: [&str; 10] = [
    "Signin",
    "OAuthSignin",
    "OAuthCallback",
    "OAuthCreateAccount",
    "EmailCreateAccount",
    "Callback",
    "OAuthAccountNotLinked",
    "EmailSignin",
    "CredentialsSignin",
    "SessionRequired",
];

/// Codes with a page and a status of their own.
const PAGES: [(&str, Status); 5] = [
    ("Configuration", Status::InternalServerError),
    ("AccessDenied", Status::Forbidden),
    ("Verification", Status::Forbidden),
    ("RateLimited", Status::TooManyRequests),
    ("Unavailable", Status::ServiceUnavailable),
];

#[get("/error?<error>&<reason>&<provider>")]
pub(super) fn error(
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    error: Option<&str>,
    reason: Option<&str>,
    provider: Option<&str>,
) -> Answer {
    let code = error.unwrap_or_default();
    let missing = code == "OAuthCreateAccount" && reason == Some(ADDRESS_MISSING);
    let federation = auth.sign_in.as_ref().and_then(SignIn::federation).filter(|_| missing);
    match federation.zip(provider).and_then(|(all, id)| all.find(id)) {
        Some(provider) => address_missing(auth, pages, &context, provider),
        None => show(auth, pages, &context, code),
    }
}

/// What NextAuth calls `OAuthCreateAccount`, with what the person can do about it: only we know that it is the address.
fn address_missing(auth: &Auth, pages: &Pages, context: &PageContext, provider: &Provider) -> Answer {
    let provider = provider.config();
    if let Some(own) = &auth.config.pages.error {
        let mark = if own.contains('?') { '&' } else { '?' };
        let id = encode_component(&provider.id);
        return Answer::redirect(format!(
            "{}{own}{mark}error=OAuthCreateAccount&reason={ADDRESS_MISSING}&provider={id}",
            auth.config.url.origin
        ));
    }
    let own = json!({
        "provider": provider.name,
        "permission": provider.email_permission,
        "sign_in_url": auth.config.url.base("signin"),
    });
    page(pages, Status::Forbidden, "address_missing", context, own)
}

/// v3 and v4 also take the code as a path segment.
#[get("/error/<error>")]
pub(super) fn error_in_path(
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    error: &str,
) -> Answer {
    show(auth, pages, &context, error)
}

fn show(auth: &Auth, pages: &Pages, context: &PageContext, code: &str) -> Answer {
    if let Some(own) = &auth.config.pages.error {
        let mark = if own.contains('?') { '&' } else { '?' };
        return Answer::redirect(format!(
            "{}{own}{mark}error={}",
            auth.config.url.origin,
            encode_component(code)
        ));
    }
    if let Some(known) = SIGN_IN_CODES.iter().find(|known| known.eq_ignore_ascii_case(code)) {
        return Answer::redirect(format!("{}?error={known}", auth.config.url.base("signin")));
    }
    let known = PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code));
    let (code, status) = known.copied().unwrap_or(("default", Status::Ok));
    page(pages, status, "error", context, error_context(auth, pages, context, code))
}

#[get("/verify-request")]
pub(super) fn verify_request(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    context: PageContext,
    callback_url: CallbackUrl,
) -> Answer {
    if let Some(own) = &auth.config.pages.verify_request {
        return Answer::redirect(format!("{}{own}", auth.config.url.origin));
    }
    // Only the browser that asked for a mail can use its code.
    let code = mailed_code_cookie(sender.0, auth).is_some();
    let own = json!({ "code": code, "callback_url": callback_url.0, "errors": [] });
    page(pages, Status::Ok, "verify_request", &context, own)
}
