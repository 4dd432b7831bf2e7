//! Hostile answers of other sites: each is refused, and each is one record that says what was wrong.

use serde_json::{Value, json};

use crate::app::{App, Setup};
use crate::browser::Browser;
use crate::idp::{Idp, Reply};
use crate::oidc::{ERROR, ada, begin, param, sign_in, start};

/// The records of failed sign-ins since there were `from`.
async fn failures(app: &App) -> Vec<countersign::model::AuditRecord> {
    app.audit_records().await.into_iter().filter(|record| record.entry.event == "sign_in.failed").collect()
}

struct Scene<'a> {
    app: &'a App,
    seen: usize,
}

impl Scene<'_> {
    /// One record was made since the last call, and it says so.
    async fn assert_recorded(&mut self, provider: &str, reason: &str, said: Option<&str>) {
        // Refusals that are alike are one record per minute.
        let records = failures(self.app).await;
        assert_eq!(records.len(), self.seen + 1, "{reason}: {:?}", records.last());
        self.seen = records.len();
        let entry = &records.last().unwrap().entry;
        let mut details =
            json!({ "code": "OAuthCallback", "method": "fed", "provider": provider, "reason": reason });
        if let Some(said) = said {
            details["said"] = said.into();
        }
        assert_eq!(serde_json::from_str::<Value>(&entry.details).unwrap(), details, "{reason}");
        assert_eq!((entry.outcome.as_str(), entry.email.as_deref()), ("refused", None), "{reason}");
        assert_eq!(entry.address.as_deref(), Some("192.0.2.1"), "{reason}");
        assert!(entry.request_id.is_some() && entry.user_id.is_none(), "{reason}");
    }

    async fn refused(&mut self, browser: &mut Browser<'_>, back: &str, reason: &str, said: Option<&str>) {
        let answer = browser.get(back).await;
        assert_eq!((answer.status, answer.location()), (302, ERROR), "{reason}: {}", answer.body);
        self.assert_recorded("acme", reason, said).await;
    }
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn part(back: &str, name: &str) -> String {
    param(&format!("http://x{back}"), name).unwrap()
}

// ASVS: 16.3.2, 16.3.3
#[rocket::async_test]
async fn each_hostile_answer_is_one_record_that_says_what_was_wrong() {
    let (idp, evil) = (Idp::start().await, Idp::start().await);
    let app = Setup::new("jwt").toml(&idp.toml("acme")).toml(&evil.toml("evil")).start().await;
    let mut scene = Scene { app: &app, seen: 0 };
    let mut browser = app.browser();
    let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
    let (code, state) = (part(&back, "code"), part(&back, "state"));

    let callback = "/api/auth/callback/acme";
    scene.refused(&mut browser, &format!("{back}&code=twice"), "answer_malformed", None).await;
    scene.refused(&mut browser, &format!("{callback}?code={code}"), "state_missing", None).await;
    let forged = format!("{callback}?code={code}&state={}", "A".repeat(43));
    scene.refused(&mut browser, &forged, "state_unknown", None).await;
    // The cookie of another sign-in, under the name of this one.
    let names: Vec<String> = browser.names().filter(|n| n.contains("oauth")).map(str::to_owned).collect();
    begin(&mut browser, "acme", "/").await;
    let other = browser.names().find(|n| n.contains("oauth") && !names.contains(&(*n).to_owned()));
    let other = browser.cookie(other.unwrap()).unwrap().to_owned();
    let mut swapped = browser.clone();
    swapped.set_cookie(&names[0], &other);
    scene.refused(&mut swapped, &back, "state_mismatch", None).await;
    let replay = browser.clone();
    assert_eq!(browser.get(&back).await.location(), "http://localhost:8000/");
    scene.refused(&mut replay.clone(), &back, "state_replayed", None).await;

    let begun = begin(&mut app.browser(), "acme", "/").await;
    assert!(begun.contains("code_challenge="));
    let mut browser = app.browser();
    let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
    let mixed = back.replace(&encode(idp.url()), &encode(evil.url()));
    scene.refused(&mut browser, &mixed, "issuer_mismatch", None).await;
    idp.change_claims(|claims| claims["nonce"] = "an earlier one".into());
    let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
    scene.refused(&mut browser, &back, "nonce_mismatch", None).await;
    idp.heal();
    idp.change_header(|header| header["alg"] = "none".into());
    let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
    scene.refused(&mut browser, &back, "id_token_refused", None).await;
    idp.heal();

    // A code that was used: the first use was another's.
    let own = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
    let used = own.replace(&part(&own, "code"), &code);
    scene.refused(&mut browser, &used, "code_refused", Some("invalid_grant")).await;
    assert!(!state.is_empty());
}

// ASVS: 16.3.2, 16.3.3
#[rocket::async_test]
async fn what_the_site_says_is_recorded_only_in_registered_words() {
    let idp = Idp::start().await;
    let app = start(&idp, "database").await;
    let mut scene = Scene { app: &app, seen: 0 };
    let mut browser = app.browser();
    let mut said_no = async |word: &str, said: Option<&str>| {
        let state = param(&begin(&mut browser, "acme", "/").await, "state").unwrap();
        let path = format!(
            "/api/auth/callback/acme?error={word}&error_description=hunter2&state={state}&iss={}",
            encode(idp.url())
        );
        scene.refused(&mut browser, &path, "provider_error", said).await;
    };
    said_no("access_denied", Some("access_denied")).await;
    said_no("hunter2", None).await;

    // PKCE: a code that is bound to another browser's verifier.
    let mut victim = app.browser();
    let stolen = idp.authorize(&begin(&mut victim, "acme", "/").await, &ada());
    let mut thief = app.browser();
    let own = idp.authorize(&begin(&mut thief, "acme", "/").await, &json!({ "sub": "eve" }));
    let injected = own.replace(&part(&own, "code"), &part(&stolen, "code"));
    scene.refused(&mut thief, &injected, "code_refused", Some("invalid_grant")).await;

    // Who signed in meanwhile is not who began.
    let mut ada_there = app.browser();
    sign_in(&mut ada_there, &idp, &ada()).await;
    let begun = begin(&mut ada_there, "acme", "/").await;
    let back = idp.authorize(&begun, &json!({ "sub": "eve" }));
    ada_there.sign_out().await;
    scene.refused(&mut ada_there, &back, "somebody_else", None).await;

    idp.answer("/token", |_| Reply::with(500, "text/plain", "hunter2"));
    let back = idp.authorize(&begin(&mut thief, "acme", "/").await, &ada());
    scene.refused(&mut thief, &back, "answer_unusable", None).await;

    // None of it holds anything that was a secret, or that a stranger wrote.
    let records = failures(&app).await;
    let text = format!("{records:?}");
    for secret in ["hunter2", Idp::CLIENT_SECRET, "access-1", "code-", &part(&stolen, "state")] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}
