//! Whether an index serves what an administrator's pages list and what is cleaned up, among many rows.

use countersign::store::Database;
use sqlx::{Executor as _, Row as _};

use crate::{Fresh, NOW, on_both};

on_both!(an_index_serves_every_list);

/// People; enough that no planner prefers to read them all.
const PEOPLE: i64 = 20_000;

/// What stands for the parameters of a statement.
#[derive(Clone, Copy)]
enum Value {
    Text(&'static str),
    Nothing,
    Number(i64),
}

use Value::{Nothing, Number, Text};

/// The lists, as the pages ask for them: the first page, one in the middle, a search, one that finds nobody.
fn asked(list: &str) -> Vec<Vec<Value>> {
    match list {
        "people" => vec![
            vec![Text(""), Text("\u{7f}"), Number(51)],
            vec![Text("user10000@example.com\u{1}"), Text("\u{7f}"), Number(51)],
            vec![Text("user19"), Text("user19\u{7f}"), Number(51)],
            vec![Text("zebra"), Text("zebra\u{7f}"), Number(51)],
        ],
        "records" => [0, PEOPLE / 2, PEOPLE - 100]
            .map(|after| vec![Number(after), Number(i64::MIN), Nothing, Number(100)])
            .to_vec(),
        "user" | "sessions" | "roles" | "codes" | "recovery codes" | "passkeys" => {
            vec![vec![Text("id10000")]]
        }
        // All of them are due, and none.
        expired if expired.starts_with("expired ") => {
            [NOW.0 + 1, NOW.0 - 1].map(|before| vec![Number(before), Number(500)]).to_vec()
        }
        other => panic!("{other} is not asked for"),
    }
}

/// Fills the tables past the store; `numbers` is a table of the numbers from 1 on, `hash` 32 bytes made of one.
fn fill(numbers: &str, hash: &str) -> Vec<String> {
    let now = NOW.0;
    let each = |into: &str, values: &str| format!("INSERT INTO {into} SELECT {values} FROM {numbers}");
    vec![
        each("users (id, email, created_at)", &format!("'id' || i, 'user' || i || '@example.com', {now}")),
        each(
            "sessions (id, user_id, strategy, method, authenticated_at, expires_at, renewed_at, claims)",
            &format!("{hash}, 'id' || i, 'database', 'pwd', {now}, {now}, {now}, '{{}}'"),
        ),
        each("user_roles (user_id, role, granted_at)", &format!("'id' || i, 'editor', {now}")),
        each("totp (user_id, secret, last_step, created_at)", &format!("'id' || i, 'sealed', 0, {now}")),
        each("recovery_codes (user_id, code)", &format!("'id' || i, {hash}")),
        each(
            "passkeys (id, user_id, name, credential, created_at)",
            &format!("{hash}, 'id' || i, 'key', '{{}}', {now}"),
        ),
        each(
            "audit_records (sequence, at, event, outcome, details, hash)",
            &format!("i, {now}, 'sign_in.succeeded', 'success', '{{}}', {hash}"),
        ),
        each("attempts (key, count, window_ends)", &format!("{hash}, 1, {now}")),
        each("spent (key, expires_at)", &format!("{hash}, {now}")),
        each(
            "revocations (kind, subject, sequence, not_after, expires_at)",
            &format!("'session', {hash}, i, {now}, {now}"),
        ),
        each(
            "access_tokens (id, user_id, name, scopes, created_at, expires_at)",
            &format!("{hash}, 'id' || i, 'token', 'read', {now}, {now}"),
        ),
        each(
            "verifications (id, purpose, email, attempts, created_at, expires_at)",
            &format!("{hash}, 'sign_in', 'user' || i || '@example.com', 0, {now}, {now}"),
        ),
    ]
}

async fn an_index_serves_every_list(fresh: &Fresh) {
    let lists = fresh.store.statements_of_lists();
    assert_eq!(lists.len(), 14);
    for (list, plan) in plans(fresh, &lists).await {
        for wrong in ["SCAN", "Seq Scan"] {
            assert!(!plan.contains(wrong), "{list} is read whole:\n{plan}");
        }
        assert!(plan.contains("USING") || plan.contains("Index"), "{list}:\n{plan}");
        // What one person has is put in order when it is shown; nothing that grows with the number of people is.
        let own = ["sessions", "passkeys", "roles"].contains(&list);
        for sort in ["TEMP B-TREE", "Sort"] {
            assert!(own || !plan.contains(sort), "{list} is put in order:\n{plan}");
        }
    }
}

async fn plans(fresh: &Fresh, lists: &[(&'static str, &'static str)]) -> Vec<(&'static str, String)> {
    let mut plans = Vec::new();
    match &fresh.options.database {
        Database::Sqlite(path) => {
            let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
            let numbers = format!(
                "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {PEOPLE}) SELECT i FROM n)"
            );
            for statement in fill(&numbers, "CAST(printf('%032d', i) AS BLOB)") {
                pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
            }
            for (list, statement) in lists {
                for values in asked(list) {
                    let mut query =
                        sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
                    for value in values {
                        query = match value {
                            Text(text) => query.bind(text),
                            Nothing => query.bind(None::<String>),
                            Number(number) => query.bind(number),
                        };
                    }
                    let rows = query.fetch_all(&pool).await.unwrap();
                    let lines: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
                    plans.push((*list, lines.join("\n")));
                }
            }
            pool.close().await;
        }
        Database::Postgres(url) => {
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            let numbers = format!("generate_series(1, {PEOPLE}) AS i");
            for statement in fill(&numbers, "decode(lpad(i::text, 64, '0'), 'hex')") {
                pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
            }
            pool.execute("ANALYZE").await.unwrap();
            for (list, statement) in lists {
                for values in asked(list) {
                    let mut query = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN {statement}")));
                    for value in values {
                        query = match value {
                            Text(text) => query.bind(text),
                            Nothing => query.bind(None::<String>),
                            Number(number) => query.bind(number),
                        };
                    }
                    let rows = query.fetch_all(&pool).await.unwrap();
                    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
                    plans.push((*list, lines.join("\n")));
                }
            }
            pool.close().await;
        }
    }
    plans
}
