//! What every page is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocket::http::{Method, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};
use serde::Serialize;

use super::assets::AssetUrls;
use super::render::Ready;
use super::{Language, Pages};
use crate::config::EmptySession;
use crate::guards::{Auth, CsrfToken, OptionalSession, SentCookies};
use crate::session::{Found, SessionBody, SessionError};

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
    #[serde(flatten)]
    changing: Changing,
}

/// What is one request's alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Changing {
    pub(super) csrf_token: String,
    pub(super) session: Option<Arc<SessionBody>>,
    pub(super) session_json: Arc<str>,
    pub(super) path: String,
}

impl Changing {
    /// The names under which a template finds it.
    pub(super) const NAMES: [&str; 4] = ["csrf_token", "session", "session_json", "path"];
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
    /// What stands for the session where nobody is signed in.
    #[serde(skip)]
    nobody: Arc<str>,
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
            nobody: match auth.config.session.empty {
                EmptySession::Object => "{}".into(),
                EmptySession::Null => "null".into(),
            },
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

    pub(super) fn changing(&self) -> &Changing {
        &self.changing
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
        session: Option<Arc<SessionBody>>,
    ) -> Self {
        let standing = pages.standing(language_of(request, auth, pages), auth);
        let session_json = match &session {
            Some(body) => Arc::clone(body.script_json()),
            None => Arc::clone(&standing.nobody),
        };
        let path = address(request, auth);
        Self { standing, changing: Changing { csrf_token, session, session_json, path } }
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
    let chosen = SentCookies::of(request).find(auth.cookies.language_name());
    let chosen = match &chosen {
        Found::Value(code) => Some(code.as_ref()),
        Found::Absent | Found::Unusable => None,
    };
    pages.locales().negotiate(chosen, request.headers().get_one("accept-language"))
}
