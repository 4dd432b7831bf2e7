//! A store that is down, and rows that mean nothing.

use crate::app::{App, STRATEGIES};
use crate::browser::{PASSWORD, Steps as _};
use crate::dump::Dump;

/// With the database strategy a session that was not read a moment ago needs the store: a failure is 503, touches no
/// cookie, and passes.
#[rocket::async_test]
async fn a_store_that_is_down_is_503_and_never_signed_out() {
    let app = App::new("database").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.store.fail_after(0);
    for path in ["/me", "/claims", "/maybe", "/api/auth/session", "/api/auth/signin", "/api/auth/account"] {
        let answer = ada.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(answer.header("retry-after").is_some(), "{path}");
        assert!(answer.headers("set-cookie").is_empty(), "{path}");
        assert!(answer.header("cache-control").unwrap().contains("no-store"), "{path}");
    }
    let page = ada.visit("/page").await;
    assert_eq!(page.status, 503);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    app.store.recover();
    assert_eq!(ada.me().await, (200, "ada@example.com".to_owned()));
}

/// Signing out while the store is down signs nobody out by half.
#[rocket::async_test]
async fn a_sign_out_that_could_not_be_stored_says_so() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let token = ada.csrf().await;
        app.store.fail_after(0);
        let answer = ada.form("/api/auth/signout", &[("csrfToken", &token), ("json", "true")]).await;
        assert_eq!(answer.status, 503, "{strategy}");
        assert!(answer.headers("set-cookie").is_empty());
        app.store.recover();
        assert_eq!(ada.me().await.0, 200, "{strategy}: still signed in, as the answer said");
    }
}

/// With JWTs the store is not asked per request; but without it for long, "not revoked" is no longer known.
#[rocket::async_test]
async fn a_token_is_not_believed_for_long_without_the_store() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.store.fail_after(0);
    assert_eq!(ada.me().await.0, 200, "a moment without the store is bridged");
    rocket::tokio::time::sleep(countersign::session::STALE_AFTER + countersign::session::REFRESH_EVERY).await;
    let answer = ada.get("/me").await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers("set-cookie").is_empty());
    app.store.recover();
    assert_eq!(ada.me().await.0, 200, "asked at once when it is back");
}

/// A row that holds what no version of the program writes: nobody is signed in or out by it.
#[rocket::async_test]
async fn a_corrupt_row_is_503_and_touches_no_cookie() {
    let damages = [
        ("database", "sessions", "strategy", "'nonsense'"),
        ("database", "sessions", "claims", "'no JSON'"),
        ("database", "sessions", "claims", "'[1]'"),
        ("database", "sessions", "expires_at", "'soon'"),
        ("database", "sessions", "authenticated_at", "x'00'"),
        ("database", "sessions", "user_agent", "x'ff'"),
        ("database", "users", "email", "'no address'"),
        ("database", "users", "name", "x'ff'"),
        ("database", "users", "disabled_at", "'never'"),
        // What SQLite's own JSON functions take for a null and a text.
        ("database", "users", "disabled_at", "x'00'"),
        ("database", "sessions", "user_agent", "x'1761'"),
        ("database", "users", "name", "CAST(x'ff61' AS TEXT)"),
        ("jwt", "sessions", "renewed_at", "'yesterday'"),
        ("jwt", "users", "email", "'no address'"),
        ("jwt", "users", "created_at", "1.5"),
    ];
    // A column of PostgreSQL has a type that nothing gets around: no bytes in a text, no half seconds.
    let possible = |damage: &str| !crate::database::is_postgresql() || !damage.contains(['x', '.']);
    for (strategy, table, column, damage) in damages.into_iter().filter(|(.., damage)| possible(damage)) {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let dump = Dump::of(&app).await;
        dump.allow_anything().await;
        if dump.damage(table, column, damage).await == 0 {
            assert!(crate::database::is_postgresql(), "{strategy}: {column} = {damage}");
            continue;
        }
        let answer = ada.get("/api/auth/account").await;
        let label = format!("{strategy}: {column} = {damage}");
        assert_eq!(answer.status, 503, "{label}: {}", answer.body);
        assert!(answer.header("retry-after").is_some(), "{label}");
        assert!(answer.headers("set-cookie").is_empty(), "{label}");
        if strategy == "database" {
            assert_eq!(ada.get("/me").await.status, 503, "{label}");
            assert_eq!(ada.visit("/page").await.status, 503, "{label}");
        }
        dump.repair(table, column).await;
        assert_eq!(ada.me().await.0, 200, "{label}: the same cookie, repaired");
    }
}

#[rocket::async_test]
async fn a_corrupt_hash_or_counter_is_503_and_no_wrong_password() {
    for damage in ["UPDATE users SET password_hash = 'x'", "UPDATE attempts SET count = 9223372036854775807"]
    {
        let app = App::new("jwt").await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let dump = Dump::of(&app).await;
        let mut other = app.browser();
        assert_eq!(other.try_sign_in("ada@example.com", "wrong password").await.status, 401);
        dump.execute(damage).await;
        let answer = other.try_sign_in("ada@example.com", PASSWORD).await;
        assert_eq!(answer.status, 503, "{damage}: {}", answer.body);
        assert!(answer.header("retry-after").is_some() && answer.headers("set-cookie").is_empty());
        assert_eq!(ada.me().await.0, 200);
    }
}

/// A revocation that cannot be read might be anybody's.
#[rocket::async_test]
async fn a_corrupt_revocation_is_not_passed_over() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.browser().enter("eve@example.com").await.sign_out().await;
    let dump = Dump::of(&app).await;
    dump.execute("UPDATE revocations SET kind = 'other', sequence = sequence + 1").await;
    rocket::tokio::time::sleep(countersign::session::STALE_AFTER + countersign::session::REFRESH_EVERY).await;
    let answer = ada.get("/me").await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers("set-cookie").is_empty());
    dump.execute("UPDATE revocations SET kind = 'session'").await;
    assert_eq!(ada.me().await.0, 200, "repaired");
}

/// A passkey that cannot be read is not a wrong one.
#[rocket::async_test]
async fn a_corrupt_passkey_is_503_and_no_wrong_proof() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.confirm("ada@example.com").await;
    let mut key = app.passkey();
    assert_eq!(ada.add_passkey(&mut key).await.status, 200);
    let dump = Dump::of(&app).await;
    dump.execute("CREATE TABLE kept AS SELECT credential FROM passkeys").await;
    for damage in ["'no JSON'", "'{}'", "''"] {
        dump.execute(&format!("UPDATE passkeys SET credential = {damage}")).await;
        let answer = app.browser().sign_in_by_passkey(&mut key).await;
        assert_eq!(answer.status, 503, "{damage}: {}", answer.body);
        assert!(
            answer.header("retry-after").is_some() && answer.headers("set-cookie").is_empty(),
            "{damage}"
        );
        assert_eq!(ada.me().await.0, 200, "{damage}");
    }
    dump.execute("UPDATE passkeys SET credential = (SELECT credential FROM kept); DROP TABLE kept").await;
    assert_eq!(app.browser().sign_in_by_passkey(&mut key).await.status, 200, "repaired");
}
