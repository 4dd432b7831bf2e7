//! The application's own part in signing in.

use std::sync::{Arc, Mutex};

use countersign::Session;
use countersign::session::SessionData;
use countersign::signin::{Decision, Event, HookError, Hooks, SignInAttempt, Trigger};
use countersign::token::Claims;
use rocket::serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::{STRATEGIES, Setup};
use crate::browser::{PASSWORD, Steps as _};
use crate::dump::{Dump, difference};

#[derive(Clone, Default)]
struct Own {
    events: Arc<Mutex<Vec<String>>>,
}

#[rocket::async_trait]
impl Hooks for Own {
    async fn sign_in(&self, attempt: &SignInAttempt<'_>) -> Result<Decision, HookError> {
        Ok(match attempt.user.email.local_part() {
            "denied" => Decision::Deny,
            "sent" => Decision::Redirect("/why".to_owned()),
            "error" => return Err("a hook's own error".into()),
            "panic" => panic!("a hook's own panic"),
            _ => Decision::Allow,
        })
    }

    async fn jwt(&self, claims: &mut Claims, trigger: &Trigger<'_>) -> Result<(), HookError> {
        match trigger {
            Trigger::SignIn { .. } => {
                claims.set("department", "research");
                claims.set("sub", "somebody else");
            }
            Trigger::Update { data } => {
                if let Some(theme) = data.get("theme").and_then(Value::as_str) {
                    claims.set("theme", theme);
                }
                claims.set("sub", "somebody else");
            }
            _ => {}
        }
        Ok(())
    }

    async fn session(&self, body: &mut Map<String, Value>, session: &SessionData) -> Result<(), HookError> {
        body.insert(
            "department".to_owned(),
            session.token_claims().get("department").cloned().unwrap_or_default(),
        );
        body.insert("theme".to_owned(), session.token_claims().get("theme").cloned().unwrap_or_default());
        Ok(())
    }

    fn redirect(&self, url: &str) -> Option<String> {
        url.ends_with("/old")
            .then(|| "https://evil.example/".to_owned())
            .or_else(|| url.ends_with("/moved").then(|| "/new".to_owned()))
    }

    async fn event(&self, event: &Event<'_>) {
        let name = match event {
            Event::SignedUp { .. } => "up",
            Event::SignedIn { .. } => "in",
            Event::SignedOut { .. } => "out",
            Event::SessionRenewed { .. } => "renewed",
            Event::SignInFailed { code, .. } => code,
            _ => "?",
        };
        self.events.lock().unwrap().push(name.to_owned());
    }
}

#[derive(Deserialize)]
#[serde(crate = "rocket::serde")]
struct Claimed {
    department: String,
    sub: String,
}

#[rocket::get("/department")]
fn department(session: Session) -> String {
    let claimed: Claimed = session.claims().unwrap();
    assert_eq!(claimed.sub, session.user_id().as_str(), "who somebody is, is not a hook's to say");
    claimed.department
}

fn setup(strategy: &str, own: &Own) -> Setup {
    let own = own.clone();
    Setup::new(strategy)
        .fairing(|fairing| fairing.hooks(own))
        .build(|rocket| rocket.mount("/", rocket::routes![department]))
}

#[rocket::async_test]
async fn a_hook_refuses_or_fails_and_nobody_is_signed_in() {
    for strategy in STRATEGIES {
        let app = setup(strategy, &Own::default()).start().await;
        for (name, status, url) in [
            ("denied", 403, "http://localhost:8000/api/auth/error?error=AccessDenied"),
            ("sent", 403, "http://localhost:8000/why"),
            ("error", 500, "http://localhost:8000/api/auth/error?error=Configuration"),
            ("panic", 500, "http://localhost:8000/api/auth/error?error=Configuration"),
        ] {
            let email = format!("{name}@example.com");
            let mut browser = app.browser();
            assert_eq!(browser.sign_up(&email).await.status, 200);
            let answer = browser.try_sign_in(&email, PASSWORD).await;
            assert_eq!(answer.status, status, "{strategy}: {name}");
            assert_eq!(answer.json()["url"], url);
            assert!(!answer.body.contains("a hook's own"), "{}", answer.body);
            assert!(answer.set_cookie("next-auth.session-token").is_none());
            assert_eq!(browser.me().await.0, 401);
        }
        assert_eq!(
            app.browser().enter("fine@example.com").await.me().await.0,
            200,
            "the next request is served"
        );
    }
}

