//! What the audit log is told.

use std::collections::BTreeMap;

use countersign::audit::verify;
use countersign::model::AuditRecord;
use countersign::testing::SoftPasskey;
use rocket::http::Status;
use serde_json::{Value, json};

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::factors;
use crate::idp::Idp;

impl App {
    /// What was recorded since there were `from` records: event and details.
    async fn told(&self, from: usize) -> Vec<String> {
        let records = self.audit_records().await;
        let new = records.iter().skip(from);
        new.map(|record| format!("{} {}", record.entry.event, record.entry.details)).collect()
    }
}

fn details(record: &AuditRecord) -> Value {
    serde_json::from_str(&record.entry.details).unwrap()
}

async fn post(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    let token = browser.csrf().await;
    let mut all = vec![("csrfToken", token.as_str())];
    all.extend(fields);
    browser.form(path, &all).await
}

// ASVS: 16.2.1, 16.3.1
/// One record each, in order, by whom, from where, in which request; and the chain holds.
#[rocket::async_test]
async fn every_act_is_one_record() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser();
        let mut requests = Vec::new();
        let name = |answer: &Answer| answer.header("x-request-id").unwrap().to_owned();
        requests.push(name(&ada.sign_up("ada@example.com").await));
        requests.push(name(&ada.try_sign_in("Ada@Example.com", PASSWORD).await));
        let mut phone = app.browser();
        requests.push(name(&phone.try_sign_in("ada@example.com", PASSWORD).await));
        requests.push(name(&post(&mut ada, "/api/auth/account/name", &[("name", "Countess")]).await));
        let others = post(&mut ada, "/api/auth/account/sessions/end-others", &[]).await;
        requests.push(name(&others));
        requests.push(name(&phone.try_sign_in("ada@example.com", PASSWORD).await));
        let user = app.user("ada@example.com").await.unwrap().id;
        let sessions = app.sessions("ada@example.com").await;
        let records = app.audit_records().await;
        let own = records[1].entry.session_id.unwrap();
        let other = sessions.iter().find(|session| session.id != own).unwrap().id.to_hex();
        requests.push(name(&post(&mut ada, "/api/auth/account/sessions/end", &[("id", &other)]).await));
        let change = [("currentPassword", PASSWORD), ("newPassword", "another horse battery")];
        requests.push(name(&post(&mut ada, "/api/auth/account/password", &change).await));
        requests.push(name(&ada.sign_out().await));

        let records = app.audit_records().await;
        let events: Vec<&str> = records.iter().map(|record| record.entry.event.as_str()).collect();
        let expected = [
            "sign_up.succeeded",
            "sign_in.succeeded",
            "sign_in.succeeded",
            "profile.name_changed",
            "session.others_ended",
            "sign_in.succeeded",
            "session.ended",
            "password.changed",
            "session.signed_out",
        ];
        assert_eq!(events, expected, "{strategy}");
        for (record, request) in records.iter().zip(&requests) {
            let entry = &record.entry;
            assert_eq!(entry.request_id.as_ref(), Some(request), "{strategy} {record:?}");
            assert_eq!(entry.address.as_deref(), Some("192.0.2.1"), "{strategy} {record:?}");
            assert_eq!(entry.user_id.as_ref(), Some(&user), "{strategy} {record:?}");
            assert_eq!((entry.outcome.as_str(), entry.at), ("success", crate::app::START));
        }
        assert_eq!(records[0].entry.email.as_deref(), Some("ada@example.com"));
        assert_eq!(details(&records[1]), json!({ "method": "pwd", "provider": "credentials" }));
        assert_eq!(details(&records[4])["ended"], 1);
        assert_eq!(
            (details(&records[6])["ended"].as_str(), records[6].entry.session_id),
            (Some(&*other), Some(own))
        );
        assert_eq!(verify(&*app.store).await.unwrap().records, 9);
    }
}

