//! The account page: name, password, sessions.

use crate::app::{App, STRATEGIES};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};

async fn post(browser: &mut Browser<'_>, action: &str, fields: &[(&str, &str)]) -> Answer {
    let token = browser.csrf().await;
    let mut all = vec![("csrfToken", token.as_str())];
    all.extend(fields);
    browser.form(&format!("/api/auth/account/{action}"), &all).await
}

#[rocket::async_test]
async fn a_new_name_shows_at_once() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let answer = post(&mut ada, "name", &[("name", "Ada Lovelace")]).await;
        assert_eq!(
            (answer.status, answer.location()),
            (303, "http://localhost:8000/api/auth/account?notice=name_saved")
        );
        assert_eq!(ada.get("/api/auth/session").await.json()["user"]["name"], "Ada Lovelace", "{strategy}");
        assert!(ada.visit("/api/auth/account?notice=name_saved").await.body.contains("Your name was saved."));
        let long = "x".repeat(201);
        let refused = post(&mut ada, "name", &[("name", &long)]).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains("at most 200 characters"));
        assert_eq!(post(&mut ada, "name", &[("name", "")]).await.status, 303);
        assert_eq!(ada.get("/api/auth/session").await.json()["user"]["name"], serde_json::Value::Null);
    }
}

// ASVS: 6.2.2, 6.2.3
#[rocket::async_test]
async fn a_new_password_needs_the_old_one_and_ends_other_sessions() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let mut other = app.browser();
        other.try_sign_in("ada@example.com", PASSWORD).await;
        let new = "another good password";
        for (current, new, status, text) in [
            ("wrong password", new, 400, "not your current password"),
            ("", new, 400, "not your current password"),
            (PASSWORD, "short", 400, "8 characters or more"),
            (PASSWORD, "password", 400, "one of the first"),
            (PASSWORD, "ada@example.com", 400, "not your address"),
        ] {
            let answer =
                post(&mut ada, "password", &[("currentPassword", current), ("newPassword", new)]).await;
            assert_eq!(answer.status, status);
            assert!(answer.body.contains(text), "{strategy}: {text}");
        }
        assert_eq!(other.me().await.0, 200);
        let changed =
            post(&mut ada, "password", &[("currentPassword", PASSWORD), ("newPassword", new)]).await;
        assert_eq!(changed.status, 303);
        assert_eq!(other.me().await, (401, "session_revoked".to_owned()), "{strategy}");
        assert_eq!(ada.me().await.0, 200, "{strategy}: this browser stays");
        assert_eq!(app.browser().try_sign_in("ada@example.com", PASSWORD).await.status, 401);
        assert_eq!(app.browser().try_sign_in("ada@example.com", new).await.status, 200);
    }
}

#[rocket::async_test]
async fn guessing_the_current_password_is_limited() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let fields = [("currentPassword", "wrong password"), ("newPassword", "another good password")];
        statuses.push(post(&mut ada, "password", &fields).await.status);
    }
    assert_eq!(statuses, [400, 400, 400, 400, 400, 429]);
}

// ASVS: 7.5.2
#[rocket::async_test]
async fn sessions_are_listed_and_ended_from_afar() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
        let mut ada = app.browser().with_header("User-Agent", firefox).enter("ada@example.com").await;
        let mut phone = app.browser();
        phone.try_sign_in("ada@example.com", PASSWORD).await;
        let mut third = app.browser();
        third.try_sign_in("ada@example.com", PASSWORD).await;
        let eve = app.browser().enter("eve@example.com").await;
        let page = ada.visit("/api/auth/account").await;
        assert!(page.body.contains("Firefox, Linux") && page.body.contains("192.0.2.1"), "{}", page.body);
        let ids: Vec<String> = ids_on(&page.body);
        assert_eq!(ids.len(), 2, "{strategy}: the two others can be ended");
        // Somebody else's session looks like none at all.
        let refused = post(&mut eve.clone(), "sessions/end", &[("id", &ids[0])]).await;
        assert_eq!(refused.status, 404);
        for wrong in ["", "x", &"0".repeat(64), &ids[0].to_uppercase()] {
            assert_eq!(post(&mut ada, "sessions/end", &[("id", wrong)]).await.status, 404);
        }
        assert_eq!((phone.me().await.0, third.me().await.0), (200, 200));
        assert_eq!(post(&mut ada, "sessions/end", &[("id", &ids[0])]).await.status, 303);
        let statuses = [phone.me().await.0, third.me().await.0];
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 1, "{strategy}: {statuses:?}");
        assert_eq!(post(&mut ada, "sessions/end-others", &[]).await.status, 303);
        assert_eq!((phone.me().await.0, third.me().await.0), (401, 401), "{strategy}");
        assert_eq!(ada.me().await.0, 200);
        assert_eq!(eve.clone().me().await.0, 200);
    }
}

fn ids_on(page: &str) -> Vec<String> {
    let document = scraper::Html::parse_document(page);
    let selector = scraper::Selector::parse("input[name=id]").unwrap();
    document.select(&selector).map(|input| input.value().attr("value").unwrap().to_owned()).collect()
}

#[rocket::async_test]
async fn the_account_is_for_its_owner_only() {
    let app = App::new("jwt").await;
    let refused = app.browser().visit("/api/auth/account").await;
    assert_eq!(refused.status, 303);
    let mut nobody = app.browser();
    for action in ["name", "password", "sessions/end", "sessions/end-others"] {
        assert_eq!(post(&mut nobody, action, &[]).await.status, 401, "{action}");
    }
}
