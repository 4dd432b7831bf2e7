//! Every request has a name that its answer, its problem document and its lines of the log carry.

use std::collections::HashSet;

use countersign::RequestId;

use crate::app::{App, Setup};
use crate::browser::Steps as _;

#[rocket::get("/named")]
fn named(id: &RequestId) -> String {
    id.to_string()
}

async fn app(toml: &str) -> App {
    let mount = |rocket: rocket::Rocket<rocket::Build>| rocket.mount("/", rocket::routes![named]);
    Setup::new("jwt").toml(toml).build(mount).start().await
}

#[rocket::async_test]
async fn every_answer_names_its_request_and_no_two_are_named_alike() {
    let app = app("").await;
    let mut browser = app.browser();
    let mut names = HashSet::new();
    let paths = [
        "/named",
        "/me",
        "/nowhere",
        "/api/auth/csrf",
        "/api/auth/nothing",
        "/api/auth/signin",
        "/api/auth/account",
    ];
    for path in paths {
        let answer = browser.get(path).await;
        let name = answer.header("x-request-id").unwrap_or_else(|| panic!("{path}")).to_owned();
        assert_eq!(answer.headers("x-request-id").len(), 1, "{path}");
        if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json")) {
            assert_eq!(answer.json()["request_id"], name.as_str(), "{path}");
        }
        if path == "/named" {
            assert_eq!(answer.body, name);
        }
        assert!(names.insert(name), "{path}");
    }
    assert_eq!(browser.get("/me").await.json()["request_id"].as_str().map(str::is_empty), Some(false));
}

#[rocket::async_test]
async fn a_name_is_taken_from_a_trusted_proxy_only_and_only_when_it_is_one() {
    let given = "01J9-proxy.given_7";
    let (stranger, proxy) = (app("").await, app("[default.auth]\ntrusted_proxies = [\"192.0.2.1\"]\n").await);
    let asked = async |app: &App, name: &str| {
        app.browser().with_header("X-Request-Id", name).get("/named").await.body
    };
    assert_ne!(asked(&stranger, given).await, given);
    assert_eq!(asked(&proxy, given).await, given);
    for wrong in ["a b", "é", "<script>", "a\"b", "", &"a".repeat(65)] {
        let name = asked(&proxy, wrong).await;
        assert!(name != wrong && RequestId::parse(&name).is_some(), "{wrong:?}: {name}");
    }
    let mut twice = proxy.browser().with_header("X-Request-Id", given).with_header("X-Request-Id", "another");
    assert_ne!(twice.get("/named").await.body, given);
}

/// What is said below a route of the library carries the request's name: where the store fails, nobody knows of requests.
#[rocket::async_test]
async fn a_line_of_the_log_carries_the_request_it_belongs_to() {
    let app = App::new("database").await;
    let mut ada = app.browser().enter("named@example.com").await;
    let token = ada.csrf().await;
    app.store.fail_after(0);
    let answer = ada.form("/api/auth/account/name", &[("csrfToken", &token), ("name", "Countess")]).await;
    app.store.recover();
    assert_eq!(answer.status, 503, "{}", answer.body);
    let name = answer.header("x-request-id").unwrap();
    let log = crate::logs::logged();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains(name) && line.contains("a fault was injected")).collect();
    assert!(!lines.is_empty());
    let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(
        (&line["span"]["request_id"], &line["span"]["route"]),
        (&name.into(), &"/api/auth/account/name".into())
    );
    // A route of the application's own is not surrounded; the line that a guard adds has the name.
    app.store.fail_after(0);
    let answer = ada.get("/me").await;
    app.store.recover();
    assert_eq!(answer.status, 503);
    let name = answer.header("x-request-id").unwrap();
    assert!(crate::logs::logged().lines().any(|line| line.contains(name) && line.contains("cannot be told")));
}
