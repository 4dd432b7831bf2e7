//! Sessions that were verified a moment ago: what is remembered changes no answer beyond the stated bound.

use countersign::session::{REFRESH_EVERY, STALE_AFTER};
use rocket::tokio::time::sleep;

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Browser, Steps as _};

const HOUR: i64 = 60 * 60;

/// Somebody whose session was verified a moment ago.
async fn warm<'a>(app: &'a App, email: &str) -> Browser<'a> {
    let mut browser = app.browser().enter(email).await;
    assert_eq!(browser.me().await, (200, email.to_owned()));
    browser
}

/// Asks again and again until the answer is another than before, and no longer than the bound allows.
async fn follow(browser: &mut Browser<'_>, before: &(u16, String)) -> (u16, String) {
    let begun = std::time::Instant::now();
    loop {
        let answer = browser.me().await;
        // The bound, and as much again for a machine that is busy with other things.
        if answer != *before || begun.elapsed() > STALE_AFTER * 2 {
            return answer;
        }
        sleep(REFRESH_EVERY / 10).await;
    }
}

#[rocket::async_test]
async fn a_session_in_use_asks_no_store() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = warm(&app, "ada@example.com").await;
        app.store.fail_after(0);
        for _ in 0..3 {
            assert_eq!(ada.me().await.0, 200, "{strategy}");
        }
        app.store.recover();
    }
}

#[rocket::async_test]
async fn without_the_store_it_is_believed_for_the_bound_and_no_longer() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = warm(&app, "ada@example.com").await;
        app.store.fail_after(0);
        sleep(STALE_AFTER + REFRESH_EVERY).await;
        let answer = ada.get("/me").await;
        assert_eq!(answer.status, 503, "{strategy}");
        assert!(answer.headers("set-cookie").is_empty());
        app.store.recover();
        assert_eq!(ada.me().await.0, 200, "{strategy}: asked at once when it is back");
    }
}

#[rocket::async_test]
async fn signing_out_here_counts_at_once() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = warm(&app, "ada@example.com").await;
        let mut thief = ada.clone();
        assert_eq!(thief.me().await.0, 200);
        assert_eq!(ada.sign_out().await.status, 200);
        assert_eq!(thief.me().await, (401, "session_revoked".to_owned()), "{strategy}");
    }
}

#[rocket::async_test]
async fn ending_other_sessions_and_changing_the_password_count_at_once() {
    for strategy in STRATEGIES {
        for act in ["/api/auth/account/sessions/end-others", "/api/auth/account/password"] {
            let app = App::new(strategy).await;
            let mut other = warm(&app, "ada@example.com").await;
            let mut ada = app.browser();
            ada.try_sign_in("ada@example.com", crate::browser::PASSWORD).await;
            assert_eq!((ada.me().await.0, other.me().await.0), (200, 200));
            let token = ada.csrf().await;
            let fields = [
                ("csrfToken", token.as_str()),
                ("currentPassword", crate::browser::PASSWORD),
                ("newPassword", "another horse entirely"),
            ];
            assert_eq!(ada.form(act, &fields).await.status, 303, "{strategy} {act}");
            assert_eq!(other.me().await, (401, "session_revoked".to_owned()), "{strategy} {act}");
            assert_eq!(ada.me().await.0, 200, "{strategy} {act}");
        }
    }
}

/// What another process did, this one follows.
#[rocket::async_test]
async fn what_happened_elsewhere_counts_within_the_bound() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let (mut ada, mut eve) = (warm(&app, "ada@example.com").await, warm(&app, "eve@example.com").await);
        let elsewhere = app.elsewhere(Setup::new(strategy)).await;
        elsewhere.end_sessions("ada@example.com").await;
        elsewhere.disable("eve@example.com").await;
        for (browser, email) in [(&mut ada, "ada@example.com"), (&mut eve, "eve@example.com")] {
            let answer = follow(browser, &(200, email.to_owned())).await;
            assert_eq!(answer, (401, "session_revoked".to_owned()), "{strategy} {email}");
        }
    }
}

