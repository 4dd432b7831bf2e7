//! Second factors: codes, recovery codes, passkeys.

use countersign::testing::SoftPasskey;
use scraper::{Html, Selector};
use totp_rs::{Builder, Secret, Totp};

use crate::app::{App, STRATEGIES};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};

pub(crate) const ORIGIN: &str = "http://localhost:8000";

pub(crate) fn field(page: &str, name: &str) -> String {
    let document = Html::parse_document(page);
    let selector = Selector::parse(&format!("input[name={name}]")).unwrap();
    let found = document.select(&selector).next().unwrap_or_else(|| panic!("no field {name}: {page}"));
    found.attr("value").unwrap_or_default().to_owned()
}

pub(crate) fn texts(page: &str, selector: &str) -> Vec<String> {
    let document = Html::parse_document(page);
    let selector = Selector::parse(selector).unwrap();
    document.select(&selector).map(|found| found.text().collect()).collect()
}

pub(crate) fn app_of(base32: &str) -> Totp {
    let secret = Secret::try_from_base32(base32).unwrap();
    Builder::new().with_secret(secret).with_account_name("test").build().unwrap()
}

pub(crate) fn code(phone: &Totp, app: &App) -> String {
    use countersign::clock::Clock as _;
    phone.generate(u64::try_from(app.clock.now().0).unwrap()).to_string()
}

/// Switches codes on, for a confirmed address; the phone and the recovery codes.
pub(crate) async fn switch_on(app: &App, browser: &mut Browser<'_>) -> (Totp, Vec<String>) {
    app.confirm(&browser.me().await.1).await;
    let page = browser.visit("/api/auth/account/security/totp").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let phone = app_of(&texts(&page.body, "code.secret")[0]);
    let (token, secret) = (browser.csrf().await, field(&page.body, "secret"));
    let wrong = [("csrfToken", token.as_str()), ("secret", &secret), ("code", "000000")];
    let refused = browser.form("/api/auth/account/security/totp", &wrong).await;
    assert_eq!(refused.status, 400, "a first code must be shown");
    let code = code(&phone, app);
    let fields = [("csrfToken", token.as_str()), ("secret", &secret), ("code", &code)];
    let done = browser.form("/api/auth/account/security/totp", &fields).await;
    assert_eq!(done.status, 200, "{}", done.body);
    (phone, texts(&done.body, ".codes code"))
}

/// Shows the first code to a page that was opened before.
pub(crate) async fn confirm(app: &App, browser: &mut Browser<'_>, page: &str) -> Totp {
    let phone = app_of(&texts(page, "code.secret")[0]);
    let (token, secret, code) = (browser.csrf().await, field(page, "secret"), code(&phone, app));
    let fields = [("csrfToken", token.as_str()), ("secret", &secret), ("code", &code)];
    let done = browser.form("/api/auth/account/security/totp", &fields).await;
    assert_eq!(done.status, 200, "{}", done.body);
    phone
}

/// The first proof of somebody who has a second factor.
pub(crate) async fn first_proof<'a>(app: &'a App, email: &str) -> Browser<'a> {
    let mut browser = app.browser();
    let answer = browser.try_sign_in(email, PASSWORD).await;
    assert_eq!(answer.json()["url"], format!("{ORIGIN}/api/auth/factor"), "{}", answer.body);
    browser
}

pub(crate) async fn second_proof(browser: &mut Browser<'_>, code: &str) -> Answer {
    let token = browser.csrf().await;
    let fields = [("csrfToken", token.as_str()), ("code", code), ("json", "true")];
    browser.form("/api/auth/factor", &fields).await
}

