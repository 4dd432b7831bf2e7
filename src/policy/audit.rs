//! The check at launch: what is mounted, is everything reached, and does everything say who may ask?

use std::sync::OnceLock;
#[cfg(feature = "server")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "server")]
use rocket::Request;
use rocket::{Ignite, Rocket, Route};

use super::place::rival;
use super::{Policy, handler_name};
use crate::config::{Config, RouteAudit};

/// The audit of one application. It runs when everything is mounted, and once, however many guards ask for it.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    refused: OnceLock<bool>,
    /// The route that answered last; kept only while a test watches.
    #[cfg(feature = "server")]
    last: OnceLock<Mutex<Option<Route>>>,
}

#[cfg(feature = "server")]
impl Audit {
    /// Keeps in mind, from now on, which route answers.
    pub(crate) fn watch(&self) {
        self.last.get_or_init(Mutex::default);
    }

    /// At the end of every request.
    pub(crate) fn note(&self, request: &Request<'_>) {
        if let Some(last) = self.last.get() {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = request.route().cloned();
        }
    }

    /// The route that answered last, when it is watched: of several that were tried, the last one.
    pub(crate) fn last_route(&self) -> Option<Route> {
        self.last.get()?.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Audit {
    /// Whether the launch must be refused; says why, or warns.
    pub(crate) fn refuses(&self, rocket: &Rocket<Ignite>, config: &Config) -> bool {
        *self.refused.get_or_init(|| {
            let routes: Vec<&Route> = rocket.routes().collect();
            if let Some(rival) = rival(&routes, &config.url.base_path) {
                let (method, uri, name) = (rival.method, rival.uri.as_str(), handler_name(rival));
                tracing::error!(%method, uri, name, "a route stands where Countersign has its own");
                rocket::error!(
                    "Not launched: `{name}` ({method} {uri}) stands where Countersign has its own. \
                     Mount it elsewhere, or give Countersign another place by the path in `auth.url`."
                );
                return true;
            }
            let undeclared = undeclared(&routes);
            let number = undeclared.len();
            if number == 0 {
                return false;
            }
            match config.audit {
                RouteAudit::Off => false,
                RouteAudit::Warn => {
                    if is_begun(&routes, &config.url.base_path) {
                        tracing::warn!(number, "routes declare no policy");
                        rocket::warn!("Routes declare no policy:\n{}", report(&undeclared));
                    }
                    false
                }
                RouteAudit::Deny => {
                    tracing::error!(number, "routes declare no policy, and `auth.audit` is \"deny\"");
                    rocket::error!(
                        "Not launched: `auth.audit` is \"deny\", and routes declare no policy:\n{}",
                        report(&undeclared)
                    );
                    true
                }
            }
        })
    }
}

fn undeclared<'a>(routes: &[&'a Route]) -> Vec<&'a Route> {
    routes.iter().copied().filter(|route| Policy::of(route).is_none()).collect()
}

/// Whether the application itself declares anything: the library's own routes always do.
fn is_begun(routes: &[&Route], own_base: &str) -> bool {
    let own_base = if own_base.is_empty() { "/" } else { own_base };
    routes.iter().any(|route| Policy::of(route).is_some() && route.uri.base() != own_base)
}

/// One line per route: what it is, and what to write where it is mounted.
fn report(undeclared: &[&Route]) -> String {
    let lines: Vec<String> = undeclared
        .iter()
        .map(|route| {
            let (method, uri) = (route.method, &route.uri);
            // What is no function, like the files of a folder, is mounted by another expression.
            let routes = Some(handler_name(route)).filter(|name| is_identifier(name));
            let routes = routes.map_or("…".to_owned(), |name| format!("routes![{name}]"));
            let line = format!(".mount({:?}, countersign::Policy::Session.routes({routes}))", uri.base());
            format!(
                "  {method} {}: declare it by {line}, or Policy::Public when anybody may ask",
                uri.as_str()
            )
        })
        .collect();
    lines.join("\n")
}

fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocket::http::Method;
    use rocket::route::dummy_handler;

    #[test]
    fn the_report_names_each_route_and_its_line() {
        let mut me = Route::new(Method::Get, "/me/<id>?<page>", dummy_handler);
        me.name = Some("me".into());
        let me = me.map_base(|_| "/api".to_owned()).unwrap();
        assert_eq!(
            report(&[&me]),
            "  GET /api/me/<id>?<page>: declare it by .mount(\"/api\", \
             countersign::Policy::Session.routes(routes![me])), or Policy::Public when anybody may ask"
        );
    }

    #[test]
    fn the_librarys_own_declarations_do_not_count_as_a_beginning() {
        let own =
            Route::new(Method::Get, "/csrf", dummy_handler).map_base(|_| "/api/auth".to_owned()).unwrap();
        let own = Policy::Public.routes([own]);
        let other = Route::new(Method::Get, "/", dummy_handler);
        assert!(!is_begun(&[&own[0], &other], "/api/auth"));
        let declared = Policy::Public.routes([other.clone()]);
        assert!(is_begun(&[&own[0], &declared[0]], "/api/auth"));
        assert_eq!(undeclared(&[&own[0], &other]).len(), 1);
    }
}
