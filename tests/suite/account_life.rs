//! The life of an account: confirming and changing its address, a forgotten password, a first one, its data, its end; and
//! the recent sign-in that this needs.

use countersign::{Fresh, Policy};

use crate::app::{App, START, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::email::{enter_by_mail, follow, path_of};

const NEW: &str = "another good password";

pub(crate) async fn post(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    let token = browser.csrf().await;
    let mut all = vec![("csrfToken", token.as_str())];
    all.extend(fields);
    browser.form(&format!("/api/auth/{path}"), &all).await
}

/// As a person who presses a button on the account page.
async fn press_on_account(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    let mut person = browser
        .clone()
        .with_header("Accept", "text/html,*/*;q=0.8")
        .with_header("Referer", "http://localhost:8000/api/auth/account");
    let answer = post(&mut person, path, fields).await;
    *browser = person.without_headers();
    answer
}

#[rocket::async_test]
async fn an_address_is_confirmed_by_whoever_has_both_the_mail_and_the_account() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let mail = app.mail("ada@example.com", "Confirm your address").await;
        let link = mail.link().unwrap();
        assert!(ada.visit("/api/auth/account").await.body.contains("not confirmed"));
        // Who reads the mail but has no session here signs in first, and comes back.
        let sent = app.browser().visit(path_of(link)).await;
        assert_eq!(sent.status, 303);
        assert!(sent.location().starts_with("http://localhost:8000/api/auth/signin?callbackUrl="));
        // Who has another account confirms nothing: the reader of the mailbox did not make this one.
        let mut eve = app.browser().enter("eve@example.com").await;
        assert_eq!(follow(&mut eve, link).await.status, 400);
        assert_eq!(app.user("ada@example.com").await.unwrap().email_verified_at, None);
        let confirmed = follow(&mut ada, link).await;
        assert_eq!(confirmed.location(), "http://localhost:8000/api/auth/account?notice=email_verified");
        assert_eq!(app.user("ada@example.com").await.unwrap().email_verified_at, Some(START));
        assert_eq!(follow(&mut ada, link).await.status, 400, "once");
        // There is nothing to confirm any more, and no mail.
        app.mail("eve@example.com", "Confirm").await;
        assert_eq!(post(&mut ada, "account/email/verify", &[]).await.status, 303);
        let sent = post(&mut eve, "account/email/verify", &[]).await;
        assert_eq!(sent.location(), "http://localhost:8000/api/auth/account?notice=verification_sent");
        app.mail("eve@example.com", "Confirm").await;
        assert!(app.mails.all().is_empty());
    }
}

#[rocket::async_test]
async fn signing_up_with_a_taken_address_tells_its_owner_and_nobody_else() {
    let app = App::new("jwt").await;
    let first = app.browser().sign_up("ada@example.com").await;
    app.mail("ada@example.com", "Confirm").await;
    let second = app.browser().sign_up("ada@example.com").await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    let mail = app.mail("ada@example.com", "You have an account").await;
    assert_eq!(mail.link(), Some("http://localhost:8000"), "it confirms nothing");
}

