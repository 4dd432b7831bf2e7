//! `GET assets/<name>`: styles and scripts, the same for everybody.

use rocket::http::Status;
use rocket::{State, get};

use super::answer::Answer;
use crate::pages::Pages;

#[get("/assets/<name>")]
pub(super) fn asset(pages: &State<Pages>, name: &str) -> Answer {
    let Some(asset) = pages.assets().find(name) else {
        return Answer::empty(Status::NotFound);
    };
    // Only the name with the hash stands for one content for ever.
    let caching =
        if name == asset.name { "public, max-age=31536000, immutable" } else { "public, max-age=300" };
    Answer::asset(asset.content_type, asset.body).with("Cache-Control", caching)
}
