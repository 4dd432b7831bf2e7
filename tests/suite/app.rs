//! A whole application in memory: the service's routes, a database of its own, and a clock that tests move.

use std::path::Path;
use std::sync::Arc;

use countersign::clock::{ManualClock, Timestamp};
use countersign::mail::{CapturedMails, Mail};
use countersign::store::Store;
pub(crate) use countersign::testing::START;
use countersign::testing::TestApp;
use countersign::{Countersign, OptionalSession, Policy, SecurityHeaders, Session, Token};
use rocket::figment::Figment;
use rocket::figment::providers::{Format as _, Toml};
use rocket::{Build, Rocket};
use tempfile::TempDir;

use crate::database::open;
use crate::faults::FaultyStore;
use crate::logs::{Eavesdropper, Watch};

/// A secret nobody uses elsewhere.
pub(crate) const SECRET: &str = "suite-secret-0123456789-abcdefghijklmnopqrstuvwxyz";

/// Both strategies: what holds for one must hold for the other.
pub(crate) const STRATEGIES: [&str; 2] = ["jwt", "database"];

/// A running application.
pub(crate) struct App {
    kit: TestApp,
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) folder: TempDir,
    /// What was mailed.
    pub(crate) mails: CapturedMails,
    /// Last, so that it hears what the others still say.
    watch: Watch,
}

/// How an application is set up.
pub(crate) struct Setup {
    toml: String,
    strategy: String,
    fairing: Box<dyn FnOnce(Countersign) -> Countersign>,
    build: Box<dyn FnOnce(Rocket<Build>) -> Rocket<Build>>,
}

impl Setup {
    /// The defaults, with this strategy.
    pub(crate) fn new(strategy: &str) -> Self {
        Self {
            toml: String::new(),
            strategy: strategy.to_owned(),
            fairing: Box::new(|fairing| fairing),
            build: Box::new(|rocket| rocket),
        }
    }

    /// With further configuration, as TOML of the default profile.
    pub(crate) fn toml(mut self, toml: &str) -> Self {
        self.toml.push_str(toml);
        self.toml.push('\n');
        self
    }

    /// With hooks or whatever else the fairing takes.
    pub(crate) fn fairing(mut self, change: impl FnOnce(Countersign) -> Countersign + 'static) -> Self {
        self.fairing = Box::new(change);
        self
    }

    /// With routes and catchers of a host's own.
    pub(crate) fn build(mut self, change: impl FnOnce(Rocket<Build>) -> Rocket<Build> + 'static) -> Self {
        self.build = Box::new(change);
        self
    }

    /// Starts it on a fresh database.
    pub(crate) async fn start(self) -> App {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::at(START);
        self.start_in(folder, clock).await
    }

    /// Starts it on the database in `folder`.
    pub(crate) async fn start_in(self, folder: TempDir, clock: ManualClock) -> App {
        let watch = Watch::begin();
        let store = Arc::new(FaultyStore::new(open(folder.path()).await));
        let rocket = self.rocket(folder.path());
        let kit = TestApp::of(rocket).clock(clock.clone()).store(Arc::clone(&store) as Arc<dyn Store>);
        let kit = kit.start().await;
        let mails = kit.mails().clone();
        App { kit, clock, store, folder, mails, watch }
    }

    fn rocket(self, folder: &Path) -> Rocket<Build> {
        let rocket = rocket::custom(figment(&self.strategy, &self.toml, folder))
            .attach((self.fairing)(Countersign::fairing()))
            .attach(SecurityHeaders)
            .attach(Eavesdropper)
            .mount("/", Policy::Session.routes(rocket::routes![me, page]))
            .mount("/", Policy::Token.routes(rocket::routes![claims]))
            .mount("/", Policy::Public.routes(rocket::routes![maybe]));
        (self.build)(rocket)
    }
}

/// The configuration every test starts from: cheap hashes, generous limits.
pub(crate) fn figment(strategy: &str, toml: &str, folder: &Path) -> Figment {
    let database = folder.join("test.db");
    let base = format!(
        "[default]\nlog_level = \"off\"\n[default.auth]\nurl = \"http://localhost:8000\"\nsecret = \"{SECRET}\"\n\
         database_url = \"sqlite://{}\"\n[default.auth.session]\nstrategy = \"{strategy}\"\n\
         [default.auth.providers.credentials.argon2]\nmemory_kib = 8192\niterations = 1\n",
        database.display()
    );
    Figment::from(rocket::Config::debug_default())
        .merge(Toml::string(&base).nested())
        .merge(Toml::string(toml).nested())
}

impl App {
    /// With the defaults.
    pub(crate) async fn new(strategy: &str) -> Self {
        Setup::new(strategy).start().await
    }

    /// Stops the application and starts it again on the same database.
    pub(crate) async fn restart(self, setup: Setup) -> Self {
        let Self { kit, clock, store, folder, watch, .. } = self;
        drop(kit);
        store.close().await;
        drop(watch);
        setup.start_in(folder, clock).await
    }

    /// The application on the same database, by a machine whose clock shows `now`.
    pub(crate) async fn restart_at(self, setup: Setup, now: Timestamp) -> Self {
        let Self { kit, store, folder, .. } = self;
        drop(kit);
        store.close().await;
        setup.start_in(folder, ManualClock::at(now)).await
    }

    /// The next mail to an address whose subject begins so; earlier ones are put aside.
    pub(crate) async fn mail(&self, to: &str, subject: &str) -> Mail {
        loop {
            let mail = self.mails.take(to).await;
            let mail = mail.unwrap_or_else(|| panic!("no mail {subject:?} to {to}"));
            crate::logs::mailed(&mail);
            if mail.subject.starts_with(subject) {
                return mail;
            }
        }
    }

    /// Confirms the address of somebody who signed up with it.
    pub(crate) async fn confirm(&self, email: &str) {
        self.confirm_email(email).await;
    }

    /// The ids of an address's sessions, as the forms name them.
    pub(crate) async fn session_ids(&self, email: &str) -> Vec<String> {
        self.sessions(email).await.iter().map(|session| session.id.to_hex()).collect()
    }

    /// Another instance of the application, on the same database.
    pub(crate) async fn elsewhere(&self, setup: Setup) -> TestApp {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let rocket = setup.rocket(self.folder.path());
        TestApp::of(rocket).clock(self.clock.clone()).store(store).start().await
    }
}

/// What the testing kit can do, an application of the suite can do.
impl std::ops::Deref for App {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.kit
    }
}

#[rocket::get("/me")]
fn me(session: Session) -> String {
    session.email().unwrap_or_default().to_owned()
}

#[rocket::get("/page")]
fn page(_session: Session) -> rocket::response::content::RawHtml<&'static str> {
    rocket::response::content::RawHtml("<p>private</p>")
}

#[rocket::get("/claims")]
fn claims(token: Token) -> rocket::serde::json::Json<countersign::token::Claims> {
    rocket::serde::json::Json(token.claims().clone())
}

#[rocket::get("/maybe")]
fn maybe(session: OptionalSession) -> String {
    session.get().and_then(Session::email).unwrap_or("nobody").to_owned()
}
