//! Secrets that are replaced while the application runs.

use countersign::guards::Auth;
use countersign::secret::{Secret, SecretRing};
use countersign::signin::Resealing;
use countersign::store::Accounts as _;

use crate::app::{App, SECRET, STRATEGIES};
use crate::browser::{PASSWORD, Steps as _};
use crate::factors::{code, first_proof, second_proof, switch_on};
use crate::faults::Fault;
use crate::idp::Idp;

pub(crate) const NEW: &str = "another-secret-0123456789-abcdefghijklmnopqrstuvw";
const SESSION: &str = "next-auth.session-token";
const CSRF: &str = "next-auth.csrf-token";

pub(crate) fn replace(app: &App, secrets: &[&str]) {
    let (current, previous) = secrets.split_first().unwrap();
    let previous = previous.iter().map(|text| Secret::new(*text)).collect();
    let auth = app.client().rocket().state::<Auth>().unwrap();
    assert!(auth.secrets.replace(SecretRing::new(Secret::new(*current), previous)));
}

#[rocket::async_test]
async fn a_session_of_a_previous_secret_is_issued_anew_by_the_present_one() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        assert_eq!(ada.me().await.0, 200);
        let old = ada.session().unwrap().to_owned();
        replace(&app, &[NEW, SECRET]);
        let early = ada.get("/me").await;
        assert_eq!(early.status, 200, "{strategy}");
        assert!(early.headers("set-cookie").is_empty(), "{strategy}: not to and fro within a minute");
        app.clock.advance(60);
        let due = ada.get("/me").await;
        assert!(due.set_cookie(SESSION).is_some(), "{strategy}: issued anew");
        assert_ne!(ada.session().unwrap(), old);
        app.clock.advance(60);
        assert!(ada.get("/me").await.headers("set-cookie").is_empty(), "{strategy}: once is enough");
        replace(&app, &[NEW]);
        assert_eq!(ada.me().await.0, 200, "{strategy}");
        let mut late = app.browser();
        late.set_cookie(SESSION, &old);
        assert_eq!(late.me().await, (401, "session_invalid".to_owned()), "{strategy}: the old secret left");
    }
}

/// What was verified a moment ago was verified by secrets that are gone.
#[rocket::async_test]
async fn a_secret_that_is_removed_counts_at_once() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        assert_eq!((ada.me().await.0, ada.me().await.0), (200, 200));
        replace(&app, &[NEW]);
        assert_eq!(ada.me().await, (401, "session_invalid".to_owned()), "{strategy}");
        ada.try_sign_in("ada@example.com", PASSWORD).await;
        assert_eq!(ada.me().await.0, 200, "{strategy}: and the new one works");
    }
}

#[rocket::async_test]
async fn a_form_that_was_sent_out_before_is_taken_after() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let token = ada.csrf().await;
    let cookie = ada.cookie(CSRF).unwrap().to_owned();
    replace(&app, &[NEW, SECRET]);
    let mut other_tab = ada.clone();
    assert_eq!(other_tab.csrf().await, token, "the same token, so that open forms go on working");
    let again = other_tab.cookie(CSRF).unwrap().to_owned();
    assert_ne!(again, cookie, "vouched for by the present secret");
    replace(&app, &[NEW]);
    let mut stranger = app.browser();
    let fields = [
        ("csrfToken", token.as_str()),
        ("email", "ada@example.com"),
        ("password", PASSWORD),
        ("json", "true"),
    ];
    stranger.set_cookie(CSRF, &cookie);
    let refused = stranger.form("/api/auth/callback/credentials", &fields).await;
    assert_ne!(refused.status, 200, "the control: nobody vouches for the old cookie");
    stranger.set_cookie(CSRF, &again);
    let entered = stranger.form("/api/auth/callback/credentials", &fields).await;
    assert_eq!(entered.status, 200, "{}", entered.body);
}

/// Whoever does not come by while both secrets are known loses nothing either.
#[rocket::async_test]
async fn what_is_stored_outlives_the_secret_that_sealed_it() {
    let idp = Idp::start().await;
    let app = crate::oidc::start(&idp, "jwt").await;
    crate::oidc::sign_in(&mut app.browser(), &idp, &crate::oidc::ada()).await;
    let user = app.user("ada@example.com").await.unwrap().id;
    let auth = app.client().rocket().state::<Auth>().unwrap();
    let sign_in = auth.sign_in.as_ref().unwrap();
    let sealed = async || app.store.find_tokens(&user, "acme").await.unwrap().unwrap().sealed;
    let by_old = sealed().await;

    // Used while both are known: sealed anew at once.
    replace(&app, &[NEW, SECRET]);
    assert!(sign_in.provider_tokens(&user, "acme").await.unwrap().is_some());
    let by_new = sealed().await;
    assert_ne!(by_old, by_new);
    assert!(sign_in.provider_tokens(&user, "acme").await.unwrap().is_some());
    assert_eq!(sealed().await, by_new, "once is enough");

    // Not used: the background's pass does the same.
    let third = "a-third-secret-0123456789-abcdefghijklmnopqrstuvw";
    replace(&app, &[third, NEW]);
    let report = Resealing::new(app.store.clone(), &auth.secrets).run().await.unwrap();
    assert_eq!((report.tokens.renewed, report.lost()), (1, 0));
    replace(&app, &[third]);
    let tokens = sign_in.provider_tokens(&user, "acme").await.unwrap().unwrap();
    assert_eq!(tokens.access_token, "access-1");

    // The control: without either, they are unreadable.
    replace(&app, &[SECRET]);
    assert!(sign_in.provider_tokens(&user, "acme").await.unwrap().is_none());
}

/// A page for codes may be older than the newest secret: what it switches on must not be.
#[rocket::async_test]
async fn codes_are_switched_on_under_the_newest_secret() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.confirm("ada@example.com").await;
    let page = ada.visit("/api/auth/account/security/totp").await;
    replace(&app, &[NEW, SECRET]);
    let phone = crate::factors::confirm(&app, &mut ada, &page.body).await;
    replace(&app, &[NEW]);
    app.clock.advance(60);
    ada.try_sign_in("ada@example.com", PASSWORD).await;
    let done = crate::factors::second_proof(&mut ada, &crate::factors::code(&phone, &app)).await;
    assert_eq!(done.status, 200, "{}", done.body);
}

/// A right code is used up by the time its secret is sealed anew: that this fails must not refuse it.
#[rocket::async_test]
async fn a_secret_of_codes_that_cannot_be_sealed_anew_refuses_nobody() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let (phone, _) = switch_on(&app, &mut ada).await;
    let sealed = app.factors("ada@example.com").await.totp.unwrap().secret;
    replace(&app, &[NEW, SECRET]);
    for healthy in 0..30 {
        app.clock.advance(60);
        let mut half = first_proof(&app, "ada@example.com").await;
        let shown = code(&phone, &app);
        half.csrf().await;
        app.store.plan(Fault::Once, healthy);
        let answer = second_proof(&mut half, &shown).await;
        let met = app.store.recover();
        if met == ["reseal_totp"] {
            assert_eq!((answer.status, half.me().await.0), (200, 200), "{}", answer.body);
            assert_eq!(app.factors("ada@example.com").await.totp.unwrap().secret, sealed, "not now");
            app.clock.advance(60);
            let mut half = first_proof(&app, "ada@example.com").await;
            assert_eq!(second_proof(&mut half, &code(&phone, &app)).await.status, 200);
            assert_ne!(app.factors("ada@example.com").await.totp.unwrap().secret, sealed, "at the next one");
            return;
        }
    }
    panic!("the secret was never sealed anew");
}
