//! Sign-ins that are under way while the secrets are replaced: what began under the old one comes to its end under the new.

use crate::app::{App, SECRET, STRATEGIES};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::email::ask;
use crate::factors::{code, first_proof, switch_on};
use crate::idp::Idp;
use crate::oidc::{ada, begin, param, start};
use crate::rotation::{NEW, replace};

const EMAIL: &str = "ada@example.com";

/// What somebody is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Password,
    SecondCode,
    RecoveryCode,
    SecondPasskey,
    Passkey,
    OtherSite,
    MailedLink,
    MailedCode,
}

const WAYS: [Way; 8] = [
    Way::Password,
    Way::SecondCode,
    Way::RecoveryCode,
    Way::SecondPasskey,
    Way::Passkey,
    Way::OtherSite,
    Way::MailedLink,
    Way::MailedCode,
];

impl Way {
    /// How it is refused when nobody knows the secret any more under which it began, and where the person is sent; `None`
    /// for what no secret vouches for but the form it is sent by.
    const fn refusal(self) -> Option<(u16, &'static str)> {
        match self {
            Self::SecondCode | Self::RecoveryCode | Self::SecondPasskey => {
                Some((401, "/api/auth/signin?error=SignInExpired"))
            }
            Self::Passkey => Some((401, "/api/auth/error?error=SecondFactor")),
            Self::OtherSite => Some((302, "/api/auth/error?error=OAuthCallback")),
            Self::Password | Self::MailedLink | Self::MailedCode => None,
        }
    }
}

/// The last request of a sign-in, of which everything was made before: its cookies, its form, what is proven by it.
#[derive(Clone)]
struct Begun<'a> {
    browser: Browser<'a>,
    path: String,
    /// None when it is a redirect that is followed.
    fields: Vec<(&'static str, String)>,
}

impl<'a> Begun<'a> {
    async fn at(app: &'a App, idp: &Idp, way: Way) -> Self {
        match way {
            Way::Password => {
                app.browser().sign_up(EMAIL).await;
                let fields = [("email", EMAIL), ("password", PASSWORD)];
                Self::form(app.browser(), "callback/credentials", &fields).await
            }
            Way::SecondCode | Way::RecoveryCode => Self::by_code(app, way).await,
            Way::SecondPasskey | Way::Passkey => Self::by_passkey(app, way).await,
            Way::OtherSite => {
                let mut browser = app.browser();
                let path = idp.authorize(&begin(&mut browser, "acme", "/after").await, &ada());
                Self { browser, path, fields: Vec::new() }
            }
            Way::MailedLink | Way::MailedCode => Self::by_mail(app, way).await,
        }
    }

    /// A form, filled in.
    async fn form(mut browser: Browser<'a>, page: &str, fields: &[(&'static str, &str)]) -> Self {
        let token = browser.csrf().await;
        let own = fields.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let fields = [("csrfToken", token), ("json", "true".to_owned())].into_iter().chain(own).collect();
        Self { browser, path: format!("/api/auth/{page}"), fields }
    }

    async fn by_code(app: &'a App, way: Way) -> Self {
        let mut before = app.browser().enter(EMAIL).await;
        let (phone, recovery) = switch_on(app, &mut before).await;
        app.clock.advance(60);
        let shown = if way == Way::RecoveryCode { recovery[0].clone() } else { code(&phone, app) };
        Self::form(first_proof(app, EMAIL).await, "factor", &[("code", &shown)]).await
    }

    async fn by_passkey(app: &'a App, way: Way) -> Self {
        let mut before = app.browser().enter(EMAIL).await;
        app.confirm(EMAIL).await;
        let mut key = app.passkey();
        before.add_passkey(&mut key).await;
        let (mut browser, options, page) = if way == Way::Passkey {
            (app.browser(), "/api/auth/passkey/options", "callback/passkey")
        } else {
            (first_proof(app, EMAIL).await, "/api/auth/factor/options", "factor")
        };
        let answer = key.get(&browser.passkey_options(options).await);
        Self::form(browser, page, &[("credential", &answer)]).await
    }

    async fn by_mail(app: &'a App, way: Way) -> Self {
        let mut asking = app.browser();
        ask(&mut asking, EMAIL).await;
        let mail = app.mail(EMAIL, "Sign in").await;
        if way == Way::MailedCode {
            return Self::form(asking, "callback/email", &[("code", &mail.code().unwrap())]).await;
        }
        // Read on another device.
        let token = param(mail.link().unwrap(), "token").unwrap();
        Self::form(app.browser(), "callback/email", &[("email", EMAIL), ("token", &token)]).await
    }

    /// Sends it from a copy of the browser, which then is what it became.
    async fn send(&self) -> (Answer, Browser<'a>) {
        let mut browser = self.browser.clone();
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = if fields.is_empty() {
            browser.get(&self.path).await
        } else {
            browser.form(&self.path, &fields).await
        };
        (answer, browser)
    }

    /// The same with a form fetched now: nothing else of it is new.
    async fn with_form_of_now(&self) -> Self {
        let (mut browser, mut fields) = (self.browser.clone(), self.fields.clone());
        if let Some((_, token)) = fields.iter_mut().find(|(name, _)| *name == "csrfToken") {
            *token = browser.csrf().await;
        }
        Self { browser, path: self.path.clone(), fields }
    }
}

