//! The pages of the contract.
//!
//! A template from memory has no file whose ending tells its type, so each answer says that it is HTML.

use countersign::{OptionalSession, PageContext, Session};
use rocket::get;
use rocket::http::ContentType;
use rocket::response::content::RawHtml;
use rocket_dyn_templates::Template;

/// Who am I, and where can I go?
#[get("/")]
pub(crate) fn home(page: PageContext) -> RawHtml<Template> {
    RawHtml(Template::render("site/home", page))
}

/// A page that branches on the session, on the server.
#[get("/server-side-example")]
pub(crate) fn server_side_example(session: OptionalSession, page: PageContext) -> RawHtml<Template> {
    match session.get() {
        Some(_) => RawHtml(Template::render("site/server_side", page)),
        None => RawHtml(Template::render("site/access_denied", page)),
    }
}

/// A page whose script asks for the session.
#[get("/client-side-example")]
pub(crate) fn client_side_example(page: PageContext) -> RawHtml<Template> {
    RawHtml(Template::render("site/client_side", page))
}

/// A page that nobody sees without being signed in.
#[get("/protected")]
pub(crate) fn protected(_session: Session, page: PageContext) -> RawHtml<Template> {
    RawHtml(Template::render("site/protected", page))
}

/// The script of the client-side example.
#[get("/static/client-side-example.js")]
pub(crate) fn script() -> (ContentType, &'static str) {
    (ContentType::JavaScript, include_str!("../../static/client-side-example.js"))
}
