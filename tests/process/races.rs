//! Thirty-two at once, at two processes that share a database: exactly one wins.

use std::path::Path;
use std::time::{Duration, Instant};

use rocket::tokio::runtime::Runtime;
use sqlx::ConnectOptions as _;
use tempfile::TempDir;

use crate::postgres;
use crate::service::{Address, CHEAP, SECRET, Service, cookies, csrf, sign_in};
use crate::wire::at_once;

/// Contenders in a race.
pub(crate) const MANY: usize = 32;

/// Two processes on one database.
pub(crate) struct Two {
    services: [Service; 2],
    database: String,
    folder: TempDir,
}

impl Two {
    /// Starts them on a fresh database of this kind; `None` on a machine without it.
    pub(crate) fn start(kind: &str, variables: &[(&str, &str)]) -> Option<Self> {
        Self::configured(kind, variables, "")
    }

    /// As [`Two::start`], with a configuration file.
    pub(crate) fn configured(kind: &str, variables: &[(&str, &str)], toml: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("Rocket.toml"), toml).unwrap();
        let database = match kind {
            "sqlite" => format!("sqlite://{}/shared.db", folder.path().display()),
            _ => Runtime::new().unwrap().block_on(postgres::fresh_database())?,
        };
        let services = [(); 2].map(|()| start(folder.path(), &database, variables));
        Some(Self { services, database, folder })
    }

    /// The one that contender `number` asks.
    pub(crate) fn service(&self, number: usize) -> &Address {
        &self.services[number % 2].address
    }

    /// Ends one of them, and starts it again.
    pub(crate) fn restart(&mut self, number: usize, variables: &[(&str, &str)]) {
        assert!(self.services[number].signal("TERM").success());
        self.services[number] = start(self.folder.path(), &self.database, variables);
    }

    /// Executes a statement past the services.
    pub(crate) fn execute(&self, statement: String) {
        let statement = sqlx::AssertSqlSafe(statement);
        Runtime::new().unwrap().block_on(async {
            if let Some(path) = self.database.strip_prefix("sqlite://") {
                let mut connection = sqlite(path).connect().await.unwrap();
                sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
            } else {
                let mut connection = postgres_options(&self.database).connect().await.unwrap();
                sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
            }
        });
    }

    /// The one number a query gives.
    pub(crate) fn number(&self, query: &'static str) -> i64 {
        Runtime::new().unwrap().block_on(async {
            if let Some(path) = self.database.strip_prefix("sqlite://") {
                let mut connection = sqlite(path).connect().await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            } else {
                let mut connection = postgres_options(&self.database).connect().await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            }
        })
    }
}

fn sqlite(path: &str) -> sqlx::sqlite::SqliteConnectOptions {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(20))
}

fn postgres_options(url: &str) -> sqlx::postgres::PgConnectOptions {
    url.parse().unwrap()
}

fn start(folder: &Path, database: &str, variables: &[(&str, &str)]) -> Service {
    let mut all = vec![("COUNTERSIGN_SECRET", SECRET), ("COUNTERSIGN_DATABASE_URL", database)];
    all.extend(CHEAP);
    all.extend(variables);
    Service::start(folder, &all)
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|text| text.parse().ok()).unwrap_or_default()
}

const OPEN: [(&str, &str); 4] = [
    ("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ACCOUNT", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ACCOUNT_EVERYWHERE", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000"),
];

#[test]
fn of_many_sign_ups_with_one_address_exactly_one_makes_the_account() {
    for kind in ["sqlite", "postgres"] {
        let Some(two) = Two::start(kind, &OPEN) else { continue };
        let first = two.service(0).get("/api/auth/csrf", "");
        let (jar, token) = (cookies(&first), csrf(&first));
        let person = |number: usize| {
            let password = format!("correct+horse+battery+{number}");
            format!("csrfToken={token}&email=ada%40example.com&password={password}&json=true")
        };
        let answers =
            at_once(MANY, |number| two.service(number).post("/api/auth/signup", &jar, &person(number)));
        // Whoever asks is told nothing about the account.
        assert!(answers.iter().all(|answer| status(answer) == 200), "{kind}: {answers:?}");
        assert_eq!(two.number("SELECT count(*) FROM users"), 1, "{kind}");
        let enters = |number: &usize| {
            let answer = two.service(1).post("/api/auth/callback/credentials", &jar, &person(*number));
            assert!([200, 401].contains(&status(&answer)), "{kind}: {answer}");
            status(&answer) == 200
        };
        assert_eq!((0..MANY).filter(enters).count(), 1, "{kind}: one password is the account's");
    }
}

#[test]
fn of_two_hundred_guesses_at_once_no_more_are_looked_at_than_the_limit_allows() {
    for kind in ["sqlite", "postgres"] {
        let Some(two) = Two::start(kind, &[]) else { continue };
        sign_in(two.service(0));
        let first = two.service(0).get("/api/auth/csrf", "");
        let (jar, token) = (cookies(&first), csrf(&first));
        let guess = |number: usize| {
            let body = format!("csrfToken={token}&email=ada%40example.com&password=wrong+{number}&json=true");
            status(&two.service(number).post("/api/auth/callback/credentials", &jar, &body))
        };
        let statuses = at_once(200, guess);
        let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
        assert!((1..=5).contains(&count(401)), "{kind}: {} were looked at", count(401));
        // A database that is asked too much at once may say so; nobody is let in, and every guess has its answer.
        assert_eq!(count(401) + count(429) + count(503), 200, "{kind}: {statuses:?}");
        assert!(count(429) > 0, "{kind}: {statuses:?}");
    }
}