// ASVS: 16.3.1, 16.3.2, 16.3.3
#[rocket::async_test]
async fn every_refusal_is_recorded_and_says_why() {
    let toml = "[default.auth.limits]\nper_account = 2\nsign_ups_per_address = 2\n";
    let app = Setup::new("jwt")
        .toml(toml)
        .build(|rocket| rocket.mount("/", countersign::Policy::Session.routes(rocket::routes![never])))
        .start()
        .await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let from = app.audit_records().await.len();
    let mut eve = app.browser();
    eve.sign_up("ada@example.com").await;
    eve.sign_up("third@example.com").await;
    for _ in 0..3 {
        eve.try_sign_in("ada@example.com", "a wrong password").await;
    }
    eve.form("/api/auth/signout", &[("csrfToken", "wrong")]).await;
    eve.get("/me").await;
    assert_eq!(eve.visit("/page").await.status, 303, "a browser is sent to sign in: a refusal all the same");
    let mut forged = eve.clone();
    forged.set_cookie("next-auth.session-token", "a.b.c");
    forged.get("/me").await;
    assert_eq!(ada.get("/never").await.status, 403);
    let wrong = [("currentPassword", "not the password"), ("newPassword", "another horse battery")];
    post(&mut ada, "/api/auth/account/password", &wrong).await;
    // Nobody is refused here.
    eve.get("/maybe").await;
    eve.get("/api/auth/session").await;
    eve.get("/nowhere").await;
    let expected = [
        r#"sign_up.failed {"code":"email_taken"}"#,
        r#"limit.hit {"limit":"sign_up"}"#,
        r#"sign_in.failed {"code":"CredentialsSignin","method":"pwd"}"#,
        r#"limit.hit {"limit":"sign_in","method":"pwd"}"#,
        r#"csrf.refused {"route":"/api/auth/signout"}"#,
        r#"access.refused {"code":"session_missing","route":"/me"}"#,
        r#"access.refused {"code":"session_missing","route":"/page"}"#,
        r#"access.refused {"code":"session_invalid","route":"/me"}"#,
        r#"access.refused {"code":"forbidden","route":"/never"}"#,
        r#"limit.hit {"limit":"password_change"}"#,
    ];
    let told = app.told(from).await;
    let (mut told, mut expected) = (told, expected.map(str::to_owned));
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    let records = app.audit_records().await;
    assert!(records.iter().skip(from).all(|record| record.entry.outcome == "refused"));
    assert!(records.iter().all(|record| record.entry.request_id.is_some()));
}

#[rocket::get("/never")]
fn never(_session: countersign::Session) -> Status {
    Status::Forbidden
}

/// People type passwords into the field for the address.
#[rocket::async_test]
async fn what_was_typed_and_is_no_address_is_not_recorded() {
    let app = App::new("jwt").await;
    for typed in ["hunter2hunter2", "my password is secret", "ada@localhost", "", "\0", "ada@example.com\n"] {
        app.browser().try_sign_in(typed, "hunter3hunter3").await;
    }
    app.browser().try_sign_in(" Ada@Example.COM ", "hunter3hunter3").await;
    let records = app.audit_records().await;
    let named: Vec<Option<&str>> = records.iter().map(|record| record.entry.email.as_deref()).collect();
    assert_eq!(named, [None, Some("ada@example.com")]);
    let all = format!("{records:?}");
    assert!(!all.contains("hunter") && !all.contains("secret") && !all.contains("localhost"), "{all}");
}

/// Requests of strangers make a bounded number of records, however many there are and wherever they come from.
#[rocket::async_test]
async fn a_flood_of_refusals_is_a_few_records_and_a_number() {
    let toml = "[default.auth]\ntrusted_proxies = [\"192.0.2.1\"]\n[default.auth.audit_log]\nrefusals_per_minute = 10\n";
    let app = Setup::new("jwt").toml(toml).start().await;
    for number in 0..200 {
        let from = format!("2001:db8:{number:x}::1");
        app.browser().with_header("X-Forwarded-For", &from).get("/me").await;
        app.browser().get("/me").await;
    }
    assert_eq!(app.audit_records().await.len(), 10);
    app.clock.advance(60);
    let records = app.audit_records().await;
    let mut numbers = BTreeMap::new();
    for record in &records[10..] {
        let details = details(record);
        let number = details["repeated"].as_i64().or(details["count"].as_i64()).unwrap();
        numbers.insert(record.entry.event.clone(), number);
    }
    let expected = [("access.refused".to_owned(), 199), ("audit.refusals_omitted".to_owned(), 191)];
    assert_eq!(numbers, BTreeMap::from(expected));
    assert_eq!(verify(&*app.store).await.unwrap().records, 12);
}

