//! Somebody with a role.

use std::marker::PhantomData;

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Ignite, Request, Rocket, Sentinel};
use tokio::sync::OnceCell;

use super::lookup::lookup;
use super::session::required;
use super::{Auth, Session};
use crate::model::Permission;
use crate::session::SessionError;

/// The name of a role, as a type: a route that asks for another role is another type, and the compiler sees it.
pub trait RoleName: Send + Sync + 'static {
    /// The name as it is stored.
    const NAME: &'static str;
}

/// The role of administrators.
#[derive(Debug, Clone, Copy)]
pub struct Admin;

impl RoleName for Admin {
    const NAME: &'static str = crate::signin::ADMIN;
}

/// Somebody is signed in and has this role. The store is asked on every request, so a role that was taken away counts
/// from the next request on, on every instance.
///
/// Nobody signed in forwards with 401; somebody without the role is an error with 403; a store that does not answer one
/// with 503.
///
/// ```
/// use countersign::{Role, RoleName};
///
/// struct Editor;
///
/// impl RoleName for Editor {
///     const NAME: &'static str = "editor";
/// }
///
/// #[rocket::get("/drafts")]
/// fn drafts(editor: Role<Editor>) -> String {
///     format!("Drafts of {}", editor.session().name().unwrap_or("somebody"))
/// }
/// ```
#[derive(Debug)]
pub struct Role<R: RoleName> {
    session: Session,
    role: PhantomData<R>,
}

/// Why somebody is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// Nobody is signed in, or that is unknown.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Somebody is, without this role.
    #[error("this needs a role that the account does not have")]
    Missing,
}

/// The roles of whoever sent this request, asked once.
#[derive(Default)]
struct Asked(OnceCell<Option<Vec<Permission>>>);

impl<R: RoleName> Role<R> {
    /// The session of whoever has the role.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }
}

#[rocket::async_trait]
impl<'r, R: RoleName> FromRequest<'r> for Role<R> {
    type Error = RoleError;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, RoleError> {
        let session = match required(lookup(request).await.map(Session::new)) {
            Outcome::Success(session) => session,
            Outcome::Error((status, error)) => return Outcome::Error((status, RoleError::Session(error))),
            Outcome::Forward(status) => return Outcome::Forward(status),
        };
        let asked: &Asked = request.local_cache(Asked::default);
        match asked.0.get_or_init(|| roles(request, &session)).await {
            Some(roles) if roles.iter().any(|role| role.as_str() == R::NAME) => {
                Outcome::Success(Self { session, role: PhantomData })
            }
            Some(_) => Outcome::Error((Status::Forbidden, RoleError::Missing)),
            None => unknown(),
        }
    }
}

impl<R: RoleName> Sentinel for Role<R> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "Role")
    }
}

fn unknown<T>() -> Outcome<T, RoleError> {
    Outcome::Error((Status::ServiceUnavailable, RoleError::Session(SessionError::Unavailable)))
}

async fn roles(request: &Request<'_>, session: &Session) -> Option<Vec<Permission>> {
    let sign_in = request.rocket().state::<Auth>()?.sign_in.as_ref()?;
    let found = sign_in.roles_of(session.user_id()).await;
    found.inspect_err(|error| tracing::error!(%error, "roles could not be looked up")).ok()
}
