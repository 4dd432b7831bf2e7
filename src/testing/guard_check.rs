//! Asking every route that is not for everybody, as somebody who must not get in.

use std::fmt;

use rocket::Route;
use rocket::http::{Accept, Header, QMediaType};
use rocket::local::asynchronous::Client;

use super::app::auth;
use super::probe::{Values, bodies};
use super::visitors::{Visitor, Visitors};
use crate::guards::Auth;
use crate::policy::{Policy, handler_name};
use crate::server::Background;

/// Panics with a list of the routes that let somebody in who must not get in, or that do not declare who may ask.
///
/// Every route that declares another policy than [`Policy::Public`] is asked by nobody, and by whoever has everything but
/// what it asks for:
///
/// | policy | is asked besides by |
/// | --- | --- |
/// | [`Policy::Fresh`] | somebody who signed in too long ago |
/// | [`Policy::Role`] | somebody who is signed in and has no role, and somebody who has another |
/// | [`Policy::Scope`] | somebody who is signed in, and a script whose access token has another scope |
///
/// Parameters are filled in and bodies carry a valid CSRF token, so that nothing but the guard can be what refuses. Right
/// answers are 401, 403, and a redirect to a page that asks for a proof: the sign-in page, or the one for those who signed
/// in too long ago.
///
/// The client must not be signed in. Use one on a database of the test's own ([`TestApp`](super::TestApp)): where one of
/// these three is declared, users are made.
///
/// ```should_panic
/// use countersign::testing::{TestApp, assert_guarded};
/// use countersign::{Countersign, Policy};
/// use rocket::{get, routes};
///
/// #[get("/salaries")]
/// fn salaries() -> &'static str { // somebody forgot the guard
///     "a lot"
/// }
///
/// # rocket::async_test(async {
/// let rocket = rocket::build().attach(Countersign::fairing());
/// let app = TestApp::start(rocket.mount("/", Policy::Session.routes(routes![salaries]))).await;
/// assert_guarded(app.client()).await; // GET /salaries (salaries, session) answered 200 to nobody
/// # });
/// ```
///
/// # Panics
/// When a route is not guarded as it declares.
pub async fn assert_guarded(client: &Client) {
    GuardCheck::new(client).assert().await;
}

/// [`assert_guarded`] for routes whose parameters must have a certain form.
///
/// ```
/// # use countersign::{Countersign, Policy, Session};
/// # use countersign::testing::{GuardCheck, TestApp};
/// # rocket::async_test(async {
/// # let app = TestApp::start(rocket::build().attach(Countersign::fairing())).await;
/// GuardCheck::new(app.client()).fill("day", "2026-02-28").assert().await;
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct GuardCheck<'a> {
    client: &'a Client,
    values: Values,
}

/// A route that is not guarded as it declares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// It does not declare who may ask.
    Undeclared {
        /// Method, path and handler.
        route: String,
    },
    /// It let somebody in.
    LetIn {
        /// Method, path, handler and policy.
        route: String,
        /// Who was let in.
        who: &'static str,
        /// The status it answered with.
        status: u16,
        /// The route that answered, when it was another one.
        answered_by: Option<String>,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undeclared { route } => write!(f, "{route} does not declare who may ask"),
            Self::LetIn { route, who, status, answered_by: None } => {
                write!(f, "{route} answered {status} to {who}")
            }
            Self::LetIn { route, who, status, answered_by: Some(other) } => write!(
                f,
                "{route} passed {who} on, and {other} answered {status}: if a parameter did not parse, fill it in"
            ),
        }
    }
}

impl<'a> GuardCheck<'a> {
    /// A check of the application that a client talks to.
    #[must_use]
    pub fn new(client: &'a Client) -> Self {
        Self { client, values: Values::default() }
    }

    /// Fills in the parameter of this name, wherever it occurs; others are `1`.
    #[must_use]
    pub fn fill(mut self, name: &str, value: &str) -> Self {
        self.values.fill(name, value);
        self
    }

