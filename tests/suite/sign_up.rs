//! Making an account.

use serde_json::json;

use crate::app::{App, Setup};
use crate::browser::{PASSWORD, Steps as _};

#[rocket::async_test]
async fn a_taken_address_answers_as_a_free_one() {
    let app = App::new("jwt").await;
    let first = app.browser().sign_up("ada@example.com").await;
    let second = app.browser().sign_up("ADA@example.com").await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    let names = |answer: &crate::browser::Answer| {
        answer
            .headers("set-cookie")
            .iter()
            .map(|c| c.split('=').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), names(&second));
    assert!(!names(&first).iter().any(|name| name.contains("session")), "nobody is signed in by signing up");
    // The first password stays.
    let mut eve = app.browser();
    let token = eve.csrf().await;
    let body = json!({ "csrfToken": token, "email": "ada@example.com", "password": "another password" });
    assert_eq!(eve.json("/api/auth/signup", &body).await.status, 200);
    assert_eq!(eve.try_sign_in("ada@example.com", "another password").await.status, 401);
    assert_eq!(eve.try_sign_in("ada@example.com", PASSWORD).await.status, 200);
}

#[rocket::async_test]
async fn by_form_it_leads_to_the_sign_in_page() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().with_header("Accept", "text/html");
    let token = ada.csrf().await;
    let fields = [
        ("csrfToken", token.as_str()),
        ("callbackUrl", "/page"),
        ("name", "Ada"),
        ("email", "ada@example.com"),
        ("password", PASSWORD),
    ];
    let answer = ada.form("/api/auth/signup", &fields).await;
    assert_eq!(answer.status, 303);
    assert!(
        answer.location().contains("/api/auth/signin?notice=signed_up&callbackUrl="),
        "{}",
        answer.location()
    );
    let page = ada.visit(answer.location().strip_prefix("http://localhost:8000").unwrap()).await;
    assert!(page.body.contains("your account is ready"));
}

#[rocket::async_test]
async fn what_is_wrong_is_said_all_at_once() {
    let app = App::new("jwt").await;
    let mut ada = app.browser();
    let token = ada.csrf().await;
    let body = json!({ "csrfToken": token, "name": "x".repeat(300), "email": "nope", "password": "short" });
    let answer = ada.json("/api/auth/signup", &body).await;
    assert_eq!(answer.status, 400);
    let problem = answer.json();
    assert_eq!(problem["code"], "form_invalid");
    let codes: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["name_invalid", "email_invalid", "password_too_short"]);

    let fields = [
        ("csrfToken", token.as_str()),
        ("name", "Ada"),
        ("email", "ada@example.com"),
        ("password", "password"),
    ];
    let page = ada.form("/api/auth/signup", &fields).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("one of the first that anybody tries"), "{}", page.body);
    assert!(page.body.contains("value=\"ada@example.com\""), "the address is kept");
    assert!(!page.body.contains("value=\"password\""), "the password is not");
    assert!(app.user("ada@example.com").await.is_none());
}

#[rocket::async_test]
async fn nothing_else_can_be_assigned() {
    let app = App::new("jwt").await;
    let mut eve = app.browser();
    let token = eve.csrf().await;
    let body = json!({
        "csrfToken": token, "email": "eve@example.com", "password": PASSWORD,
        "id": "1", "sub": "1", "role": "admin", "emailVerified": "2020-01-01",
    });
    assert_eq!(eve.json("/api/auth/signup", &body).await.status, 200);
    let user = app.user("eve@example.com").await.unwrap();
    assert_ne!(user.id.as_str(), "1");
    assert_eq!(user.email_verified_at, None);
}

#[rocket::async_test]
async fn sign_ups_are_limited_and_can_be_closed() {
    let app = Setup::new("jwt").toml("[default.auth.limits]\nsign_ups_per_address = 2\n").start().await;
    for (number, status) in [(1, 200), (2, 200), (3, 429)] {
        assert_eq!(app.browser().sign_up(&format!("user{number}@example.com")).await.status, status);
    }
    let app = Setup::new("jwt").toml("[default.auth.providers.credentials]\nsign_up = false\n").start().await;
    assert_eq!(app.browser().sign_up("ada@example.com").await.status, 404);
    assert_eq!(app.browser().visit("/api/auth/signup").await.status, 404);
    assert!(!app.browser().visit("/api/auth/signin").await.body.contains("/signup"));
}

#[rocket::async_test]
async fn wrong_types_and_twins_are_clear_errors() {
    use rocket::http::{ContentType, Method};
    let app = App::new("jwt").await;
    let mut eve = app.browser();
    let token = eve.csrf().await;
    for body in [
        json!({ "csrfToken": token, "email": ["a@example.com"], "password": PASSWORD }),
        json!({ "csrfToken": token, "email": 5, "password": PASSWORD }),
        json!({ "csrfToken": token, "email": "a@example.com", "password": true }),
        json!({ "csrfToken": token, "email": { "$gt": "" }, "password": PASSWORD }),
    ] {
        assert_eq!(eve.json("/api/auth/signup", &body).await.status, 422, "{body}");
    }
    for body in ["", "[", "[]", "1", "{\"email\":\"\\ud800\"}", &"[".repeat(50_000)] {
        let answer =
            eve.send(Method::Post, "/api/auth/signup", Some((ContentType::JSON, body.to_owned()))).await;
        assert_eq!(answer.status, 400, "{}", body.len());
    }
    let twins =
        format!("csrfToken={token}&email=a%40example.com&email=b%40example.com&password=long-enough-1");
    let answer = eve.send(Method::Post, "/api/auth/signup", Some((ContentType::Form, twins))).await;
    assert_eq!(answer.status, 400);
    let huge = json!({ "csrfToken": token, "email": "a@example.com", "password": "x".repeat(2_000_000) });
    assert_eq!(eve.json("/api/auth/signup", &huge).await.status, 413);
}
