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
use crate::clock::{Clock as _, ManualClock, Timestamp};
use crate::fairing::Replaced;
use crate::guards::Auth;
use crate::mail::CapturedMails;
use crate::model::{AuthMethod, DisplayName, Email, NewUser, User, UserId};
use crate::providers::Identity;
use crate::session::CookieHeader;
use crate::signin::{self, Entered, Entry};
use crate::store::{self, Created, Database, OpenOptions, Store};

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

    /// The user of an address, if there is one.
    ///
    /// # Panics
    /// When the text is no address, and when the store does not answer.
    pub async fn user(&self, email: &str) -> Option<User> {
        let found = self.store.find_user_by_email(&parse(email)).await;
        found.unwrap_or_else(|error| panic!("{error}")).map(|found| found.user)
    }

    /// The user of an address, made now if there is none: without a password, and with this name.
    ///
    /// # Panics
    /// When the text is no address or the name no name, and when the store does not answer.
    pub async fn add_user(&self, email: &str, name: Option<&str>) -> User {
        let name =
            name.map(|name| DisplayName::parse(name).unwrap_or_else(|error| panic!("{name:?}: {error}")));
        ensure(&*self.store, parse(email), name, self.now()).await
    }

    /// Signs in as anyone, who gets an account if they have none: a browser with a session, begun as after every other
    /// way of signing in (the host's hooks are asked), without a password and without its hash; of somebody who has a second
    /// factor, as by passkey.
    ///
    /// # Panics
    /// When the text is no address, when the application has no sign-in, and when a hook denies or fails.
    pub async fn sign_in(&self, email: &str) -> Browser<'_> {
        let user = self.add_user(email, None).await;
        let auth = auth(&self.client);
        let issued = match enter(auth, &user, AuthMethod::Pwd).await {
            Entered::Session(issued) => issued,
            // A passkey is both factors.
            Entered::SecondFactor(_) => match enter(auth, &user, AuthMethod::Passkey).await {
                Entered::Session(issued) => issued,
                Entered::SecondFactor(_) => panic!("{email} is asked for more than a passkey"),
            },
        };
        let cookies = auth.cookies.session(&issued.value, issued.expires_at, &CookieHeader::parse([]));
        let mut browser = self.browser();
        browser.take(cookies.iter().map(crate::session::SetCookie::header));
        browser
    }
}

/// The managed state of the application that a client talks to.
pub(super) fn auth(client: &Client) -> &Auth {
    let auth = client.rocket().state::<Auth>();
    auth.unwrap_or_else(|| panic!("attach `countersign::Countersign::fairing()` to the application"))
}

/// The one door, for whoever the test says it is.
async fn enter(auth: &Auth, user: &User, method: AuthMethod) -> Entered {
    let sign_in = auth.sign_in.as_ref();
    let sign_in =
        sign_in.unwrap_or_else(|| panic!("an application that only verifies tokens signs nobody in"));
    let identity = Identity { user: user.clone(), method, provider: "testing".to_owned(), profile: None };
    let entry = Entry { client: &signin::Client::default(), replaces: None };
    let entered = sign_in.enter(&identity, entry).await;
    entered.unwrap_or_else(|error| panic!("{} may not sign in: {error}", user.email))
}

fn parse(email: &str) -> Email {
    Email::parse(email).unwrap_or_else(|error| panic!("{email:?}: {error}"))
}

/// The user of an address, made now if there is none.
pub(super) async fn ensure(
    store: &dyn Store,
    email: Email,
    name: Option<DisplayName>,
    now: Timestamp,
) -> User {
    let id = UserId::generate().unwrap_or_else(|error| panic!("{error}"));
    let user = NewUser { id, email: email.clone(), name, password_hash: None, created_at: now };
    match store.create_user(&user).await.unwrap_or_else(|error| panic!("{error}")) {
        Created::Created | Created::EmailTaken => {}
    }
    let found = store.find_user_by_email(&email).await.unwrap_or_else(|error| panic!("{error}"));
    found.unwrap_or_else(|| panic!("{email} was made and is not there")).user
}
