//! Hostile names, addresses and passwords of the corpus, over real sockets.

use scraper::{Html, Selector};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::data;
use crate::service::{CHEAP, SECRET, Service};
use crate::wire::Wire;

fn service(folder: &TempDir) -> Service {
    let mut variables = vec![
        ("COUNTERSIGN_SECRET", SECRET),
        ("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"),
        ("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000"),
    ];
    variables.extend(CHEAP);
    Service::start(folder.path(), &variables)
}

fn entries(kind: &str) -> Vec<Value> {
    let corpus = data::read("corpus", "usernames.json");
    corpus["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == kind).cloned().collect()
}

fn text(entry: &Value) -> Option<String> {
    if let Some(repeat) = entry["repeat"].as_array() {
        let times = usize::try_from(repeat[1].as_u64().unwrap()).unwrap();
        return Some(repeat[0].as_str().unwrap().repeat(times));
    }
    entry["value"].as_str().map(str::to_owned)
}

// ASVS: 3.2.2
#[test]
fn names_are_text_wherever_they_are_shown() {
    let folder = TempDir::new().unwrap();
    let service = service(&folder);
    let mut wire = Wire::to(service.port);
    let mut session = wire.enter("ada@example.com");
    let (cookie, token) = wire.pair();
    let field = Selector::parse("input#name").unwrap();
    let foreign = Selector::parse("script:not([type='application/json']), img, svg, iframe, style").unwrap();
    let (mut kept, mut refused) = (0, 0);
    for entry in entries("name") {
        let (id, expected) = (entry["id"].as_str().unwrap(), entry["expected"].as_str().unwrap());
        let Some(name) = text(&entry) else { continue };
        let jar = format!("{cookie}; {session}");
        let answer =
            wire.post("/api/auth/account/name", &jar, &[("csrfToken", &token), ("name", &name)]).unwrap();
        match (expected, answer.status) {
            ("store_and_escape" | "either", 303) => {
                kept += 1;
                for cookie in answer.headers("set-cookie") {
                    assert!(cookie.len() <= 4096, "{id}: a cookie of {} bytes", cookie.len());
                }
                session = answer.cookie("session-token").unwrap_or(&session).to_owned();
                let headers: [(&str, &[u8]); 2] = [("Cookie", session.as_bytes()), ("Accept", b"text/html")];
                let shown = wire.get("/api/auth/session", &headers).unwrap();
                assert_eq!(shown.json()["user"]["name"], name.as_str(), "{id}");
                for path in ["/api/auth/account", "/", "/protected", "/server-side-example"] {
                    let page = wire.get(path, &headers).unwrap();
                    assert_eq!(page.status, 200, "{id}: {path}");
                    let document = Html::parse_document(&page.body);
                    let strange =
                        document.select(&foreign).filter(|element| element.value().attr("src").is_none());
                    assert_eq!(strange.count(), 0, "{id}: {path}");
                    if path == "/api/auth/account" {
                        let value = document.select(&field).next().unwrap().value().attr("value").unwrap();
                        // The HTML standard reads CR as LF.
                        assert_eq!(value, name.replace("\r\n", "\n").replace('\r', "\n"), "{id}");
                    }
                }
            }
            ("reject_4xx" | "either", 400..=499) => refused += 1,
            (expected, status) => panic!("{id}: {expected}, but {status}"),
        }
    }
    assert!(kept >= 40 && refused >= 1, "{kept} kept, {refused} refused");
}

#[test]
fn addresses_passwords_and_wrong_types() {
    let folder = TempDir::new().unwrap();
    let service = service(&folder);
    let mut wire = Wire::to(service.port);
    let (cookie, token) = wire.pair();
    let password = "correct horse battery";
    let (mut accepted, mut refused) = (0, 0);
    for kind in ["name", "email", "password"] {
        for (number, entry) in entries(kind).iter().enumerate() {
            let (id, expected) = (entry["id"].as_str().unwrap(), entry["expected"].as_str().unwrap());
            let own = format!("{kind}{number}@example.com");
            let mut fields = json!({ "csrfToken": token, "name": "Ada", "email": own, "password": password });
            let answer = if let Some(raw) = entry["raw_json"].as_str() {
                fields.as_object_mut().unwrap().remove(kind);
                let body = fields.to_string().replacen('{', &format!("{{\"{kind}\":{raw},"), 1);
                wire.post_json("/api/auth/signup", &cookie, &body)
            } else if let Some(raw) = entry["raw_form"].as_str() {
                let body = format!("csrfToken={token}&password=correct+horse+battery&json=true&{raw}");
                let kind: (&str, &[u8]) = ("Content-Type", b"application/x-www-form-urlencoded");
                let headers = [kind, ("Cookie", cookie.as_bytes())];
                wire.send(&crate::wire::request("POST", "/api/auth/signup", &headers, body.as_bytes()))
            } else {
                fields[kind] = text(entry).unwrap().into();
                wire.post_json("/api/auth/signup", &cookie, &fields.to_string())
            };
            // A body beyond the limit may be refused before it was sent.
            let status = answer.map_or(413, |answer| answer.status);
            let rejected = (400..500).contains(&status);
            match expected {
                "accept" | "normalise" => {
                    assert_eq!(status, 200, "{id}");
                    accepted += 1;
                    let email = fields["email"].as_str().unwrap();
                    let secret = fields["password"].as_str().unwrap();
                    let form = [
                        ("csrfToken", token.as_str()),
                        ("email", email),
                        ("password", secret),
                        ("json", "true"),
                    ];
                    let entered = wire.post("/api/auth/callback/credentials", &cookie, &form).unwrap();
                    assert_eq!(entered.status, 200, "{id}: signs in with what was chosen");
                }
                "reject_4xx" => {
                    assert!(rejected, "{id}: {status}");
                    refused += 1;
                }
                // Names are judged above; here they only must not break anything.
                _ => assert!(status == 200 || rejected, "{id}: {status}"),
            }
        }
    }
    assert!(accepted >= 14 && refused >= 40, "{accepted} accepted, {refused} refused");
}
