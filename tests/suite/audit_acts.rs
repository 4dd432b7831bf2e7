//! Every act that changes something, and the record of it: one in the table, and one line of the log with the same hash.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::acts::{Act, World};
use crate::app::{App, STRATEGIES};
use crate::browser::{PASSWORD, Steps as _};

/// What is recorded of an act, in order: the event, and what it says besides whose word it was.
fn records_of(act: Act) -> &'static [(&'static str, &'static [&'static str])] {
    const SIGNED_IN: (&str, &[&str]) = ("sign_in.succeeded", &["method", "provider"]);
    match act {
        Act::SignUp => &[("sign_up.succeeded", &[])],
        Act::SignIn
        | Act::SignInUnderStrongerRules
        | Act::SecondByCode
        | Act::SecondByOldCode
        | Act::SecondByPasskey
        | Act::Passkey
        | Act::FromThere => &[SIGNED_IN],
        Act::SignOut => &[("session.signed_out", &[])],
        Act::EndSession => &[("session.ended", &["ended"])],
        Act::EndOtherSessions => &[("session.others_ended", &["ended"])],
        Act::ChangeName => &[("profile.name_changed", &[])],
        Act::ChangePassword | Act::FirstPassword => &[("password.changed", &[])],
        Act::Data => &[("account.data_exported", &[])],
        Act::Delete => &[("account.deleted", &[])],
        Act::OwnersLink => &[("email.owner_arrived", &[]), SIGNED_IN],
        Act::NewcomersCode | Act::FromThereAtFirst => &[("sign_up.succeeded", &[]), SIGNED_IN],
        Act::Reset => &[("password.reset", &[])],
        Act::Verify => &[("email.verified", &[])],
        Act::ChangeEmail => &[("email.changed", &[])],
        Act::SwitchOn | Act::SwitchOff | Act::RenewCodes | Act::AddPasskey | Act::RemovePasskey => {
            &[("second_factor.changed", &["change"])]
        }
        Act::SecondByRecovery => &[("second_factor.recovery_code_used", &[]), SIGNED_IN],
        Act::FromThereByAddress => &[("account.linked", &["provider"]), SIGNED_IN],
        Act::FromThereAsOwner => &[("account.taken_over", &["provider"]), SIGNED_IN],
        Act::LinkThere => &[("account.linked", &["provider"])],
        Act::Unlink => &[("account.unlinked", &["provider"])],
        Act::MakeToken => &[("access_token.made", &[])],
        Act::RevokeToken => &[("access_token.revoked", &[])],
        Act::Grant => &[("role.granted", &["by", "role"])],
        Act::Take => &[("role.taken", &["by", "role"])],
        Act::Disable => &[("user.disabled", &["by"])],
        Act::Enable => &[("user.enabled", &["by"])],
        Act::EndTheirSessions => &[("session.others_ended", &["by"])],
        Act::RemoveTheirFactors => &[("second_factor.changed", &["by", "change"])],
        // Nothing changed, or only what the next request changes again; whoever asks for a mail has proven nothing yet.
        Act::Renewal
        | Act::AskForLink
        | Act::AskForReset
        | Act::AskForChange
        | Act::TokensThere
        | Act::OldTokensThere
        | Act::UseToken
        | Act::UseRole
        | Act::Search
        | Act::Look
        | Act::Log => &[],
    }
}

/// Events that no act has: what is refused, and what the command line does.
const NO_ACT: [(&str, &str); 8] = [
    ("sign_in.failed", "audit.rs"),
    ("sign_up.failed", "audit.rs"),
    ("password.change_failed", "audit_acts.rs"),
    ("limit.hit", "audit.rs"),
    ("csrf.refused", "audit.rs"),
    ("access.refused", "audit.rs"),
    ("audit.refusals_omitted", "audit.rs"),
    ("user.added", "../process/main.rs"),
];

/// How often each hash stands in a line of the log that tells of a record.
fn lines() -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for line in crate::logs::logged().lines().filter(|line| line.contains("countersign::audit")) {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(hash) = line["fields"]["hash"].as_str() {
            *lines.entry(hash.to_owned()).or_insert(0) += 1;
        }
    }
    lines
}

// ASVS: 16.2.1, 16.3.1
#[rocket::async_test]
async fn every_act_is_recorded_once_in_the_table_and_in_the_log() {
    let mut hashes = Vec::new();
    for strategy in STRATEGIES {
        // The one of them that takes a second instance starts it.
        let world = World::start(strategy, Act::SignInUnderStrongerRules).await;
        for &act in Act::ALL {
            let ready = world.prepare(act).await;
            let before = world.app.audit_records().await.len();
            let answer = ready.send().await;
            let request = answer.header("x-request-id").unwrap();
            let mut told = Vec::new();
            for record in &world.app.audit_records().await[before..] {
                let details: BTreeMap<String, Value> = serde_json::from_str(&record.entry.details).unwrap();
                told.push((record.entry.event.clone(), details.into_keys().collect::<Vec<_>>()));
                assert_eq!(record.entry.request_id.as_deref(), Some(request), "{strategy}, {act:?}");
                assert!(record.entry.user_id.is_some(), "{strategy}, {act:?}: nobody's");
                hashes.push((format!("{strategy}, {act:?}: {}", record.entry.event), record.hash.to_hex()));
            }
            let expected: Vec<_> = records_of(act)
                .iter()
                .map(|(event, details)| {
                    ((*event).to_owned(), details.iter().map(|d| (*d).to_owned()).collect())
                })
                .collect();
            assert_eq!(told, expected, "{strategy}, {act:?}");
        }
    }
    let lines = lines();
    for (label, hash) in hashes {
        assert_eq!(lines.get(&hash), Some(&1), "{label}: lines of the log");
    }
}

#[rocket::async_test]
async fn a_password_that_is_not_changed_is_recorded_with_the_reason() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let (token, before) = (ada.csrf().await, app.audit_records().await.len());
        for (current, new) in [("a wrong password", "another horse battery"), (PASSWORD, "short")] {
            let fields = [("csrfToken", token.as_str()), ("currentPassword", current), ("newPassword", new)];
            let answer = ada.form("/api/auth/account/password", &fields).await;
            assert!((400..500).contains(&answer.status), "{strategy}: {}", answer.status);
        }
        let records = &app.audit_records().await[before..];
        let told: Vec<&str> = records.iter().map(|record| record.entry.event.as_str()).collect();
        assert_eq!(
            told,
            ["password.change_failed"],
            "{strategy}: of the guess; the other named a password that is none"
        );
        assert!(records[0].entry.details.contains("\"code\":"), "{}", records[0].entry.details);
    }
}

/// The codes that records can have, and where each is shown.
#[test]
fn every_event_is_shown_by_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(root.join("src/audit/event.rs")).unwrap();
    let codes = source.split(" => \"").skip(1).filter_map(|rest| rest.split('"').next());
    let codes: BTreeSet<&str> = codes.filter(|code| code.contains('.')).collect();
    let acts = Act::ALL.iter().flat_map(|act| records_of(*act)).map(|(event, _)| *event);
    let shown: BTreeSet<&str> = acts.chain(NO_ACT.map(|(event, _)| event)).collect();
    assert_eq!(shown, codes);
    for (event, file) in NO_ACT {
        let text = std::fs::read_to_string(root.join("tests/suite").join(file)).unwrap();
        assert!(text.contains(event), "{file} does not show {event}");
    }
}
