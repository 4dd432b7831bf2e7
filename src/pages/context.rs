//! What every page is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocket::http::{Method, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};
use serde::Serialize;
use serde_json::{Map, Value};

use super::assets::AssetUrls;
use super::render::Ready;
use super::{Language, Pages};
use crate::config::EmptySession;
use crate::guards::{Auth, CsrfToken, OptionalSession, cookie_header};
use crate::session::{Found, SessionError};

/// What every page of the library is given, and every page of a host's may ask for: texts in the person's language,
/// the session, the CSRF token, and where styles and scripts are.
///
/// ```
/// use countersign::PageContext;
/// use rocket_dyn_templates::{Template, context};
///
/// #[rocket::get("/about")]
/// fn about(page: PageContext) -> Template {
///     Template::render("about", context! { page })
/// }
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct PageContext {
    #[serde(flatten)]
    standing: Arc<Standing>,
    csrf_token: String,
    session: Option<Map<String, Value>>,
    session_json: String,
    path: String,
}

/// What all pages in a language have.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    t: Arc<BTreeMap<String, String>>,
    lang: String,
    languages: Vec<Language>,
    site_name: String,
    home: &'static str,
    base: String,
    assets: AssetUrls,
    #[serde(skip)]
    pub(super) ready: Ready,
}

impl Standing {
    pub(super) fn new(lang: String, auth: &Auth, pages: &Pages) -> Self {
        let base = auth.config.url.base_path.clone();
        Self {
            t: pages.locales().texts(&lang),
            languages: pages.locales().list(&lang),
            lang,
            site_name: auth.config.site_name.clone(),
            home: "/",
            assets: pages.assets().urls(&base),
            base,
            ready: Ready::default(),
        }
    }
}

/// Why there is no context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Whether somebody is signed in is unknown.
    #[error("the session cannot be checked at the moment")]
    Unavailable,
    /// A hook failed, or there are no random bytes.
    #[error("the page cannot be prepared")]
    Internal,
}

impl PageContext {
    /// The language's code.
    #[must_use]
    pub fn lang(&self) -> &str {
        &self.standing.lang
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What is this request's alone, for templates.
    pub(super) fn changing(&self) -> Map<String, Value> {
        let mut changing = Map::new();
        changing.insert("csrf_token".to_owned(), self.csrf_token.as_str().into());
        changing.insert("session".to_owned(), self.session.clone().map_or(Value::Null, Value::Object));
        changing.insert("session_json".to_owned(), self.session_json.as_str().into());
        changing.insert("path".to_owned(), self.path.as_str().into());
        changing
    }

    /// A context that asks nothing: for pages that must work while the store is down. Nobody is signed in on it, and
    /// its forms carry no token.
    #[must_use]
    pub fn without_session(request: &Request<'_>, auth: &Auth, pages: &Pages) -> Self {
        Self::new(request, auth, pages, String::new(), None)
    }

    fn new(
        request: &Request<'_>,
        auth: &Auth,
        pages: &Pages,
        csrf_token: String,
        session: Option<Map<String, Value>>,
    ) -> Self {
        Self {
            standing: pages.standing(language_of(request, auth, pages), auth),
            csrf_token,
            session_json: embeddable(session.as_ref(), auth.config.session.empty),
            session,
            path: address(request, auth),
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for PageContext {
    type Error = PageError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, PageError> {
        match prepare(request).await {
            Ok(context) => Outcome::Success(context),
            Err(PageError::Unavailable) => {
                Outcome::Error((Status::ServiceUnavailable, PageError::Unavailable))
            }
            Err(error) => Outcome::Error((Status::InternalServerError, error)),
        }
    }
}

impl Sentinel for PageContext {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        OptionalSession::abort(rocket)
    }
}

async fn prepare(request: &Request<'_>) -> Result<PageContext, PageError> {
    let auth = request.rocket().state::<Auth>().ok_or(PageError::Internal)?;
    let pages = request.rocket().state::<Pages>().ok_or(PageError::Internal)?;
    let sign_in = auth.sign_in.as_ref().ok_or(PageError::Internal)?;
    let session = match crate::guards::lookup(request).await {
        Ok(session) => Some(sign_in.session_body(&session).await.map_err(|error| {
            tracing::error!(%error, "a page could not be prepared");
            PageError::Internal
        })?),
        Err(SessionError::Unavailable) => return Err(PageError::Unavailable),
        Err(SessionError::Failed) => return Err(PageError::Internal),
        Err(_) => None,
    };
    let token = match CsrfToken::from_request(request).await {
        Outcome::Success(token) => token.value().to_owned(),
        _ => return Err(PageError::Internal),
    };
    Ok(PageContext::new(request, auth, pages, token, session))
}

/// Where this page is found again: at its own address, or, when it answers a form, at that of the page the form was on.
fn address(request: &Request<'_>, auth: &Auth) -> String {
    match request.method() {
        Method::Get | Method::Head => request.uri().to_string(),
        _ => auth.redirects.choose([request.headers().get_one("referer")]),
    }
}

/// The language chosen by cookie, else by `Accept-Language`.
pub(crate) fn language_of<'p>(request: &Request<'_>, auth: &Auth, pages: &'p Pages) -> &'p str {
    let name = auth.cookies.language_name();
    let chosen = match cookie_header(request) {
        Some(header) => header.find(name),
        None => crate::guards::jar_cookie(request, name),
    };
    let chosen = match &chosen {
        Found::Value(code) => Some(code.as_ref()),
        Found::Absent | Found::Unusable => None,
    };
    pages.locales().negotiate(chosen, request.headers().get_one("accept-language"))
}

/// JSON that can stand inside a script element: nothing in it ends the element or a line (ASVS 5.0, 1.2.3).
fn embeddable(session: Option<&Map<String, Value>>, empty: EmptySession) -> String {
    let json = match (session, empty) {
        (Some(session), _) => serde_json::to_string(session).unwrap_or_else(|_| "null".to_owned()),
        (None, EmptySession::Object) => "{}".to_owned(),
        (None, EmptySession::Null) => "null".to_owned(),
    };
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return json;
    }
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_json_cannot_end_its_element() {
        let mut session = Map::new();
        session.insert("name".to_owned(), "</script><!--&\u{2028}".into());
        let json = embeddable(Some(&session), EmptySession::Object);
        assert!(!json.contains(['<', '>', '&', '\u{2028}']));
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), Value::Object(session));
        assert_eq!(embeddable(None, EmptySession::Null), "null");
    }
}