/// However a renewal and a sign-out cross, what was signed out stays so: the cookie that was kept, and every cookie that
/// renewals made of it.
#[test]
fn a_renewal_that_crosses_a_sign_out_revives_nothing() {
    let kinds = [("sqlite", "jwt"), ("sqlite", "database"), ("postgres", "jwt"), ("postgres", "database")];
    for (kind, strategy) in kinds {
        let label = format!("{kind}, {strategy}");
        let mut variables =
            vec![("COUNTERSIGN_SESSION__UPDATE_AGE", "0"), ("COUNTERSIGN_SESSION__STRATEGY", strategy)];
        variables.extend(OPEN);
        let Some(two) = Two::start(kind, &variables) else { continue };
        let first = two.service(0).get("/api/auth/csrf", "");
        let (jar, token) = (cookies(&first), csrf(&first));
        let mut renewals = 0;
        for round in 0..20 {
            // A busy machine needs more time for the first renewal: then the sign-out comes later, too.
            if round >= 4 && renewals > 0 {
                break;
            }
            let session = sign_in(two.service(0));
            // A row is renewed at most once a second.
            std::thread::sleep(Duration::from_secs(1));
            let held = at_once(MANY, |number| {
                if number > 0 {
                    return renew(two.service(number), &session);
                }
                std::thread::sleep(Duration::from_millis(10 * (1 + round)));
                let body = format!("csrfToken={token}&json=true");
                let answer = two.service(0).post("/api/auth/signout", &format!("{jar}; {session}"), &body);
                assert_eq!(status(&answer), 200, "{label}: {answer}");
                Vec::new()
            });
            let fresh: Vec<String> = held.into_iter().flatten().collect();
            renewals += fresh.len();
            all_end(&two, &[fresh, vec![session]].concat(), &label);
        }
        assert!(renewals > 0, "{label}: the control: there were renewals");
    }
}

/// Asks again and again, as a browser that takes every cookie it is given; the cookies it was given.
fn renew(service: &Address, session: &str) -> Vec<String> {
    let mut given: Vec<String> = Vec::new();
    for _ in 0..3 {
        let present = given.last().map_or(session, String::as_str);
        let answer = service.get("/api/get-session-example", &format!("Cookie: {present}\r\n"));
        assert!([200, 401, 503].contains(&status(&answer)), "{answer}");
        let set = cookies(&answer);
        let fresh = set.split("; ").find(|pair| pair.contains("session-token") && !pair.ends_with('='));
        given.extend(fresh.map(str::to_owned));
    }
    given
}

/// Every cookie is refused everywhere within the bound, and ever after.
fn all_end(two: &Two, kept: &[String], label: &str) {
    let is_open = |session: &String, number: usize| {
        let answer = two.service(number).get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
        status(&answer) == 200
    };
    let since = Instant::now();
    for session in kept {
        for number in 0..2 {
            while is_open(session, number) {
                assert!(since.elapsed() < countersign::session::STALE_AFTER, "{label}: a session goes on");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    let revived = kept.iter().any(|session| is_open(session, 0) || is_open(session, 1));
    assert!(!revived, "{label}: a session was revived");
}

#[test]
fn both_clean_up_at_once_and_nobody_notices() {
    for kind in ["sqlite", "postgres"] {
        let Some(two) = Two::start(kind, &OPEN) else { continue };
        let session = sign_in(two.service(0));
        let (hash, numbers) = if kind == "sqlite" {
            let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)";
            ("randomblob(32)", numbers)
        } else {
            ("sha256(i::text::bytea)", "WITH n(i) AS (SELECT generate_series(1, 5000))")
        };
        two.execute(format!(
            "INSERT INTO sessions (id, user_id, strategy, method, authenticated_at, expires_at, renewed_at, claims) \
             {numbers} SELECT {hash}, (SELECT id FROM users), 'jwt', 'pwd', 1, i, 1, '{{}}' FROM n; \
             INSERT INTO attempts (key, count, window_ends) {numbers} SELECT {hash}, 1, i FROM n; \
             INSERT INTO revocations (kind, subject, sequence, not_after, expires_at) {numbers} \
             SELECT 'session', {hash}, -i, 1, i FROM n; \
             INSERT INTO spent (key, expires_at) {numbers} SELECT {hash}, i FROM n; \
             INSERT INTO verifications (id, purpose, email, attempts, created_at, expires_at) {numbers} \
             SELECT {hash}, 'sign_in', 'ada@example.com', 0, 1, i FROM n; \
             INSERT INTO access_tokens (id, user_id, name, scopes, created_at, expires_at) {numbers} \
             SELECT {hash}, (SELECT id FROM users), 'old', '', 1, i FROM n"
        ));
        let left = "SELECT (SELECT count(*) FROM sessions WHERE expires_at < 10000) \
                    + (SELECT count(*) FROM attempts WHERE window_ends < 10000) \
                    + (SELECT count(*) FROM spent WHERE expires_at < 10000) \
                    + (SELECT count(*) FROM verifications WHERE expires_at < 10000) \
                    + (SELECT count(*) FROM access_tokens WHERE expires_at < 10000) \
                    + (SELECT count(*) FROM revocations WHERE expires_at < 10000)";
        assert!(two.number(left) > 0, "{kind}: the control: there is something to clean up");
        let since = Instant::now();
        while two.number(left) > 0 {
            for number in 0..2 {
                let cookie = format!("Cookie: {session}\r\n");
                let answer = two.service(number).get("/api/get-session-example", &cookie);
                assert_eq!(status(&answer), 200, "{kind}: {answer}");
            }
            assert!(since.elapsed() < Duration::from_secs(80), "{kind}: {} rows are left", two.number(left));
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(two.number("SELECT count(*) FROM sessions"), 1, "{kind}: what lives is left alone");
    }
}