// ASVS: 6.4.3
#[rocket::async_test]
async fn a_forgotten_password_is_replaced_by_link_and_every_session_ends() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let mut forgetful = app.browser();
        let asked = post(&mut forgetful, "forgot-password", &[("email", "Ada@example.com")]).await;
        assert_eq!(
            (asked.status, asked.location()),
            (303, "http://localhost:8000/api/auth/forgot-password?sent=true")
        );
        let mail = app.mail("ada@example.com", "Choose a new password").await;
        let link = mail.link().unwrap();
        let query = link.split('?').nth(1).unwrap();
        let secret = query.split("token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        assert_eq!(forgetful.visit(path_of(link)).await.status, 200);
        let fields = |password: &'static str| {
            [
                ("email", "ada@example.com".to_owned()),
                ("token", secret.clone()),
                ("password", password.to_owned()),
            ]
        };
        let set = |password: &'static str| {
            let (mut browser, fields) = (forgetful.clone(), fields(password));
            async move {
                let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
                post(&mut browser, "reset-password", &fields).await
            }
        };
        for (weak, text) in [
            ("short", "8 characters or more"),
            ("password", "one of the first"),
            ("ada@example.com", "not your address"),
        ] {
            let answer = set(weak).await;
            assert_eq!(answer.status, 400, "{weak}");
            assert!(answer.body.contains(text), "{weak}: the link is not used up");
        }
        assert_eq!(ada.me().await.0, 200);
        let done = set(NEW).await;
        assert_eq!(
            (done.status, done.location()),
            (303, "http://localhost:8000/api/auth/signin?notice=password_reset")
        );
        assert!(done.set_cookie("next-auth.session-token").is_none(), "it signs nobody in");
        assert_eq!(ada.me().await, (401, "session_revoked".to_owned()), "{strategy}");
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 401);
        assert_eq!(app.browser().try_sign_in("ada@example.com", NEW).await.status, 200);
        assert_eq!(set("a third good password").await.status, 400, "once");
        app.mail("ada@example.com", "A new password was chosen at Countersign").await;
    }
}

// ASVS: 9.2.2
#[rocket::async_test]
async fn a_reset_link_ends_in_time_and_is_no_other_kind_of_link() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    post(&mut app.browser(), "forgot-password", &[("email", "ada@example.com")]).await;
    let reset = app.mail("ada@example.com", "Choose a new password").await;
    let secret = |link: &str| link.split("token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let token = secret(reset.link().unwrap());
    // A reset link neither signs in nor confirms.
    for path in ["callback/email", "verify-email", "change-email"] {
        let answer =
            post(&mut ada, path, &[("email", "ada@example.com"), ("token", &token), ("json", "true")]).await;
        assert_eq!(answer.status, 400, "{path}");
    }
    // And no other link resets.
    let mut phone = app.browser();
    post(&mut phone, "signin/email", &[("email", "ada@example.com")]).await;
    let sign_in = secret(app.mail("ada@example.com", "Sign in").await.link().unwrap());
    let wrong = [("email", "ada@example.com"), ("token", sign_in.as_str()), ("password", NEW)];
    assert_eq!(post(&mut phone, "reset-password", &wrong).await.status, 400);
    app.clock.advance(601);
    let late = [("email", "ada@example.com"), ("token", token.as_str()), ("password", NEW)];
    assert_eq!(post(&mut phone, "reset-password", &late).await.status, 400);
    assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 200);
}

#[rocket::async_test]
async fn an_address_is_changed_at_the_new_one_and_told_to_the_old() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let mut other = app.browser();
        other.try_sign_in("ada@example.com", PASSWORD).await;
        app.mail("ada@example.com", "Confirm").await;
        post(&mut app.browser(), "forgot-password", &[("email", "ada@example.com")]).await;
        let reset = app.mail("ada@example.com", "Choose a new password").await;
        let sent = post(&mut ada, "account/email", &[("email", "Countess@example.com")]).await;
        assert_eq!(sent.location(), "http://localhost:8000/api/auth/account?notice=email_change_sent");
        let mail = app.mail("countess@example.com", "Confirm your new address").await;
        assert_eq!(ada.me().await.1, "ada@example.com", "not before it is confirmed");
        // The new address's reader alone changes nobody's account.
        let mut eve = app.browser().enter("eve@example.com").await;
        assert_eq!(follow(&mut eve, mail.link().unwrap()).await.status, 400);
        app.clock.advance(1);
        let changed = follow(&mut ada, mail.link().unwrap()).await;
        assert_eq!(changed.location(), "http://localhost:8000/api/auth/account?notice=email_changed");
        assert_eq!(ada.me().await, (200, "countess@example.com".to_owned()), "{strategy}");
        assert_eq!(ada.get("/api/auth/session").await.json()["user"]["email"], "countess@example.com");
        assert_eq!(other.me().await.0, 401, "{strategy}");
        app.mail("ada@example.com", "Your address at Countersign was changed").await;
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 401);
        assert_eq!(app.browser().try_sign_in("countess@example.com", PASSWORD).await.status, 200);
        // The link to the old address, asked for before, died with it.
        let token =
            reset.link().unwrap().split("token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let fields = [("email", "ada@example.com"), ("token", token.as_str()), ("password", NEW)];
        assert_eq!(post(&mut app.browser(), "reset-password", &fields).await.status, 400);
    }
}

