//! `GET reauthenticate`: proving again who one is, and going on where one was.
//!
//! A proof is a sign-in like any other: by password, by link, by whatever else is configured. It replaces the session of
//! this browser by a fresh one (ASVS 5.0, 7.2.4).

use rocket::http::{Method, Status};
use rocket::{Request, State, get};
use serde_json::json;

use super::answer::Answer;
use super::callback_url::CallbackUrl;
use super::failure::Failure;
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Auth, Session};
use crate::model::Email;
use crate::pages::{PageContext, Pages};
use crate::providers::PublicProvider;
use crate::session::encode_component;
use crate::signin::SignIn;
use crate::store;

/// The page that asks for the proof, and then leads back to the page that was asked for, or to the one of this site whose
/// form was sent; where the sender names none, to `otherwise`.
pub(super) fn url_after(request: &Request<'_>, auth: &Auth, otherwise: Option<&str>) -> String {
    let site = &auth.config.url;
    let wanted = match request.method() {
        Method::Get | Method::Head => format!("{}{}", site.origin, request.uri()),
        _ => auth.redirects.choose([request.headers().get_one("referer"), otherwise]),
    };
    url(auth, &wanted)
}

/// The page that asks for the proof, and then leads to `wanted`.
pub(super) fn url(auth: &Auth, wanted: &str) -> String {
    format!("{}?callbackUrl={}", auth.config.url.base("reauthenticate"), encode_component(wanted))
}

#[get("/reauthenticate")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    session: Session,
    context: PageContext,
    callback_url: CallbackUrl,
) -> Answer {
    show(sender.0, auth, pages, &session, &context, &callback_url.0, None).await
}

/// The page, or the page again with what went wrong.
pub(super) async fn show(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    callback_url: &str,
    wrong: Option<String>,
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(request).await;
    };
    let email = session.email().and_then(|email| Email::parse(email).ok());
    let has_password = match &email {
        Some(email) if auth.config.credentials.is_some() => sign_in.has_password(email).await,
        _ => Ok(false),
    };
    let has_password = match has_password {
        Ok(has_password) => has_password,
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let status = if wrong.is_some() { Status::Unauthorized } else { Status::Ok };
    let errors: Vec<_> =
        wrong.iter().map(|message| json!({ "field": "password", "message": message })).collect();
    let path = url(auth, callback_url);
    let sites = match sites(auth, sign_in, session).await {
        Ok(sites) => sites,
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let own = json!({
        "sites": sites,
        "callback_url": callback_url,
        "errors": errors,
        "path": path,
        "email": session.email(),
        "has_password": has_password,
        "by_email": email.is_some() && sign_in.signs_in_by_email(),
    });
    render(pages, status, "reauthenticate", context, own)
}

/// The other sites that can vouch for this person.
async fn sites(
    auth: &Auth,
    sign_in: &SignIn,
    session: &Session,
) -> Result<Vec<PublicProvider>, store::Error> {
    let Some(federation) = sign_in.federation().filter(|federation| federation.all().next().is_some()) else {
        return Ok(Vec::new());
    };
    let linked = sign_in.linked_accounts(session.user_id()).await?;
    let known = |id: &str| linked.iter().any(|account| account.external.provider == id);
    let sites = federation.all().filter(|provider| known(&provider.config().id));
    Ok(sites.map(|provider| provider.public(&auth.config.url, false)).collect())
}
