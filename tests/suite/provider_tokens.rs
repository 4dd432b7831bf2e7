//! People's tokens at other sites, hooks about them, and a store that fails meanwhile.

use std::sync::{Arc, Mutex};

use countersign::guards::Auth;
use countersign::signin::{Decision, Event, HookError, Hooks, SignInAttempt, SignInError};
use countersign::testing::TestApp;
use rocket::futures::future::join_all;

use crate::app::{STRATEGIES, Setup};
use crate::browser::Steps as _;
use crate::idp::{Idp, Reply};
use crate::oidc::{ada, begin, sign_in, start};

async fn token(app: &TestApp) -> Result<Option<String>, SignInError> {
    let user = app.user("ada@example.com").await.unwrap();
    let auth = app.client().rocket().state::<Auth>().unwrap();
    let found = auth.sign_in.as_ref().unwrap().provider_tokens(&user.id, "acme").await?;
    Ok(found.map(|tokens| tokens.access_token))
}

/// Of many requests at once, on two instances, one renews, and all get what it got.
#[rocket::async_test]
async fn tokens_are_renewed_by_one_request() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    assert_eq!(sign_in(&mut app.browser(), &idp, &ada()).await.location(), "http://localhost:8000/after");
    assert_eq!(token(&app).await.unwrap().as_deref(), Some("access-1"));
    let before = idp.asked("/token");
    app.clock.advance(45);
    let elsewhere = app.elsewhere(Setup::new("jwt").toml(&idp.toml("acme"))).await;
    let all = join_all((0..16).map(|number| token(if number % 2 == 0 { &app } else { &elsewhere }))).await;
    let all: Vec<String> = all.into_iter().map(|found| found.unwrap().unwrap()).collect();
    assert!(all[0].starts_with("renewed-") && all.iter().all(|found| *found == all[0]), "{all:?}");
    assert_eq!(idp.asked("/token") - before, 1);
    let renewal = idp.requests().into_iter().rfind(|seen| seen.path == "/token").unwrap();
    assert_eq!(renewal.field("refresh_token").as_deref(), Some("refresh-1"));
    // The new refresh token is the one that counts from now on.
    app.clock.advance(3600);
    assert!(token(&app).await.unwrap().unwrap().starts_with("renewed-"));
    let renewal = idp.requests().into_iter().rfind(|seen| seen.path == "/token").unwrap();
    assert!(renewal.field("refresh_token").unwrap().starts_with("newer-"));
}

#[rocket::async_test]
async fn a_provider_that_refuses_to_renew_is_an_error_and_not_for_ever() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    sign_in(&mut app.browser(), &idp, &ada()).await;
    app.clock.advance(45);
    idp.answer("/token", |_| Reply::with(400, "application/json", "{\"error\":\"invalid_grant\"}"));
    assert!(matches!(token(&app).await, Err(SignInError::Provider(_))));
    idp.heal();
    assert!(token(&app).await.unwrap().is_some(), "the lease was given back");
}

#[derive(Clone, Default)]
struct Curious {
    seen: Arc<Mutex<Vec<String>>>,
}

#[rocket::async_trait]
impl Hooks for Curious {
    async fn sign_in(&self, attempt: &SignInAttempt<'_>) -> Result<Decision, HookError> {
        let subject = attempt.profile.map_or("", |profile| profile.subject.as_str());
        self.seen.lock().unwrap().push(format!("{} {subject}", attempt.provider));
        Ok(if subject == "denied" { Decision::Deny } else { Decision::Allow })
    }

    async fn event(&self, event: &Event<'_>) {
        let name = match event {
            Event::SignedUp { .. } => "up",
            Event::SignedIn { .. } => "in",
            Event::AccountLinked { .. } => "linked",
            Event::SignInFailed { code, .. } => code,
            _ => "?",
        };
        self.seen.lock().unwrap().push(name.to_owned());
    }
}

/// A hook sees who vouched and what was said, and is asked before anything is stored.
#[rocket::async_test]
async fn hooks_see_the_provider_and_the_profile() {
    let idp = Idp::start().await;
    let hooks = Curious::default();
    let seen = Arc::clone(&hooks.seen);
    let app = Setup::new("jwt").toml(&idp.toml("acme")).fairing(|fairing| fairing.hooks(hooks)).start().await;
    let denied =
        serde_json::json!({ "sub": "denied", "email": "denied@example.com", "email_verified": true });
    let answer = sign_in(&mut app.browser(), &idp, &denied).await;
    assert!(answer.location().ends_with("error=AccessDenied"), "{}", answer.location());
    assert!(app.user("denied@example.com").await.is_none(), "nobody was stored");
    let mut browser = app.browser();
    sign_in(&mut browser, &idp, &ada()).await;
    sign_in(&mut browser, &idp, &serde_json::json!({ "sub": "2" })).await;
    app.browser().enter("eve@example.com").await;
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "acme denied",
            "AccessDenied",
            "acme 1815",
            "up",
            "in",
            "acme 2",
            "linked",
            "up",
            "credentials ",
            "in"
        ]
    );
}

/// Whatever call of coming back fails, the answer is 503, no cookie is touched, and nobody is signed in by half.
#[rocket::async_test]
async fn a_store_that_fails_meanwhile_is_unknown() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = start(&idp, strategy).await;
        let mut failures = 0;
        for healthy in 0..20 {
            let mut browser = app.browser();
            let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
            app.store.fail_after(healthy);
            let answer = browser.get(&back).await;
            app.store.recover();
            if answer.status == 302 {
                assert_eq!(answer.location(), "http://localhost:8000/", "{strategy}, call {healthy}");
                assert_eq!(browser.me().await.0, 200);
                break;
            }
            failures += 1;
            assert_eq!(answer.status, 503, "{strategy}, call {healthy}: {}", answer.body);
            assert!(answer.headers("set-cookie").is_empty(), "{strategy}, call {healthy}");
            assert_eq!(browser.me().await.0, 401);
        }
        assert!(failures >= 4, "{strategy}: only {failures} store calls were seen");
    }
}
