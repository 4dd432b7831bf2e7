//! Who may ask for a route, declared where the route is mounted.
//!
//! A guard in a handler's signature decides; a declaration says what was meant, so that a program can compare the two.
//!
//! ```no_run
//! use countersign::{Countersign, OptionalSession, Policy, Session};
//! use rocket::{get, routes};
//!
//! #[get("/")]
//! fn home(session: OptionalSession) -> &'static str {
//!     if session.get().is_some() { "Welcome back" } else { "Welcome" }
//! }
//!
//! #[get("/api/me")]
//! fn me(session: Session) -> String {
//!     session.email().unwrap_or_default().to_owned()
//! }
//!
//! #[rocket::launch]
//! fn rocket() -> _ {
//!     rocket::build()
//!         .attach(Countersign::fairing())
//!         .mount("/", Policy::Public.routes(routes![home]))
//!         .mount("/", Policy::Session.routes(routes![me]))
//! }
//! ```
//!
//! # What comes of it
//! - The launch looks for routes that declare nothing, as the configuration's key `audit` says:
//!   [`deny`](crate::config::RouteAudit::Deny) refuses to launch and names each with the line to add, `warn` (the default)
//!   lists them once any route of the application is declared, and `off` is silent.
//! - `countersign::testing::assert_guarded` asks every route that is not [`Policy::Public`] as somebody who must not get
//!   in, and fails when one lets them.
//! - Rocket's own log shows the policy behind the name of each route: `(me [session]) GET /api/me`.
//!
//! # Why a declaration guards nothing
//! If it did, a guard that is forgotten would never be missed, until a route is mounted without the declaration. Two
//! statements that are compared find more mistakes than one that is trusted.
//!
//! # Where it is kept
//! In the route's name, the one field of a Rocket route that is free text, survives mounting and is shown to people. So a
//! declared route is an ordinary [`Route`] that any `mount` takes, from any module, with any fairing in between.

mod audit;
mod place;

use std::fmt;

use rocket::Route;

pub(crate) use audit::Audit;
#[cfg(feature = "server")]
pub(crate) use place::tried_first;

/// Who may ask for a route.
///
/// ```
/// use countersign::Policy;
/// use rocket::{get, routes};
///
/// #[get("/users")]
/// fn users() {}
///
/// let routes = Policy::Role("admin").routes(routes![users]);
/// assert_eq!(Policy::of(&routes[0]), Some(Policy::Role("admin")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy<'a> {
    /// Anybody. The handler may still look who it is.
    Public,
    /// Whoever is signed in.
    Session,
    /// Whoever proved a moment ago who they are.
    Fresh,
    /// Whoever is signed in and has this role.
    Role(&'a str),
    /// Whoever carries an access token with this scope.
    Scope(&'a str),
    /// Whoever carries a valid session token, in the cookie or as `Bearer`.
    Token,
}

impl<'a> Policy<'a> {
    /// Declares routes. A route that is declared already keeps its declaration, so an outer one can speak for the rest.
    ///
    /// A role or scope is a name without blanks and square brackets; with another one nothing is declared.
    ///
    /// ```
    /// use countersign::Policy;
    /// use rocket::{get, routes};
    ///
    /// #[get("/")]
    /// fn index() {}
    ///
    /// #[get("/settings")]
    /// fn settings() {}
    ///
    /// let mut routes = Policy::Public.routes(routes![index]);
    /// routes.extend(routes![settings]);
    /// let routes = Policy::Session.routes(routes);
    /// assert_eq!(Policy::of(&routes[0]), Some(Policy::Public));
    /// assert_eq!(Policy::of(&routes[1]), Some(Policy::Session));
    /// ```
    #[must_use]
    pub fn routes(self, routes: impl Into<Vec<Route>>) -> Vec<Route> {
        let mut routes = routes.into();
        if let Self::Role(name) | Self::Scope(name) = self
            && !is_name(name)
        {
            tracing::error!(
                name,
                "a role or scope is a name without blanks and brackets; nothing is declared"
            );
            return routes;
        }
        for route in &mut routes {
            if Policy::of(route).is_none() {
                let name = route.name.as_deref().unwrap_or("handler");
                route.name = Some(format!("{name} [{self}]").into());
            }
        }
        routes
    }

    /// What a route declares, if it declares anything.
    #[must_use]
    pub fn of(route: &'a Route) -> Option<Self> {
        let (_, declared) = split(route)?;
        match declared.split_once(' ') {
            None => match declared {
                "public" => Some(Self::Public),
                "session" => Some(Self::Session),
                "fresh" => Some(Self::Fresh),
                "token" => Some(Self::Token),
                _ => None,
            },
            Some(("role", name)) if is_name(name) => Some(Self::Role(name)),
            Some(("scope", name)) if is_name(name) => Some(Self::Scope(name)),
            Some(_) => None,
        }
    }

    /// Whether anybody may ask.
    #[must_use]
    pub fn is_public(self) -> bool {
        self == Self::Public
    }
}

impl fmt::Display for Policy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Session => f.write_str("session"),
            Self::Fresh => f.write_str("fresh"),
            Self::Role(name) => write!(f, "role {name}"),
            Self::Scope(name) => write!(f, "scope {name}"),
            Self::Token => f.write_str("token"),
        }
    }
}

/// Name and declaration of a route's name.
fn split(route: &Route) -> Option<(&str, &str)> {
    route.name.as_deref()?.strip_suffix(']')?.rsplit_once(" [")
}

/// The name of a route's handler, without the declaration.
pub(crate) fn handler_name(route: &Route) -> &str {
    let declared = Policy::of(route).and_then(|_| split(route));
    declared.map_or_else(|| route.name.as_deref().unwrap_or("handler"), |(name, _)| name)
}

/// No character that could end a declaration early.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '[' | ']'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocket::fs::FileServer;
    use rocket::http::Method;
    use rocket::route::dummy_handler;

    fn route() -> Route {
        Route::new(Method::Get, "/", dummy_handler)
    }

    #[test]
    fn what_is_declared_is_found_again() {
        let policies = [
            Policy::Public,
            Policy::Session,
            Policy::Fresh,
            Policy::Role("admin"),
            Policy::Scope("notes:read"),
            Policy::Token,
        ];
        for policy in policies {
            let declared = policy.routes([route()]).remove(0);
            assert_eq!(Policy::of(&declared), Some(policy));
            assert_eq!(handler_name(&declared), "handler");
            assert_eq!(policy.is_public(), policy == Policy::Public);
        }
        assert_eq!(Policy::of(&route()), None);
    }

    #[test]
    fn files_are_declared_like_handlers() {
        let files = Policy::Public.routes(FileServer::from(rocket::fs::relative!("static")));
        assert!(files.iter().all(|route| Policy::of(route) == Some(Policy::Public)));
        assert!(handler_name(&files[0]).starts_with("FileServer: "));
    }

    #[test]
    fn the_inner_declaration_stands() {
        let inner = Policy::Session.routes([route()]);
        assert_eq!(Policy::of(&Policy::Public.routes(inner)[0]), Some(Policy::Session));
    }

    #[test]
    fn no_role_declares_something_else() {
        for role in ["", "x [public", "a b", "]", "x\tpublic"] {
            let routes = Policy::Role(role).routes([route()]);
            assert_eq!(Policy::of(&routes[0]), None, "{role:?}");
        }
        let mut odd = route();
        for name in ["me [anybody]", "me [role ]", "me [role a b]", "[public]", "me[public]", "me [public] "]
        {
            odd.name = Some(name.into());
            assert_eq!(Policy::of(&odd), None, "{name:?}");
        }
    }
}
