//! A hook that fails leaves what proves who somebody is as it was: links, codes, challenges, and everybody's account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign::testing::SoftPasskey;
use serde_json::json;

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::dump::{Dump, difference};
use crate::email::{ask, path_of};
use crate::factors::{ORIGIN, code, field, first_proof, switch_on};
use crate::failing_hooks::{AT_A_SIGN_IN, Failing, Hook, How};
use crate::idp::Idp;

/// How somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By a link, to an address that has no account.
    LinkOfNewcomer,
    /// By a link, to an address whose account somebody else made.
    LinkOfOwner,
    /// By a link, to an account of one's own.
    Link,
    /// By the code of the same mail.
    MailedCode,
    /// By another site, for the first time.
    SiteOfNewcomer,
    /// By another site, to an address whose account somebody else made.
    SiteOfOwner,
    /// By another site, again.
    Site,
    /// By a passkey alone.
    Passkey,
    /// A time-based code after a password.
    Totp,
    /// A recovery code after a password.
    RecoveryCode,
    /// A passkey after a password.
    SecondPasskey,
}

const WAYS: [Way; 11] = [
    Way::LinkOfNewcomer,
    Way::LinkOfOwner,
    Way::Link,
    Way::MailedCode,
    Way::SiteOfNewcomer,
    Way::SiteOfOwner,
    Way::Site,
    Way::Passkey,
    Way::Totp,
    Way::RecoveryCode,
    Way::SecondPasskey,
];

/// The last request of a sign-in.
enum Last {
    Form(&'static str, Vec<(&'static str, String)>),
    Return(String),
}

impl Last {
    fn form(path: &'static str, fields: &[(&'static str, &str)]) -> Self {
        Self::Form(path, fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    /// The token is asked for beforehand: that asks a hook, too.
    async fn send(&self, browser: &mut Browser<'_>, token: &str) -> Answer {
        match self {
            Self::Return(path) => browser.get(path).await,
            Self::Form(path, fields) => {
                let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
                let fields: Vec<_> = [("csrfToken", token)].into_iter().chain(fields).collect();
                browser.form(path, &fields).await
            }
        }
    }
}

impl Way {
    fn is_site(self) -> bool {
        matches!(self, Self::SiteOfNewcomer | Self::SiteOfOwner | Self::Site)
    }

    /// The hooks that are asked by its last request: a second proof is asked for when the host has agreed, and where somebody
    /// goes after another site was settled before they went there.
    fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Totp | Self::RecoveryCode | Self::SecondPasskey => &[Hook::JwtAtSignIn, Hook::Redirect],
            _ if self.is_site() => &[Hook::SignIn, Hook::JwtAtSignIn],
            _ => &[Hook::SignIn, Hook::JwtAtSignIn, Hook::Redirect],
        }
    }

    /// A browser that is about to send the last request.
    async fn prepare<'a>(self, app: &'a App, idp: &Idp, email: &str) -> (Browser<'a>, Last) {
        let mut browser = app.browser();
        match self {
            Self::LinkOfNewcomer | Self::LinkOfOwner | Self::Link | Self::MailedCode => {
                if self != Self::LinkOfNewcomer {
                    browser.clone().enter(email).await;
                }
                if self == Self::Link {
                    app.confirm(email).await;
                }
                ask(&mut browser, email).await;
                let mail = app.mail(email, "Sign in").await;
                if self == Self::MailedCode {
                    let code = mail.code().unwrap();
                    return (browser, Last::form("/api/auth/callback/email", &[("code", &code)]));
                }
                let page = browser.visit(path_of(mail.link().unwrap())).await;
                let secret = field(&page.body, "token");
                (browser, Last::form("/api/auth/callback/email", &[("email", email), ("token", &secret)]))
            }
            Self::SiteOfNewcomer | Self::SiteOfOwner | Self::Site => {
                if self == Self::SiteOfOwner {
                    app.browser().enter(email).await;
                }
                if self == Self::Site {
                    app.browser().sign_in_with("acme", idp, &claims(email)).await;
                }
                let url = browser.go_to_provider("acme", "/").await;
                (browser, Last::Return(idp.authorize(&url, &claims(email))))
            }
            Self::Passkey | Self::SecondPasskey => {
                let mut key = SoftPasskey::new(ORIGIN, "localhost");
                let mut ada = app.browser().enter(email).await;
                app.confirm(email).await;
                assert_eq!(ada.add_passkey(&mut key).await.status, 200);
                let (challenge, path) = if self == Self::Passkey {
                    ("/api/auth/passkey/options", "/api/auth/callback/passkey")
                } else {
                    browser = first_proof(app, email).await;
                    ("/api/auth/factor/options", "/api/auth/factor")
                };
                let credential = key.get(&browser.passkey_options(challenge).await);
                (browser, Last::form(path, &[("credential", &credential)]))
            }
            Self::Totp | Self::RecoveryCode => {
                let mut ada = app.browser().enter(email).await;
                let (phone, recovery) = switch_on(app, &mut ada).await;
                app.clock.advance(60);
                let shown = if self == Self::Totp { code(&phone, app) } else { recovery[0].clone() };
                (first_proof(app, email).await, Last::form("/api/auth/factor", &[("code", &shown)]))
            }
        }
    }
}

fn claims(email: &str) -> serde_json::Value {
    json!({ "sub": email, "name": "Ada", "email": email, "email_verified": true })
}

