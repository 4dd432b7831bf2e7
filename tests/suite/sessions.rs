//! One behaviour for both strategies: life, renewal, end.

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{PASSWORD, Steps as _};

const DAY: i64 = 24 * 60 * 60;

// ASVS: 7.3.1
#[rocket::async_test]
async fn an_idle_session_ends() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        app.clock.advance(30 * DAY - 1);
        let mut kept = ada.clone();
        assert_eq!(ada.me().await.0, 200, "{strategy}");
        app.clock.advance(16 + 1);
        assert_eq!(kept.me().await.1, if strategy == "jwt" { "session_expired" } else { "ada@example.com" });
        app.clock.advance(30 * DAY + 16);
        assert_eq!(
            ada.me().await,
            (401, "session_expired".to_owned()),
            "{strategy}: before any clean-up ran"
        );
    }
}

#[rocket::async_test]
async fn a_session_in_use_is_renewed_but_not_more_often_than_update_age() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        app.clock.advance(DAY - 1);
        let early = ada.get("/me").await;
        assert!(early.headers("set-cookie").is_empty(), "{strategy}");
        app.clock.advance(1);
        let due = ada.get("/me").await;
        let cookie = due.set_cookie("next-auth.session-token").unwrap();
        assert!(cookie.contains("Expires=") && cookie.contains("HttpOnly"), "{cookie}");
        assert!(ada.get("/me").await.headers("set-cookie").is_empty(), "{strategy}: renewed once");
        app.clock.advance(30 * DAY - 1);
        assert_eq!(ada.me().await.0, 200, "{strategy}");
    }
}

// ASVS: 7.3.2
#[rocket::async_test]
async fn no_session_outlives_its_absolute_age() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        for day in 1..=90 {
            assert_eq!(ada.me().await.0, 200, "{strategy}, day {day}");
            app.clock.advance(DAY);
        }
        app.clock.advance(15);
        assert_eq!(ada.me().await, (401, "session_expired".to_owned()), "{strategy}");
    }
}

// ASVS: 7.2.2, 7.2.4
#[rocket::async_test]
async fn every_sign_in_gives_a_new_token_and_ends_the_old_one() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let mut old = ada.clone();
        assert_eq!(ada.try_sign_in("ada@example.com", PASSWORD).await.status, 200);
        assert_ne!(ada.session(), old.session(), "{strategy}");
        assert_eq!(old.me().await.0, 401, "{strategy}: the old one is dead");
        assert_eq!(ada.me().await.0, 200);
        // A planted cookie is replaced, never adopted.
        let mut victim = app.browser();
        victim.set_cookie("next-auth.session-token", ada.session().unwrap());
        app.browser().sign_up("eve@example.com").await;
        victim.try_sign_in("eve@example.com", PASSWORD).await;
        assert_ne!(victim.session(), ada.session());
        assert_eq!(victim.me().await.1, "eve@example.com");
    }
}

// ASVS: 7.4.1
#[rocket::async_test]
async fn a_kept_cookie_is_signed_out_everywhere_and_after_a_restart() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        app.clock.advance(DAY);
        // A copy from before a renewal is the same session.
        let before = ada.session().unwrap().to_owned();
        ada.me().await;
        let after = ada.session().unwrap().to_owned();
        assert_eq!(ada.sign_out().await.status, 200);
        assert_eq!(ada.session(), None, "{strategy}: the cookie is deleted");
        let app = app.restart(Setup::new(strategy)).await;
        for kept in [before, after] {
            let mut thief = app.browser();
            thief.set_cookie("next-auth.session-token", &kept);
            assert_eq!(thief.me().await, (401, "session_revoked".to_owned()), "{strategy}");
            assert_eq!(thief.visit("/page").await.status, 303);
            assert_eq!(thief.get("/maybe").await.body, "nobody");
            assert_eq!(thief.get("/api/auth/session").await.body, "{}");
        }
    }
}

