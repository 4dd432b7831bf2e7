//! Rendering a page from a context that stands ready.
//!
//! Nearly everything a template is given is the same for everybody who reads a language: two hundred texts, the
//! languages, the addresses of styles and scripts. To copy that for every page would cost more than to render it. So
//! contexts that hold it stand ready; a page takes one, adds what is its own, and gives it back without.

use std::borrow::Cow;
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use rocket::Request;
use rocket::http::{ContentType, Status};
use rocket::response::{self, Responder, Response};
use rocket_dyn_templates::tera::{self, Context};
use serde::Serialize;
use serde_json::{Map, Value};

use super::context::{Changing, Standing};
use super::reuse::Made;
use super::{PageContext, Pages};

/// Contexts kept per language: as many as pages are likely to be rendered at the same moment.
const READY: usize = 16;

/// The contexts of one language that nobody uses just now.
#[derive(Debug, Default)]
pub(super) struct Ready(Mutex<Vec<Context>>);

impl Ready {
    fn take(&self, standing: &Standing) -> Result<Context, tera::Error> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.map_or_else(|| Context::from_serialize(standing), Ok)
    }

    fn give_back(&self, context: Context) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < READY {
            kept.push(context);
        }
    }
}

impl Pages {
    /// Renders the template `name` (`auth/sign_in`) with what every page has and what this one has of its own.
    ///
    /// # Errors
    /// What Tera says.
    pub fn render(
        &self,
        name: &str,
        page: &PageContext,
        own: Map<String, Value>,
    ) -> Result<String, tera::Error> {
        let standing = page.standing();
        let mut context = standing.ready.take(standing)?;
        // A page that replaces what all share spoils the context for the others.
        let spoilt = own.keys().any(|name| context.contains_key(name));
        context.extend(Context::from_serialize(page.changing())?);
        let own_names: Vec<String> = own.keys().cloned().collect();
        context.extend(Context::from_value(Value::Object(own))?);
        let html = self.tera().render(&format!("{name}.html"), &context)?;
        if !spoilt {
            for name in Changing::NAMES.into_iter().chain(own_names.iter().map(String::as_str)) {
                context.remove(name);
            }
            standing.ready.give_back(context);
        }
        Ok(html)
    }

    /// As [`Pages::render`], by way of the pages that were rendered a moment ago.
    fn render_again(
        &self,
        name: &str,
        page: &PageContext,
        own: Map<String, Value>,
    ) -> Result<Arc<[u8]>, tera::Error> {
        let own_copy = own.clone();
        let made = Made { name, lang: page.lang(), changing: page.changing(), own: &own_copy };
        if let Some(html) = self.rendered().find(&made) {
            return Ok(html);
        }
        let html = self.render(name, page, own)?.into_bytes().into();
        self.rendered().keep(&made, &html);
        Ok(html)
    }
}

/// A page to be rendered from a template of the host's.
///
/// ```
/// use countersign::pages::Page;
/// use countersign::{PageContext, Session};
///
/// #[rocket::get("/notes")]
/// fn notes(session: Session, page: PageContext) -> Page {
///     page.render("site/notes").with("title", "My notes")
/// }
/// ```
#[derive(Debug)]
#[must_use = "a page is shown when a handler returns it"]
pub struct Page {
    name: Cow<'static, str>,
    status: Status,
    context: PageContext,
    own: Map<String, Value>,
}

impl PageContext {
    /// The page of the template `name` (`site/home`), one of those given to
    /// [`Countersign::templates`](crate::Countersign::templates).
    pub fn render(self, name: impl Into<Cow<'static, str>>) -> Page {
        Page { name: name.into(), status: Status::Ok, context: self, own: Map::new() }
    }
}

impl Page {
    /// Gives the template one thing more. What cannot be written as JSON is null.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.own.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }

    /// With another status than 200.
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }
}

impl<'r> Responder<'r, 'static> for Page {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let pages = request.rocket().state::<Pages>().ok_or(Status::InternalServerError)?;
        let html = pages.render_again(&self.name, &self.context, self.own).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, name = %self.name, "a page could not be rendered");
            Status::InternalServerError
        })?;
        Response::build()
            .status(self.status)
            .header(ContentType::HTML)
            .sized_body(html.len(), Cursor::new(html))
            .ok()
    }
}
