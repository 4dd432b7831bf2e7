//! People of an application that runs for a test.

use super::app::{TestApp, auth};
use super::browser::Browser;
use super::passkey::SoftPasskey;
use super::visitors;
use crate::clock::Timestamp;
use crate::guards::Auth;
use crate::model::{
    AuthMethod, DisplayName, Email, NewUser, Permission, Purpose, User, UserId, Verification,
};
use crate::providers::Identity;
use crate::secret::PlainToken;
use crate::session::CookieHeader;
use crate::signin::{self, Entered, Entry};
use crate::store::{Created, Store};

impl TestApp {
    /// The user of an address, if there is one.
    ///
    /// # Panics
    /// When the text is no address, and when the store does not answer.
    pub async fn user(&self, email: &str) -> Option<User> {
        let found = self.store().find_user_by_email(&parse(email)).await;
        found.unwrap_or_else(|error| panic!("{error}")).map(|found| found.user)
    }

    /// The user of an address, made now if there is none: without a password, and with this name.
    ///
    /// # Panics
    /// When the text is no address or the name no name, and when the store does not answer.
    pub async fn add_user(&self, email: &str, name: Option<&str>) -> User {
        let name =
            name.map(|name| DisplayName::parse(name).unwrap_or_else(|error| panic!("{name:?}: {error}")));
        ensure(&**self.store(), parse(email), name, self.now()).await
    }

    /// Confirms the address of its user, made now if there is none, as a link by mail does: a second factor can be added to
    /// the account from then on.
    ///
    /// # Panics
    /// When the text is no address, and when the store does not answer.
    pub async fn confirm_email(&self, email: &str) {
        let user = self.add_user(email, None).await;
        if user.email_verified_at.is_some() {
            return;
        }
        let (now, purpose) = (self.now(), Purpose::VerifyEmail);
        let token = PlainToken::generate().unwrap_or_else(|error| panic!("{error}"));
        let link = Verification {
            id: Verification::id_of(purpose, &user.email, &token),
            purpose,
            email: user.email,
            user_id: Some(user.id.clone()),
            code: None,
            created_at: now,
            expires_at: now.plus(1),
        };
        let added = self.store().add_verification(&link).await;
        added.unwrap_or_else(|error| panic!("{error}"));
        let confirmed = self.store().redeem_verify_email(&link.id, &user.id, now).await;
        assert!(confirmed.unwrap_or_else(|error| panic!("{error}")), "{email} cannot be confirmed");
    }

