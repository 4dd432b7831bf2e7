//! Instances are replaced one by one: those of the version before go on with the schema of the next, and are started on it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::races::{Two, status};
use crate::service::{Address, cookies, csrf, sign_in};

const VARIABLES: [(&str, &str); 5] = [
    ("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ACCOUNT", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ACCOUNT_EVERYWHERE", "1000000"),
    ("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000"),
    // Every request writes.
    ("COUNTERSIGN_SESSION__UPDATE_AGE", "0"),
];

/// What a step that only expands may do: tables, indices, columns that may be left out.
const EXPANSION: &str = "ALTER TABLE users ADD COLUMN nickname TEXT; \
     ALTER TABLE users ADD COLUMN later {integer} NOT NULL DEFAULT 7; \
     ALTER TABLE sessions ADD COLUMN device TEXT; \
     ALTER TABLE audit_records ADD COLUMN later {integer} NOT NULL DEFAULT 7; \
     ALTER TABLE attempts ADD COLUMN later {integer} NOT NULL DEFAULT 7; \
     ALTER TABLE revocations ADD COLUMN later {integer} NOT NULL DEFAULT 7; \
     CREATE TABLE devices (id {integer} PRIMARY KEY, owner {integer}); \
     CREATE INDEX sessions_by_device ON sessions (device); \
     INSERT INTO _countersign_migrations (version, description, success, checksum, execution_time) \
     SELECT 9999, 'expand later', success, checksum, 0 FROM _countersign_migrations WHERE version = 1";

/// Whoever ends, however that happens, ends all.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Somebody comes, is let in, changes their name and goes, again and again; every answer is right.
fn come_and_go(service: &Address, number: usize, stop: &AtomicBool, rounds: &AtomicUsize) {
    let _end = End(stop);
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let first = service.get("/api/auth/csrf", "");
        let (jar, token) = (cookies(&first), csrf(&first));
        let person = format!(
            "csrfToken={token}&email=p{number}-{round}%40example.com&password=correct+horse+battery&json=true"
        );
        let made = service.post("/api/auth/signup", &jar, &person);
        assert_eq!(status(&made), 200, "{made}");
        let entered = service.post("/api/auth/callback/credentials", &jar, &person);
        assert_eq!(status(&entered), 200, "{entered}");
        // With a session comes another CSRF token.
        let first = service.get("/api/auth/csrf", &format!("Cookie: {}\r\n", cookies(&entered)));
        let (jar, token) = (format!("{}; {}", cookies(&entered), cookies(&first)), csrf(&first));
        let guarded = service.get("/api/get-session-example", &format!("Cookie: {jar}\r\n"));
        assert_eq!(status(&guarded), 200, "{guarded}");
        let named =
            service.post("/api/auth/account/name", &jar, &format!("csrfToken={token}&name=Ada&json=true"));
        assert_eq!(status(&named), 303, "{named}");
        let left = service.post("/api/auth/signout", &jar, &format!("csrfToken={token}&json=true"));
        assert_eq!(status(&left), 200, "{left}");
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_schema_of_the_next_version_is_lived_with() {
    for (kind, strategy) in
        [("sqlite", "jwt"), ("sqlite", "database"), ("postgres", "jwt"), ("postgres", "database")]
    {
        let mut variables = vec![("COUNTERSIGN_SESSION__STRATEGY", strategy)];
        variables.extend(VARIABLES);
        let Some(mut two) = Two::start(kind, &variables) else { continue };
        let label = format!("{kind}, {strategy}");
        let session = sign_in(two.service(0));
        let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
        let until_more = || {
            let (before, since) = (rounds.load(Ordering::Relaxed), Instant::now());
            while rounds.load(Ordering::Relaxed) < before + 6 {
                let goes_on = since.elapsed() < Duration::from_mins(1) && !stop.load(Ordering::Relaxed);
                assert!(goes_on, "{label}: nobody comes any more");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        let addresses = [two.service(0).clone(), two.service(1).clone()];
        std::thread::scope(|scope| {
            let _end = End(&stop);
            for (number, address) in addresses.iter().enumerate() {
                let (stop, rounds) = (&stop, &rounds);
                scope.spawn(move || come_and_go(address, number, stop, rounds));
            }
            until_more();
            two.execute(EXPANSION.replace("{integer}", if kind == "sqlite" { "INTEGER" } else { "BIGINT" }));
            until_more();
        });
        two.restart(1, &variables);
        for number in 0..2 {
            let ready = two.service(number).get("/readyz", "");
            assert_eq!(status(&ready), 200, "{label}: {ready}");
            let guarded =
                two.service(number).get("/api/get-session-example", &format!("Cookie: {session}\r\n"));
            assert_eq!(status(&guarded), 200, "{label}: {guarded}");
        }
        // The control: the schema is another one.
        assert!(two.number("SELECT count(*) FROM users WHERE later = 7") > 6, "{label}");
    }
}
