//! The pages of the contract.

use countersign::pages::Page;
use countersign::{OptionalSession, PageContext, Session};
use rocket::get;
use rocket::http::ContentType;

/// Who am I, and where can I go?
#[get("/")]
pub(crate) fn home(page: PageContext) -> Page {
    page.render("site/home")
}

/// A page that branches on the session, on the server.
#[get("/server-side-example")]
pub(crate) fn server_side_example(session: OptionalSession, page: PageContext) -> Page {
    match session.get() {
        Some(_) => page.render("site/server_side"),
        None => page.render("site/access_denied"),
    }
}

/// A page whose script asks for the session.
#[get("/client-side-example")]
pub(crate) fn client_side_example(page: PageContext) -> Page {
    page.render("site/client_side")
}

/// A page that nobody sees without being signed in.
#[get("/protected")]
pub(crate) fn protected(_session: Session, page: PageContext) -> Page {
    page.render("site/protected")
}

/// The script of the client-side example.
#[get("/static/client-side-example.js")]
pub(crate) fn script() -> (ContentType, &'static str) {
    (ContentType::JavaScript, include_str!("../../static/client-side-example.js"))
}
