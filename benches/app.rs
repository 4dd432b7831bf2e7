//! The application that is measured: a stranger's, with every guarded route beside the same route unguarded.

use std::sync::Arc;

use countersign::clock::{Clock as _, SystemClock};
use countersign::guards::Auth;
use countersign::model::{AuthMethod, Email, NewUser, UserId};
use countersign::session::{CookieHeader, Device, Grant, Presented, encode_component};
use countersign::store::{self, Database, OpenOptions, Store};
use countersign::token::Claims;
use countersign::{Countersign, OptionalSession, Session, Token};
use rocket::figment::Figment;
use rocket::figment::providers::{Format as _, Toml};
use rocket::http::{ContentType, Header};
use rocket::response::Responder;
use rocket::{Build, Phase, Rocket, get, routes};

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
fn open() -> Labelled {
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
fn session(session: Session) -> Answer {
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
            .attach(Countersign::fairing().store(store))
            .mount("/", routes![open, bare, session, optional, token])
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