// ASVS: 6.3.3
#[rocket::async_test]
async fn between_the_proofs_nothing_opens() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let before = app.browser().enter_again("ada@example.com").await;
        let (phone, _) = switch_on(&app, &mut ada).await;
        assert_eq!(ada.clone().me().await.0, 200, "{strategy}: where it was switched on");
        assert_eq!(before.clone().me().await.0, 401, "{strategy}: a cookie from before opens nothing");
        let mut half = first_proof(&app, "ada@example.com").await;
        assert!(half.session().is_none(), "{strategy}: no session cookie");
        // Every cookie that was set, under the name of the session, opens nothing either.
        let pending = half.cookie("countersign.pending").unwrap().to_owned();
        let mut forged = app.browser();
        forged.set_cookie("next-auth.session-token", &pending);
        assert_eq!(forged.me().await.0, 401, "{strategy}");
        assert_eq!(half.me().await.0, 401, "{strategy}");
        app.clock.advance(60);
        let done = second_proof(&mut half, &code(&phone, &app)).await;
        assert_eq!((done.status, half.me().await.0), (200, 200), "{strategy}: {}", done.body);
        assert!(half.cookie("countersign.pending").is_none(), "{strategy}: it was spent");
        // What is spent leads to no second session, with a fresh code either.
        app.clock.advance(60);
        let mut again = app.browser();
        again.set_cookie("countersign.pending", &pending);
        assert_eq!(second_proof(&mut again, &code(&phone, &app)).await.status, 401, "{strategy}");
        assert!(again.session().is_none(), "{strategy}");
    }
}

// ASVS: 6.5.1
#[rocket::async_test]
async fn a_code_works_once_and_in_its_time() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let (phone, _) = switch_on(&app, &mut ada).await;
    let first = code(&phone, &app);
    let mut half = first_proof(&app, "ada@example.com").await;
    assert_eq!(second_proof(&mut half, &first).await.status, 401, "switching on used it up");
    app.clock.advance(60);
    let second = code(&phone, &app);
    assert_eq!(second_proof(&mut half, &second).await.status, 200);
    for later in [0, 30] {
        app.clock.advance(later);
        let mut thief = first_proof(&app, "ada@example.com").await;
        assert_eq!(second_proof(&mut thief, &second).await.status, 401, "replayed {later} s later");
    }
    // The clock set back does not bring an old code to life.
    app.clock.advance(-60);
    let mut thief = first_proof(&app, "ada@example.com").await;
    assert_eq!(second_proof(&mut thief, &code(&phone, &app)).await.status, 401);
}

// ASVS: 6.5.5
#[rocket::async_test]
async fn a_sign_in_waits_for_ten_minutes() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let (phone, _) = switch_on(&app, &mut ada).await;
    for (wait, status) in [(590, 200), (601, 401)] {
        app.clock.advance(60);
        let mut half = first_proof(&app, "ada@example.com").await;
        app.clock.advance(wait);
        let answer = second_proof(&mut half, &code(&phone, &app)).await;
        assert_eq!(answer.status, status, "{wait}: {}", answer.body);
    }
    let mut nobody = app.browser();
    assert!(nobody.visit("/api/auth/factor").await.location().contains("error=SignInExpired"));
}

// ASVS: 6.5.4
#[rocket::async_test]
async fn guesses_are_counted_per_person() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let (phone, _) = switch_on(&app, &mut ada).await;
    app.clock.advance(60);
    for _ in 0..5 {
        let mut half = first_proof(&app, "ada@example.com").await;
        assert_eq!(second_proof(&mut half, "000000").await.status, 401);
    }
    let mut half = first_proof(&app, "ada@example.com").await;
    let answer = second_proof(&mut half, &code(&phone, &app)).await;
    assert_eq!(answer.status, 429, "the sixth, though right");
    assert!(answer.header("retry-after").is_some());
    app.clock.advance(901);
    let mut half = first_proof(&app, "ada@example.com").await;
    assert_eq!(second_proof(&mut half, &code(&phone, &app)).await.status, 200);
}