/// Where an answer sends somebody, as a script or a browser is told.
fn sent_to(answer: &Answer) -> String {
    match answer.status {
        302 | 303 => answer.location().to_owned(),
        _ => answer.json()["url"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned(),
    }
}

async fn assert_refused(
    (answer, mut browser): (Answer, Browser<'_>),
    (status, page): (u16, &str),
    label: &str,
) {
    let told = sent_to(&answer);
    assert_eq!(answer.status, status, "{label}: {}", answer.body);
    assert!(told.starts_with(&format!("http://localhost:8000{page}")), "{label}: {told}");
    assert!(browser.session().is_none(), "{label}");
    assert_eq!(browser.me().await.0, 401, "{label}");
}

async fn assert_entered((answer, mut browser): (Answer, Browser<'_>), label: &str) {
    assert!(!sent_to(&answer).contains("error="), "{label}: {}", sent_to(&answer));
    assert_eq!(browser.me().await, (200, EMAIL.to_owned()), "{label}");
}

#[rocket::async_test]
async fn a_sign_in_that_is_under_way_comes_to_its_end_under_a_newer_secret() {
    for strategy in STRATEGIES {
        for way in WAYS {
            let label = format!("{strategy}, {way:?}");
            let idp = Idp::start().await;
            let app = start(&idp, strategy).await;
            let begun = Begun::at(&app, &idp, way).await;
            // The control: it is by the old secret that it goes on.
            replace(&app, &[NEW]);
            if way != Way::OtherSite {
                assert_refused(begun.send().await, (403, "/api/auth/signin?csrf=true"), &label).await;
            }
            if let Some(refusal) = way.refusal() {
                assert_refused(begun.with_form_of_now().await.send().await, refusal, &label).await;
            }
            // The very same request, with the form of before.
            replace(&app, &[NEW, SECRET]);
            let (answer, browser) = begun.send().await;
            assert_entered((answer, browser.clone()), &label).await;
            // What it began is the new secret's.
            replace(&app, &[NEW]);
            assert_eq!(browser.clone().me().await.0, 200, "{label}");
        }
    }
}

/// What was mailed is known by its hash alone: it outlives every secret, in a form of now.
#[rocket::async_test]
async fn what_was_mailed_needs_no_secret() {
    for strategy in STRATEGIES {
        for way in [Way::MailedLink, Way::MailedCode] {
            let label = format!("{strategy}, {way:?}");
            let idp = Idp::start().await;
            let app = start(&idp, strategy).await;
            let begun = Begun::at(&app, &idp, way).await;
            replace(&app, &[NEW]);
            assert_entered(begun.with_form_of_now().await.send().await, &label).await;
        }
    }
}

/// A passkey that is being added: the same challenge, which belongs to a person.
#[rocket::async_test]
async fn a_passkey_that_is_being_added_is_added_under_a_newer_secret() {
    let path = "/api/auth/account/security/passkeys";
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut browser = app.browser().enter(EMAIL).await;
        app.confirm(EMAIL).await;
        let credential = app.passkey().create(&browser.passkey_options(&format!("{path}/options")).await);
        let fields = [("credential", credential.as_str()), ("name", "Key")];
        let begun = Begun::form(browser, "account/security/passkeys", &fields).await;
        // The control: for the same person, signed in by the new secret.
        replace(&app, &[NEW]);
        let browser = begun.browser.clone().enter_again(EMAIL).await;
        let anew = Begun { browser, ..begun.clone() }.with_form_of_now().await;
        let (refused, _) = anew.send().await;
        assert!((400..500).contains(&refused.status), "{strategy}: {} {}", refused.status, refused.body);
        assert!(app.factors(EMAIL).await.passkeys.is_empty(), "{strategy}");
        replace(&app, &[NEW, SECRET]);
        let (added, _) = begun.send().await;
        assert_eq!(added.status, 200, "{strategy}: {}", added.body);
        assert_eq!(app.factors(EMAIL).await.passkeys.len(), 1, "{strategy}");
    }
}