#[rocket::async_test]
async fn whether_a_new_address_is_taken_is_told_to_its_owner_only() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.browser().sign_up("eve@example.com").await;
    app.mail("eve@example.com", "Confirm").await;
    let free = post(&mut ada, "account/email", &[("email", "free@example.com")]).await;
    let taken = post(&mut ada, "account/email", &[("email", "eve@example.com")]).await;
    assert_eq!((free.status, free.location()), (taken.status, taken.location()));
    let mail = app.mail("eve@example.com", "You have an account").await;
    assert_eq!(mail.link(), Some("http://localhost:8000"));
    let wrong = post(&mut ada, "account/email", &[("email", "no address")]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("aria-invalid"));
    // Free when it was asked for, taken when it is confirmed.
    let mail = app.mail("free@example.com", "Confirm your new address").await;
    app.browser().sign_up("free@example.com").await;
    let answer = follow(&mut ada, mail.link().unwrap()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("cannot be used"));
    assert_eq!(ada.me().await.1, "ada@example.com");
}

#[rocket::get("/fresh")]
fn fresh(fresh: Fresh) -> String {
    fresh.session().user_id().to_string()
}

#[rocket::post("/fresh")]
fn fresh_post(_fresh: Fresh) -> &'static str {
    "done"
}

// ASVS: 7.5.1
#[rocket::async_test]
async fn what_needs_a_recent_sign_in_asks_for_one_and_goes_on() {
    for strategy in STRATEGIES {
        let routes = Policy::Fresh.routes(rocket::routes![fresh, fresh_post]);
        let app = Setup::new(strategy).build(|rocket| rocket.mount("/", routes)).start().await;
        assert_eq!(app.browser().get("/fresh").await.status, 401, "nobody");
        let mut ada = app.browser().enter("ada@example.com").await;
        app.clock.advance(900);
        assert_eq!(ada.get("/fresh").await.status, 200, "{strategy}: to the second");
        app.clock.advance(1);
        let refused = ada.get("/fresh").await;
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (403, Some("reauthentication_required"))
        );
        let sent = ada.visit("/fresh?x=1").await;
        let page = "http://localhost:8000/api/auth/reauthenticate?callbackUrl=http%3A%2F%2Flocalhost%3A8000%2Ffresh%3Fx%3D1";
        assert_eq!((sent.status, sent.location()), (303, page));
        assert_eq!(ada.me().await.0, 200, "everything else goes on");
        // By password.
        let asked = ada.visit(path_of(page)).await;
        assert_eq!(asked.status, 200);
        assert!(asked.body.contains("current-password") && asked.body.contains("ada@example.com"));
        let old = ada.session().unwrap().to_owned();
        let proof = [
            ("email", "ada@example.com"),
            ("password", PASSWORD),
            ("callbackUrl", "http://localhost:8000/fresh?x=1"),
        ];
        let proven = post(&mut ada, "callback/credentials", &proof).await;
        assert_eq!(proven.location(), "http://localhost:8000/fresh?x=1", "{strategy}");
        assert_eq!(ada.get("/fresh").await.status, 200);
        let mut before = app.browser();
        before.set_cookie("next-auth.session-token", &old);
        assert_eq!(before.me().await.0, 401, "{strategy}: the session of before is gone");
        // By link, with the code in this browser.
        app.clock.advance(901);
        assert_eq!(ada.get("/fresh").await.status, 403);
        post(&mut ada, "signin/email", &[("email", "ada@example.com"), ("callbackUrl", "/fresh")]).await;
        let code = app.mail("ada@example.com", "Sign in").await.code().unwrap();
        let proven = post(&mut ada, "callback/email", &[("code", &code)]).await;
        assert_eq!(proven.location(), "http://localhost:8000/fresh");
        assert_eq!(ada.get("/fresh").await.status, 200, "{strategy}");
    }
}

