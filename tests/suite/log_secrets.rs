//! Each kind of secret once: that it is noted where it comes into being, is in no log, and would be found in one.

use std::collections::BTreeMap;

use countersign::testing::{OpenIdProvider, SoftPasskey};
use serde_json::json;

use crate::account_life::post;
use crate::app::{App, Setup};
use crate::browser::{Browser, PASSWORD, Steps as _};
use crate::email::{ask, follow, type_code};
use crate::factors::{ORIGIN, app_of, code, field, first_proof, second_proof, texts};
use crate::idp::{Idp, Reply};
use crate::logs::{is_known, logged, search};
use crate::oidc::{ada, begin, param};

/// Tokens of another site, as long as such tokens are.
const FOREIGN: [(&str, &str); 3] = [
    ("access_token", "ya29.another-sites-access-token-0815"),
    ("refresh_token", "1//another-sites-refresh-token-4711"),
    ("id_token", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxODE1In0.dGhpcyBpcyBubyBzaWduYXR1cmU"),
];

/// What was used, by its kind.
#[derive(Default)]
struct Used(BTreeMap<&'static str, Vec<String>>);

impl Used {
    fn add(&mut self, kind: &'static str, value: impl Into<String>) {
        self.0.entry(kind).or_default().push(value.into());
    }

    /// The values of this browser's cookies, all of which are secrets but for where it goes next.
    fn cookies(&mut self, browser: &Browser<'_>) {
        let kinds = ["session-token", "csrf-token", "pending", "challenge", "mailed-code"];
        for kind in kinds {
            for name in browser.names().filter(|name| name.contains(kind)) {
                self.add(kind, browser.cookie(name).unwrap());
            }
        }
    }
}

/// Signing in by another site, rightly, and once more where the site's answer is refused.
async fn by_another_site(app: &App, idp: &Idp, used: &mut Used) {
    for refused in [false, true] {
        let mut browser = app.browser();
        let url = begin(&mut browser, "acme", "/after").await;
        for name in ["state", "nonce"] {
            used.add(name, param(&url, name).unwrap());
        }
        let pending: Vec<&str> = browser.names().filter(|name| name.starts_with("countersign.")).collect();
        for name in pending {
            used.add("transaction", browser.cookie(name).unwrap());
        }
        let mut back = idp.authorize(&url, &ada());
        if refused {
            let given = param(&format!("{ORIGIN}{back}"), "code").unwrap();
            back = back.replace(&format!("code={given}"), "code=a-code-as-long-as-codes-are-1842");
            used.add("code", "a-code-as-long-as-codes-are-1842");
            let mut answer = json!({ "token_type": "Bearer" });
            for (name, value) in FOREIGN {
                answer[name] = value.into();
            }
            idp.answer("/token", move |_| Reply::json(&answer));
        }
        let answer = browser.get(&back).await;
        assert_eq!(answer.location().contains("error="), refused, "{}", answer.location());
        used.cookies(&browser);
    }
    crate::logs::told_to(idp);
    for request in idp.requests().iter().filter(|request| request.path == "/token") {
        used.add("verifier", request.field("code_verifier").unwrap());
        used.add("client", request.header("authorization").unwrap().trim_start_matches("Basic "));
    }
}

/// A link and a code that were mailed.
async fn by_mail(app: &App, used: &mut Used) {
    for typed in [false, true] {
        let mut browser = app.browser();
        ask(&mut browser, "grace@example.com").await;
        used.cookies(&browser);
        let mail = app.mail("grace@example.com", "Sign in").await;
        used.add("link", param(mail.link().unwrap(), "token").unwrap());
        used.add("digits", mail.code().unwrap());
        let answer = if typed {
            type_code(&mut browser, &mail.code().unwrap()).await
        } else {
            follow(&mut browser, mail.link().unwrap()).await
        };
        assert_eq!((answer.status, browser.me().await.0), (302, 200));
    }
}

/// Codes of an app, recovery codes, a passkey, and an access token.
async fn by_factors(app: &App, used: &mut Used) {
    let mut browser = app.browser().enter("joan@example.com").await;
    used.add("password", PASSWORD);
    app.confirm("joan@example.com").await;
    let page = browser.visit("/api/auth/account/security/totp").await.body;
    let base32 = texts(&page, "code.secret")[0].clone();
    let phone = app_of(&base32);
    used.add("totp", base32);
    used.add("totp", field(&page, "secret"));
    let first = code(&phone, app);
    let fields = [("secret", field(&page, "secret")), ("code", first.clone())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let done = post(&mut browser, "account/security/totp", &fields).await;
    let codes = texts(&done.body, ".codes code");
    assert_eq!(codes.len(), 10, "{}", done.body);
    used.add("digits", first);
    let fields = [("name", "script"), ("scope.read", "on"), ("days", "30")];
    let shown = post(&mut browser, "account/tokens", &fields).await;
    let token = texts(&shown.body, "#fresh-token")[0].clone();
    let mut script = app.browser().with_header("Authorization", &format!("Bearer {token}"));
    script.get("/claims").await;
    used.add("access", token);
    browser.add_passkey(&mut SoftPasskey::new(ORIGIN, "localhost")).await;
    used.cookies(&browser);
    app.clock.advance(60);
    let mut half = first_proof(app, "joan@example.com").await;
    half.passkey_options("/api/auth/passkey/options").await;
    used.cookies(&half);
    let second = code(&phone, app);
    assert_eq!(second_proof(&mut half, &second).await.status, 200);
    used.add("digits", second);
    let mut lost = first_proof(app, "joan@example.com").await;
    assert_eq!(second_proof(&mut lost, &codes[0]).await.status, 200, "a recovery code");
    used.0.insert("recovery", codes);
}

/// Whether digits stand by themselves: within times and ids they are found by chance.
fn has_digits(log: &str, digits: &str) -> bool {
    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && !"._-".contains(c));
    log.match_indices(digits)
        .any(|(at, _)| apart(log[..at].chars().next_back()) && apart(log[at + digits.len()..].chars().next()))
}

#[rocket::async_test]
async fn every_kind_of_secret_is_noted_and_is_in_no_log() {
    let idp = Idp::start().await;
    let begun = logged().len();
    let app = Setup::new("jwt").toml(&idp.toml("acme")).start().await;
    idp.follow(&app.clock);
    let mut used = Used::default();
    by_another_site(&app, &idp, &mut used).await;
    by_mail(&app, &mut used).await;
    by_factors(&app, &mut used).await;
    app.audit_records().await;
    let log = logged()[begun..].to_owned();
    for event in ["sign_in.succeeded", "sign_in.failed", "INSERT INTO audit_records"] {
        assert!(log.contains(event), "the control: {event} is in the log");
    }
    let digits = used.0.remove("digits").unwrap();
    for code in &digits {
        assert!(!has_digits(&log, code), "{code} was logged");
        assert!(has_digits(&format!("{log}code={code}"), code), "it would be found");
    }
    let given = [OpenIdProvider::CLIENT_SECRET, "access-1", "refresh-1"];
    let foreign = FOREIGN.map(|(_, value)| value);
    assert_eq!(search(log.as_bytes(), given.into_iter().chain(foreign)), None);
    // How many of each there are at least, so that none is left out unseen.
    let counts = [
        ("access", 1),
        ("challenge", 1),
        ("client", 2),
        ("code", 1),
        ("csrf-token", 5),
        ("link", 2),
        ("mailed-code", 2),
        ("nonce", 2),
        ("password", 1),
        ("pending", 1),
        ("recovery", 10),
        ("session-token", 2),
        ("state", 2),
        ("totp", 2),
        ("transaction", 2),
        ("verifier", 2),
    ];
    assert_eq!(used.0.keys().copied().collect::<Vec<_>>(), counts.map(|(kind, _)| kind));
    for (kind, least) in counts {
        let values = &used.0[kind];
        assert!(values.len() >= least, "{kind}: {}", values.len());
        for value in values {
            assert!(is_known(value), "nobody noted a {kind}: {value}");
            assert_eq!(search(log.as_bytes(), [value.as_str()].into_iter()), None, "{kind}");
            let planted = format!("{log}{{\"message\":\"{value}\"}}\n");
            assert!(search(planted.as_bytes(), [value.as_str()].into_iter()).is_some(), "{kind} is found");
        }
    }
}
