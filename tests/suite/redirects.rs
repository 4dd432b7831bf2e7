//! Where people may be sent: every hostile input, by every way in.

use rocket::http::{ContentType, Method};
use serde_json::{Value, json};
use url::Url;

use crate::app::{App, Setup};
use crate::browser::{Answer, Browser};
use crate::data;

/// The payload as text; `None` for those that are raw pieces of a request.
fn payload(entry: &Value) -> Option<String> {
    match &entry["payload"] {
        Value::String(text) => Some(text.clone()),
        Value::Object(parts) if parts.contains_key("repeat") => {
            let text = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let times = usize::try_from(parts["repeat"][1].as_u64().unwrap()).unwrap();
            Some(text("prefix") + &parts["repeat"][0].as_str().unwrap().repeat(times) + &text("suffix"))
        }
        _ => None,
    }
}

fn secure_setup(base: &str) -> Setup {
    Setup::new("jwt").toml(&format!("[default.auth]\nurl = \"{base}\"\n"))
}

/// The four ways in: query, form, JSON, cookie. Each ends in the redirect of a sign-out, which needs no session.
async fn by_every_way(app: &App, base: &str, payload: &str) -> Vec<(&'static str, Answer)> {
    let mut answers = Vec::new();
    let encoded = countersign::session::encode_component(payload);
    for way in ["query", "form", "json", "cookie"] {
        let mut browser = app.browser();
        let token = csrf(&mut browser).await;
        let answer = match way {
            "query" => {
                let path = format!("/api/auth/signout?callbackUrl={encoded}");
                browser.form(&path, &[("csrfToken", &token)]).await
            }
            "form" => {
                browser.form("/api/auth/signout", &[("csrfToken", &token), ("callbackUrl", payload)]).await
            }
            "json" => {
                browser
                    .json("/api/auth/signout", &json!({ "csrfToken": token, "callbackUrl": payload }))
                    .await
            }
            _ => {
                browser.set_cookie(cookie_name(base), &encoded);
                browser.form("/api/auth/signout", &[("csrfToken", &token)]).await
            }
        };
        answers.push((way, answer));
    }
    answers
}

fn cookie_name(base: &str) -> &'static str {
    if base.starts_with("https") { "__Secure-next-auth.callback-url" } else { "next-auth.callback-url" }
}

async fn csrf(browser: &mut Browser<'_>) -> String {
    browser.get("/api/auth/csrf").await.json()["csrfToken"].as_str().unwrap().to_owned()
}

/// What holds for everything that is ever emitted.
fn check_invariants(id: &str, base: &str, location: &str) {
    assert!(location.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'\\'), "{id}: {location:?}");
    let base = Url::parse(base).unwrap();
    let resolved = base.join(location).unwrap();
    assert_eq!(resolved.origin(), base.origin(), "{id}: {location}");
}

// ASVS: 3.7.2
#[rocket::async_test]
async fn the_whole_corpus_by_query_form_json_and_cookie() {
    let corpus = data::read("corpus", "open_redirects.json");
    let (mut allowed, mut rejected, mut raw) = (0, 0, 0);
    let mut apps: Vec<(String, App)> = Vec::new();
    for entry in corpus["entries"].as_array().unwrap() {
        let (id, base) = (entry["id"].as_str().unwrap(), entry["base_url"].as_str().unwrap());
        let Some(payload) = payload(entry) else {
            raw += 1;
            continue;
        };
        if !apps.iter().any(|(known, _)| known == base) {
            apps.push((base.to_owned(), secure_setup(base).start().await));
        }
        let app = &apps.iter().find(|(known, _)| known == base).unwrap().1;
        for (way, answer) in by_every_way(app, base, &payload).await {
            // A payload beyond the body's limit never gets as far as being judged.
            if answer.status == 413 {
                continue;
            }
            assert_eq!(answer.status, 302, "{id} by {way}: {}", answer.body);
            let location = answer.location();
            check_invariants(id, base, location);
            match entry["expected"]["action"].as_str().unwrap() {
                "allow" => {
                    let expected = Url::parse(entry["expected"]["location"].as_str().unwrap()).unwrap();
                    assert_eq!(Url::parse(location).unwrap(), expected, "{id} by {way}");
                    allowed += 1;
                }
                "reject" => {
                    assert_eq!(location, base, "{id} by {way}");
                    let remembered = answer.set_cookie(cookie_name(base)).unwrap_or_default();
                    assert!(!remembered.contains("evil"), "{id} by {way}: {remembered}");
                    rejected += 1;
                }
                _ => {}
            }
        }
    }
    assert!(allowed >= 40 && rejected >= 300 && raw > 0, "{allowed} allowed, {rejected} rejected, {raw} raw");
}

#[rocket::async_test]
async fn raw_request_parts_never_lead_away_and_never_break() {
    let corpus = data::read("corpus", "open_redirects.json");
    let app = secure_setup("https://app.example.com").start().await;
    for entry in corpus["entries"].as_array().unwrap() {
        let Some(part) = entry["payload"].get("raw_request_part").and_then(Value::as_str) else {
            continue;
        };
        let id = entry["id"].as_str().unwrap();
        let mut browser = app.browser();
        let token = csrf(&mut browser).await;
        let answer = if part.starts_with('?') {
            browser.form(&format!("/api/auth/signout{part}"), &[("csrfToken", &token)]).await
        } else {
            let body = part.replacen('{', &format!("{{\"csrfToken\":\"{token}\","), 1);
            browser.send(Method::Post, "/api/auth/signout", Some((ContentType::JSON, body))).await
        };
        assert!(answer.status < 500, "{id}: {}", answer.status);
        if answer.status == 302 {
            check_invariants(id, "https://app.example.com", answer.location());
        }
    }
}

#[rocket::async_test]
async fn a_poisoned_cookie_is_replaced_and_blocks_nothing() {
    let app = App::new("jwt").await;
    let mut ada = app.browser();
    ada.set_cookie("next-auth.callback-url", "nonsense");
    for path in ["/api/auth/session", "/api/auth/csrf", "/api/auth/signin"] {
        let mut poisoned = ada.clone();
        let answer = poisoned.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            poisoned.cookie("next-auth.callback-url"),
            Some("http%3A%2F%2Flocalhost%3A8000"),
            "{path}"
        );
    }
}

#[rocket::async_test]
async fn listed_origins_are_reached() {
    let toml = "[default.auth]\nallowed_origins = [\"https://docs.example.com\"]\n";
    let app = Setup::new("jwt").toml(toml).start().await;
    for (url, expected) in [
        ("https://docs.example.com/guide", "https://docs.example.com/guide"),
        ("https://docs.example.com.evil.example/", "http://localhost:8000"),
        ("https://sub.docs.example.com/", "http://localhost:8000"),
    ] {
        let mut browser = app.browser();
        let token = browser.csrf().await;
        let answer = browser.form("/api/auth/signout", &[("csrfToken", &token), ("callbackUrl", url)]).await;
        assert_eq!(answer.location(), expected);
    }
}
