//! Everything that people, scripts and administrators do which takes a preparation: each up to the request that does it.

use std::cell::Cell;

use countersign::guards::Auth;
use countersign::model::UserId;
use countersign::secret::{Secret, SecretRing};
use countersign::testing::TestApp;
use countersign::{Role, RoleName, Scope, ScopeName, Session};
use rocket::State;
use rocket::http::{ContentType, Method, Status};

use crate::app::{App, SECRET, Setup};
use crate::browser::{Answer, Browser};
use crate::idp::Idp;

const NEWER_SECRET: &str = "a-newer-secret-0123456789-abcdefghijklmnopqrstuvwx";
const LIMITS: &str = "[default.auth.limits]\nper_account = 100000\nper_account_everywhere = 100000\n\
     per_address = 100000\nsign_ups_per_address = 100000\nmails_per_recipient = 100000\n\
     mails_per_recipient_everywhere = 100000\nmails_per_address = 100000\n";

macro_rules! acts {
    ($($act:ident by $call:literal,)*) => {
        /// What is done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Act {
            $($act,)*
        }

        impl Act {
            pub(crate) const ALL: &[Self] = &[$(Self::$act,)*];

            /// The call of the store that does it; nothing for whoever only looks.
            pub(crate) fn call(self) -> &'static str {
                match self {
                    $(Self::$act => $call,)*
                }
            }
        }
    };
}

acts! {
    SignUp by "create_user",
    SignIn by "insert_session",
    SignInUnderStrongerRules by "insert_session",
    Renewal by "renew_session",
    SignOut by "end_session",
    EndSession by "end_session",
    EndOtherSessions by "end_sessions_of",
    ChangeName by "set_name",
    ChangePassword by "change_password",
    FirstPassword by "change_password",
    Data by "",
    Delete by "delete_user",
    AskForLink by "add_verification",
    OwnersLink by "insert_session",
    NewcomersCode by "insert_session",
    AskForReset by "add_verification",
    Reset by "redeem_reset_password",
    Verify by "redeem_verify_email",
    AskForChange by "add_verification",
    ChangeEmail by "redeem_change_email",
    SwitchOn by "enable_totp",
    SwitchOff by "remove_totp",
    RenewCodes by "replace_recovery_codes",
    AddPasskey by "add_passkey",
    RemovePasskey by "remove_passkey",
    SecondByCode by "insert_session",
    SecondByOldCode by "insert_session",
    SecondByRecovery by "insert_session",
    SecondByPasskey by "insert_session",
    Passkey by "insert_session",
    FromThere by "insert_session",
    FromThereAtFirst by "insert_session",
    FromThereByAddress by "insert_session",
    FromThereAsOwner by "insert_session",
    LinkThere by "link_account",
    Unlink by "unlink_account",
    TokensThere by "renew_tokens",
    OldTokensThere by "",
    MakeToken by "insert_access_token",
    RevokeToken by "delete_access_token",
    UseToken by "",
    UseRole by "",
    Search by "",
    Look by "",
    Log by "",
    Grant by "grant_role",
    Take by "take_role",
    Disable by "disable_user",
    Enable by "enable_user",
    EndTheirSessions by "end_sessions_of",
    RemoveTheirFactors by "remove_factors",
}

struct Editor;

impl RoleName for Editor {
    const NAME: &'static str = "editor";
}

struct Read;

impl ScopeName for Read {
    const NAME: &'static str = "read";
}

#[rocket::get("/drafts")]
fn drafts(editor: Role<Editor>) -> String {
    editor.session().user_id().to_string()
}

#[rocket::get("/notes")]
fn notes(caller: Scope<Read>) -> String {
    caller.user_id().to_string()
}

