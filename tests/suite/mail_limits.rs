//! Who asks for mail learns nothing by it, and nobody's mailbox is flooded: whatever the mail is for.

use serde_json::json;

use crate::app::{App, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::email::shape;
use crate::idp::Idp;
use crate::oidc::sign_in;

async fn post(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    let token = browser.csrf().await;
    let mut all = vec![("csrfToken", token.as_str())];
    all.extend(fields);
    browser.form(&format!("/api/auth/{path}"), &all).await
}

/// How many letters to an address are there, once the last one that was asked for has arrived.
async fn arrived(app: &App, to: &str, number: usize) -> usize {
    for _ in 0..100 {
        if app.mails.all().iter().filter(|mail| mail.to.as_str() == to).count() >= number {
            break;
        }
        rocket::tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    app.mails.all().iter().filter(|mail| mail.to.as_str() == to).count()
}

// ASVS: 6.3.1
/// Five to one mailbox, and it does not matter what for.
#[rocket::async_test]
async fn a_mailbox_gets_five_whatever_they_are_for() {
    let app = App::new("database").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let mut eve = app.browser().enter("eve@example.com").await;
    let to = [("email", "ada@example.com")];
    assert_eq!(post(&mut ada, "account/email/verify", &[]).await.status, 303);
    assert_eq!(post(&mut app.browser(), "signin/email", &to).await.status, 302);
    assert_eq!(post(&mut app.browser(), "forgot-password", &to).await.status, 303);
    assert_eq!(post(&mut eve, "account/email", &to).await.status, 303);
    assert_eq!(arrived(&app, "ada@example.com", 5).await, 5, "with the one for signing up");
    for (browser, path) in [
        (&mut ada.clone(), "account/email/verify"),
        (&mut app.browser(), "signin/email"),
        (&mut app.browser(), "forgot-password"),
        (&mut eve.clone(), "account/email"),
    ] {
        let refused = post(browser, path, &to).await;
        assert_eq!(refused.status, 429, "{path}: {}", refused.body);
        assert!(refused.header("retry-after").is_some(), "{path}");
    }
    // Signing up is answered as ever, or it would tell that somebody else was written to; but nobody is written to.
    assert_eq!(app.browser().sign_up("ada@example.com").await.status, 200);
    // Others get theirs.
    assert_eq!(post(&mut app.browser(), "signin/email", &[("email", "last@example.com")]).await.status, 302);
    app.mail("last@example.com", "Sign in").await;
    assert_eq!(arrived(&app, "ada@example.com", 6).await, 5);
    app.clock.advance(901);
    assert_eq!(post(&mut app.browser(), "signin/email", &to).await.status, 302);
    assert_eq!(arrived(&app, "ada@example.com", 6).await, 6);
}

/// So many asked for from one address, and it does not matter for whom and what for.
#[rocket::async_test]
async fn a_client_asks_for_so_many_whatever_they_are_for() {
    let toml = "[default.auth.limits]\nmails_per_address = 5\n";
    let app = Setup::new("jwt").toml(toml).start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    assert_eq!(post(&mut ada, "account/email", &[("email", "new@example.com")]).await.status, 303);
    for (path, email) in [("signin/email", "b"), ("forgot-password", "c"), ("signin/email", "d")] {
        let email = format!("{email}@example.com");
        assert!(post(&mut app.browser(), path, &[("email", &email)]).await.status < 400, "{path}");
    }
    for path in ["signin/email", "forgot-password"] {
        let refused = post(&mut app.browser(), path, &[("email", "f@example.com")]).await;
        assert_eq!(refused.status, 429, "{path}");
    }
    assert_eq!(post(&mut ada, "account/email/verify", &[]).await.status, 429);
    assert_eq!(post(&mut ada, "account/email", &[("email", "g@example.com")]).await.status, 429);
    // The mailboxes of those who were not written to are as open as before.
    app.clock.advance(901);
    for _ in 0..5 {
        let answer = post(&mut app.browser(), "signin/email", &[("email", "f@example.com")]).await;
        assert_eq!(answer.status, 302);
    }
}

/// An application with somebody of every kind; the address of each.
async fn people(idp: &Idp) -> (App, [&'static str; 4]) {
    let closed = "[default.auth.providers.email]\nsign_up = false\n";
    let toml = "[default.auth.limits]\nmails_per_address = 1000\nsign_ups_per_address = 1000\n";
    let app = Setup::new("jwt").toml(&idp.toml("acme")).toml(closed).toml(toml).start().await;
    app.browser().sign_up("known@example.com").await;
    app.browser().sign_up("off@example.com").await;
    app.disable("off@example.com").await;
    let claims = json!({ "sub": "1", "email": "site@example.com", "email_verified": true });
    sign_in(&mut app.browser(), idp, &claims).await;
    assert!(app.user("site@example.com").await.is_some());
    (app, ["known@example.com", "nobody@example.com", "off@example.com", "site@example.com"])
}

/// Known, unknown, disabled, or without a password: one answer, by as many calls to the store. Signing up makes an account
/// or not, which is one record of the audit log more or less: its answer is compared, its calls are not.
#[rocket::async_test]
async fn whoever_has_an_address_the_answer_and_the_work_are_the_same() {
    let idp = Idp::start().await;
    let (app, people) = people(&idp).await;
    for path in ["signin/email", "forgot-password", "signup"] {
        let mut seen = Vec::new();
        for email in people {
            let mut browser = app.browser();
            let token = browser.csrf().await;
            let before = app.store.calls();
            let fields = [("csrfToken", token.as_str()), ("email", email), ("password", PASSWORD)];
            let answer = browser.form(&format!("/api/auth/{path}"), &fields).await;
            seen.push((email, app.store.calls() - before, shape(&answer)));
        }
        let (_, calls, answer) = &seen[0];
        let alike =
            |other: &(&str, usize, String)| (other.1 == *calls || path == "signup") && other.2 == *answer;
        assert!(seen.iter().all(alike), "{path}: {seen:#?}");
    }
}

/// What could not be written is not counted, and the person can ask again at once.
#[rocket::async_test]
async fn a_mail_that_could_not_be_written_does_not_count() {
    let app = App::new("jwt").await;
    let mut ada = app.browser();
    let token = ada.csrf().await;
    let fields = [("csrfToken", token.as_str()), ("email", "ada@example.com")];
    let before = app.store.calls();
    assert_eq!(ada.clone().form("/api/auth/forgot-password", &fields).await.status, 303);
    let calls = app.store.calls() - before;
    for _ in 0..20 {
        // The last call keeps the link.
        app.store.fail_after(calls - 1);
        let answer = ada.clone().form("/api/auth/forgot-password", &fields).await;
        app.store.recover();
        assert_eq!(answer.status, 503);
    }
    for _ in 0..4 {
        assert_eq!(ada.clone().form("/api/auth/forgot-password", &fields).await.status, 303);
    }
    assert_eq!(ada.clone().form("/api/auth/forgot-password", &fields).await.status, 429, "the sixth");
}
