//! Rendering the library's pages.

use rocket::Request;
use rocket::http::Status;
use rocket::request::FromRequest as _;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::failure::Failure;
use crate::guards::Auth;
use crate::pages::{PageContext, Pages};

/// Renders a page with what every page has and what this one has of its own.
pub(super) fn page(
    pages: &Pages,
    status: Status,
    name: &str,
    page: &PageContext,
    own: impl Serialize,
) -> Answer {
    // What is no JSON object has nothing to give to a template.
    let own = match serde_json::to_value(own) {
        Ok(Value::Object(own)) => own,
        _ => Map::new(),
    };
    match pages.render(&format!("auth/{name}"), page, own) {
        Ok(html) => Answer::html(status, html),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, name, "a page could not be rendered");
            Answer::text(Status::InternalServerError, "This page cannot be shown at the moment.")
        }
    }
}

/// The page for a failure. One of ours (5xx) asks nobody who sent the request: neither the store, which may be down, nor
/// the host's hooks, which may have failed.
pub(super) async fn failure_page(request: &Request<'_>, failure: &Failure) -> Answer {
    let rocket = request.rocket();
    let (Some(auth), Some(pages)) = (rocket.state::<Auth>(), rocket.state::<Pages>()) else {
        return Answer::problem(failure.status, failure.code, None);
    };
    if failure.status == Status::ServiceUnavailable {
        let context = PageContext::without_session(request, auth, pages);
        return page(pages, failure.status, "unavailable", &context, json!({}));
    }
    let context =
        if failure.status.code < 500 { PageContext::from_request(request).await.succeeded() } else { None };
    let context = context.unwrap_or_else(|| PageContext::without_session(request, auth, pages));
    let mut own = error_context(auth, pages, &context, failure.error);
    if let (Some(seconds), "RateLimited", Some(own)) =
        (failure.retry_after, failure.error, own.as_object_mut())
    {
        let text = pages.locales().text(context.lang(), "error_RateLimited_wait");
        let minutes = seconds.max(1).saturating_add(59) / 60;
        own.insert("message".to_owned(), text.replace("{minutes}", &minutes.to_string()).into());
    }
    page(pages, failure.status, "error", &context, own)
}

/// What signing in does not help against.
const BEYOND_SIGN_IN: [&str; 5] = ["default", "NotFound", "Configuration", "RateLimited", "Unavailable"];

/// What the error page shows for a code: fixed texts only, never the code's own words.
pub(super) fn error_context(
    auth: &Auth,
    pages: &Pages,
    context: &PageContext,
    error: &str,
) -> serde_json::Value {
    let texts = pages.locales().texts(context.lang());
    let title = texts.get(&format!("error_title_{error}")).or_else(|| texts.get("error_title"));
    let sign_in = !BEYOND_SIGN_IN.contains(&error);
    json!({
        "code": error,
        "title": title,
        "message": pages.locales().error_text(context.lang(), error),
        "sign_in_url": sign_in.then(|| auth.config.url.base("signin")),
    })
}
