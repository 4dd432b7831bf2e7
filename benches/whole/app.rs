//! The application that is measured: a stranger's, with every guarded route beside the same route unguarded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use countersign::clock::{Clock as _, SystemClock};
use countersign::guards::Auth;
use countersign::model::{AuthMethod, Email, NewUser, UserId};
use countersign::pages::Page;
use countersign::session::{CookieHeader, Device, Grant, Presented, encode_component};
use countersign::store::{self, Database, OpenOptions, Store};
use countersign::token::Claims;
use countersign::{Countersign, OptionalSession, PageContext, Session, Token};
use rocket::figment::Figment;
use rocket::figment::providers::{Format as _, Toml};
use rocket::http::{ContentType, Header};
use rocket::response::Responder;
use rocket::response::content::RawHtml;
use rocket::serde::json::{Json, Value, json};
use rocket::{Build, Phase, Rocket, Route, State, get, routes};
use rocket_dyn_templates::tera::{Context, Tera};

/// A secret nobody uses elsewhere.
pub(crate) const SECRET: &str = "bench-secret-0123456789-abcdefghijklmnopqrstuvwxyz";

/// Who is signed in.
pub(crate) const EMAIL: &str = "ada@example.com";

/// What every route here answers.
#[derive(Responder)]
#[response(status = 200)]
pub(crate) struct Answer {
    body: String,
    kind: ContentType,
}

/// The same with the headers that a guarded answer carries, so that both put the same bytes on the wire.
#[derive(Responder)]
pub(crate) struct Labelled {
    answer: Answer,
    cache: Header<'static>,
    vary: Header<'static>,
}

fn answer(email: &str) -> Answer {
    Answer { body: format!("{{\"email\":\"{email}\"}}"), kind: ContentType::JSON }
}

#[get("/open")]
pub(crate) fn open() -> Labelled {
    Labelled {
        answer: answer(EMAIL),
        cache: Header::new("Cache-Control", "private, no-store"),
        vary: Header::new("Vary", "Cookie"),
    }
}

#[get("/bare")]
fn bare() -> Answer {
    answer(EMAIL)
}

#[get("/session")]
pub(crate) fn session(session: Session) -> Answer {
    answer(session.email().unwrap_or_default())
}

#[get("/optional")]
fn optional(session: OptionalSession) -> Answer {
    answer(session.get().and_then(Session::email).unwrap_or_default())
}

#[get("/token")]
fn token(token: Token) -> Answer {
    answer(token.claims().email().unwrap_or_default())
}

/// The body of `GET /api/auth/session`, by a route that knows nobody.
#[get("/json")]
fn json() -> Json<Value> {
    Json(json!({
        "user": { "name": null, "email": EMAIL, "image": null },
        "expires": SystemClock.now().to_iso(),
    }))
}

/// What an answer of the library's own carries besides a bare JSON route's.
#[derive(Responder)]
struct Dressed {
    body: Json<Value>,
    cache: Header<'static>,
    vary: Header<'static>,
    policy: Header<'static>,
    referrer: Header<'static>,
    resource: Header<'static>,
}

/// The same with the headers of `GET /api/auth/session`.
#[get("/json-dressed")]
fn json_dressed() -> Dressed {
    Dressed {
        body: json(),
        cache: Header::new("Cache-Control", "private, no-store"),
        vary: Header::new("Vary", "Cookie"),
        policy: Header::new("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        referrer: Header::new("Referrer-Policy", "no-referrer"),
        resource: Header::new("Cross-Origin-Resource-Policy", "same-origin"),
    }
}

/// `GET /api/auth/session` is tried before what has Rocket's own ranks. Which route is found first is no property of what it
/// does, so what it is compared with is tried as early.
fn as_early_as_session(mut routes: Vec<Route>) -> Vec<Route> {
    for route in &mut routes {
        route.rank = -13;
    }
    routes
}

/// The site's own templates.
fn templates() -> Vec<(String, String)> {
    let named = [
        ("site/layout", include_str!("../../templates/site/layout.html")),
        ("site/protected", include_str!("../../templates/site/protected.html")),
    ];
    named.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec()
}

/// What the page is compared with: its template with a context that is ready, and its bytes.
struct Ready {
    tera: Tera,
    context: OnceLock<Context>,
    html: OnceLock<String>,
}

impl Ready {
    fn new() -> Self {
        let mut tera = Tera::default();
        tera.register_filter("fill", countersign::pages::fill_filter);
        let named = templates().into_iter().map(|(name, text)| (format!("{name}.html"), text));
        tera.add_raw_templates(named).unwrap();
        Self { tera, context: OnceLock::new(), html: OnceLock::new() }
    }

    fn render(&self, context: &Context) -> String {
        self.tera.render("site/protected.html", context).unwrap()
    }
}

/// To be asked once, before the two routes below.
#[get("/page-prepare")]
fn page_prepare(_session: Session, page: PageContext, ready: &State<Ready>) -> &'static str {
    let context = Context::from_serialize(page).unwrap();
    ready.html.set(ready.render(&context)).ok();
    ready.context.set(context).ok();
    "ready"
}

