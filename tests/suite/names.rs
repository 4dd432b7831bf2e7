//! Hostile names, addresses and passwords, in every place they are shown.

use rocket::http::{ContentType, Method};
use scraper::{Html, Selector};
use serde_json::{Value, json};

use crate::app::App;
use crate::browser::{Browser, PASSWORD, Steps as _};
use crate::data;

fn entries(kind: &str) -> Vec<Value> {
    let corpus = data::read("corpus", "usernames.json");
    let all = corpus["entries"].as_array().unwrap();
    all.iter().filter(|entry| entry["kind"] == kind).cloned().collect()
}

fn text(entry: &Value) -> Option<String> {
    if let Some(repeat) = entry["repeat"].as_array() {
        let times = usize::try_from(repeat[1].as_u64().unwrap()).unwrap();
        return Some(repeat[0].as_str().unwrap().repeat(times));
    }
    entry["value"].as_str().map(str::to_owned)
}

/// Names the account, and reads it back where it is shown: as JSON, and as one attribute and one text of pages.
async fn shown_as_text(ada: &mut Browser<'_>, id: &str, name: &str) {
    assert_eq!(ada.get("/api/auth/session").await.json()["user"]["name"], name, "{id}");
    let page = ada.visit("/api/auth/account").await;
    assert_eq!(page.status, 200, "{id}");
    let document = Html::parse_document(&page.body);
    let field = Selector::parse("input#name").unwrap();
    let value = document.select(&field).next().unwrap().value().attr("value").unwrap();
    // The HTML standard reads CR as LF and drops NUL; everything else is byte for byte.
    assert_eq!(value, name.replace("\r\n", "\n").replace('\r', "\n"), "{id}");
    let scripts = Selector::parse("script:not([type='application/json']), img, svg, iframe, style").unwrap();
    assert_eq!(document.select(&scripts).count(), 0, "{id}");
    let embedded = Selector::parse("#countersign-session").unwrap();
    let json = document.select(&embedded).next().unwrap().inner_html();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["user"]["name"], name, "{id}");
}

// ASVS: 3.2.2
#[rocket::async_test]
async fn names_are_text_wherever_they_are_shown() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let (mut kept, mut refused) = (0, 0);
    for entry in entries("name") {
        let id = entry["id"].as_str().unwrap();
        let Some(name) = text(&entry) else {
            continue;
        };
        let token = ada.csrf().await;
        let answer = ada.form("/api/auth/account/name", &[("csrfToken", &token), ("name", &name)]).await;
        match (entry["expected"].as_str().unwrap(), answer.status) {
            ("store_and_escape" | "either", 303) => {
                kept += 1;
                shown_as_text(&mut ada, id, &name).await;
            }
            ("reject_4xx" | "either", 400..=499) => refused += 1,
            (expected, status) => panic!("{id}: {expected}, but {status}"),
        }
    }
    assert!(kept >= 40 && refused >= 1, "{kept} kept, {refused} refused");
}

#[rocket::async_test]
async fn raw_json_of_wrong_types_is_refused() {
    let app = App::new("jwt").await;
    let mut eve = app.browser();
    let token = eve.csrf().await;
    let mut driven = 0;
    for kind in ["name", "email", "password"] {
        for entry in entries(kind) {
            let Some(raw) = entry["raw_json"].as_str() else {
                continue;
            };
            driven += 1;
            let mut fields = json!({ "csrfToken": token, "email": "raw@example.com", "password": PASSWORD });
            fields.as_object_mut().unwrap().remove(kind);
            let body = fields.to_string().replacen('{', &format!("{{\"{kind}\":{raw},"), 1);
            let answer = eve.send(Method::Post, "/api/auth/signup", Some((ContentType::JSON, body))).await;
            let id = &entry["id"];
            if entry["expected"] == "reject_4xx" {
                assert!((400..500).contains(&answer.status), "{id}: {}", answer.status);
            }
            assert!(answer.status < 500, "{id}: {}", answer.status);
        }
    }
    assert!(driven >= 5, "{driven}");
}

#[rocket::async_test]
async fn addresses_are_one_canonical_address_or_refused() {
    let toml = "[default.auth.limits]\nsign_ups_per_address = 1000\n";
    let app = crate::app::Setup::new("jwt").toml(toml).start().await;
    let (mut accepted, mut refused) = (0, 0);
    for entry in entries("email") {
        let Some(address) = text(&entry) else {
            continue;
        };
        let id = entry["id"].as_str().unwrap();
        let mut browser = app.browser();
        let answer = browser.sign_up(&address).await;
        match (entry["expected"].as_str().unwrap(), answer.status) {
            ("accept" | "normalise", 200) => {
                accepted += 1;
                let user = app.user(address.trim().to_lowercase().as_str()).await;
                assert!(user.is_some(), "{id}: stored under its canonical form");
            }
            ("reject_4xx", 400) => refused += 1,
            ("either", 200 | 400) => {}
            (expected, status) => panic!("{id} {address:?}: {expected}, but {status}"),
        }
    }
    assert!(accepted >= 6 && refused >= 25, "{accepted} accepted, {refused} refused");
}

#[rocket::async_test]
async fn passwords_of_the_corpus() {
    let toml = "[default.auth.limits]\nsign_ups_per_address = 1000\n";
    let app = crate::app::Setup::new("jwt").toml(toml).start().await;
    let mut driven = 0;
    for (number, entry) in entries("password").iter().enumerate() {
        let Some(password) = text(entry) else {
            continue;
        };
        driven += 1;
        let email = format!("user{number}@example.com");
        let mut browser = app.browser();
        let token = browser.csrf().await;
        let body = json!({ "csrfToken": token, "email": email, "password": password });
        let answer = browser.json("/api/auth/signup", &body).await;
        match (entry["expected"].as_str().unwrap(), answer.status) {
            ("accept" | "either", 200) => {
                assert_eq!(browser.try_sign_in(&email, &password).await.status, 200, "{}", entry["id"]);
            }
            ("reject_4xx" | "either", 400..=499) => {}
            (expected, status) => panic!("{}: {expected}, but {status}", entry["id"]),
        }
    }
    assert!(driven >= 12, "{driven}");
}