#[rocket::async_test]
async fn a_hook_that_fails_uses_no_proof_up_and_makes_nobody() {
    let mut failures = 0;
    for strategy in STRATEGIES {
        // That of redirects has no error to return.
        for (hook, how) in AT_A_SIGN_IN.into_iter().chain([(Hook::Redirect, How::Panic)]) {
            let (app, idp, armed) = start(strategy, hook, how).await;
            let dump = Dump::of(&app).await;
            for way in WAYS.into_iter().filter(|way| way.hooks().contains(&hook)) {
                let label = format!("{strategy}, {way:?}, {hook:?} by {how:?}");
                fails(&app, &idp, &dump, way, &armed, &label).await;
                failures += 1;
            }
        }
    }
    // The control: both strategies, both ways to fail, eleven and eight ways to sign in; eight of them ask where to go.
    assert_eq!(failures, 2 * (2 * (11 + 8) + 8));
}

async fn start(strategy: &str, hook: Hook, how: How) -> (App, Idp, Arc<AtomicBool>) {
    let armed = Arc::new(AtomicBool::new(false));
    let failing = Failing { hook, how, armed: Arc::clone(&armed) };
    let idp = Idp::start().await;
    let limits = "[default.auth.limits]\nsign_ups_per_address = 1000\nper_address = 1000";
    let setup = Setup::new(strategy).toml(&idp.toml("acme")).toml(limits);
    let app = setup.fairing(|fairing| fairing.hooks(failing)).start().await;
    idp.follow(&app.clock);
    (app, idp, armed)
}

/// Where somebody goes afterwards is asked at the start, too: nothing is mailed, and nobody is sent anywhere.
#[rocket::async_test]
async fn a_hook_that_fails_begins_no_sign_in() {
    for strategy in STRATEGIES {
        let (app, _idp, armed) = start(strategy, Hook::Redirect, How::Panic).await;
        let email = "ada@example.com";
        let ada = app.browser().enter(email).await;
        app.confirm(email).await;
        let dump = Dump::of(&app).await;
        // A stranger signs in; Ada proves again who she is, and links an account.
        for (path, who, mut browser) in ["/api/auth/signin/email", "/api/auth/signin/acme"]
            .into_iter()
            .flat_map(|path| [(path, "a stranger", app.browser()), (path, "Ada", ada.clone())])
        {
            let label = format!("{strategy}, {path}, {who}");
            let begin = Last::form(path, &[("email", email)]);
            let token = browser.csrf().await;
            let (state, attempts) = (dump.state().await, dump.attempts().await);
            armed.store(true, Ordering::SeqCst);
            let answer = begin.send(&mut browser.clone(), &token).await;
            armed.store(false, Ordering::SeqCst);
            assert_eq!(answer.status, 500, "{label}: {}", answer.body);
            assert!(answer.headers("set-cookie").is_empty(), "{label}");
            let left =
                [difference(&state, &dump.state().await), difference(&attempts, &dump.attempts().await)];
            assert!(left.concat().is_empty(), "{label}: {left:#?}");
            let answer = begin.send(&mut browser, &token).await;
            assert_eq!(answer.status, 302, "{label}: {}", answer.body);
            assert!(!answer.location().contains("error="), "{label}: {}", answer.location());
        }
        // One for each that did not fail, and no other.
        for _ in 0..2 {
            app.mail(email, "Sign in").await;
        }
        let more = app.mails.all().iter().filter(|mail| mail.subject.starts_with("Sign in")).count();
        assert_eq!(more, 0, "{strategy}");
    }
}

async fn fails(app: &App, idp: &Idp, dump: &Dump, way: Way, armed: &AtomicBool, label: &str) {
    let email = format!("{way:?}@example.com").to_lowercase();
    let (mut ready, last) = way.prepare(app, idp, &email).await;
    // A token for the form, and what the audit log and the limits still had to write.
    let token = ready.csrf().await;
    let (state, attempts) = (dump.state().await, dump.attempts().await);
    armed.store(true, Ordering::SeqCst);
    // More often than a mailed code may be tried: each was right, and none counts.
    let times = if way.is_site() { 1 } else { 7 };
    for _ in 0..times {
        let answer = last.send(&mut ready.clone(), &token).await;
        assert_eq!(answer.status, 500, "{label}: {}", answer.body);
        assert!(!answer.body.contains("a hook's own"), "{label}");
        assert!(answer.set_cookie("next-auth.session-token").is_none(), "{label}");
        assert!(way.is_site() || answer.headers("set-cookie").is_empty(), "{label}");
    }
    armed.store(false, Ordering::SeqCst);
    let mut happened = difference(&state, &dump.state().await);
    if way.is_site() {
        // The answer of a site is good for one use, there and here.
        let spent = dump.rows_of("spent").await;
        happened.retain(|line| !spent.contains(line.trim_start_matches("+ ")));
    }
    assert!(happened.is_empty(), "{label}: {happened:#?}");
    if way.is_site() {
        let answer = ready.sign_in_with("acme", idp, &claims(&email)).await;
        assert!(answer.status < 400, "{label}: {}", answer.body);
    } else {
        let left = difference(&attempts, &dump.attempts().await);
        assert!(left.is_empty(), "{label}: {left:#?}");
        // The very same proof.
        let answer = last.send(&mut ready, &token).await;
        assert!(answer.status < 400, "{label}: {} {}", answer.status, answer.body);
    }
    assert_eq!(ready.me().await, (200, email.clone()), "{label}");
    // It was whom it should be: the owner has shut out whoever was there, with the password.
    if matches!(way, Way::LinkOfOwner | Way::SiteOfOwner) {
        assert_eq!(app.browser().try_sign_in(&email, PASSWORD).await.status, 401, "{label}");
    }
}
