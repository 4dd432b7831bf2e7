//! Rows that mean nothing, wherever they are read: each column of each table damaged in turn, under everything that reads it.
//!
//! A row that holds what no version of the program writes is neither a yes nor a no. Whoever meets one is told that it is
//! unknown, keeps their cookies, and goes on as soon as it is repaired; or it is not needed, and the answer is as usual.

use std::collections::BTreeMap;

use crate::acts::{Act, World};
use crate::app::STRATEGIES;
use crate::database;
use crate::dump::Dump;
use crate::every_call::assert_unknown;

/// What is done with a table damaged. Revocations are read in the background (`outages`); of recovery codes and of what is
/// spent there are keys only.
const READ_BY: [(&str, &[Act]); 11] = [
    (
        "users",
        &[
            Act::SignIn,
            Act::Renewal,
            Act::ChangeName,
            Act::ChangePassword,
            Act::Data,
            Act::AskForLink,
            Act::OwnersLink,
            Act::Reset,
            Act::SecondByCode,
            Act::Passkey,
            Act::FromThere,
            Act::UseToken,
            Act::Search,
            Act::Look,
            Act::Enable,
        ],
    ),
    ("sessions", &[Act::Renewal, Act::SignOut, Act::EndOtherSessions, Act::Data, Act::Look]),
    ("counters", &[Act::SignOut]),
    ("attempts", &[Act::SignIn, Act::AskForLink]),
    (
        "verifications",
        &[Act::OwnersLink, Act::NewcomersCode, Act::Reset, Act::Verify, Act::ChangeEmail, Act::Data],
    ),
    ("accounts", &[Act::FromThere, Act::Unlink, Act::TokensThere, Act::Data]),
    ("totp", &[Act::SecondByCode, Act::SwitchOff]),
    ("passkeys", &[Act::Passkey, Act::SecondByPasskey, Act::RemovePasskey]),
    ("user_roles", &[Act::UseRole, Act::Take, Act::Data]),
    ("access_tokens", &[Act::UseToken, Act::RevokeToken, Act::Data]),
    ("audit_records", &[Act::Log]),
];

/// Columns by which a row is found: a row with another key is another row.
const KEYS: [(&str, &[&str]); 11] = [
    ("users", &["id", "email"]),
    ("sessions", &["id", "user_id"]),
    ("counters", &["name"]),
    ("attempts", &["key"]),
    ("verifications", &["id", "purpose", "user_id", "browser"]),
    ("accounts", &["id", "user_id", "provider", "issuer", "subject"]),
    ("totp", &["user_id"]),
    ("passkeys", &["id", "user_id"]),
    ("user_roles", &["user_id", "role"]),
    ("access_tokens", &["id", "user_id"]),
    ("audit_records", &["user_id"]),
];

/// What no column of a type holds. A number in a text would be another text.
fn damages(kind: &str) -> &'static [&'static str] {
    match kind {
        "INTEGER" => &["x'ff'", "'no sense'", "9000000000.5"],
        // Of PostgreSQL: its columns have types, and hold a number, bytes or a text whatever happens.
        "BIGINT" => &[],
        "BYTEA" => &["'\\xff'"],
        _ if database::is_postgresql() => &["'no\u{1}sense'"],
        _ => &["x'ff'", "'no\u{1}sense'"],
    }
}

/// Tokens of another site that no secret opens are none: they were lost with the secret that sealed them.
fn is_lost(act: Act, column: &str) -> bool {
    act == Act::TokensThere && column == "tokens"
}

fn is_key(table: &str, column: &str) -> bool {
    KEYS.iter().any(|(name, keys)| *name == table && keys.contains(&column))
}

// ASVS: 16.5.3
#[rocket::async_test]
async fn a_damaged_column_is_unknown_or_not_needed() {
    for strategy in STRATEGIES {
        let world = World::start(strategy, Act::SignIn).await;
        let dump = Dump::of(&world.app).await;
        dump.allow_anything().await;
        let mut refused = BTreeMap::new();
        for (table, acts) in READ_BY {
            for &act in acts {
                if let Some(times) = damage_each(&world, &dump, table, act).await {
                    *refused.entry(table).or_insert(0) += times;
                }
            }
        }
        // The only text of an account is its tokens, which are none when they cannot be opened.
        let senseless = |table: &str| !database::is_postgresql() || table != "accounts";
        let unseen: Vec<_> =
            refused.iter().filter(|(table, times)| **times == 0 && senseless(table)).collect();
        assert!(unseen.is_empty(), "{strategy}: damage that nobody noticed: {unseen:?}");
    }
}

/// One act with each column of a table damaged. How often it was refused, if anything could be damaged at all.
async fn damage_each(world: &World, dump: &Dump, table: &str, act: Act) -> Option<usize> {
    let usual = world.prepare(act).await.send().await.status;
    assert!(usual < 400, "{act:?}: {usual}");
    let (mut refused, mut ready) = (None, world.prepare(act).await);
    for (column, kind) in dump.columns(table).await {
        for damage in damages(&kind) {
            let label = format!("{act:?}, {table}.{column} = {damage}");
            if dump.damage(table, &column, damage).await == 0 {
                continue;
            }
            let refused = refused.get_or_insert(0);
            let answer = ready.send().await;
            dump.repair(table, &column).await;
            if answer.status >= 500 {
                assert_unknown(&answer, false, &label);
                *refused += 1;
                let again = ready.send().await;
                assert_eq!(again.status, usual, "{label}: repaired: {}", again.body);
            } else if !is_key(table, &column) && !is_lost(act, &column) {
                assert_eq!(answer.status, usual, "{label}: {}", answer.body);
            }
            ready = world.prepare(act).await;
        }
    }
    refused
}