// ASVS: 7.4.2
#[rocket::async_test]
async fn disabling_a_user_ends_every_session_and_every_way_in() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let one = app.browser().enter("ada@example.com").await;
        let mut two = app.browser();
        two.try_sign_in("ada@example.com", PASSWORD).await;
        let cookies = [one.session().unwrap().to_owned(), two.session().unwrap().to_owned()];
        app.disable("ada@example.com").await;
        // Another process did it: this one follows.
        let app = app.restart(Setup::new(strategy)).await;
        for cookie in cookies {
            let mut kept = app.browser();
            kept.set_cookie("next-auth.session-token", &cookie);
            assert_eq!(kept.me().await, (401, "session_revoked".to_owned()), "{strategy}");
        }
        let mut again = app.browser();
        let refused = again.try_sign_in("ada@example.com", PASSWORD).await;
        assert_eq!(refused.status, 401);
        app.enable("ada@example.com").await;
        app.clock.advance(1);
        assert_eq!(again.try_sign_in("ada@example.com", PASSWORD).await.status, 200);
        assert_eq!(again.me().await.0, 200);
    }
}

// ASVS: 7.2.3
#[rocket::async_test]
async fn ids_are_stored_as_hashes_only() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let ada = app.browser().enter("ada@example.com").await;
        let cookie =
            percent_encoding::percent_decode_str(ada.session().unwrap()).decode_utf8().unwrap().into_owned();
        assert_eq!(app.sessions("ada@example.com").await.len(), 1);
        let database = crate::dump::kept(&app).await;
        let holds = |text: &str| database.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("ada@example.com"), "the control: the file is what we think it is");
        assert!(!holds(&cookie), "{strategy}");
        assert!(!holds(PASSWORD), "{strategy}");
    }
}

#[rocket::async_test]
async fn what_expired_is_cleaned_away() {
    let app = App::new("database").await;
    let people: Vec<String> = (0..7).map(|number| format!("user{number}@example.com")).collect();
    for email in &people {
        app.browser().enter(email).await;
    }
    for (age, left) in [(29 * DAY, 1), (31 * DAY, 0)] {
        countersign::server::clean_once(&*app.store, crate::app::START.plus(age)).await.unwrap();
        for email in &people {
            assert_eq!(app.sessions(email).await.len(), left, "{email}, {age}");
        }
    }
}

#[rocket::async_test]
async fn a_large_session_travels_in_chunks() {
    use countersign::signin::{HookError, Hooks, Trigger};
    use countersign::token::Claims;
    struct Large;
    #[rocket::async_trait]
    impl Hooks for Large {
        async fn jwt(&self, claims: &mut Claims, _: &Trigger<'_>) -> Result<(), HookError> {
            claims.set("large", "x".repeat(5000));
            Ok(())
        }
    }
    let app = Setup::new("jwt").fairing(|fairing| fairing.hooks(Large)).start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    assert!(ada.cookie("next-auth.session-token.0").is_some());
    assert!(ada.cookie("next-auth.session-token.1").is_some());
    assert_eq!(ada.session(), None);
    assert_eq!(ada.me().await.0, 200);
    ada.sign_out().await;
    assert_eq!(ada.cookie("next-auth.session-token.0"), None);
    assert_eq!(ada.cookie("next-auth.session-token.1"), None);
}

/// Whoever signs in again and again, or has somebody's password to do so with, fills neither the database nor the list.
#[rocket::async_test]
async fn a_person_has_only_so_many_sessions() {
    for strategy in STRATEGIES {
        let app = Setup::new(strategy).toml("[default.auth.session]\nmax_per_user = 2\n").start().await;
        let mut used = app.browser().enter("ada@example.com").await;
        let mut eve = app.browser().enter("eve@example.com").await;
        app.clock.advance(1);
        let mut idle = app.browser().enter_again("ada@example.com").await;
        app.clock.advance(DAY);
        assert_eq!(used.me().await.0, 200, "{strategy}: renewed");
        let mut new = app.browser().enter_again("ada@example.com").await;
        assert_eq!(idle.me().await, (401, "session_revoked".to_owned()), "{strategy}");
        assert_eq!((used.me().await.0, new.me().await.0, eve.me().await.0), (200, 200, 200), "{strategy}");
        assert_eq!(app.session_ids("ada@example.com").await.len(), 2, "{strategy}");
        let records = app.audit_records().await;
        let ended = records.iter().filter(|record| record.entry.event == "session.others_ended");
        let details: Vec<_> = ended.map(|record| record.entry.details.as_str()).collect();
        assert_eq!(details, [r#"{"ended":1,"reason":"max_per_user"}"#], "{strategy}");
    }
}