    /// Panics with a list of all violations.
    ///
    /// # Panics
    /// When there are any.
    pub async fn assert(&self) {
        let violations = self.violations().await;
        let lines: Vec<String> = violations.iter().map(|violation| format!("  {violation}")).collect();
        assert!(lines.is_empty(), "routes are not guarded as they declare:\n{}", lines.join("\n"));
    }

    /// All violations, in the order of the routes.
    ///
    /// # Panics
    /// When the fairing is not attached, and when the client is signed in.
    pub async fn violations(&self) -> Vec<Violation> {
        let auth = auth(self.client);
        let signed_in = self.client.cookies().get(auth.cookies.session_name()).is_some();
        assert!(!signed_in, "the client has a session: give the check one that is not signed in");
        auth.route_audit.watch();
        let mut found = Vec::new();
        let store = self.client.rocket().state::<Background>().map(Background::store);
        let mut visitors = Visitors::new(auth, store);
        for route in self.client.rocket().routes() {
            let Some(policy) = Policy::of(route) else {
                found.push(Violation::Undeclared { route: shown(route) });
                continue;
            };
            // Whoever lets nobody in lets in everybody: once is enough.
            for visitor in visitors.kept_out_by(policy).await {
                if let Some(violation) = self.ask(auth, route, &visitor).await {
                    found.push(violation);
                    break;
                }
            }
        }
        found
    }

    /// The first wrong answer of a route to a visitor.
    async fn ask(&self, auth: &Auth, route: &Route, visitor: &Visitor) -> Option<Violation> {
        let uri = self.values.uri(route);
        for body in bodies(route, &visitor.csrf_token) {
            let mut request = self.client.req(route.method, uri.clone());
            request.add_header(Header::new("Cookie", visitor.cookies.clone()));
            if let Some(token) = &visitor.bearer {
                request.add_header(Header::new("Authorization", format!("Bearer {token}")));
            }
            if let Some(kind) = route.format.clone().filter(|_| body.is_none()) {
                request.add_header(Accept::new([QMediaType(kind, None)]));
            }
            if let Some((kind, text)) = body {
                request.add_header(kind);
                request.set_body(text);
            }
            let answer = request.dispatch().await;
            let status = answer.status().code;
            let location = answer.headers().get_one("location").unwrap_or_default();
            let other = auth.route_audit.last_route().filter(|last| !is_same(last, route));
            if is_refusal(auth, status, location) || self.is_passed_on(route, other.as_ref()) {
                continue;
            }
            let answered_by = other.as_ref().map(shown);
            return Some(Violation::LetIn { route: shown(route), who: visitor.who, status, answered_by });
        }
        None
    }

    /// Whether the guard forwarded and a public route of the same shape answered, as is Rocket's way to serve a page to
    /// both. A parameter that does not parse forwards too, so all of them must have been filled in by the test.
    fn is_passed_on(&self, route: &Route, other: Option<&Route>) -> bool {
        other.is_some_and(|other| Policy::of(other) == Some(Policy::Public)) && self.values.cover(route)
    }
}

fn is_refusal(auth: &Auth, status: u16, location: &str) -> bool {
    let site = &auth.config.url;
    let own = auth.config.pages.sign_in.as_ref().map(|page| format!("{}{page}", site.origin));
    let asking = [own.unwrap_or_else(|| site.base("signin")), site.base("reauthenticate")];
    let asks_for_proof = |location: &str| {
        let whole = if location.starts_with('/') {
            format!("{}{location}", site.origin)
        } else {
            location.to_owned()
        };
        let is_at = |rest: &str| rest.is_empty() || rest.starts_with(['?', '&', '/']);
        asking.iter().any(|page| whole.strip_prefix(page).is_some_and(is_at))
    };
    matches!(status, 401 | 403) || ((300..400).contains(&status) && asks_for_proof(location))
}

fn is_same(left: &Route, right: &Route) -> bool {
    left.method == right.method
        && left.uri.as_str() == right.uri.as_str()
        && left.rank == right.rank
        && left.format == right.format
}

fn shown(route: &Route) -> String {
    let policy = Policy::of(route).map_or_else(String::new, |policy| format!(", {policy}"));
    format!("{} {} ({}{policy})", route.method, route.uri.as_str(), handler_name(route))
}
