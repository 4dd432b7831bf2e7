//! Everything else below the base path: 400, as NextAuth v3 and v4 answer.

use rocket::http::{Method, Status};
use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};

use super::answer::Answer;
use super::failure::Failure;
use super::medium::prefers_html;
use crate::guards::failure_of;

/// Asked after every other route.
const LAST: isize = 1000;

#[derive(Clone)]
struct Unknown;

#[rocket::async_trait]
impl Handler for Unknown {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        // The action is known, but its guard forwarded: that is the catchers' to answer.
        if failure_of(request).is_some() {
            return Outcome::forward(data, Status::Unauthorized);
        }
        Outcome::from(request, answer(request).await)
    }
}

/// What is not known is answered so.
pub(super) async fn answer(request: &Request<'_>) -> Answer {
    if prefers_html(request) {
        return Failure::action_unknown().answer(request).await;
    }
    let detail = format!("This action with HTTP {} is not supported.", request.method());
    Answer::problem(Status::BadRequest, "action_unknown", Some(&detail))
}

/// One route for every method; HEAD is answered by GET's.
pub(super) fn routes() -> Vec<Route> {
    [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete, Method::Options]
        .into_iter()
        .map(|method| Route::ranked(LAST, method, "/<path..>", Unknown))
        .collect()
}