/// A new name shows at once on every browser of the person: with the database strategy it is not in the cookie.
#[rocket::async_test]
async fn a_new_name_shows_at_once() {
    let app = App::new("database").await;
    let (mut ada, mut other) = (warm(&app, "ada@example.com").await, app.browser());
    other.try_sign_in("ada@example.com", crate::browser::PASSWORD).await;
    assert_eq!(other.me().await.0, 200);
    let token = ada.csrf().await;
    let fields = [("csrfToken", token.as_str()), ("name", "Ada Lovelace")];
    assert_eq!(ada.form("/api/auth/account/name", &fields).await.status, 303);
    for browser in [&mut ada, &mut other] {
        let session = browser.get("/api/auth/session").await.json();
        assert_eq!(session["user"]["name"], "Ada Lovelace");
    }
}

/// The clock decides as it would without memory, whichever way it is moved.
#[rocket::async_test]
async fn a_clock_that_is_moved_revives_and_destroys_nothing() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let ada = warm(&app, "ada@example.com").await;
        let cookie = ada.session().unwrap().to_owned();
        let ask = async |app: &App| {
            let mut browser = app.browser();
            browser.set_cookie("next-auth.session-token", &cookie);
            browser.me().await
        };
        let mut remembered = Vec::new();
        for step in [-HOUR, HOUR, 91 * 24 * HOUR, -91 * 24 * HOUR] {
            app.clock.advance(step);
            remembered.push(ask(&app).await);
        }
        let mut app = app;
        let mut afresh = Vec::new();
        for step in [-HOUR, HOUR, 91 * 24 * HOUR, -91 * 24 * HOUR] {
            app.clock.advance(step);
            app = app.restart(Setup::new(strategy)).await;
            afresh.push(ask(&app).await);
        }
        assert_eq!(remembered, afresh, "{strategy}");
        assert_eq!(remembered[1].0, 200, "{strategy}");
        assert_eq!(remembered[2].0, 401, "{strategy}");
        assert_eq!(remembered[3].0, 200, "{strategy}");
    }
}

#[rocket::async_test]
async fn what_only_looks_like_a_known_token_is_refused() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let ada = warm(&app, "ada@example.com").await;
        let cookie = ada.session().unwrap();
        // The same end, which is what the place is found by, under another beginning.
        let mut forged = cookie.to_owned();
        let other = if forged.remove(8) == 'A' { 'B' } else { 'A' };
        forged.insert(8, other);
        for text in [forged.as_str(), &cookie[1..], &cookie[cookie.len() - 40..]] {
            let mut thief = app.browser();
            thief.set_cookie("next-auth.session-token", text);
            assert_eq!(thief.me().await, (401, "session_invalid".to_owned()), "{strategy}");
        }
    }
}

/// The memory knows a cookie by its text as it was sent, and what was sent is no other session for being spelled otherwise.
#[rocket::async_test]
async fn another_spelling_of_a_cookie_is_the_same_session() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = warm(&app, "ada@example.com").await;
        let sent = ada.session().unwrap();
        let plain = percent_encoding::percent_decode_str(sent).decode_utf8().unwrap().into_owned();
        let escaped = |byte| percent_encoding::percent_encode_byte(byte);
        let spelled: String = plain.bytes().map(escaped).collect();
        let mut spellings = [plain, spelled]
            .map(|value| app.browser().with_only_cookies(&format!("next-auth.session-token={value}")));
        for _ in 0..2 {
            for other in &mut spellings {
                assert_eq!(other.me().await, (200, "ada@example.com".to_owned()), "{strategy}");
            }
        }
        assert_eq!(ada.sign_out().await.status, 200);
        for other in &mut spellings {
            assert_eq!(other.me().await, (401, "session_revoked".to_owned()), "{strategy}");
        }
    }
}