/// A host that uses its people's tokens at another site.
#[expect(clippy::print_stdout, reason = "a test that fails shows why there were none")]
#[rocket::get("/tokens")]
async fn tokens(session: Session, auth: &State<Auth>) -> Result<&'static str, Status> {
    let sign_in = auth.sign_in.as_ref().unwrap();
    match sign_in.provider_tokens(session.user_id(), "acme").await {
        Ok(Some(_)) => Ok("there are some"),
        Ok(None) => Err(Status::NotFound),
        Err(error) => {
            println!("the tokens are not to be had: {error}");
            Err(Status::ServiceUnavailable)
        }
    }
}

/// An application, another site, and where it takes one an instance whose passwords are hashed more slowly.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) stronger: Option<TestApp>,
    pub(crate) idp: Idp,
    people: Cell<u32>,
}

impl World {
    pub(crate) async fn start(strategy: &str, act: Act) -> Self {
        let idp = Idp::start().await;
        let sites = format!("{}{}link_by_email = true\n", idp.toml("acme"), idp.toml("trusted"));
        let setup = || {
            let routes = rocket::routes![drafts, notes, tokens];
            Setup::new(strategy).toml(LIMITS).toml(&sites).build(|rocket| rocket.mount("/", routes))
        };
        let app = setup().start().await;
        idp.follow(&app.clock);
        let slow = "[default.auth.providers.credentials.argon2]\niterations = 2\n";
        let stronger = match act {
            Act::SignInUnderStrongerRules => Some(app.elsewhere(setup().toml(slow)).await),
            _ => None,
        };
        Self { app, stronger, idp, people: Cell::new(0) }
    }

    /// An address that nobody has had yet.
    pub(crate) fn email(&self) -> String {
        self.people.set(self.people.get() + 1);
        format!("person{}@example.com", self.people.get())
    }

    /// From now on a newer secret seals, or no longer.
    pub(crate) fn has_newer_secret(&self, newer: bool) {
        let ring = if newer {
            SecretRing::new(Secret::new(NEWER_SECRET), vec![Secret::new(SECRET)])
        } else {
            SecretRing::new(Secret::new(SECRET), Vec::new())
        };
        self.app.client().rocket().state::<Auth>().unwrap().secrets.replace(ring);
    }

    /// The page at a path, to be asked for.
    pub(crate) fn get<'a>(&'a self, browser: Browser<'a>, path: &str) -> Ready<'a> {
        let (path, fields) = (path.to_owned(), Vec::new());
        Ready { app: &self.app, browser, method: Method::Get, path, fields, ids: Vec::new() }
    }

    /// A form of ours, filled in.
    pub(crate) async fn form<'a>(
        &'a self,
        mut browser: Browser<'a>,
        path: &str,
        fields: &[(&'static str, &str)],
    ) -> Ready<'a> {
        let token = browser.csrf().await;
        let own = fields.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let fields = [("csrfToken", token)].into_iter().chain(own).collect();
        let path = format!("/api/auth/{path}");
        Ready { app: &self.app, browser, method: Method::Post, path, fields, ids: Vec::new() }
    }
}

/// A request, ready to be sent again and again.
pub(crate) struct Ready<'a> {
    app: &'a App,
    browser: Browser<'a>,
    method: Method,
    path: String,
    fields: Vec<(&'static str, String)>,
    /// Whose session asks, and who it is about.
    pub(crate) ids: Vec<UserId>,
}

impl<'a> Ready<'a> {
    /// Somebody else's browser, at the same instance.
    pub(crate) fn stranger(&self) -> Browser<'a> {
        Browser::new(self.browser.client())
    }

    /// Sends it, keeping nothing of what is answered: the cookies are what they were.
    pub(crate) async fn send(&self) -> Answer {
        for id in &self.ids {
            // What was verified a moment ago would be answered without a call.
            self.app.client().rocket().state::<Auth>().unwrap().sessions.forget_user(id);
        }
        let body = (self.method == Method::Post).then(|| {
            let body =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish();
            (ContentType::Form, body)
        });
        self.browser.clone().send(self.method, &self.path, body).await
    }
}
