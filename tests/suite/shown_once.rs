//! What is shown once: whichever call of the store fails, it is shown, or nothing was done.

use countersign::testing::SoftPasskey;

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, Steps as _};
use crate::factors::{ORIGIN, app_of, code, field, texts};
use crate::faults::Fault;

/// What makes something that is shown once, up to the request that does it.
#[derive(Debug, Clone, Copy)]
enum Way {
    Totp,
    Passkey,
    AccessToken,
}

/// The last request, ready to be sent.
struct Ready {
    path: &'static str,
    fields: Vec<(&'static str, String)>,
}

/// What came of it.
struct Outcome {
    is_done: bool,
    shown: usize,
}

impl Way {
    async fn prepare(self, app: &App, browser: &mut Browser<'_>) -> Ready {
        let token = browser.csrf().await;
        let (path, own) = match self {
            Self::AccessToken => {
                let fields = [("scope.read", "on"), ("days", "30"), ("name", "script")];
                ("/api/auth/account/tokens", fields.map(|(name, value)| (name, value.to_owned())).to_vec())
            }
            Self::Totp => {
                let page = browser.visit("/api/auth/account/security/totp").await;
                let phone = app_of(&texts(&page.body, "code.secret")[0]);
                let fields = [("secret", field(&page.body, "secret")), ("code", code(&phone, app))];
                ("/api/auth/account/security/totp", fields.to_vec())
            }
            Self::Passkey => {
                let path = "/api/auth/account/security/passkeys";
                let asked = browser.passkey_options(&format!("{path}/options")).await;
                let credential = SoftPasskey::new(ORIGIN, "localhost").create(&asked);
                (path, vec![("credential", credential), ("name", "Test".to_owned())])
            }
        };
        Ready { path, fields: [("csrfToken", token)].into_iter().chain(own).collect() }
    }

    async fn outcome(self, app: &App, email: &str, browser: &mut Browser<'_>, answer: &Answer) -> Outcome {
        if let Self::AccessToken = self {
            let page = browser.visit("/api/auth/account/tokens").await;
            let is_done = texts(&page.body, "[id^=token-]").iter().any(|name| name == "script");
            return Outcome { is_done, shown: texts(&answer.body, "#fresh-token").len() };
        }
        let is_done = app.factors(email).await.is_on();
        Outcome { is_done, shown: texts(&answer.body, ".codes code").len() }
    }

    /// How many are shown, and a call of the store that follows the act.
    fn expected(self) -> (usize, &'static str) {
        match self {
            Self::Totp | Self::Passkey => (10, "revocations_after"),
            Self::AccessToken => (1, "list_access_tokens"),
        }
    }
}

impl Ready {
    async fn send(&self, browser: &mut Browser<'_>) -> Answer {
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.form(self.path, &fields).await
    }
}

/// Recovery codes are the way back for somebody who loses the factor: a factor that is on and whose codes nobody saw
/// would shut its owner out. A token that nobody saw would stand on a list and open nothing.
#[rocket::async_test]
async fn it_is_done_and_shown_or_neither() {
    for strategy in STRATEGIES {
        let limits = "[default.auth.limits]\nsign_ups_per_address = 1000\nper_address = 1000";
        let app = Setup::new(strategy).toml(limits).start().await;
        for way in [Way::Totp, Way::Passkey, Way::AccessToken] {
            for fault in [Fault::Once, Fault::Down] {
                every_call_fails(&app, way, fault, strategy).await;
            }
        }
    }
}

async fn every_call_fails(app: &App, way: Way, fault: Fault, strategy: &str) {
    let (mut refused, mut after_the_act) = (0, Vec::new());
    for healthy in 0.. {
        let email = format!("{way:?}.{fault:?}.{healthy}@example.com").to_lowercase();
        let mut ada = app.browser().enter(&email).await;
        app.confirm(&email).await;
        let ready = way.prepare(app, &mut ada).await;
        app.store.plan(fault, healthy);
        let answer = ready.send(&mut ada).await;
        let met = app.store.recover();
        let label = format!("{strategy}, {way:?}, {fault:?} at {healthy} ({met:?})");
        let Outcome { is_done, shown } = way.outcome(app, &email, &mut ada, &answer).await;
        let expected = if is_done { (200, way.expected().0) } else { (503, 0) };
        assert_eq!((answer.status, shown), expected, "{label}: done: {is_done}: {}", answer.body);
        match met.first() {
            // Every call of the request was driven.
            None => break,
            Some(call) if is_done => after_the_act.push(*call),
            Some(_) => refused += 1,
        }
    }
    // The control: calls failed before the act and after it.
    let follows = after_the_act.contains(&way.expected().1);
    assert!(refused > 1 && follows, "{strategy}, {way:?}, {fault:?}: {refused}, {after_the_act:?}");
}
