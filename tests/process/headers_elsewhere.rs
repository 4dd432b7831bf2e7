//! The same lies in the headers, told to whatever leaves the service: links that are mailed to somebody else, and where
//! another site sends somebody back to.

use std::time::Duration;

use countersign::clock::{Clock as _, ManualClock, SystemClock};
use countersign::testing::OpenIdProvider;
use rocket::tokio::runtime::Runtime;
use scraper::{Html, Selector};
use serde_json::json;
use tempfile::TempDir;

use crate::headers::{HONEST, LIES, Lie, ORIGIN, ask};
use crate::once::OPEN;
use crate::service::{CHEAP, SECRET, Service};
use crate::wire::{Reply, Wire, form};

const BACK: &str = "https://app.example.com/api/auth/callback/acme";

/// A service behind a proxy, which knows where it is and another site.
fn start(folder: &TempDir, provider: &OpenIdProvider) -> Service {
    std::fs::write(folder.path().join("Rocket.toml"), provider.toml("acme")).unwrap();
    let mut variables = vec![
        ("COUNTERSIGN_URL", ORIGIN),
        ("COUNTERSIGN_SECRET", SECRET),
        ("COUNTERSIGN_TRUSTED_PROXIES", "[\"127.0.0.1\"]"),
    ];
    variables.extend(CHEAP);
    variables.extend(OPEN);
    Service::start(folder.path(), &variables)
}

/// Posts a form by a request that lies; `None` when it was refused for that.
fn post(service: &Service, lie: &Lie, target: &str, fields: &[(&str, &str)]) -> Option<Reply> {
    let (cookie, token) = Wire::to(service.port).pair();
    let headers = format!("Cookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let mut all = vec![("csrfToken", token.as_str()), ("json", "true")];
    all.extend(fields);
    let answer = ask(service.port, lie, &("POST", target, headers, form(&all)));
    let answer = answer.filter(|answer| answer.status != 400)?;
    assert!(matches!(answer.status, 200 | 302), "{target}: {}: {} {}", lie.name, answer.status, answer.body);
    Some(answer)
}

/// A mail of the outbox.
struct Letter {
    /// The line that says to whom.
    head: String,
    text: String,
    link: String,
}

/// So many mails, once they are there.
fn letters(service: &Service, count: usize) -> Vec<Letter> {
    let select = |text: &str| Selector::parse(text).unwrap();
    let (article, head, text, link) = (select("article"), select(".hint"), select("pre"), select("a"));
    let mut found = Vec::new();
    for _ in 0..600 {
        let page = Wire::to(service.port).get("/api/auth/outbox", &[("Accept", b"text/html")]).unwrap().body;
        let page = Html::parse_document(&page);
        let letter = |letter: scraper::ElementRef<'_>| Letter {
            head: letter.select(&head).flat_map(|found| found.text()).collect(),
            text: letter.select(&text).flat_map(|found| found.text()).collect(),
            link: letter.select(&link).map(|found| found.attr("href").unwrap()).collect(),
        };
        found = page.select(&article).map(letter).collect();
        if found.len() >= count {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    found
}

#[test]
fn a_mailed_link_leads_to_the_configured_site() {
    let runtime = Runtime::new().unwrap();
    let provider = runtime.block_on(OpenIdProvider::start());
    let folder = TempDir::new().unwrap();
    let service = start(&folder, &provider);
    let mut expected = Vec::new();
    for (number, lie) in LIES.iter().chain([&HONEST]).enumerate() {
        let (reader, owner) = (format!("reader{number}@example.com"), format!("owner{number}@example.com"));
        let person = [("email", owner.as_str()), ("password", "correct horse battery")];
        let wish = [("email", reader.as_str()), ("callbackUrl", "/x")];
        let tries = [
            ("signin/email", "callback/email", &reader, &wish[..]),
            ("signup", "verify-email", &owner, &person),
            ("forgot-password", "reset-password", &owner, &person[..1]),
        ];
        for (target, page, email, fields) in tries {
            if post(&service, lie, &format!("/api/auth/{target}"), fields).is_some() {
                expected.push((email.clone(), page, lie.name));
            }
        }
    }
    // The control: the truth is mailed, and most of the lies are.
    assert_eq!(expected.iter().filter(|(.., name)| *name == HONEST.name).count(), 3, "{expected:?}");
    assert!(expected.len() > (LIES.len() + 1) * 3 / 2, "{} were answered", expected.len());
    let letters = letters(&service, expected.len());
    assert_eq!(letters.len(), expected.len(), "each of them was mailed, and nothing else");
    for (email, page, name) in &expected {
        let start = format!("{ORIGIN}/api/auth/{page}?");
        let theirs = letters.iter().filter(|letter| letter.head.contains(email.as_str()));
        let with_link = theirs.filter(|letter| letter.link.starts_with(&start)).count();
        assert_eq!(with_link, 1, "{name}: {start} to {email}");
    }
    for letter in &letters {
        assert!(letter.text.contains(&letter.link), "the control: {}", letter.text);
        for word in letter.text.split_whitespace().filter(|word| word.contains("://")) {
            let is_ours = word == ORIGIN || word.starts_with(&format!("{ORIGIN}/"));
            assert!(is_ours, "{word} in {}", letter.text);
        }
        assert!(!letter.text.contains("evil") && !letter.link.contains("evil"), "{}", letter.text);
    }
}

#[test]
fn another_site_sends_people_back_to_the_configured_one() {
    let runtime = Runtime::new().unwrap();
    let provider = runtime.block_on(OpenIdProvider::start());
    provider.follow(&ManualClock::at(SystemClock.now()));
    let folder = TempDir::new().unwrap();
    let service = start(&folder, &provider);
    let mut returned = 0;
    for lie in LIES.iter().chain([&HONEST]) {
        let Some(asked) = post(&service, lie, "/api/auth/signin/acme", &[("callbackUrl", "/x")]) else {
            continue;
        };
        let target = asked.json()["url"].as_str().unwrap().to_owned();
        let url = url::Url::parse(&target).unwrap();
        let named: Vec<String> = url
            .query_pairs()
            .filter(|(name, _)| name == "redirect_uri")
            .map(|(_, value)| value.into_owned())
            .collect();
        assert_eq!(named, [BACK], "{}: {target}", lie.name);
        assert!(!target.contains("evil"), "{}: {target}", lie.name);
        // Coming back is told the same lie.
        let claims = json!({ "sub": "1815", "email": "ada@example.com", "email_verified": true });
        let back = provider.authorize(&target, &claims);
        let headers = format!("Cookie: {}\r\n", asked.cookies().join("; "));
        let answer = ask(service.port, lie, &("GET", &back, headers, Vec::new())).unwrap();
        assert_eq!(answer.header("location"), "https://app.example.com/x", "{}: {}", lie.name, answer.body);
        assert!(answer.cookie("session-token").is_some(), "{}", lie.name);
        returned += 1;
    }
    assert!(returned > LIES.len() / 2, "the control: {returned} came back");
    let requests = provider.requests();
    let told: Vec<String> = requests
        .iter()
        .filter(|request| request.path == "/token")
        .map(|request| request.field("redirect_uri").unwrap())
        .collect();
    assert_eq!(told, vec![BACK; returned], "and the site is told so when the code is exchanged");
}