    /// Gives a role to the user of an address, made now if there is none. It counts from the next request on.
    ///
    /// # Panics
    /// When the text is no address or the role no name of one, and when the store does not answer.
    pub async fn grant_role(&self, email: &str, role: &str) {
        let user = self.add_user(email, None).await;
        let granted = self.store().grant_role(&user.id, &permission(role), self.now()).await;
        granted.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Takes a role from the user of an address. It counts from the next request on.
    ///
    /// # Panics
    /// When the text is no address or the role no name of one, and when the store does not answer.
    pub async fn take_role(&self, email: &str, role: &str) {
        let user = self.add_user(email, None).await;
        let taken = self.store().take_role(&user.id, &permission(role)).await;
        taken.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Disables the user of an address, as an administrator does: their sessions have ended when this returns, and there is no
    /// way in until they are [enabled](TestApp::enable).
    ///
    /// ```
    /// # use countersign::Countersign;
    /// # use countersign::testing::TestApp;
    /// # rocket::async_test(async {
    /// # let app = TestApp::start(rocket::build().attach(Countersign::fairing())).await;
    /// let mut ada = app.sign_in("ada@example.com").await;
    /// app.disable("ada@example.com").await;
    /// assert_eq!(ada.get("/api/auth/account").await.status, 401);
    /// # });
    /// ```
    ///
    /// # Panics
    /// When nobody has the address, and when the store does not answer.
    pub async fn disable(&self, email: &str) {
        let (sessions, user) = (&auth(self.client()).sessions, self.existing(email).await);
        let disabled = self.store().disable_user(&user.id, self.now(), sessions.revoke_until()).await;
        disabled.unwrap_or_else(|error| panic!("{error}"));
        self.follow(&user).await;
    }

    /// Lets the user of an address sign in again. Their sessions of before stay ended.
    ///
    /// # Panics
    /// When nobody has the address, and when the store does not answer.
    pub async fn enable(&self, email: &str) {
        let user = self.existing(email).await;
        self.store().enable_user(&user.id).await.unwrap_or_else(|error| panic!("{error}"));
        self.follow(&user).await;
    }

    /// Ends every session of the user of an address.
    ///
    /// # Panics
    /// When nobody has the address, and when the store does not answer.
    pub async fn end_sessions(&self, email: &str) {
        let (sessions, user) = (&auth(self.client()).sessions, self.existing(email).await);
        sessions.end_others(&user.id, None).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Deletes the user of an address and everything that is kept about them.
    ///
    /// # Panics
    /// When nobody has the address, and when the store does not answer.
    pub async fn delete_user(&self, email: &str) {
        let (sessions, user) = (&auth(self.client()).sessions, self.existing(email).await);
        let deleted = self.store().delete_user(&user.id, self.now(), sessions.revoke_until()).await;
        deleted.unwrap_or_else(|error| panic!("{error}"));
        self.follow(&user).await;
    }

    /// What was done to a user past the application counts in it at once, as it does wherever an administrator acts.
    async fn follow(&self, user: &User) {
        let sessions = &auth(self.client()).sessions;
        sessions.forget_user(&user.id);
        sessions.refresh_revocations().await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The user of an address, who must exist.
    pub(super) async fn existing(&self, email: &str) -> User {
        self.user(email).await.unwrap_or_else(|| panic!("nobody has the address {email}"))
    }

    /// A personal access token with these scopes, of the user of an address, made now if there is none. It lasts for a day.
    ///
    /// ```
    /// # use countersign::{Countersign, Policy, Scope, ScopeName};
    /// # use countersign::testing::TestApp;
    /// # struct ReadNotes;
    /// # impl ScopeName for ReadNotes { const NAME: &'static str = "notes:read"; }
    /// # #[rocket::get("/api/notes")]
    /// # fn notes(_caller: Scope<ReadNotes>) -> &'static str { "notes" }
    /// # rocket::async_test(async {
    /// # let rocket = rocket::build().attach(Countersign::fairing());
    /// # let rocket = rocket.mount("/", Policy::Scope("notes:read").routes(rocket::routes![notes]));
    /// # let app = TestApp::start(rocket).await;
    /// let token = app.access_token("ada@example.com", &["notes:read"]).await;
    /// let mut script = app.browser().with_header("Authorization", &format!("Bearer {token}"));
    /// assert_eq!(script.get("/api/notes").await.status, 200);
    /// # });
    /// ```
    ///
    /// # Panics
    /// When the text is no address or a scope no name of one, and when the store does not answer.
    pub async fn access_token(&self, email: &str, scopes: &[&str]) -> String {
        let user = self.add_user(email, None).await;
        let scopes = scopes.iter().map(|scope| permission(scope)).collect();
        visitors::access_token(&**self.store(), &user, scopes, self.now()).await
    }

    /// A passkey for this application, which nobody has registered yet.
    ///
    /// # Panics
    /// When the configured `url` has no host.
    #[must_use]
    pub fn passkey(&self) -> SoftPasskey {
        let origin = &auth(self.client()).config.url.origin;
        let url = url::Url::parse(origin).unwrap_or_else(|error| panic!("{origin}: {error}"));
        SoftPasskey::new(origin, url.host_str().unwrap_or_else(|| panic!("{origin} has no host")))
    }

    /// Signs in as anyone, who gets an account if they have none: a browser with a session, begun as after every other
    /// way of signing in (the host's hooks are asked), without a password and without its hash; of somebody who has a second
    /// factor, as by passkey. Their address is [confirmed](Self::confirm_email), as after signing in by mail.
    ///
    /// # Panics
    /// When the text is no address, when the application has no sign-in, and when a hook denies or fails.
    pub async fn sign_in(&self, email: &str) -> Browser<'_> {
        self.confirm_email(email).await;
        let user = self.add_user(email, None).await;
        let auth = auth(self.client());
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

fn permission(name: &str) -> Permission {
    Permission::parse(name).unwrap_or_else(|error| panic!("{name:?}: {error}"))
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
