//! An application that runs for a test.

use std::sync::Arc;
use std::time::Duration;

use figment::Profile;
use figment::providers::Serialized;
use rocket::local::asynchronous::Client;
use rocket::{Build, Rocket};
use serde::Serialize;

use super::browser::Browser;
use super::folder::Folder;
use super::provider::OpenIdProvider;
use crate::clock::{Clock as _, ManualClock, Timestamp};
use crate::fairing::Replaced;
use crate::guards::Auth;
use crate::mail::CapturedMails;
use crate::store::{self, Database, OpenOptions, Store};

/// When every test begins.
pub const START: Timestamp = Timestamp(1_800_000_000);

/// The secret of an application whose configuration sets none.
const SECRET: &str = "countersign-testing-alone-0123456789-abcdefghij";

/// A running application with a database and a clock of its own.
///
/// ```
/// # use countersign::Countersign;
/// use countersign::testing::TestApp;
/// # fn rocket() -> rocket::Rocket<rocket::Build> {
/// #     rocket::build().attach(Countersign::fairing())
/// # }
///
/// # rocket::async_test(async {
/// let app = TestApp::of(rocket()).set("session.strategy", "database").set("session.max_age", 3600).start().await;
/// let cookies = app.sign_in("ada@example.com").await.cookies();
///
/// // What was answered is still true when the process comes back.
/// let stopped = app.stop().await;
/// let app = TestApp::of(rocket()).set("session.strategy", "database").resume(stopped).start().await;
/// let mut ada = app.browser().with_cookies(cookies);
/// assert_eq!(ada.get("/api/auth/account").await.status, 200);
/// # });
/// ```
#[derive(Debug)]
pub struct TestApp {
    client: Client,
    clock: ManualClock,
    store: Arc<dyn Store>,
    folder: Option<Folder>,
    mails: CapturedMails,
}

/// An application that is about to run.
#[must_use]
#[derive(Debug)]
pub struct Setup {
    rocket: Rocket<Build>,
    clock: ManualClock,
    store: Option<Arc<dyn Store>>,
    folder: Option<Folder>,
}

/// What is left of an application that was stopped: its database, and the time.
#[must_use]
#[derive(Debug)]
pub struct Stopped {
    clock: ManualClock,
    store: Option<Arc<dyn Store>>,
    folder: Option<Folder>,
}

impl Setup {
    /// With another value for a key of the configuration, by its name below `auth`.
    pub fn set(mut self, key: &str, value: impl Serialize) -> Self {
        let figment = self.rocket.figment().clone().merge((format!("auth.{key}"), value));
        self.rocket = self.rocket.configure(figment);
        self
    }

    /// With this clock, which the test may share with something else.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = clock;
        self
    }

    /// With a local provider to sign in with, under this name. It tells the time by the clock that the application has so
    /// far, so a clock of the test's own comes first.
    pub fn provider(self, name: &str, provider: &OpenIdProvider) -> Self {
        provider.follow(&self.clock);
        let key = |key: &str| format!("providers.{name}.{key}");
        self.set(&key("issuer"), provider.url())
            .set(&key("client_id"), OpenIdProvider::CLIENT_ID)
            .set(&key("client_secret"), OpenIdProvider::CLIENT_SECRET)
    }

    /// With this store instead of SQLite in a folder of its own.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// With the database and the time of an application that was stopped.
    pub fn resume(mut self, stopped: Stopped) -> Self {
        let Stopped { clock, store, folder } = stopped;
        (self.clock, self.store, self.folder) = (clock, store, folder);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it does not launch, and when Countersign's fairing is not attached.
    pub async fn start(self) -> TestApp {
        self.try_start().await.unwrap_or_else(|error| panic!("the application does not launch: {error}"))
    }

    /// Starts it, if it launches.
    ///
    /// # Errors
    /// Why it does not.
    ///
    /// # Panics
    /// When Countersign's fairing is not attached, and when there is no database.
    pub async fn try_start(self) -> Result<TestApp, rocket::Error> {
        let Self { rocket, clock, store, folder } = self;
        let (store, folder) = if let Some(store) = store {
            (store, folder)
        } else {
            let folder = folder.unwrap_or_else(Folder::new);
            (open(&folder).await, Some(folder))
        };
        let figment = rocket.figment().clone();
        let figment = figment.join(beneath("auth.secret", SECRET));
        let figment = figment.join(beneath("auth.providers.credentials.argon2.memory_kib", 8192));
        let figment = figment.join(beneath("auth.providers.credentials.argon2.iterations", 1));
        let mails = CapturedMails::default();
        let replaced =
            Replaced { clock: Arc::new(clock.clone()), store: Arc::clone(&store), mails: mails.clone() };
        let client = Client::untracked(rocket.configure(figment).manage(replaced)).await?;
        assert!(client.rocket().state::<Auth>().is_some(), "attach `countersign::Countersign::fairing()`");
        Ok(TestApp { client, clock, store, folder, mails })
    }
}

/// A value that every file and variable overrides.
fn beneath(key: &str, value: impl Serialize) -> Serialized<impl Serialize> {
    Serialized::default(key, value).profile(Profile::Default)
}

async fn open(folder: &Folder) -> Arc<dyn Store> {
    let database = Database::Sqlite(folder.path().join("test.db"));
    let options = OpenOptions { database, max_connections: 4, timeout: Duration::from_secs(5) };
    store::open(&options).await.unwrap_or_else(|error| panic!("{error}"))
}

impl TestApp {
    /// An application, to be prepared further.
    pub fn of(rocket: Rocket<Build>) -> Setup {
        Setup { rocket, clock: ManualClock::at(START), store: None, folder: None }
    }

    /// Starts an application as it is.
    ///
    /// # Panics
    /// When it does not launch, and when Countersign's fairing is not attached.
    pub async fn start(rocket: Rocket<Build>) -> Self {
        Self::of(rocket).start().await
    }

    /// Stops it. What it had stored can be [resumed](Setup::resume).
    pub async fn stop(self) -> Stopped {
        let Self { client, clock, store, folder, .. } = self;
        drop(client);
        if folder.is_none() {
            // A store that the test brought along is the test's to close.
            return Stopped { clock, store: Some(store), folder };
        }
        store.close().await;
        Stopped { clock, store: None, folder }
    }

    /// Rocket's client, which keeps no cookies.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the application keeps.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What the application mailed: nothing leaves a test.
    #[must_use]
    pub fn mails(&self) -> &CapturedMails {
        &self.mails
    }

    /// The clock by which the application tells the time.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The time, as the application sees it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock by `seconds`, backwards when negative.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// A browser without cookies.
    #[must_use]
    pub fn browser(&self) -> Browser<'_> {
        Browser::new(&self.client)
    }
}

/// The managed state of the application that a client talks to.
pub(super) fn auth(client: &Client) -> &Auth {
    let auth = client.rocket().state::<Auth>();
    auth.unwrap_or_else(|| panic!("attach `countersign::Countersign::fairing()` to the application"))
}
