//! `kill -9` in the middle of traffic: what was answered is true afterwards, and nobody has to repair anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::{StdRng, SysRng};
use rand::{RngExt as _, SeedableRng as _, TryRng as _};
use tempfile::TempDir;

use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf, run, said};

const PASSWORD: &str = "correct+horse+battery";
const NEW_PASSWORD: &str = "another+good+password";

/// How often the process is killed. `COUNTERSIGN_TEST_KILLS` asks for another number.
fn kills() -> usize {
    std::env::var("COUNTERSIGN_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// The moments of the kills come of this seed, which every failure shows. `COUNTERSIGN_TEST_SEED` gives one back.
fn seed() -> u64 {
    let given = std::env::var("COUNTERSIGN_TEST_SEED").ok();
    given.map_or_else(|| SysRng.try_next_u64().unwrap(), |text| text.parse().unwrap())
}

/// Shows the seed when a test fails, whichever assertion it was.
struct Shown(u64);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the moments of the kills again: COUNTERSIGN_TEST_SEED={}", self.0);
        }
    }
}

/// What one client was told before the process died.
#[derive(Default)]
struct Told {
    /// Addresses, with the password that holds.
    accounts: Vec<(String, &'static str)>,
    ended: Vec<String>,
    open: Vec<String>,
}

impl Told {
    fn count(&self) -> usize {
        self.accounts.len() + self.ended.len() + self.open.len()
    }
}

/// A browser that remembers only what was answered in full.
struct Client<'a> {
    address: &'a Address,
    jar: String,
    token: String,
    email: String,
}

impl<'a> Client<'a> {
    fn new(address: &'a Address, email: String) -> Option<Self> {
        let first = whole(address.try_get("/api/auth/csrf"), "200")?;
        Some(Self { address, jar: cookies(&first), token: csrf(&first), email })
    }

    fn post(&self, path: &str, session: &str, fields: &str, status: &str) -> Option<String> {
        let body = format!("csrfToken={}&email={}&{fields}", self.token, self.email);
        let jar = if session.is_empty() { self.jar.clone() } else { format!("{}; {session}", self.jar) };
        whole(self.address.try_post(&format!("/api/auth/{path}"), &jar, &body), status)
    }

    fn sign_up(&self) -> Option<()> {
        self.post("signup", "", &format!("password={PASSWORD}&json=true"), "200").map(drop)
    }

    /// The session's cookie.
    fn enter(&self) -> Option<String> {
        let entered =
            self.post("callback/credentials", "", &format!("password={PASSWORD}&json=true"), "200")?;
        cookies(&entered).split("; ").find(|pair| pair.contains("session-token")).map(str::to_owned)
    }

    fn sign_out(&self, session: &str) -> Option<()> {
        self.post("signout", session, "json=true", "200").map(drop)
    }

    fn end_others(&self, session: &str) -> Option<()> {
        self.post("account/sessions/end-others", session, "json=true", "303").map(drop)
    }

    fn change_password(&self, session: &str) -> Option<()> {
        let fields = format!("currentPassword={PASSWORD}&newPassword={NEW_PASSWORD}");
        self.post("account/password", session, &fields, "303").map(drop)
    }
}

/// An answer that arrived to its end and says what was hoped for.
fn whole(answer: Option<String>, status: &str) -> Option<String> {
    let answer = answer.filter(|answer| answer.starts_with(&format!("HTTP/1.1 {status}")))?;
    let length: usize = answer
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or_default();
    (answer.split_once("\r\n\r\n")?.1.len() == length).then_some(answer)
}

/// Everything that people do, as fast as it goes, until the process is dead.
fn traffic(address: &Address, name: &str, dead: &AtomicBool) -> Told {
    let mut told = Told::default();
    for number in 0.. {
        let email = format!("{name}-{number}@example.com");
        if dead.load(Ordering::Relaxed) || one_person(address, email, number, &mut told).is_none() {
            break;
        }
    }
    told
}

/// One person's visit; `None` when something was not answered. A session is noted as open or ended only when nothing
/// that is still unanswered could have ended it.
fn one_person(address: &Address, email: String, number: usize, told: &mut Told) -> Option<()> {
    let client = Client::new(address, email.clone())?;
    client.sign_up()?;
    told.accounts.push((email, PASSWORD));
    let session = client.enter()?;
    match number % 4 {
        0 => told.open.push(session),
        1 => {
            client.sign_out(&session)?;
            told.ended.push(session);
        }
        2 => {
            let other = client.enter()?;
            client.end_others(&other)?;
            told.ended.push(session);
            told.open.push(other);
        }
        _ => {
            // Whether an unanswered change took place is not known, so the account is not asked then.
            let account = told.accounts.pop()?;
            let other = client.enter()?;
            client.change_password(&other)?;
            told.accounts.push((account.0, NEW_PASSWORD));
            told.ended.push(session);
            told.open.push(other);
        }
    }
    Some(())
}

/// A service that is killed, and how.
struct Run<'a> {
    strategy: &'a str,
    times: usize,
    folder: &'a TempDir,
    database: Option<&'a str>,
    seed: u64,
}