// ASVS: 6.5.1, 6.5.2
#[rocket::async_test]
async fn recovery_codes_work_once_each_and_are_kept_by_hash() {
    let app = App::new("database").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let (_, codes) = switch_on(&app, &mut ada).await;
    assert_eq!(codes.len(), 10);
    let mut half = first_proof(&app, "ada@example.com").await;
    assert_eq!(second_proof(&mut half, &codes[0].to_uppercase()).await.status, 200);
    let mut half = first_proof(&app, "ada@example.com").await;
    assert_eq!(second_proof(&mut half, &codes[0]).await.status, 401, "used");
    assert_eq!(app.factors("ada@example.com").await.recovery_codes, 9);
    let token = ada.csrf().await;
    let fresh = ada.form("/api/auth/account/security/recovery-codes", &[("csrfToken", &token)]).await;
    let fresh = texts(&fresh.body, ".codes code");
    assert_eq!(fresh.len(), 10);
    assert_eq!(second_proof(&mut half, &codes[1]).await.status, 401, "replaced");
    let (kept, plain) = (crate::dump::kept(&app).await, fresh[0].replace('-', ""));
    assert!(!kept.windows(plain.len()).any(|bytes| bytes == plain.as_bytes()), "in the clear");
    assert_eq!(second_proof(&mut half, &fresh[0]).await.status, 200);
}

// ASVS: 7.4.3
#[rocket::async_test]
async fn switching_off_ends_other_sessions_and_asks_no_more() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let (phone, _) = switch_on(&app, &mut ada).await;
    app.clock.advance(60);
    let mut elsewhere = first_proof(&app, "ada@example.com").await;
    assert_eq!(second_proof(&mut elsewhere, &code(&phone, &app)).await.status, 200);
    let token = ada.csrf().await;
    let done = ada.form("/api/auth/account/security/totp/disable", &[("csrfToken", &token)]).await;
    assert_eq!(done.status, 303);
    assert_eq!((ada.me().await.0, elsewhere.me().await.0), (200, 401));
    let mut again = app.browser().enter_again("ada@example.com").await;
    assert_eq!(again.me().await.0, 200);
}

pub(crate) async fn options(browser: &mut Browser<'_>, path: &str) -> serde_json::Value {
    browser.passkey_options(path).await
}

pub(crate) async fn enter_by(browser: &mut Browser<'_>, path: &str, credential: &str) -> Answer {
    let token = browser.csrf().await;
    let fields = [("csrfToken", token.as_str()), ("credential", credential), ("json", "true")];
    browser.form(path, &fields).await
}

#[rocket::async_test]
async fn a_passkey_is_the_only_way_in_and_the_second_proof() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        app.confirm("ada@example.com").await;
        let mut key = SoftPasskey::new(ORIGIN, "localhost");
        let added = ada.add_passkey(&mut key).await;
        assert_eq!((added.status, texts(&added.body, ".codes code").len()), (200, 10), "{}", added.body);
        // Alone: no password, and nothing more is asked.
        let mut phone = app.browser();
        let asked = options(&mut phone, "/api/auth/passkey/options").await;
        assert_eq!(asked["publicKey"]["userVerification"], "required");
        let answer = key.get(&asked);
        let entered = enter_by(&mut phone, "/api/auth/callback/passkey", &answer).await;
        assert_eq!((entered.status, phone.me().await.0), (200, 200), "{strategy}: {}", entered.body);
        // As the second proof.
        let mut half = first_proof(&app, "ada@example.com").await;
        let answer = key.get(&options(&mut half, "/api/auth/factor/options").await);
        let done = enter_by(&mut half, "/api/auth/factor", &answer).await;
        assert_eq!((done.status, half.me().await.0), (200, 200), "{strategy}: {}", done.body);
    }
}

