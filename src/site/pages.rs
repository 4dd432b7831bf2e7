//! The pages of the contract.

use countersign::{OptionalSession, PageContext, Session};
use rocket::get;
use rocket::http::ContentType;
use rocket_dyn_templates::Template;

/// Who am I, and where can I go?
#[get("/")]
pub(crate) fn home(page: PageContext) -> Template {
    Template::render("site/home", page)
}

/// A page that branches on the session, on the server.
#[get("/server-side-example")]
pub(crate) fn server_side_example(session: OptionalSession, page: PageContext) -> Template {
    match session.get() {
        Some(_) => Template::render("site/server_side", page),
        None => Template::render("site/access_denied", page),
    }
}

/// A page whose script asks for the session.
#[get("/client-side-example")]
pub(crate) fn client_side_example(page: PageContext) -> Template {
    Template::render("site/client_side", page)
}

/// A page that nobody sees without being signed in.
#[get("/protected")]
pub(crate) fn protected(_session: Session, page: PageContext) -> Template {
    Template::render("site/protected", page)
}

/// The script of the client-side example.
#[get("/static/client-side-example.js")]
pub(crate) fn script() -> (ContentType, &'static str) {
    (
        ContentType::JavaScript,
        include_str!("../../static/client-side-example.js"),
    )
}