#[get("/page")]
fn page(_session: Session, page: PageContext) -> Page {
    page.render("site/protected")
}

/// A page that differs each time, so that it is rendered.
#[get("/page-fresh")]
fn page_fresh(_session: Session, page: PageContext, asked: &State<AtomicU64>) -> Page {
    page.render("site/protected").with("asked", asked.fetch_add(1, Ordering::Relaxed))
}

#[get("/page-ready")]
fn page_ready(ready: &State<Ready>) -> RawHtml<String> {
    RawHtml(ready.render(ready.context.get().unwrap()))
}

#[get("/page-static")]
fn page_static(ready: &State<Ready>) -> RawHtml<&str> {
    RawHtml(ready.html.get().unwrap())
}

/// How the application is set up.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) database_url: String,
    pub(crate) strategy: String,
    pub(crate) format: String,
    pub(crate) port: u16,
}

impl Setup {
    fn figment(&self) -> Figment {
        let toml = format!(
            "[default]\naddress = \"127.0.0.1\"\nport = {}\nworkers = 1\nlog_level = \"off\"\nident = false\n\
             [default.auth]\nurl = \"http://localhost:8000\"\nsecret = \"{SECRET}\"\ndatabase_url = \"{}\"\n\
             [default.auth.session]\nstrategy = \"{}\"\n[default.auth.jwt]\nformat = \"{}\"\n",
            self.port, self.database_url, self.strategy, self.format
        );
        Figment::from(rocket::Config::release_default()).merge(Toml::string(&toml).nested())
    }

    /// Opens the store.
    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        let database = match self.database_url.strip_prefix("sqlite://") {
            Some(path) => Database::Sqlite(path.into()),
            None => Database::Postgres(self.database_url.clone()),
        };
        let timeout = std::time::Duration::from_secs(5);
        store::open(&OpenOptions { database, max_connections: 8, timeout }).await.unwrap()
    }

    /// The application on this store.
    pub(crate) fn rocket(&self, store: Arc<dyn Store>) -> Rocket<Build> {
        rocket::custom(self.figment())
            .attach(Countersign::fairing().store(store).templates(templates()))
            .manage(Ready::new())
            .manage(AtomicU64::new(0))
            .mount("/", routes![open, bare, session, optional, token])
            .mount("/", as_early_as_session(routes![json, json_dressed]))
            .mount("/", routes![page_prepare, page, page_fresh, page_ready, page_static])
    }
}

/// Signs somebody in, as a browser would have been; the `Cookie` header it then sends, with `cookies` cookies in it: the
/// session's alone, or those of a browser that has seen a form, or other people's besides.
pub(crate) async fn enter<P: Phase>(rocket: &Rocket<P>, store: &dyn Store, cookies: usize) -> String {
    let auth = rocket.state::<Auth>().unwrap();
    let email = Email::parse(EMAIL).unwrap();
    let id = UserId::generate().unwrap();
    let new =
        NewUser { id, email: email.clone(), name: None, password_hash: None, created_at: SystemClock.now() };
    let _ = store.create_user(&new).await.unwrap();
    let user = store.find_user_by_email(&email).await.unwrap().unwrap().user;
    let device = Device::default();
    let grant =
        Grant { user: &user, method: AuthMethod::Pwd, claims: Claims::default(), device, replaces: None };
    let issued = auth.sessions.issue(grant).await.unwrap();
    assert!(auth.sessions.read(Presented::Cookie(&issued.value)).await.is_ok());
    let pair = auth.csrf.generate().unwrap();
    let set = auth.cookies.session(&issued.value, issued.expires_at, &CookieHeader::parse([]));
    let others = cookies.saturating_sub(3);
    let mut pairs: Vec<String> =
        (0..others).map(|number| format!("_other_{number}=GA1.1.{:032}", number * 7919)).collect();
    if cookies > 1 {
        pairs.push(format!("{}={}", auth.cookies.csrf_name(), encode_component(pair.cookie())));
        let url = encode_component("http://localhost:8000");
        pairs.push(format!("{}={url}", auth.cookies.callback_url_name()));
    }
    pairs.extend(set.iter().map(|cookie| cookie.header().split(';').next().unwrap().to_owned()));
    pairs.join("; ")
}
