//! Requests that reach a route, made from the route alone.

use rocket::Route;
use rocket::http::ContentType;
use serde_json::json;

/// What stands for a parameter that the test does not fill in: it parses as a number, as a name and as a path.
const ANYTHING: &str = "1";

/// The values of parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(Vec<(String, String)>);

impl Values {
    pub(super) fn fill(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the test filled in every parameter of a route that has to parse.
    pub(super) fn cover(&self, route: &Route) -> bool {
        let path = route.uri.path().split('/').filter_map(parameter);
        let query = route.uri.query().unwrap_or_default().split('&').filter_map(parameter);
        path.chain(query).all(|name| self.find(name.trim_end_matches("..")).is_some())
    }

    /// Path and query of a request that matches a route.
    pub(super) fn uri(&self, route: &Route) -> String {
        let value = |name: &str| self.find(name.trim_end_matches("..")).unwrap_or(ANYTHING).to_owned();
        let segments = route.uri.path().split('/');
        let path: Vec<String> =
            segments.map(|text| parameter(text).map_or_else(|| text.to_owned(), value)).collect();
        let fields = route.uri.query().into_iter().flat_map(|query| query.split('&'));
        let query: Vec<String> = fields
            .filter_map(|text| match parameter(text) {
                None => Some(text.to_owned()),
                Some(name) if name.ends_with("..") => None,
                Some(name) => Some(format!("{name}={}", value(name))),
            })
            .collect();
        let path = path.join("/");
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }
}

/// The name in `<name>` or `<name..>`.
fn parameter(text: &str) -> Option<&str> {
    text.strip_prefix('<')?.strip_suffix('>')
}

/// Bodies that get past every check but the one for a person: each repeats the CSRF token, as a form and as JSON. A
/// route that says what it takes gets that.
pub(super) fn bodies(route: &Route, csrf_token: &str) -> Vec<Option<(ContentType, String)>> {
    if !route.method.supports_payload() {
        return vec![None];
    }
    let form = (ContentType::Form, format!("csrfToken={csrf_token}"));
    let json = (ContentType::JSON, json!({ "csrfToken": csrf_token }).to_string());
    match &route.format {
        None => vec![Some(form), Some(json)],
        Some(kind) if kind.is_form() => vec![Some(form)],
        Some(kind) if kind.is_json() => vec![Some(json)],
        Some(kind) => vec![Some((ContentType(kind.clone()), String::new()))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocket::http::{MediaType, Method};
    use rocket::route::dummy_handler;

    fn uri(route: &str, values: &Values) -> String {
        values.uri(&Route::new(Method::Get, route, dummy_handler))
    }

    #[test]
    fn parameters_are_filled_in() {
        let mut values = Values::default();
        assert_eq!(uri("/", &values), "/");
        assert_eq!(uri("/a/<id>/b/<rest..>?x=y&<page>&<all..>", &values), "/a/1/b/1?x=y&page=1");
        values.fill("id", "0");
        values.fill("id", "ada");
        values.fill("page", "2");
        assert_eq!(uri("/a/<id>?<page>", &values), "/a/ada?page=2");
        let covered = |uri: &str| values.cover(&Route::new(Method::Get, uri, dummy_handler));
        assert!(covered("/a") && covered("/a/<id>?<page>&x"));
        assert!(!covered("/a/<other>") && !covered("/a/<id>?<other>") && !covered("/a/<rest..>"));
    }

    #[test]
    fn bodies_fit_the_route() {
        let mut route = Route::new(Method::Post, "/", dummy_handler);
        assert_eq!(bodies(&route, "t").len(), 2);
        route.format = Some(MediaType::JSON);
        assert_eq!(bodies(&route, "t"), [Some((ContentType::JSON, r#"{"csrfToken":"t"}"#.to_owned()))]);
        route.format = Some(MediaType::PNG);
        assert_eq!(bodies(&route, "t"), [Some((ContentType::PNG, String::new()))]);
        assert_eq!(bodies(&Route::new(Method::Get, "/", dummy_handler), "t"), [None]);
    }
}
