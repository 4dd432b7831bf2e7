//! What an account wants before it is given a second factor: a confirmed address.

use countersign::Countersign;
use countersign::clock::{Clock as _, SystemClock};
use countersign::model::TotpRecord;
use countersign::store::{Ends, FactorStore as _};

use crate::app::{App, START, figment};
use crate::browser::{Browser, Steps as _};
use crate::email::follow;
use crate::factors::{app_of, field, first_proof, texts};

/// Which of the forms that give a factor a page has.
fn offered(page: &str) -> (bool, bool, bool) {
    let has = |part: &str| page.contains(part);
    (has("/security/totp\""), has("data-passkey=\"create\""), has("/security/recovery-codes\""))
}

/// The page says what comes first, and has a button for it; whoever is sent to a page that is not for them yet sees the same.
#[rocket::async_test]
async fn an_unconfirmed_address_is_confirmed_before_there_are_factors() {
    let app = App::new("jwt").await;
    for (language, words) in
        [("en", "First confirm your address"), ("ko", "먼저 이메일 주소를 확인해 주세요")]
    {
        let email = format!("{language}@example.com");
        let mut ada = app.browser().with_header("Accept-Language", language).enter(&email).await;
        for (path, status) in [("account/security", 200), ("account/security/totp", 403)] {
            let page = ada.visit(&format!("/api/auth/{path}")).await;
            assert_eq!((page.status, offered(&page.body)), (status, (false, false, false)), "{path}");
            assert!(page.body.contains(words) && page.body.contains(&email), "{path}: {}", page.body);
            assert!(page.body.contains("/account/email/verify\""), "{path}");
        }
        let token = ada.csrf().await;
        let sent = ada.form("/api/auth/account/email/verify", &[("csrfToken", &token)]).await;
        assert!(sent.location().ends_with("notice=verification_sent"), "{}", sent.location());
        app.mail(&email, "").await;
        let mail = app.mail(&email, "").await;
        follow(&mut ada, mail.link().unwrap()).await;
        let page = ada.visit("/api/auth/account/security").await;
        assert_eq!(offered(&page.body), (true, true, false));
        assert!(!page.body.contains(words), "{}", page.body);
    }
}

/// Factors of a time before the address had to be confirmed can be taken away, and asked for, but none is added.
#[rocket::async_test]
async fn factors_from_before_stay_until_they_are_taken_away() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let user = app.user("ada@example.com").await.unwrap().id;
    let totp = TotpRecord { secret: "x".to_owned(), last_step: 0, created_at: START };
    let session = app.sessions("ada@example.com").await.remove(0).id;
    let ends = Ends { keep: Some(&session), until: START.plus(1000) };
    assert!(app.store.enable_totp(&user, &totp, &[], ends).await.unwrap());
    first_proof(&app, "ada@example.com").await;
    let page = ada.visit("/api/auth/account/security").await;
    assert!(
        page.body.contains("totp/disable") && page.body.contains("account/email/verify"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("security/recovery-codes"), "{}", page.body);
    let token = ada.csrf().await;
    let done = ada.form("/api/auth/account/security/totp/disable", &[("csrfToken", &token)]).await;
    assert_eq!(done.status, 303, "{}", done.body);
    assert!(!app.factors("ada@example.com").await.is_on());
}

/// Where no mail is sent nobody arrives by mail, and nobody can confirm an address: factors need none there.
#[rocket::async_test]
async fn without_mail_factors_need_no_confirmed_address() {
    let folder = tempfile::TempDir::new().unwrap();
    let figment = figment("jwt", "", folder.path()).select("release");
    let rocket = rocket::custom(figment).attach(Countersign::fairing());
    let client = rocket::local::asynchronous::Client::untracked(rocket).await.unwrap();
    let mut ada = Browser::new(&client).enter("ada@example.com").await;
    let page = ada.visit("/api/auth/account/security").await;
    assert_eq!(offered(&page.body), (true, true, false));
    assert!(!page.body.contains("account/email/verify"), "{}", page.body);
    let page = ada.visit("/api/auth/account/security/totp").await;
    let phone = app_of(&texts(&page.body, "code.secret")[0]);
    let code = phone.generate(u64::try_from(SystemClock.now().0).unwrap()).to_string();
    let (token, secret) = (ada.csrf().await, field(&page.body, "secret"));
    let fields = [("csrfToken", token.as_str()), ("secret", &secret), ("code", &code)];
    let done = ada.form("/api/auth/account/security/totp", &fields).await;
    assert_eq!((done.status, texts(&done.body, ".codes code").len()), (200, 10), "{}", done.body);
}