#[rocket::async_test]
async fn after_a_form_one_comes_back_to_its_page_and_never_elsewhere() {
    let routes = Policy::Fresh.routes(rocket::routes![fresh_post]);
    let app = Setup::new("jwt").build(|rocket| rocket.mount("/", routes)).start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.clock.advance(901);
    for (referer, back) in [
        ("http://localhost:8000/settings?a=b", "http%3A%2F%2Flocalhost%3A8000%2Fsettings%3Fa%3Db"),
        ("https://evil.example/", "http%3A%2F%2Flocalhost%3A8000"),
        ("", "http%3A%2F%2Flocalhost%3A8000"),
    ] {
        let mut person = ada.clone().with_header("Accept", "text/html").with_header("Referer", referer);
        let answer = person.form("/fresh", &[]).await;
        let expected = format!("http://localhost:8000/api/auth/reauthenticate?callbackUrl={back}");
        assert_eq!((answer.status, answer.location()), (303, expected.as_str()), "{referer}");
    }
    for path in ["account/email", "account/delete", "account/password/first"] {
        let answer =
            press_on_account(&mut ada, path, &[("email", "x@example.com"), ("confirm", "yes")]).await;
        assert!(
            answer.location().contains(
                "/api/auth/reauthenticate?callbackUrl=http%3A%2F%2Flocalhost%3A8000%2Fapi%2Fauth%2Faccount"
            ),
            "{path}: {}",
            answer.location()
        );
    }
    assert_eq!(ada.get("/api/auth/account/data").await.status, 403);
    assert!(app.user("ada@example.com").await.is_some());
}

#[rocket::async_test]
async fn my_data_is_everything_but_what_would_let_somebody_in() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().with_header("User-Agent", "Firefox").enter("ada@example.com").await;
        post(&mut ada, "account/email", &[("email", "new@example.com")]).await;
        let answer = ada.get("/api/auth/account/data").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"account.json\""));
        assert!(answer.header("cache-control").unwrap().contains("no-store"));
        let data = answer.json();
        assert_eq!(data["user"]["email"], "ada@example.com");
        assert_eq!(data["user"]["has_password"], true);
        assert_eq!(data["sessions"][0]["user_agent"], "Firefox");
        assert_eq!(data["sessions"][0]["address"], "192.0.2.1");
        let mut purposes: Vec<&str> = data["mailed_links"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["purpose"].as_str().unwrap())
            .collect();
        purposes.sort_unstable();
        assert_eq!(purposes, ["change_email", "verify_email"]);
        let cookie = ada.session().unwrap();
        for secret in ["argon2", cookie, "hash", "token", "code"] {
            assert!(
                !answer.body.replace("access_tokens", "").contains(secret),
                "{secret} in {}",
                answer.body
            );
        }
        assert_eq!(app.browser().get("/api/auth/account/data").await.status, 401);
    }
}