#[rocket::async_test]
async fn what_a_passkey_must_not_prove() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.confirm("ada@example.com").await;
    let mut key = SoftPasskey::new(ORIGIN, "localhost");
    ada.add_passkey(&mut key).await;
    let path = "/api/auth/callback/passkey";
    let refused = |status: u16, browser: &Browser<'_>| status == 401 && browser.session().is_none();

    // Replayed, and in another browser.
    let mut first = app.browser();
    let answer = key.get(&options(&mut first, "/api/auth/passkey/options").await);
    let challenge = first.cookie("countersign.challenge").unwrap().to_owned();
    let mut thief = app.browser();
    assert!(refused(enter_by(&mut thief, path, &answer).await.status, &thief), "another browser");
    assert_eq!(enter_by(&mut first, path, &answer).await.status, 200);
    thief.set_cookie("countersign.challenge", &challenge);
    assert!(refused(enter_by(&mut thief, path, &answer).await.status, &thief), "replayed");

    // Another site, domain, type of ceremony, person, and no verification of the person.
    let mut wrongs: Vec<(&str, SoftPasskey)> = Vec::new();
    let mut elsewhere = key.clone();
    elsewhere.origin = "http://evil.example".to_owned();
    wrongs.push(("origin", elsewhere));
    let mut other = key.clone();
    other.user_handle = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    wrongs.push(("user handle", other));
    let mut careless = key.clone();
    careless.verifies = false;
    wrongs.push(("no verification", careless));
    wrongs.push(("unknown key", SoftPasskey::new(ORIGIN, "localhost")));
    for (what, mut wrong) in wrongs {
        let mut browser = app.browser();
        let answer = wrong.get(&options(&mut browser, "/api/auth/passkey/options").await);
        assert!(refused(enter_by(&mut browser, path, &answer).await.status, &browser), "{what}");
    }
    let mut browser = app.browser();
    let asked = options(&mut browser, "/api/auth/passkey/options").await;
    let swapped = key.client_data("webauthn.create", &asked);
    let answer = key.prove(&swapped);
    assert!(refused(enter_by(&mut browser, path, &answer).await.status, &browser), "create for get");

    // Too late.
    let mut late = app.browser();
    let answer = key.get(&options(&mut late, "/api/auth/passkey/options").await);
    app.clock.advance(301);
    assert!(refused(enter_by(&mut late, path, &answer).await.status, &late), "five minutes later");

    // A challenge of one purpose is none of another.
    let mut half = first_proof(&app, "ada@example.com").await;
    let answer = key.get(&options(&mut half, "/api/auth/passkey/options").await);
    assert!(refused(enter_by(&mut half, "/api/auth/factor", &answer).await.status, &half), "purpose");

    // Garbage.
    for garbage in ["", "{}", "null", "[]", &"x".repeat(100_000), "{\"id\":1}"] {
        let mut browser = app.browser();
        options(&mut browser, "/api/auth/passkey/options").await;
        let status = enter_by(&mut browser, path, garbage).await.status;
        assert!((400..500).contains(&status) && browser.session().is_none(), "{status}: {garbage:.20}");
    }

    // A counter that went back is told, and locks nobody out.
    let mut copy = key.clone();
    copy.counter = 0;
    let mut browser = app.browser();
    let answer = copy.get(&options(&mut browser, "/api/auth/passkey/options").await);
    assert_eq!(enter_by(&mut browser, path, &answer).await.status, 200);
}

