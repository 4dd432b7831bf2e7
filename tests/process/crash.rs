//! `kill -9` in the middle of traffic: what was answered is true afterwards, and nobody has to repair anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf};

/// How often the process is killed. `COUNTERSIGN_TEST_KILLS` asks for another number.
fn kills() -> usize {
    std::env::var("COUNTERSIGN_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// What one client was told before the process died.
#[derive(Default)]
struct Told {
    accounts: Vec<String>,
    ended: Vec<String>,
    open: Vec<String>,
}

/// Signs up, in and out as fast as it can, and remembers only what was answered in full.
fn traffic(address: &Address, name: &str, dead: &AtomicBool) -> Told {
    let mut told = Told::default();
    for number in 0.. {
        if dead.load(Ordering::Relaxed) {
            break;
        }
        let email = format!("{name}-{number}@example.com");
        let Some(first) = ok(address.try_get("/api/auth/csrf")) else { break };
        let (jar, token) = (cookies(&first), csrf(&first));
        let person = format!("csrfToken={token}&email={email}&password=correct+horse+battery&json=true");
        let post = |path: &str, jar: &str| ok(address.try_post(path, jar, &person));
        if post("/api/auth/signup", &jar).is_none() {
            break;
        }
        told.accounts.push(email.clone());
        let Some(entered) = post("/api/auth/callback/credentials", &jar) else { break };
        let set = cookies(&entered);
        let Some(session) = set.split("; ").find(|pair| pair.contains("session-token")) else { break };
        if number % 2 == 0 {
            told.open.push(session.to_owned());
        } else if post("/api/auth/signout", &format!("{jar}; {session}")).is_some() {
            told.ended.push(session.to_owned());
        }
    }
    told
}

/// An answer that arrived to its end and says yes.
fn ok(answer: Option<String>) -> Option<String> {
    let answer = answer.filter(|answer| answer.starts_with("HTTP/1.1 200"))?;
    let length: usize = answer
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())?;
    (answer.split_once("\r\n\r\n")?.1.len() == length).then_some(answer)
}

#[test]
fn a_killed_process_keeps_every_promise_it_answered() {
    let mut promises = 0;
    for strategy in ["jwt", "database"] {
        let folder = TempDir::new().unwrap();
        let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_SESSION__STRATEGY", strategy)];
        variables.push(("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"));
        variables.push(("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000"));
        variables.extend(CHEAP);
        let mut service = Service::start(folder.path(), &variables);
        for round in 0..kills().div_ceil(2) {
            let (dead, address) = (Arc::new(AtomicBool::new(false)), service.address.clone());
            let clients: Vec<_> = (0..3)
                .map(|client| {
                    let (dead, address) = (Arc::clone(&dead), address.clone());
                    let name = format!("{strategy}-{round}-{client}");
                    std::thread::spawn(move || traffic(&address, &name, &dead))
                })
                .collect();
            // Another moment every round, spread over what a sign-up, a sign-in and a sign-out take.
            std::thread::sleep(Duration::from_millis(60 + (round as u64 * 37) % 140));
            service.signal("KILL");
            dead.store(true, Ordering::Relaxed);
            let told: Vec<Told> = clients.into_iter().map(|client| client.join().unwrap()).collect();
            service = Service::start(folder.path(), &variables);
            for told in &told {
                promises += check(&service, told);
            }
        }
        service.signal("TERM");
        integrity(&folder);
    }
    assert!(promises > kills(), "only {promises} answers were given before the kills");
}

/// Everything that was answered is still true. How many promises there were.
fn check(service: &Service, told: &Told) -> usize {
    let status =
        |session: &String| service.get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
    for session in &told.open {
        assert!(status(session).starts_with("HTTP/1.1 200"), "a session that was answered is gone");
    }
    for session in &told.ended {
        assert!(status(session).starts_with("HTTP/1.1 401"), "a sign-out that was answered is undone");
    }
    // The last one of each client: one sign-in by password shows that the account is whole.
    if let Some(email) = told.accounts.last() {
        let first = service.get("/api/auth/csrf", "");
        let body =
            format!("csrfToken={}&email={email}&password=correct+horse+battery&json=true", csrf(&first));
        let answer = service.post("/api/auth/callback/credentials", &cookies(&first), &body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{email} was signed up: {answer}");
    }
    told.open.len() + told.ended.len() + told.accounts.len()
}

fn integrity(folder: &TempDir) {
    let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}/data/countersign.db", folder.path().display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        let verdict: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await.unwrap();
        assert_eq!(verdict, "ok");
        let broken: Vec<sqlx::sqlite::SqliteRow> =
            sqlx::query("PRAGMA foreign_key_check").fetch_all(&pool).await.unwrap();
        assert!(broken.is_empty());
        let halves: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE password_hash IS NULL")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(halves, 0, "half-made users");
        pool.close().await;
    });
}