#[rocket::async_test]
async fn own_claims_reach_handlers_and_scripts() {
    for strategy in STRATEGIES {
        let app = setup(strategy, &Own::default()).start().await;
        let mut ada = app.browser().enter("ada@example.com").await;
        assert_eq!(ada.get("/department").await.body, "research", "{strategy}");
        assert_eq!(ada.get("/api/auth/session").await.json()["department"], "research");
        // A renewal keeps them.
        app.clock.advance(86_400);
        assert_eq!(ada.get("/department").await.body, "research", "{strategy}");
        assert_eq!(ada.get("/department").await.body, "research", "{strategy}");
    }
}

#[rocket::async_test]
async fn an_update_takes_what_the_hook_takes() {
    let app = setup("jwt", &Own::default()).start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let token = ada.csrf().await;
    let data = json!({ "theme": "dark", "user": { "name": "Eve" }, "sub": "1", "email": "eve@example.com" });
    let updated = ada.json("/api/auth/session", &json!({ "csrfToken": token, "data": data })).await;
    assert_eq!(updated.status, 200);
    assert_eq!(updated.json()["theme"], "dark", "the answer is what the next one will be");
    let body = ada.get("/api/auth/session").await.json();
    assert_eq!(body["theme"], "dark");
    assert_eq!(body["user"]["name"], "Ada");
    assert_eq!(ada.me().await.1, "ada@example.com");
    let refused = ada.json("/api/auth/session", &json!({ "csrfToken": "0", "data": {} })).await;
    assert_eq!((refused.status, refused.body.as_str()), (400, "{}"));
}

/// What does not fit into a token is taken over neither by the token nor by the session's row.
#[rocket::async_test]
async fn an_update_that_fits_into_no_token_renews_nothing() {
    let app = setup("jwt", &Own::default()).start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let token = ada.csrf().await;
    app.clock.advance(3600);
    let dump = Dump::of(&app).await;
    let state = dump.state().await;
    let update = json!({ "csrfToken": token, "data": { "theme": "d".repeat(50_000) } });
    let answer = ada.json("/api/auth/session", &update).await;
    assert_eq!((answer.status, answer.headers("set-cookie").len()), (500, 0), "{}", answer.body);
    let happened = difference(&state, &dump.state().await);
    assert!(happened.is_empty(), "{happened:#?}");
    assert_eq!(ada.get("/api/auth/session").await.json()["theme"], Value::Null);
}

#[rocket::async_test]
async fn events_are_told() {
    let own = Own::default();
    let app = setup("jwt", &own).start().await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.clock.advance(86_400);
    ada.me().await;
    ada.sign_out().await;
    ada.try_sign_in("ada@example.com", "wrong password").await;
    assert_eq!(*own.events.lock().unwrap(), ["up", "in", "renewed", "out", "CredentialsSignin"]);
}

#[rocket::async_test]
async fn the_redirect_hooks_word_is_validated_too() {
    let app = setup("jwt", &Own::default()).start().await;
    for (wanted, location) in [
        ("/moved", "http://localhost:8000/new"),
        ("/old", "http://localhost:8000/old"),
        ("/x", "http://localhost:8000/x"),
    ] {
        let mut browser = app.browser();
        let token = browser.csrf().await;
        let answer =
            browser.form("/api/auth/signout", &[("csrfToken", &token), ("callbackUrl", wanted)]).await;
        assert_eq!(answer.location(), location);
    }
}