// ASVS: 16.3.4
/// The act stands, the person is not told that it failed, and the record is in the log at least.
#[rocket::async_test]
async fn a_record_that_cannot_be_stored_does_not_vanish() {
    let app = App::new("database").await;
    app.browser().sign_up("unstored@example.com").await;
    let user = app.user("unstored@example.com").await.unwrap().id.to_string();
    let mut lost = false;
    // The record is the last that is stored. What runs in the background asks the store, too, and may be what fails.
    for attempt in 0..20 {
        let mut ada = app.browser();
        ada.try_sign_in("unstored@example.com", PASSWORD).await;
        let (token, before) = (ada.csrf().await, app.audit_records().await.len());
        app.store.fail_after(1 + attempt % 4);
        let answer = ada.clone().form("/api/auth/signout", &[("csrfToken", &token), ("json", "true")]).await;
        app.store.recover();
        let told = app.told(before).await;
        lost = answer.status == 200 && !told.iter().any(|line| line.starts_with("session.signed_out"));
        if lost {
            assert_eq!(ada.me().await.0, 401, "signed out, as the answer said");
            break;
        }
    }
    assert!(lost, "the control: the call that failed was the record's");
    let log = crate::logs::logged();
    let line = log.lines().find(|line| line.contains("could not be stored") && line.contains(&user)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["level"], &line["fields"]["event"]), (&"ERROR".into(), &"session.signed_out".into()));
    // Refusals wait until the store is back.
    app.store.fail_after(0);
    app.browser().form("/api/auth/signout", &[("csrfToken", "wrong")]).await;
    let auth = app.client().rocket().state::<countersign::guards::Auth>().unwrap();
    assert!(auth.sign_in.as_ref().unwrap().audit().flush().await.is_err());
    app.store.recover();
    assert!(app.told(0).await.iter().any(|line| line.starts_with("csrf.refused")));
    verify(&*app.store).await.unwrap();
}

#[rocket::async_test]
async fn records_are_kept_as_long_as_configured() {
    let app = Setup::new("jwt").toml("[default.auth.audit_log]\nkeep = 86400\n").start().await;
    app.browser().enter("ada@example.com").await;
    app.clock.advance(86_400);
    let auth = app.client().rocket().state::<countersign::guards::Auth>().unwrap();
    let audit = auth.sign_in.as_ref().unwrap().audit();
    audit.prune().await.unwrap();
    assert_eq!(app.audit_records().await.len(), 2);
    app.clock.advance(1);
    app.browser().try_sign_in("ada@example.com", PASSWORD).await;
    audit.prune().await.unwrap();
    assert_eq!(app.audit_records().await.len(), 1);
    let verified = verify(&*app.store).await.unwrap();
    assert_eq!((verified.records, verified.anchor.sequence), (1, 2));
}

/// Whichever way somebody came in, the record says by whose word; with a second factor, by whose word first.
#[rocket::async_test]
async fn a_sign_in_is_recorded_with_its_provider() {
    let idp = Idp::start().await;
    let app = crate::oidc::start(&idp, "jwt").await;
    let last = async |app: &App| {
        let records = app.audit_records().await;
        let last = records.iter().rev().find(|record| record.entry.event == "sign_in.succeeded");
        last.map(|record| record.entry.details.clone()).unwrap_or_default()
    };
    crate::email::enter_by_mail(&app, "mail@example.com").await;
    assert_eq!(last(&app).await, r#"{"method":"email","provider":"email"}"#);
    crate::oidc::sign_in(&mut app.browser(), &idp, &crate::oidc::ada()).await;
    assert_eq!(last(&app).await, r#"{"method":"fed","provider":"acme"}"#);
    let mut bob = app.browser().enter("bob@example.com").await;
    assert_eq!(last(&app).await, r#"{"method":"pwd","provider":"credentials"}"#);
    app.confirm("bob@example.com").await;
    let mut key = SoftPasskey::new("http://localhost:8000", "localhost");
    bob.add_passkey(&mut key).await;
    let mut phone = app.browser();
    let answer = key.get(&factors::options(&mut phone, "/api/auth/passkey/options").await);
    assert_eq!(factors::enter_by(&mut phone, "/api/auth/callback/passkey", &answer).await.status, 200);
    assert_eq!(last(&app).await, r#"{"method":"pop","provider":"passkey"}"#);
    let mut half = factors::first_proof(&app, "bob@example.com").await;
    let answer = key.get(&factors::options(&mut half, "/api/auth/factor/options").await);
    assert_eq!(factors::enter_by(&mut half, "/api/auth/factor", &answer).await.status, 200);
    assert_eq!(last(&app).await, r#"{"method":"pwd","provider":"credentials"}"#);
}