/// Kills the service so many times, at a random moment each time; on a machine so busy that it answered next to nothing
/// before, some times more, and later. How many promises were checked.
fn kill_again_and_again(run: &Run<'_>) -> usize {
    let &Run { strategy, times, folder, database, seed } = run;
    let mut moments = StdRng::seed_from_u64(seed);
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_SESSION__STRATEGY", strategy)];
    variables.push(("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"));
    variables.push(("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000"));
    variables.extend(database.map(|url| ("COUNTERSIGN_DATABASE_URL", url)));
    variables.extend(CHEAP);
    let mut service = Service::start(folder.path(), &variables);
    let mut promises = 0;
    let mut round = 0;
    while round < times || (promises <= times && round < 5 * times) {
        let (dead, address) = (Arc::new(AtomicBool::new(false)), service.address.clone());
        let clients: Vec<_> = (0..3)
            .map(|client| {
                let (dead, address) = (Arc::clone(&dead), address.clone());
                let name = format!("{strategy}-{round}-{client}");
                std::thread::spawn(move || traffic(&address, &name, &dead))
            })
            .collect();
        // Any moment of what a few visits take, to the microsecond.
        let busier = 200_000 * (round / times) as u64;
        std::thread::sleep(Duration::from_micros(moments.random_range(20_000..220_000) + busier));
        service.signal("KILL");
        dead.store(true, Ordering::Relaxed);
        let told: Vec<Told> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        // No manual step: it starts on what the kill left behind.
        service = Service::start(folder.path(), &variables);
        for told in &told {
            promises += check(&service, told);
        }
        round += 1;
    }
    // It listens for signals a moment after it listens for connections.
    assert!(service.get("/healthz", "").starts_with("HTTP/1.1 200"));
    let ended = service.signal("TERM");
    assert!(ended.success(), "{ended}");
    promises
}

/// Everything that was answered is still true. How many promises there were.
fn check(service: &Service, told: &Told) -> usize {
    let status =
        |session: &String| service.get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
    for session in &told.open {
        assert!(status(session).starts_with("HTTP/1.1 200"), "a session that was answered is gone");
    }
    for session in &told.ended {
        assert!(status(session).starts_with("HTTP/1.1 401"), "an end that was answered is undone");
    }
    // A sign-in shows that the account is whole, and which password is its.
    for (email, password) in &told.accounts {
        let first = service.get("/api/auth/csrf", "");
        let sign_in = |password: &str| {
            let body = format!("csrfToken={}&email={email}&password={password}&json=true", csrf(&first));
            service.post("/api/auth/callback/credentials", &cookies(&first), &body)
        };
        let answer = sign_in(password);
        assert!(answer.starts_with("HTTP/1.1 200"), "{email} was answered {password}: {answer}");
        if *password == NEW_PASSWORD {
            let answer = sign_in(PASSWORD);
            assert!(answer.starts_with("HTTP/1.1 401"), "{email}: the old password works: {answer}");
        }
    }
    told.count()
}

#[test]
fn a_killed_process_keeps_every_promise_it_answered() {
    let (seed, mut promises) = (seed(), 0);
    let _shown = Shown(seed);
    for strategy in ["jwt", "database"] {
        let folder = TempDir::new().unwrap();
        let times = kills().div_ceil(2);
        promises += kill_again_and_again(&Run { strategy, times, folder: &folder, database: None, seed });
        integrity(&folder);
        audit(&folder, None);
    }
    assert!(promises > kills(), "only {promises} answers were given before the kills");
}

/// The same beside a database server, which lives on and rolls back what the killed process had begun.
#[test]
fn a_killed_process_beside_postgresql_keeps_them_too() {
    let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
    let (seed, mut promises) = (seed(), 0);
    let _shown = Shown(seed);
    for strategy in ["jwt", "database"] {
        let Some(url) = runtime.block_on(crate::postgres::fresh_database()) else { return };
        let folder = TempDir::new().unwrap();
        let (times, database) = (kills().div_ceil(2), Some(url.as_str()));
        promises += kill_again_and_again(&Run { strategy, times, folder: &folder, database, seed });
        runtime.block_on(async {
            let pool = sqlx::PgPool::connect(&url).await.unwrap();
            for (what, query) in HALVES {
                let halves: i64 = sqlx::query_scalar(query).fetch_one(&pool).await.unwrap();
                assert_eq!(halves, 0, "{what}");
            }
            pool.close().await;
        });
        audit(&folder, database);
    }
    assert!(promises > kills(), "only {promises} answers were given before the kills");
}

/// What a killed process could leave behind of an act that was only half done. That nothing belongs to nobody, the foreign
/// keys see to, but for what is not tied by one.
const HALVES: [(&str, &str); 4] = [
    ("users without a password", "SELECT COUNT(*) FROM users WHERE password_hash IS NULL"),
    ("sessions of nobody", "SELECT COUNT(*) FROM sessions WHERE user_id NOT IN (SELECT id FROM users)"),
    (
        "revocations beyond the counter",
        "SELECT COUNT(*) FROM revocations WHERE sequence > (SELECT value FROM counters WHERE name = 'revocations')",
    ),
    (
        "a head that is not the last record",
        "SELECT COUNT(*) FROM audit_chain WHERE mark = 'head' \
         AND sequence <> (SELECT COALESCE(MAX(sequence), 0) FROM audit_records)",
    ),
];

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
        for (what, query) in HALVES {
            let halves: i64 = sqlx::query_scalar(query).fetch_one(&pool).await.unwrap();
            assert_eq!(halves, 0, "{what}");
        }
        pool.close().await;
    });
}

/// The chain of what happened is whole, and it is no empty one.
fn audit(folder: &TempDir, database: Option<&str>) {
    let mut variables = vec![("COUNTERSIGN_SECRET", SECRET)];
    variables.extend(database.map(|url| ("COUNTERSIGN_DATABASE_URL", url)));
    let output = run(folder.path(), &["audit", "verify"], &variables);
    let text = said(&output);
    assert!(output.status.success() && !text.contains(" 0 records"), "{text}");
}