// ASVS: 7.4.2
#[rocket::async_test]
async fn a_deleted_account_is_gone_everywhere_at_once() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let mut phone = app.browser();
        phone.try_sign_in("ada@example.com", PASSWORD).await;
        let id = app.user("ada@example.com").await.unwrap().id;
        let copies = [ada.session().unwrap().to_owned(), phone.session().unwrap().to_owned()];
        let unsure = post(&mut ada, "account/delete", &[]).await;
        assert_eq!(unsure.status, 400);
        assert!(unsure.body.contains("confirm-mistake"), "{}", unsure.body);
        let gone = post(&mut ada, "account/delete", &[("confirm", "yes")]).await;
        assert_eq!(
            (gone.status, gone.location()),
            (303, "http://localhost:8000/api/auth/signin?notice=account_deleted")
        );
        assert!(ada.session().is_none());
        for copy in copies {
            let mut thief = app.browser();
            thief.set_cookie("next-auth.session-token", &copy);
            assert_eq!(thief.me().await.0, 401, "{strategy}");
        }
        assert!(app.users().await.is_empty());
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 401);
        app.mail("ada@example.com", "Your account at Countersign was deleted").await;
        // Another instance learns it from the store.
        let app = app.restart(Setup::new(strategy)).await;
        let mut again = app.browser().enter("ada@example.com").await;
        assert_eq!(again.me().await.0, 200, "the address is free");
        assert_ne!(app.user("ada@example.com").await.unwrap().id, id);
    }
}

#[rocket::async_test]
async fn who_came_by_link_sets_a_first_password_once() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = enter_by_mail(&app, "ada@example.com").await;
        assert!(ada.visit("/api/auth/account").await.body.contains("account/password/first"));
        let weak = post(&mut ada, "account/password/first", &[("newPassword", "short")]).await;
        assert_eq!(weak.status, 400);
        let set = post(&mut ada, "account/password/first", &[("newPassword", NEW)]).await;
        assert_eq!(set.location(), "http://localhost:8000/api/auth/account?notice=password_set");
        app.mail("ada@example.com", "Your password").await;
        assert_eq!(app.browser().try_sign_in("ada@example.com", NEW).await.status, 200);
        // From now on the current one is asked for.
        let again =
            post(&mut ada, "account/password/first", &[("newPassword", "a third good password")]).await;
        assert_eq!(again.status, 400);
        assert_eq!(app.browser().try_sign_in("ada@example.com", NEW).await.status, 200, "{strategy}");
        let page = ada.visit("/api/auth/account").await;
        assert!(page.body.contains("currentPassword") && !page.body.contains("password/first"));
    }
}

#[rocket::async_test]
async fn a_changed_password_is_told_to_the_address() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let fields = [("currentPassword", PASSWORD), ("newPassword", NEW)];
    assert_eq!(post(&mut ada, "account/password", &fields).await.status, 303);
    app.mail("ada@example.com", "Your password at Countersign was changed").await;
}

#[rocket::async_test]
async fn a_disabled_user_gets_nothing() {
    let app = App::new("jwt").await;
    app.browser().sign_up("ada@example.com").await;
    app.mail("ada@example.com", "Confirm").await;
    let mut asking = app.browser();
    post(&mut asking, "signin/email", &[("email", "ada@example.com")]).await;
    let link = app.mail("ada@example.com", "Sign in").await;
    post(&mut asking, "forgot-password", &[("email", "ada@example.com")]).await;
    let reset = app.mail("ada@example.com", "Choose a new password").await;
    app.disable("ada@example.com").await;
    assert!(follow(&mut asking, link.link().unwrap()).await.location().ends_with("error=Verification"));
    let page = asking.visit(path_of(reset.link().unwrap())).await;
    assert_eq!(page.status, 200);
    let token = reset.link().unwrap().split("token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let fields = [("email", "ada@example.com"), ("token", token.as_str()), ("password", NEW)];
    assert_eq!(post(&mut asking, "reset-password", &fields).await.status, 400);
    post(&mut asking, "signin/email", &[("email", "ada@example.com")]).await;
    post(&mut asking, "forgot-password", &[("email", "ada@example.com")]).await;
    app.browser().sign_up("ada@example.com").await;
    assert!(app.mails.all().is_empty(), "{:?}", app.mails.all());
}