#[rocket::async_test]
async fn a_passkey_belongs_to_its_owner() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let mut bob = app.browser().enter("bob@example.com").await;
    for email in ["ada@example.com", "bob@example.com"] {
        app.confirm(email).await;
    }
    let mut key = SoftPasskey::new(ORIGIN, "localhost");
    ada.add_passkey(&mut key).await;
    let page = ada.visit("/api/auth/account/security").await;
    assert!(page.body.contains("Test"));
    let id = field(&page.body, "id");
    let path = "/api/auth/account/security/passkeys/remove";
    let token = bob.csrf().await;
    let answer = bob.form(path, &[("csrfToken", &token), ("id", &id)]).await;
    assert_eq!(answer.status, 404, "somebody else's and none look alike");
    assert_eq!(app.factors("ada@example.com").await.passkeys.len(), 1, "the row is still there");
    // Bob's key is not Ada's second proof.
    let mut bobs = SoftPasskey::new(ORIGIN, "localhost");
    bob.add_passkey(&mut bobs).await;
    let mut half = first_proof(&app, "ada@example.com").await;
    let answer = bobs.get(&options(&mut half, "/api/auth/factor/options").await);
    assert_eq!(enter_by(&mut half, "/api/auth/factor", &answer).await.status, 401);
    // A disabled person's key opens nothing, and a removed one neither.
    let token = ada.csrf().await;
    let removed = ada.form(path, &[("csrfToken", &token), ("id", &id)]).await;
    assert_eq!(removed.status, 303);
    let mut browser = app.browser();
    let answer = key.get(&options(&mut browser, "/api/auth/passkey/options").await);
    assert_eq!(enter_by(&mut browser, "/api/auth/callback/passkey", &answer).await.status, 401);
    app.disable("bob@example.com").await;
    let mut browser = app.browser();
    let answer = bobs.get(&options(&mut browser, "/api/auth/passkey/options").await);
    assert_eq!(enter_by(&mut browser, "/api/auth/callback/passkey", &answer).await.status, 401);
}

#[rocket::async_test]
async fn secrets_of_codes_rotate() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let (phone, _) = switch_on(&app, &mut ada).await;
    let before = app.factors("ada@example.com").await.totp.unwrap().secret;
    let both = format!(
        "[default.auth]\nsecret = [\"suite-newer-secret-0123456789-abcdefghijklmnop\", \"{}\"]",
        crate::app::SECRET
    );
    let app = app.restart(crate::app::Setup::new("jwt").toml(&both)).await;
    app.clock.advance(60);
    let mut half = first_proof(&app, "ada@example.com").await;
    assert_eq!(second_proof(&mut half, &code(&phone, &app)).await.status, 200);
    let after = app.factors("ada@example.com").await.totp.unwrap().secret;
    assert_ne!(before, after, "sealed anew while it was at hand");
    let new = "[default.auth]\nsecret = \"suite-newer-secret-0123456789-abcdefghijklmnop\"";
    let app = app.restart(crate::app::Setup::new("jwt").toml(new)).await;
    app.clock.advance(60);
    let mut half = first_proof(&app, "ada@example.com").await;
    assert_eq!(second_proof(&mut half, &code(&phone, &app)).await.status, 200, "the old secret is gone");
}

// ASVS: 6.3.4
#[rocket::async_test]
async fn every_way_in_asks_for_the_second_factor() {
    for strategy in STRATEGIES {
        let idp = crate::idp::Idp::start().await;
        let app = crate::oidc::start(&idp, strategy).await;
        // Her account at the other site is linked while nothing more is asked.
        let claims = crate::oidc::ada();
        let mut ada = app.browser();
        crate::oidc::sign_in(&mut ada, &idp, &claims).await;
        let (phone, _) = switch_on(&app, &mut ada).await;
        let factor = format!("{ORIGIN}/api/auth/factor");

        let mut by_site = app.browser();
        let answer = crate::oidc::sign_in(&mut by_site, &idp, &claims).await;
        assert_eq!(
            (answer.location(), by_site.me().await.0),
            (factor.as_str(), 401),
            "{strategy}: another site"
        );

        let mut by_mail = app.browser();
        crate::email::ask(&mut by_mail, "ada@example.com").await;
        let mail = app.mail("ada@example.com", "Sign in").await;
        let answer = crate::email::follow(&mut by_mail, mail.link().unwrap()).await;
        assert_eq!((answer.location(), by_mail.me().await.0), (factor.as_str(), 401), "{strategy}: a link");

        app.clock.advance(60);
        let done = second_proof(&mut by_mail, &code(&phone, &app)).await;
        assert_eq!((done.status, by_mail.me().await.0), (200, 200), "{strategy}: {}", done.body);
        app.clock.advance(60);
        let done = second_proof(&mut by_site, &code(&phone, &app)).await;
        assert_eq!((done.status, by_site.me().await.0), (200, 200), "{strategy}: {}", done.body);
    }
}
