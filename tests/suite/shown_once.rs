//! What is shown once: whichever call of the store fails, it is shown, or nothing was done.

use countersign::testing::SoftPasskey;

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, Steps as _};
use crate::factors::{ORIGIN, app_of, code, field, texts};
use crate::faults::Fault;

/// What switches a factor on, up to the request that does it.
#[derive(Debug, Clone, Copy)]
enum Way {
    Totp,
    Passkey,
}

/// The last request, ready to be sent.
struct Ready {
    path: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Way {
    async fn prepare(self, app: &App, browser: &mut Browser<'_>) -> Ready {
        let token = browser.csrf().await;
        let (path, own) = match self {
            Self::Totp => {
                let page = browser.visit("/api/auth/account/security/totp").await;
                let phone = app_of(&texts(&page.body, "code.secret")[0]);
                let fields = [("secret", field(&page.body, "secret")), ("code", code(&phone, app))];
                ("/api/auth/account/security/totp", fields)
            }
            Self::Passkey => {
                let path = "/api/auth/account/security/passkeys";
                let asked = browser.passkey_options(&format!("{path}/options")).await;
                let credential = SoftPasskey::new(ORIGIN, "localhost").create(&asked);
                (path, [("credential", credential), ("name", "Test".to_owned())])
            }
        };
        Ready { path, fields: [("csrfToken", token)].into_iter().chain(own).collect() }
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
/// would shut its owner out.
#[rocket::async_test]
async fn a_factor_is_on_and_its_codes_are_shown_or_neither() {
    for strategy in STRATEGIES {
        let limits = "[default.auth.limits]\nsign_ups_per_address = 1000\nper_address = 1000";
        let app = Setup::new(strategy).toml(limits).start().await;
        for way in [Way::Totp, Way::Passkey] {
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
        let (is_on, shown) = (app.factors(&email).await.is_on(), texts(&answer.body, ".codes code").len());
        let expected = if is_on { (200, 10) } else { (503, 0) };
        assert_eq!((answer.status, shown), expected, "{label}: on: {is_on}: {}", answer.body);
        match met.first() {
            // Every call of the request was driven.
            None => break,
            Some(call) if is_on => after_the_act.push(*call),
            Some(_) => refused += 1,
        }
    }
    // The control: calls failed before the act and after it.
    let list = after_the_act.contains(&"revocations_after");
    assert!(refused > 2 && list, "{strategy}, {way:?}, {fault:?}: {refused}, {after_the_act:?}");
}

/// A token that was made and that nobody saw would stand on a list and open nothing.
#[rocket::async_test]
async fn a_token_is_made_and_shown_or_neither() {
    let limits = "[default.auth.limits]\nsign_ups_per_address = 1000\nper_address = 1000";
    for strategy in STRATEGIES {
        let app = Setup::new(strategy).toml(limits).start().await;
        for fault in [Fault::Once, Fault::Down] {
            let (mut refused, mut after_the_act) = (0, Vec::new());
            for healthy in 0.. {
                let mut ada =
                    app.browser().enter(&format!("{fault:?}.{healthy}@example.com").to_lowercase()).await;
                let token = ada.csrf().await;
                let fields =
                    [("csrfToken", token.as_str()), ("name", "script"), ("scope.read", "on"), ("days", "30")];
                app.store.plan(fault, healthy);
                let answer = ada.form("/api/auth/account/tokens", &fields).await;
                let met = app.store.recover();
                let shown = texts(&answer.body, "#fresh-token").len();
                let kept = texts(&ada.visit("/api/auth/account/tokens").await.body, "[id^=token-]");
                let is_made = kept.iter().any(|name| name == "script");
                let label = format!("{strategy}, {fault:?} at {healthy} ({met:?})");
                let expected = if is_made { (200, 1) } else { (503, 0) };
                assert_eq!((answer.status, shown), expected, "{label}: {}", answer.body);
                match met.first() {
                    None => break,
                    Some(call) if is_made => after_the_act.push(*call),
                    Some(_) => refused += 1,
                }
            }
            let list = after_the_act.contains(&"list_access_tokens");
            assert!(refused > 1 && list, "{strategy}, {fault:?}: {refused}, {after_the_act:?}");
        }
    }
}
