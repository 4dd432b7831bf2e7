//! `GET session` and `POST session`.

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, State, get, post};
use serde_json::{Value, json};

use super::answer::Answer;
use super::callback_url;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use crate::config::EmptySession;
use crate::guards::{Auth, CsrfError, Outbox, SentCookies, ensure_cookie, lookup, recall};
use crate::session::{Found, SessionData, SessionError};
use crate::signin::SignIn;

/// The request itself, for the few handlers that need to look anything up or set cookies.
pub(super) struct Sender<'r>(pub(super) &'r Request<'r>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Sender<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self(request))
    }
}

/// Whoever reads their session. Clients do so again and again, so one guard does what several would, each of which is a piece
/// of memory and a task within the task.
pub(super) struct Reader<'r> {
    request: &'r Request<'r>,
    auth: &'r Auth,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Reader<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let Some(auth) = request.rocket().state::<Auth>() else {
            return Outcome::Error((Status::InternalServerError, ()));
        };
        let sent = SentCookies::of(request);
        if ensure_cookie(request, auth, &sent).is_err() {
            return Outcome::Error((Status::ServiceUnavailable, ()));
        }
        callback_url::remember(request, auth, &sent);
        // The handler's look-up finds it.
        recall(request, &sent);
        Outcome::Success(Self { request, auth })
    }
}

#[get("/session")]
pub(super) async fn read(reader: Reader<'_>) -> Answer {
    let Reader { request, auth } = reader;
    match lookup(request).await {
        Ok(session) => show(request, auth, &session).await,
        Err(reason) => {
            if let Some(failure) = Failure::unless_verdict(reason) {
                return failure.answer(request).await;
            }
            // A cookie whose session was ended is of no more use. One we cannot read may belong to a sibling whose keys
            // we do not have yet; and by whose clock one has expired is for the browser to say, which drops it then:
            // ours may be wrong, and be set right again.
            if reason == SessionError::Revoked {
                delete_session_cookie(request, auth);
            }
            Answer::json(Status::Ok, &empty(auth))
        }
    }
}

/// `update()` of NextAuth's clients: the host's `jwt` hook sees the data and decides what of it to take over.
#[post("/session", data = "<form>")]
pub(super) async fn update(
    sender: Sender<'_>,
    auth: &State<Auth>,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        // v5's client breaks on `null` here, so `{}` for every generation.
        Err(FormError { reason: CsrfError::Csrf, .. }) => {
            return Answer::json(Status::BadRequest, &json!({}));
        }
        Err(error) => return Failure::from(&error.reason).answer(sender.0).await,
    };
    let session = match lookup(sender.0).await {
        Ok(session) => session,
        Err(reason) => {
            return match Failure::unless_verdict(reason) {
                Some(failure) => failure.answer(sender.0).await,
                None => Answer::json(Status::Ok, &empty(auth)),
            };
        }
    };
    let (Some(sign_in), Found::Value(presented)) = (&auth.sign_in, SentCookies::of(sender.0).session(auth))
    else {
        return show(sender.0, auth, &session).await;
    };
    let data = form.value("data").cloned().unwrap_or(Value::Null);
    match sign_in.update(&session, &presented, &data).await {
        Ok(Some((issued, body))) => {
            let sent = SentCookies::of(sender.0).header();
            Outbox::of(sender.0).put(auth.cookies.session(&issued.value, issued.expires_at, &sent));
            Answer::json_text(Status::Ok, body.json().to_owned())
        }
        Ok(None) => show(sender.0, auth, &session).await,
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

async fn show(request: &Request<'_>, auth: &Auth, session: &SessionData) -> Answer {
    let body = match auth.sign_in.as_ref() {
        Some(sign_in) => SignIn::session_body(sign_in, session).await,
        None => return Failure::internal().answer(request).await,
    };
    match body {
        Ok(body) => Answer::json_text(Status::Ok, body.json().to_owned()),
        Err(error) => Failure::from(error).answer(request).await,
    }
}

/// What nobody's session looks like.
fn empty(auth: &Auth) -> Value {
    match auth.config.session.empty {
        EmptySession::Object => json!({}),
        EmptySession::Null => Value::Null,
    }
}

/// Deletes the session cookie and all chunks the request has of it.
pub(super) fn delete_session_cookie(request: &Request<'_>, auth: &Auth) {
    let sent = SentCookies::of(request).header();
    Outbox::of(request).put(auth.cookies.delete_session(&sent));
}
