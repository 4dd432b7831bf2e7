//! A new way into an account is added after a recent proof of whose it is, and the last one is not taken away.

use serde_json::{Value, json};

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::email::enter_by_mail;
use crate::idp::Idp;
use crate::oidc::{ada, begin, sign_in, start};

const ACCOUNT: &str = "http://localhost:8000/api/auth/account";
const PROVE: &str = "http://localhost:8000/api/auth/reauthenticate?callbackUrl=http%3A%2F%2Flocalhost%3A8000%2Fapi%2Fauth%2Faccount";

fn another() -> Value {
    json!({ "sub": "1816", "name": "A", "email": "other@example.com", "email_verified": true })
}

/// The button of the account page, pressed by a person or by a script.
async fn press_link(browser: &mut Browser<'_>, script: bool) -> Answer {
    let token = browser.csrf().await;
    let mut sender = browser.clone().with_header("Referer", ACCOUNT);
    if !script {
        sender = sender.with_header("Accept", "text/html");
    }
    let mut fields = vec![("csrfToken", token.as_str()), ("callbackUrl", "/api/auth/account")];
    fields.extend(script.then_some(("json", "true")));
    let answer = sender.form("/api/auth/signin/acme", &fields).await;
    *browser = sender.without_headers();
    answer
}

async fn links(app: &App, email: &str) -> usize {
    app.linked_accounts(email).await.len()
}

// ASVS: 7.5.1
#[rocket::async_test]
async fn linking_asks_for_a_recent_proof_and_goes_on_where_one_was() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = start(&idp, strategy).await;
        idp.follow(&app.clock);
        let mut ada_here = app.browser().enter("ada@example.com").await;
        app.clock.advance(901);
        let sent = press_link(&mut ada_here, false).await;
        assert_eq!((sent.status, sent.location()), (302, PROVE), "{strategy}");
        let told = press_link(&mut ada_here, true).await;
        assert_eq!((told.status, told.json()["url"].as_str()), (403, Some(PROVE)), "{strategy}");
        assert_eq!(idp.asked("/.well-known/openid-configuration"), 0, "nobody was sent there");
        // The proof leads back to the page, and its button works now.
        let token = ada_here.csrf().await;
        let proof = [
            ("csrfToken", token.as_str()),
            ("email", "ada@example.com"),
            ("password", PASSWORD),
            ("callbackUrl", ACCOUNT),
        ];
        assert_eq!(ada_here.form("/api/auth/callback/credentials", &proof).await.location(), ACCOUNT);
        let back = idp.authorize(&begin(&mut ada_here, "acme", ACCOUNT).await, &another());
        // However long the person is away: what counts is the proof before they left.
        app.clock.advance(800);
        assert_eq!(ada_here.get(&back).await.location(), ACCOUNT, "{strategy}");
        assert_eq!(links(&app, "ada@example.com").await, 1, "{strategy}");
    }
}

/// Somebody who has no other proof than another site's gives that one; it adds nothing to the account.
#[rocket::async_test]
async fn who_came_from_a_site_proves_it_there_and_links_nothing_by_it() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = start(&idp, strategy).await;
        idp.follow(&app.clock);
        let mut person = app.browser();
        sign_in(&mut person, &idp, &ada()).await;
        app.clock.advance(901);
        assert_eq!(person.get("/api/auth/account/security").await.status, 403, "{strategy}");
        let page = person.visit("/api/auth/reauthenticate").await;
        assert!(page.body.contains("Sign in with Acme"), "{}", page.body);
        // Another account there, which is nobody's here.
        let back = idp.authorize(&begin(&mut person, "acme", ACCOUNT).await, &another());
        let refused = person.get(&back).await;
        assert_eq!((refused.status, refused.location()), (302, PROVE), "{strategy}");
        assert_eq!(links(&app, "ada@example.com").await, 1, "{strategy}");
        assert_eq!(
            person.get("/api/auth/account/security").await.status,
            403,
            "{strategy}: it proves nothing"
        );
        // Their own.
        let old = person.session().unwrap().to_owned();
        let back = idp.authorize(&begin(&mut person, "acme", ACCOUNT).await, &ada());
        assert_eq!(person.get(&back).await.location(), ACCOUNT, "{strategy}");
        assert_eq!(person.get("/api/auth/account/security").await.status, 200, "{strategy}");
        let mut before = app.browser();
        before.set_cookie("next-auth.session-token", &old);
        assert_eq!(before.me().await.0, 401, "{strategy}: the session of before is gone");
    }
}

/// A site that the person does not come from is not offered as a proof.
#[rocket::async_test]
async fn only_sites_that_know_the_person_are_offered() {
    let (idp, other) = (Idp::start().await, Idp::start().await);
    let toml = format!("{}{}", idp.toml("acme"), other.toml("other").replace("Acme", "Other"));
    let app = Setup::new("jwt").toml(&toml).start().await;
    let mut person = app.browser();
    sign_in(&mut person, &idp, &ada()).await;
    let page = person.visit("/api/auth/reauthenticate").await.body;
    assert!(page.contains("Sign in with Acme") && !page.contains("Sign in with Other"), "{page}");
}

async fn unlink(app: &App, browser: &mut Browser<'_>, email: &str) -> String {
    let id = app.linked_accounts(email).await[0].id.clone();
    let token = browser.csrf().await;
    let answer = browser.form("/api/auth/account/unlink", &[("csrfToken", &token), ("id", &id)]).await;
    answer.location().rsplit_once("notice=").unwrap().1.to_owned()
}

/// A link by mail is a way in for whoever proved the address, where people sign in by mail.
#[rocket::async_test]
async fn a_proven_address_is_another_way_in() {
    for (by_mail, proven, expected) in
        [(true, true, "account_unlinked"), (true, false, "last_way_in"), (false, true, "last_way_in")]
    {
        let idp = Idp::start().await;
        let off = format!("[default.auth.providers.email]\nenabled = {by_mail}\n");
        let app = Setup::new("database").toml(&idp.toml("acme")).toml(&off).start().await;
        let mut person = app.browser();
        let claims = json!({ "sub": "1", "email": "ada@example.com", "email_verified": proven });
        sign_in(&mut person, &idp, &claims).await;
        let label = format!("by mail: {by_mail}, proven: {proven}");
        assert_eq!(unlink(&app, &mut person, "ada@example.com").await, expected, "{label}");
        let left = usize::from(expected == "last_way_in");
        assert_eq!(links(&app, "ada@example.com").await, left, "{label}");
        if left == 0 {
            let mut back = enter_by_mail(&app, "ada@example.com").await;
            assert_eq!(back.me().await, (200, "ada@example.com".to_owned()), "{label}");
        }
    }
}
