//! `session.host_cookies`: every cookie belongs to this very host, and a sibling's is none.

use rocket::http::Header;

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, PASSWORD, Steps as _};
use crate::idp::Idp;

const FORMATS: [&str; 4] = ["nextauth-v3", "nextauth-v3-encrypted", "nextauth-v4", "authjs-v5"];

async fn start(strategy: &str, format: &str, host_cookies: bool, idp: &Idp) -> App {
    let toml = format!(
        "[default.auth]\nurl = \"https://app.example.com\"\n[default.auth.jwt]\nformat = \"{format}\"\n\
         [default.auth.session]\nhost_cookies = {host_cookies}\n{}",
        idp.toml("acme")
    );
    let app = Setup::new(strategy).toml(&toml).start().await;
    idp.follow(&app.clock);
    app
}

/// Goes every way on which a cookie is set; the lines that set one.
async fn everything_that_is_set(app: &App) -> Vec<String> {
    let mut set = Vec::new();
    let mut keep = |answer: Answer| set.extend(answer.headers("set-cookie").into_iter().map(str::to_owned));
    let mut ada = app.browser();
    keep(ada.visit("/api/auth/signin?callbackUrl=/me").await);
    keep(ada.sign_up("ada@example.com").await);
    keep(ada.try_sign_in("ada@example.com", PASSWORD).await);
    let token = ada.csrf().await;
    keep(ada.form("/api/auth/language", &[("csrfToken", &token), ("lang", "ko")]).await);
    let mut eve = app.browser();
    let token = eve.csrf().await;
    let fields = [("csrfToken", token.as_str()), ("email", "eve@example.com"), ("json", "true")];
    keep(eve.form("/api/auth/signin/email", &fields).await);
    keep(eve.form("/api/auth/signin/acme", &fields).await);
    keep(eve.form("/api/auth/passkey/options", &fields).await);
    keep(ada.sign_out().await);
    set
}

fn name(line: &str) -> &str {
    line.split('=').next().unwrap_or_default()
}

// ASVS: 3.3.3
#[rocket::async_test]
async fn every_cookie_is_of_this_host_alone() {
    let idp = Idp::start().await;
    for (strategy, format) in STRATEGIES.iter().flat_map(|strategy| FORMATS.map(|format| (*strategy, format)))
    {
        let lines = everything_that_is_set(&start(strategy, format, true, &idp).await).await;
        for line in &lines {
            let label = format!("{strategy}, {format}: {line}");
            assert!(line.starts_with("__Host-"), "{label}");
            let attributes: Vec<&str> = line.split("; ").skip(1).collect();
            assert!(attributes.contains(&"Secure") && attributes.contains(&"Path=/"), "{label}");
            assert!(!line.to_ascii_lowercase().contains("domain="), "{label}");
        }
        for part in
            ["csrf-token", "callback-url", "session-token", "language", "mailed-code", "oauth.", "challenge"]
        {
            assert!(lines.iter().any(|line| name(line).contains(part)), "the control: {part} in {lines:?}");
        }
    }
}

/// The same value under the name that a sibling may set opens nothing; and a name that is not configured is not read.
#[rocket::async_test]
async fn the_session_is_read_under_its_own_name_only() {
    let idp = Idp::start().await;
    let me = async |app: &App, name: &str, value: &str| {
        let header = Header::new("Cookie", format!("{name}={value}"));
        app.client().get("/me").header(header).dispatch().await.status().code
    };
    for (strategy, format) in STRATEGIES.iter().flat_map(|strategy| FORMATS.map(|format| (*strategy, format)))
    {
        let generation = if format == "authjs-v5" { "authjs" } else { "next-auth" };
        let (host, secure) =
            (format!("__Host-{generation}.session-token"), format!("__Secure-{generation}.session-token"));
        for (is_host, own, other) in [(true, &host, &secure), (false, &secure, &host)] {
            let app = start(strategy, format, is_host, &idp).await;
            let ada = app.browser().enter("ada@example.com").await;
            let value = ada.cookie(own).unwrap_or_else(|| panic!("{strategy}, {format}: no {own}"));
            assert_eq!(me(&app, own, value).await, 200, "{strategy}, {format}: {own}");
            assert_eq!(me(&app, other, value).await, 401, "{strategy}, {format}: {other}");
        }
    }
}
